/** Rate limits as a whole server has them: docs/OPERATIONS.md, "Rate limits". */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { CLOSE } from '../src/protocol/close.ts';
import { startRedis, type TestRedis } from './support/redis.ts';
import { openTestServer, type TestServer, type TestUser } from './support/server.ts';
import { JsonClient, YjsClient } from './support/sockets.ts';
import { until } from './support/until.ts';

const PASSWORD = 'open sesame, says the test';

const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

/** How often each status was answered. */
const tally = (statuses: readonly number[]): Record<number, number> =>
  Object.fromEntries([...Map.groupBy(statuses, (status) => status)].map(([status, all]) => [status, all.length]));

describe('with the defaults', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await openTestServer({ RATE_LIMITS: 'on' });
  });
  afterAll(async () => {
    await server.stop();
    expect(server.errors()).toEqual([]);
  });

  test('a busy minute from one address is not limited: many people, a thousand calls, many sockets', async () => {
    const people = await Promise.all(times(12, (i) => server.register(`person${i}`)));
    const [ada, bob] = people as [TestUser, TestUser];
    const statuses: number[] = [];
    const call = async (...asked: Parameters<TestServer['call']>): Promise<void> => {
      statuses.push((await server.call(...asked)).status);
    };
    for (let round = 0; round < 6; round++) {
      await Promise.all(times(100, () => call('GET', '/v1/users/me', ada.token)));
      await Promise.all(times(50, () => call('GET', '/v1/users/me', 'not a token')));
      await Promise.all(times(20, () => call('POST', '/v1/documents', bob.token, { title: 'One of many' })));
    }
    expect(tally(statuses)).toEqual({ 200: 600, 401: 300, 201: 120 });

    const login = (password: string) =>
      server.call('POST', '/v1/auth/login', undefined, { email: ada.email, password }).then(({ status }) => status);
    expect(tally(await Promise.all(times(12, () => login(PASSWORD))))).toEqual({ 200: 12 });
    for (let i = 0; i < 9; i++) expect(await login('wrong')).toBe(401);
    expect(await login(PASSWORD)).toBe(200);

    const doc_id = await server.createDocument(ada);
    const strangers = times(50, () => JsonClient.open(server, doc_id, { token: null }));
    expect(tally(await Promise.all(strangers.map(async ({ closed }) => (await closed).code)))).toEqual({ 4401: 50 });
    const sockets = await Promise.all(times(50, () => JsonClient.join(server, doc_id, ada)));
    await Promise.all(sockets.map((socket) => socket.leave()));
  });

  test('a text typed in a burst, a message for each of ten thousand keystrokes, is not limited', async () => {
    const ada = await server.register('typist');
    const doc_id = await server.createDocument(ada);
    const client = await YjsClient.join(server, doc_id, ada);
    for (let i = 0; i < 10_000; i++) client.write((text) => text.insert(text.length, 'x'));
    await until('the text', async () => (await server.text(ada, doc_id)).length === 10_000);
    await client.leave();
  });
});

describe('with small ones', () => {
  let server: TestServer;
  let ada: TestUser;
  let bob: TestUser;
  beforeAll(async () => {
    server = await openTestServer({
      RATE_LIMITS: 'on',
      TRUST_PROXY: 'on',
      RATE_LIMIT_DOCUMENTS: '2/60',
      RATE_LIMIT_SIGN_IN_FAILURES: '2/60',
      RATE_LIMIT_SOCKET_OPENINGS: '1/60',
    });
    [ada, bob] = await Promise.all([server.register('ada'), server.register('bob')]);
  });
  afterAll(async () => {
    await server.stop();
    expect(server.errors()).toEqual([]);
  });

  test('a user makes N documents, not N + 1; what was refused for its form does not count', async () => {
    const make = async (user: TestUser, title: string): Promise<number> =>
      (await server.call('POST', '/v1/documents', user.token, { title })).status;
    expect([await make(ada, 'one'), await make(ada, ''), await make(ada, 'two'), await make(ada, 'three')]).toEqual([
      201, 422, 201, 429,
    ]);
    expect(await make(bob, 'one')).toBe(201);
    expect((await server.call('GET', '/v1/documents', ada.token)).body.data.items).toHaveLength(2);
  });

  test('the sign-in of the dashboard and that of REST count the same failures', async () => {
    const headers = { 'x-forwarded-for': '198.51.100.1' };
    const page = (password: string): Promise<Response> => {
      const body = new URLSearchParams({ email: bob.email, password });
      return fetch(`${server.url}/admin/sign-in`, { method: 'POST', body, headers, redirect: 'manual' });
    };
    expect((await page('wrong')).status).toBe(401);
    expect((await page('wrong')).status).toBe(401);
    const refused = await page(PASSWORD);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '30']);
    expect(await refused.text()).toContain('Too many requests');
    const login = await fetch(`${server.url}/v1/auth/login`, {
      method: 'POST',
      body: JSON.stringify({ email: bob.email, password: PASSWORD }),
      headers: { ...headers, 'content-type': 'application/json' },
    });
    expect([login.status, login.headers.get('retry-after')]).toEqual([429, '30']);
    expect((await server.signIn(bob)).user_id).toBe(bob.user_id);
  });

  test('sockets count for the address that the proxy saw', async () => {
    const codeFrom = (ip: string): Promise<number> => {
      const options = { headers: { 'x-forwarded-for': `192.0.2.99, ${ip}` } } as never;
      const socket = new WebSocket(`${server.ws_url}/v1/collab/${bob.user_id}`, options);
      return new Promise((resolve) => {
        socket.onclose = ({ code }) => resolve(code);
      });
    };
    const { UNAUTHENTICATED, OVERLOADED } = CLOSE;
    expect([await codeFrom('198.51.100.7'), await codeFrom('198.51.100.7')]).toEqual([UNAUTHENTICATED, OVERLOADED]);
    expect(await codeFrom('198.51.100.8')).toBe(UNAUTHENTICATED);
  });
});

describe('without Redis', () => {
  /** Far below COMMAND_TIMEOUT_MS for each of several questions. */
  const AT_ONCE_MS = 1_000;
  let redis: TestRedis;
  let server: TestServer;
  let owner: TestUser;
  beforeAll(async () => {
    redis = await startRedis();
    server = await openTestServer({
      SERVICES: 'users,documents,collaboration',
      REDIS_URL: redis.url,
      RATE_LIMITS: 'on',
      RATE_LIMIT_USER: '20/60',
    });
    owner = await server.register('owner');
  });
  afterAll(async () => {
    redis.resume();
    await redis.start();
    await server.stop();
    await redis.stop();
  });

  test.each([
    ['hangs', () => redis.pause()],
    ['was killed', () => redis.kill9()],
  ])('that %s: people are served at once, and limited all the same', async (how, away) => {
    redis.resume();
    await redis.start();
    const user = await server.register(`somebody whose redis ${how}`.replaceAll(' ', '-'));
    const doc_id = await server.createDocument(owner, 'text');
    await server.share(owner, doc_id, user, 'editor');
    const client = await JsonClient.join(server, doc_id, user);
    await away();
    const took_ms: number[] = [];
    const statuses: number[] = [];
    for (let i = 0; i < 25; i++) {
      const before = performance.now();
      statuses.push((await server.call('GET', '/v1/users/me', user.token)).status);
      took_ms.push(performance.now() - before);
    }
    expect(tally(statuses)).toEqual({ 200: 20, 429: 5 });
    expect(Math.max(...took_ms)).toBeLessThan(AT_ONCE_MS);
    const before = performance.now();
    const other = await JsonClient.join(server, doc_id, user);
    await client.edit([{ insert: 'still ' }]);
    expect(performance.now() - before).toBeLessThan(AT_ONCE_MS);
    await Promise.all([client.leave(), other.leave()]);
  });
});
