import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { connect } from 'node:net';
import { createTestDatabase } from '../../test/support/database.ts';
import { createHttpWorld, type World } from '../../test/support/http-world.ts';
import { startRedis } from '../../test/support/redis.ts';
import { until } from '../../test/support/until.ts';

const FRIEND = 'https://editor.example.org';

let world: World;
let token = '';
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  const [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  world = await createHttpWorld({
    database_url: database.url,
    redis_url: redis.url,
    parts: { cors_origins: [FRIEND] },
  });
  closing.push(world.close, redis.stop, database.drop);
  token = (await world.register('ada')).access_token;
});
afterAll(async () => {
  for (const close of closing) await close();
});
beforeEach(() => {
  world.lines.length = 0;
});

/** Sends bytes as they are and gives back all that comes until the server closes or has answered. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connect(Number(new URL(world.url).port), '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk) => {
      received += chunk;
      if (/\r\n\r\n[\s\S]*\}$/.test(received)) socket.end();
    });
    socket.on('close', () => resolve(received));
    socket.on('error', reject);
  });
}
const statusOf = (response: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(response)?.[1]);

describe('every response', () => {
  test('carries the caller’s request id when it is a sane one, else one of ours', async () => {
    const asked = async (id: string) =>
      (await world.call('GET', '/healthz', { headers: { 'x-request-id': id } })).headers.get('x-request-id');
    expect(await asked('trace-1.A_b')).toBe('trace-1.A_b');
    expect(await asked('x'.repeat(128))).toBe('x'.repeat(128));
    for (const bad of ['x'.repeat(129), 'a b', 'a"b', 'a/b', ''])
      expect(await asked(bad)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    for (const [method, path] of [
      ['GET', '/nowhere'],
      ['PUT', '/healthz'],
      ['GET', '/v1/users/me'],
      ['OPTIONS', '/v1/users/me'],
      ['GET', '/docs/json'],
    ] as const)
      expect((await world.call(method, path)).headers.get('x-request-id')).toBeString();
  });

  test('may not be stored, sniffed, framed or told to other sites', async () => {
    for (const path of ['/healthz', '/nowhere', '/v1/users/me']) {
      const { headers } = await world.call('GET', path);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
      expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
    }
  });
});

describe('an address', () => {
  test('that is unknown is NOT_FOUND, for any method', async () => {
    for (const path of ['/', '/v1', '/v1/nowhere', '/v1/users/me/nothing', '/v2/users/me', '/V1/users/me'])
      for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS']) {
        const { status, body } = await world.call(method, path, { token });
        expect([method, path, status, body?.error?.code]).toEqual([method, path, 404, 'NOT_FOUND']);
      }
  });

  test('of a service that does not run here is unknown, and described all the same', async () => {
    const bare = await createHttpWorld({ ...(await stores()), parts: { users: null } });
    closing.unshift(bare.close);
    const refused = await fetch(`${bare.url}/v1/auth/login`, { method: 'POST' });
    expect([refused.status, (await refused.json()).error.code]).toEqual([404, 'NOT_FOUND']);
    expect((await bare.call('GET', '/healthz')).status).toBe(200);
    const { paths } = await (await fetch(`${bare.url}/docs/json`)).json();
    expect(Object.keys(paths)).toContain('/v1/auth/login');
  });

  test('that takes other methods says which', async () => {
    const answer = await world.call('PUT', '/v1/users/me', { token });
    expect([answer.status, answer.body.error.code]).toEqual([405, 'METHOD_NOT_ALLOWED']);
    expect(answer.headers.get('allow')).toBe('GET, HEAD, PATCH, DELETE, OPTIONS');
    expect((await world.call('GET', '/v1/auth/login')).headers.get('allow')).toBe('POST, OPTIONS');
    const session = await world.call('GET', '/v1/auth/sessions/x', { token });
    expect([session.status, session.headers.get('allow')]).toEqual([405, 'DELETE, OPTIONS']);
  });

  test('may end in a slash', async () => {
    expect((await world.call('GET', '/v1/users/me/', { token })).status).toBe(200);
  });

  test('is found whatever name the caller has for this host', async () => {
    for (const host of ['a', 'api', 'api:3000', '[::1]:3000', 'concord.example.org'])
      expect(statusOf(await raw(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`))).toBe(200);
  });
});

describe('a method', () => {
  test('HEAD works where GET does, without a body', async () => {
    const head = await world.call('HEAD', '/v1/users/me', { token });
    const get = await world.call('GET', '/v1/users/me', { token });
    expect([head.status, head.body]).toEqual([200, null]);
    expect(head.headers.get('content-length')).toBe(get.headers.get('content-length'));
    expect((await world.call('HEAD', '/nowhere')).status).toBe(404);
    expect((await world.call('HEAD', '/v1/auth/login')).status).toBe(405);
    expect((await world.call('HEAD', '/v1/users/me')).status).toBe(401);
  });

  test('that nobody has heard of does no harm', async () => {
    for (const method of ['TRACE', 'PROPFIND', 'FOO', 'get', 'G E T', '']) {
      const answer = await raw(`${method} /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      expect([method, statusOf(answer) < 500 || Number.isNaN(statusOf(answer))]).toEqual([method, true]);
    }
  });
});

describe('a request that is out of the ordinary is never a 500', () => {
  test('by its path', async () => {
    for (const path of [
      '/%',
      '/%zz',
      '/%00',
      '/%ff%fe',
      '/v1/users/%e0%a4%a',
      '/v1/users/%2e%2e',
      '/v1/users/a%2fb',
      '/?',
      '/#',
      '*',
      'http://other/healthz',
    ]) {
      const answer = await raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      expect([path, [200, 400, 401, 404, 422].includes(statusOf(answer))]).toEqual([path, true]);
    }
  });

  test('by its headers', async () => {
    for (const header of [
      'Authorization: Bearer \x80\xff',
      `Cookie: ${'a=%zz;'.repeat(100)}`,
      'Content-Length: 0',
      'X-Forwarded-For: not an address',
      `User-Agent: ${'x'.repeat(6000)}`,
    ]) {
      const answer = await raw(`GET /v1/users/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${header}\r\n\r\n`);
      expect([header.slice(0, 20), statusOf(answer)]).toEqual([header.slice(0, 20), 401]);
    }
    const huge = await raw(`GET /healthz HTTP/1.1\r\nHost: x\r\nX-Huge: ${'x'.repeat(200_000)}\r\n\r\n`);
    expect(statusOf(huge)).not.toBe(500);
    expect(statusOf(await raw('GET /healthz HTTP/1.0\r\n\r\n'))).not.toBe(500);
  });
});

describe('a browser on another origin', () => {
  const ask = (origin: string, method = 'OPTIONS', headers: Record<string, string> = {}) =>
    world.call(method, '/v1/users/me', { headers: { origin, ...headers } });
  const PREFLIGHT = { 'access-control-request-method': 'PATCH', 'access-control-request-headers': 'authorization' };

  test('that is on the list may ask, send its token and read the answer', async () => {
    const preflight = await ask(FRIEND, 'OPTIONS', PREFLIGHT);
    expect([preflight.status, preflight.body]).toEqual([204, null]);
    expect(preflight.headers.get('access-control-allow-origin')).toBe(FRIEND);
    expect(preflight.headers.get('access-control-allow-methods')).toContain('PATCH');
    expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization');
    expect(preflight.headers.get('access-control-max-age')).toBe('600');
    const answer = await ask(FRIEND, 'GET');
    expect(answer.status).toBe(401);
    expect(answer.headers.get('access-control-allow-origin')).toBe(FRIEND);
    expect(answer.headers.get('access-control-expose-headers')).toContain('x-request-id');
    expect(answer.headers.get('vary')).toBe('origin');
  });

  test('that is not on the list gets no header that would let it read', async () => {
    for (const origin of ['https://evil.example.org', `${FRIEND}.evil.org`, FRIEND.toUpperCase(), 'null']) {
      for (const answer of [await ask(origin, 'OPTIONS', PREFLIGHT), await ask(origin, 'GET')]) {
        const names = [...answer.headers.keys()].filter((name) => name.startsWith('access-control-'));
        expect(names).toEqual([]);
        expect(answer.headers.get('vary')).toBe('origin');
      }
    }
  });

  test('never sends cookies along, so none are asked for', async () => {
    expect((await ask(FRIEND, 'OPTIONS', PREFLIGHT)).headers.get('access-control-allow-credentials')).toBeNull();
  });
});

describe('what is seen of a request', () => {
  test('is one line in the log, with who and what and how long, and no query', async () => {
    await world.call('GET', `/v1/users/me?token=${token}&q=private`, { token, headers: { 'x-request-id': 'r-1' } });
    expect(world.lines).toHaveLength(1);
    expect(world.lines[0]).toEqual({
      level: 'info',
      timestamp: expect.any(String),
      service: 'test',
      node_id: 'test',
      request_id: 'r-1',
      user_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      method: 'GET',
      path: '/v1/users/me',
      status: 422,
      duration_ms: expect.any(Number),
      ip: '127.0.0.1',
      message: 'request',
    });
  });

  test('is a debug line only, where machines ask every few seconds', async () => {
    for (const path of ['/healthz', '/readyz']) await world.call('GET', path);
    expect(world.lines.map((line) => line.level)).toEqual(['debug', 'debug']);
  });

  test('is counted by the route’s template, so that ids do not grow the metrics', async () => {
    for (const id of [1, 2, 3]) await world.call('GET', `/v1/users/${Bun.randomUUIDv7()}?x=${id}`, { token });
    await world.call('GET', `/nowhere/${Bun.randomUUIDv7()}`);
    const text = await (await fetch(`${world.url}/metrics`)).text();
    expect(text).toContain(
      'http_request_duration_seconds_count{method="GET",route="/v1/users/:user_id",status="422"} 3',
    );
    expect(text).toMatch(/_count\{method="GET",route="none",status="404"\} \d/);
    expect(text).not.toContain('/nowhere');
  });
});

test('while the database is away the answer is 503, and nothing of it is told', async () => {
  const { database_url, redis_url } = await stores();
  const away = new URL(database_url);
  away.port = '1';
  const cut_off = await createHttpWorld({ database_url: away.href, redis_url });
  closing.unshift(cut_off.close);
  const body = { email: 'ada@example.org', password: 'open sesame, says ada' };
  const answer = await until('an answer', () => cut_off.call('POST', '/v1/auth/login', { body }));
  expect([answer.status, answer.body.error.code]).toEqual([503, 'UNAVAILABLE']);
  expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
  expect(JSON.stringify(answer.body)).not.toContain('127.0.0.1');
  expect(cut_off.reported).toEqual([]);
  expect(cut_off.lines.some((line) => line.level === 'warn' && String(line.message).includes('storage'))).toBe(true);
});

/** Another database and Redis, closed with the rest. */
async function stores(): Promise<{ database_url: string; redis_url: string }> {
  const [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  closing.push(redis.stop, database.drop);
  return { database_url: database.url, redis_url: redis.url };
}
