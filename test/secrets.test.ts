/**
 * What the server is told in confidence it tells nobody: not its log at the most talkative level, not standard error, not
 * Sentry. Every secret of this test is a word of its own (a canary), goes through the real server by each way in, and is
 * looked for in all that came out.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { freePort } from '../bin/lib/ports.ts';
import { REDACTED } from '../src/base/secrets.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { launchServer, type ServerProcess, startServer } from './support/processes.ts';
import { startRedis, type TestRedis } from './support/redis.ts';
import { until } from './support/until.ts';

const JWT_SECRET = 'canary-of-the-signing-key-0123456789';
/** Everything that must not come out, by what it is. */
const canaries = new Map<string, string>([['the signing key', JWT_SECRET]]);
const canary = (what: string): string => {
  const word = `canary-${canaries.size}-${what.replaceAll(' ', '-')}`;
  canaries.set(what, word);
  return word;
};

let database: TestDatabase;
let redis: TestRedis;
let server: ServerProcess;
const reports: string[] = [];
const sentry = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  async fetch(request) {
    reports.push(await request.text());
    return Response.json({});
  },
});

beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  server = await startServer({
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    JWT_SECRET,
    LOG_LEVEL: 'trace',
    SENTRY_DSN: `http://key@127.0.0.1:${sentry.port}/1`,
  });
});

afterAll(async () => {
  await server?.terminate();
  await sentry.stop(true);
  await Promise.all([database.drop(), redis.stop()]);
});

/** Which secrets stand in `text`, by name. */
const found = (text: string): string[] => [...canaries].filter(([, word]) => text.includes(word)).map(([what]) => what);

async function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  const answer = await fetch(server.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: answer.status, body: await answer.json() };
}

/** Opens a socket and resolves when it has closed, or has said something. */
function knock(path: string, headers: Record<string, string> = {}): Promise<void> {
  const socket = new WebSocket(server.url.replace('http', 'ws') + path, { headers } as never);
  return new Promise((resolve) => {
    socket.onmessage = () => socket.close();
    socket.onclose = () => resolve();
  });
}

test('no secret that goes through the server reaches its log, standard error or Sentry', async () => {
  const email = `${canary('an e-mail')}@example.org`;
  const password = canary('a password');
  const { body } = await post('/v1/auth/register', { email, password, display_name: 'Ada' });
  const { access_token, refresh_token } = body.data;
  canaries.set('an access token', access_token).set('a refresh token', refresh_token);
  const bearer = { authorization: `Bearer ${access_token}` };

  // Wrong in every way in which a body can be wrong.
  await post('/v1/auth/login', { email, password: canary('a wrong password') });
  await post('/v1/auth/login', { email, password, extra: canary('a field too many') });
  await post('/v1/auth/login', `{"email":"${email}","password":"${canary('a password in broken JSON')}`);
  await post('/v1/auth/refresh', { refresh_token: canary('a refresh token that is none') });
  await post('/v1/auth/refresh', { refresh_token: { token: canary('a nested token') } });
  await post('/v1/users/me/password', { current_password: canary('a present one'), new_password: 'short' }, bearer);
  await post('/v1/links/redeem', { token: canary('a link token that is none') }, bearer);
  await post('/v1/documents', { title: 'x' }, { authorization: `Bearer ${canary('a bearer token')}` });
  await post('/v1/documents', { title: 'x' }, { authorization: `Basic ${btoa(`ada:${password}`)}` });
  await fetch(`${server.url}/v1/documents?token=${canary('a token in a query')}&access_token=${access_token}`);
  await fetch(`${server.url}/admin/queues`, { headers: { cookie: `concord_admin=${canary('a cookie')}` } });
  await fetch(`${server.url}/admin/sign-in`, {
    method: 'POST',
    body: new URLSearchParams({ email, password: canary('a password in a form') }),
  });

  const { body: made } = await post('/v1/documents', { title: 'Notes' }, bearer);
  const { body: link } = await post(`/v1/documents/${made.data.id}/links`, { role: 'viewer' }, bearer);
  if (link.success) canaries.set('a link token', link.data.token);
  for (const door of ['collab', 'yjs']) {
    await knock(`/v1/${door}/${made.data.id}?token=${access_token}`);
    await knock(`/v1/${door}/${made.data.id}?token=${canary(`a token at the door ${door}`)}`);
    await knock(`/v1/${door}/${made.data.id}`, { authorization: `Bearer ${canary(`a header at the door ${door}`)}` });
  }

  // A bug of ours, in the middle of a sign-in: what the driver attaches holds the e-mail and the token's hash.
  await database.sql`ALTER TABLE sessions RENAME TO sessions_gone`;
  const broken = await post('/v1/auth/login', { email, password });
  expect(broken.body.error.code).toBe('INTERNAL');
  await post('/v1/auth/refresh', { refresh_token });
  await database.sql`ALTER TABLE sessions_gone RENAME TO sessions`;
  await until('the report', () => reports.length > 0);

  expect(server.log().filter(({ level }) => level === 'error').length).toBeGreaterThan(0);
  expect(server.log().filter(({ message }) => message === 'request').length).toBeGreaterThan(15);
  expect(found(server.output())).toEqual([]);
  expect(found(reports.join('\n'))).toEqual([]);
  expect(reports.join('\n')).toContain('sessions');
}, 60_000);

test('nor do the passwords of PostgreSQL and Redis, when they cannot be reached or their addresses are wrong', async () => {
  const closed = await freePort();
  const word = canary('a database password');
  const settings: Record<string, string>[] = [
    { DATABASE_URL: `postgres://concord:${word}@127.0.0.1:${closed}/concord`, REDIS_URL: redis.url },
    { DATABASE_URL: database.url.replace('//', `//nobody:${word}@`).replace(/@[^@]*@/, '@'), REDIS_URL: redis.url },
    { DATABASE_URL: `postgres://concord:${word}@[broken/concord`, REDIS_URL: redis.url },
    { DATABASE_URL: `mysql://concord:${word}@127.0.0.1/concord`, REDIS_URL: redis.url },
    { DATABASE_URL: database.url, REDIS_URL: `http://:${word}@127.0.0.1:${closed}` },
  ];
  for (const env of settings) {
    const refused = await launchServer({ JWT_SECRET, LOG_LEVEL: 'trace', ...env });
    expect(await refused.exited).not.toBe(0);
    expect(refused.output().length).toBeGreaterThan(20);
    expect([env.DATABASE_URL, found(refused.output())]).toEqual([env.DATABASE_URL, []]);
  }
  // Redis away is no reason not to start: it is said, again and again, and without the password.
  const alone = await launchServer({
    ...{ JWT_SECRET, LOG_LEVEL: 'trace', DATABASE_URL: database.url },
    REDIS_URL: `redis://:${word}@127.0.0.1:${closed}`,
  });
  await until('it to listen', () => alone.log().some(({ event }) => event === 'listening'));
  await until('it to miss Redis', () => /redis/i.test(alone.output()));
  expect(found(alone.output())).toEqual([]);
  await alone.kill9();
}, 60_000);

test('a canary that did come out would be seen', () => {
  const [first = ''] = canaries.values();
  expect(found(`so: ${first}`)).toHaveLength(1);
  expect(REDACTED).not.toContain('canary');
});
