import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { createTestDatabase } from '../../test/support/database.ts';
import {
  ACCESS_TTL_S,
  createHttpWorld,
  emailOf,
  passwordOf,
  REFRESH_TTL_S,
  type World,
} from '../../test/support/http-world.ts';
import { startRedis } from '../../test/support/redis.ts';

let world: World;
const closing: (() => Promise<unknown>)[] = [];
let people = 0;
/** A name that no other test uses. */
let name = '';

beforeAll(async () => {
  const [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  world = await createHttpWorld({ database_url: database.url, redis_url: redis.url });
  closing.push(
    () => world.close(),
    () => redis.stop(),
    () => database.drop(),
  );
});
afterAll(async () => {
  for (const close of closing) await close();
});
beforeEach(() => {
  name = `person-${++people}`;
  world.signals.length = 0;
});

const signIn = (email: string, password: string) => world.call('POST', '/v1/auth/login', { body: { email, password } });
const refresh = (refresh_token: string) => world.call('POST', '/v1/auth/refresh', { body: { refresh_token } });
const me = (token: string) => world.call('GET', '/v1/users/me', { token });
const outcome = (answer: { status: number; body: { error?: { code: string } } }) => [
  answer.status,
  answer.body.error?.code,
];

describe('registering', () => {
  test('makes an account and signs in', async () => {
    const email = `${name}@Example.ORG`;
    const body = { email, password: passwordOf(name), display_name: 'Ada 😀' };
    const { status, body: answer } = await world.call('POST', '/v1/auth/register', { body });
    expect(status).toBe(201);
    expect(answer.data).toMatchObject({
      user: { email, display_name: 'Ada 😀', role: 'user', created_at: '2026-01-01T00:00:00.000Z' },
      token_type: 'Bearer',
      expires_in: ACCESS_TTL_S,
    });
    expect(answer.data.user.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(answer.data.refresh_token).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect((await me(answer.data.access_token)).body.data).toEqual(answer.data.user);
  });

  test('keeps neither the password nor the refresh token', async () => {
    const { user, refresh_token } = await world.register(name);
    const [row] = await world.sql<{ password_hash: string }[]>`SELECT password_hash FROM users WHERE id = ${user.id}`;
    expect(row?.password_hash).toStartWith('$2b$10$');
    const tokens = await world.sql<{ token_hash: Uint8Array }[]>`
      SELECT t.token_hash FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id WHERE s.user_id = ${user.id}`;
    expect(tokens.map((token) => Buffer.from(token.token_hash).toString('hex'))).toEqual([
      new Bun.CryptoHasher('sha256').update(refresh_token).digest('hex'),
    ]);
  });

  test('with an e-mail that has an account is a conflict, in whatever case it is written', async () => {
    await world.register(name);
    const body = { email: emailOf(name).toUpperCase(), password: passwordOf(name), display_name: 'x' };
    expect(outcome(await world.call('POST', '/v1/auth/register', { body }))).toEqual([409, 'EMAIL_TAKEN']);
  });

  test('at the same moment with one e-mail makes one account', async () => {
    const body = { email: emailOf(name), password: passwordOf(name), display_name: 'x' };
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => world.call('POST', '/v1/auth/register', { body })),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([201, 409, 409, 409]);
  });

  test('names what is wrong: the form of the e-mail, a weak password, an empty name', async () => {
    const good = { email: emailOf(name), password: passwordOf(name), display_name: 'x' };
    const register = (change: object) => world.call('POST', '/v1/auth/register', { body: { ...good, ...change } });
    expect((await register({ email: 'ada' })).body.error.details).toEqual([
      { path: '/email', message: 'must be an e-mail address' },
    ]);
    const weak = await register({ password: 'short' });
    expect(outcome(weak)).toEqual([422, 'WEAK_PASSWORD']);
    expect(weak.body.error.details).toEqual([{ path: '/password', message: 'must have at least 10 characters' }]);
    expect((await register({ display_name: '' })).body.error.details[0].path).toBe('/display_name');
    expect((await register({ display_name: 'x'.repeat(100) })).status).toBe(201);
    expect((await register({ email: `b${emailOf(name)}`, display_name: 'x'.repeat(101) })).status).toBe(422);
    expect((await register({ email: `c${emailOf(name)}`, password: 'x1'.repeat(513) })).status).toBe(422);
    expect((await register({ email: `d${emailOf(name)}`, password: 'x1'.repeat(512) })).status).toBe(201);
    expect((await register({ role: 'admin' })).body.error.details).toEqual([
      { path: '/role', message: 'is not a known field' },
    ]);
  });
});

describe('signing in', () => {
  test('takes the e-mail in any case and gives a session of its own', async () => {
    const first = await world.register(name);
    const { status, body } = await signIn(emailOf(name).toUpperCase(), passwordOf(name));
    expect(status).toBe(200);
    expect(body.data.user).toEqual(first.user);
    expect(body.data.refresh_token).not.toBe(first.refresh_token);
  });

  test('says the same whether the e-mail or the password was wrong', async () => {
    await world.register(name);
    const wrong = await signIn(emailOf(name), 'not the password');
    const unknown = await signIn(`nobody-${name}@example.org`, passwordOf(name));
    const malformed = await signIn('nobody', passwordOf(name));
    expect(outcome(wrong)).toEqual([401, 'INVALID_CREDENTIALS']);
    expect(unknown.body).toEqual(wrong.body);
    expect(malformed.body).toEqual(wrong.body);
    expect([...unknown.headers.keys()]).toEqual([...wrong.headers.keys()]);
  });

  test('compares a password in all its characters', async () => {
    await world.register(name);
    for (const near of [passwordOf(name).toUpperCase(), ` ${passwordOf(name)}`, `${passwordOf(name)} `, ''])
      expect((await signIn(emailOf(name), near)).status).toBe(401);
  });

  test('does not outlive a change of password that happens meanwhile', async () => {
    const { user } = await world.register(name);
    const [row] = await world.sql<{ password_hash: string }[]>`SELECT password_hash FROM users WHERE id = ${user.id}`;
    const checked = { id: user.id, role: 'user', password_hash: row?.password_hash ?? '' } as const;
    const origin = { ip: '192.0.2.1', user_agent: null, request_id: 'a-request' };
    expect(await world.sessions.open(world.sql, checked, origin)).not.toBeNull();
    await world.sql`UPDATE users SET password_hash = 'another' WHERE id = ${user.id}`;
    expect(await world.sessions.open(world.sql, checked, origin)).toBeNull();
  });
});

describe('a refresh token', () => {
  test('is good for one exchange, which keeps the session', async () => {
    const first = await world.register(name);
    world.clock.advance(60_000);
    const { status, body } = await refresh(first.refresh_token);
    expect(status).toBe(200);
    expect(body.data).toMatchObject({ token_type: 'Bearer', expires_in: ACCESS_TTL_S });
    expect(body.data.refresh_token).not.toBe(first.refresh_token);
    expect((await me(body.data.access_token)).status).toBe(200);
    const { body: list } = await world.call('GET', '/v1/auth/sessions', { token: first.access_token });
    expect(list.data.items).toHaveLength(1);
    expect((await refresh(body.data.refresh_token)).status).toBe(200);
  });

  test('shown a second time ends the session for everybody who holds one', async () => {
    const first = await world.register(name);
    const other = (await signIn(emailOf(name), passwordOf(name))).body.data;
    const second = (await refresh(first.refresh_token)).body.data;
    expect(outcome(await refresh(first.refresh_token))).toEqual([401, 'TOKEN_REVOKED']);
    expect(outcome(await refresh(second.refresh_token))).toEqual([401, 'TOKEN_REVOKED']);
    expect(outcome(await me(second.access_token))).toEqual([401, 'TOKEN_REVOKED']);
    expect(outcome(await me(first.access_token))).toEqual([401, 'TOKEN_REVOKED']);
    expect(world.signals).toEqual([{ type: 'session_ended', session_id: sessionOf(first.access_token) }]);
    expect((await me(other.access_token)).status).toBe(200);
  });

  test('exchanged twice at the same moment is won by one; the other counts as a second use', async () => {
    const first = await world.register(name);
    const answers = await Promise.all(Array.from({ length: 5 }, () => refresh(first.refresh_token)));
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 401, 401, 401, 401]);
    const won = answers.find((answer) => answer.status === 200)?.body.data;
    expect(outcome(await me(won.access_token))).toEqual([401, 'TOKEN_REVOKED']);
    expect(world.signals).toHaveLength(1);
  });

  test('expires at its time, which each exchange moves', async () => {
    const first = await world.register(name);
    world.clock.advance((REFRESH_TTL_S - 1) * 1000);
    const second = (await refresh(first.refresh_token)).body.data;
    world.clock.advance((REFRESH_TTL_S - 1) * 1000);
    const third = (await refresh(second.refresh_token)).body.data;
    world.clock.advance(REFRESH_TTL_S * 1000);
    expect(outcome(await refresh(third.refresh_token))).toEqual([401, 'TOKEN_EXPIRED']);
  });

  test('that was never issued is not one', async () => {
    for (const strange of ['x', 'A'.repeat(43), '\u{1F600}'])
      expect(outcome(await refresh(strange))).toEqual([401, 'UNAUTHENTICATED']);
    expect((await refresh('')).status).toBe(422);
  });

  test('carries the role that the account has now', async () => {
    const { user, refresh_token } = await world.register(name);
    await world.sql`UPDATE users SET role = 'admin' WHERE id = ${user.id}`;
    const { body } = await refresh(refresh_token);
    expect(JSON.parse(atob(body.data.access_token.split('.')[1])).role).toBe('admin');
  });
});

describe('signing out', () => {
  test('stops the session’s tokens of both kinds at once, and tells its sockets', async () => {
    const { access_token: token, refresh_token } = await world.register(name);
    const other = (await signIn(emailOf(name), passwordOf(name))).body.data;
    expect((await me(token)).status).toBe(200);
    const answer = await world.call('POST', '/v1/auth/logout', { token, body: { refresh_token } });
    expect([answer.status, answer.body]).toEqual([200, { success: true, data: {} }]);
    expect(outcome(await me(token))).toEqual([401, 'TOKEN_REVOKED']);
    expect(outcome(await refresh(refresh_token))).toEqual([401, 'TOKEN_REVOKED']);
    expect(world.signals).toEqual([{ type: 'session_ended', session_id: sessionOf(token) }]);
    expect((await me(other.access_token)).status).toBe(200);
  });

  test('with the refresh token of another of one’s sessions ends both', async () => {
    const first = await world.register(name);
    const other = (await signIn(emailOf(name), passwordOf(name))).body.data;
    const body = { refresh_token: other.refresh_token };
    await world.call('POST', '/v1/auth/logout', { token: first.access_token, body });
    expect((await me(first.access_token)).status).toBe(401);
    expect((await me(other.access_token)).status).toBe(401);
  });

  test('needs a refresh token of one’s own', async () => {
    const { access_token: token } = await world.register(name);
    const stranger = await world.register(`${name}-stranger`);
    for (const refresh_token of ['x', stranger.refresh_token]) {
      const answer = await world.call('POST', '/v1/auth/logout', { token, body: { refresh_token } });
      expect(outcome(answer)).toEqual([401, 'UNAUTHENTICATED']);
    }
    expect((await me(token)).status).toBe(200);
    expect((await me(stranger.access_token)).status).toBe(200);
  });
});

describe('the list of sessions', () => {
  test('shows where one is signed in, newest first, the present one marked', async () => {
    const first = await world.register(name);
    world.clock.advance(1_000);
    const headers = { 'user-agent': 'Teletype 33' };
    const body = { email: emailOf(name), password: passwordOf(name) };
    const second = (await world.call('POST', '/v1/auth/login', { body, headers })).body.data;
    const { body: list } = await world.call('GET', '/v1/auth/sessions', { token: second.access_token });
    expect(list.data.items).toMatchObject([
      { id: sessionOf(second.access_token), current: true, user_agent: 'Teletype 33', ip: '127.0.0.1' },
      { id: sessionOf(first.access_token), current: false },
    ]);
    expect(list.data.next_cursor).toBeNull();
  });

  test('comes in pages without gaps or repeats', async () => {
    const { access_token: token } = await world.register(name);
    for (let more = 0; more < 4; more++) await signIn(emailOf(name), passwordOf(name));
    const seen: string[] = [];
    let cursor: string | null = '';
    for (let pages = 0; cursor !== null && pages < 9; pages++) {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const { body } = await world.call('GET', `/v1/auth/sessions?limit=2${query}`, { token });
      seen.push(...body.data.items.map((item: { id: string }) => item.id));
      cursor = body.data.next_cursor;
    }
    expect(seen).toHaveLength(5);
    expect(seen).toEqual([...new Set(seen)].sort().reverse());
  });

  test('leaves out what has ended or expired', async () => {
    const first = await world.register(name);
    world.clock.advance(REFRESH_TTL_S * 1000);
    const second = (await signIn(emailOf(name), passwordOf(name))).body.data;
    const third = (await signIn(emailOf(name), passwordOf(name))).body.data;
    await world.call('DELETE', `/v1/auth/sessions/${sessionOf(third.access_token)}`, { token: second.access_token });
    const { body } = await world.call('GET', '/v1/auth/sessions', { token: second.access_token });
    expect(body.data.items.map((item: { id: string }) => item.id)).toEqual([sessionOf(second.access_token)]);
    expect(first).toBeDefined();
  });

  test('is where one session is ended: its tokens stop, the others stay', async () => {
    const first = await world.register(name);
    const second = (await signIn(emailOf(name), passwordOf(name))).body.data;
    expect((await me(second.access_token)).status).toBe(200);
    const path = `/v1/auth/sessions/${sessionOf(second.access_token)}`;
    expect((await world.call('DELETE', path, { token: first.access_token })).body).toEqual({ success: true, data: {} });
    expect(outcome(await me(second.access_token))).toEqual([401, 'TOKEN_REVOKED']);
    expect(outcome(await refresh(second.refresh_token))).toEqual([401, 'TOKEN_REVOKED']);
    expect((await me(first.access_token)).status).toBe(200);
    expect(outcome(await world.call('DELETE', path, { token: first.access_token }))).toEqual([404, 'NOT_FOUND']);
  });

  test('does not reach into the sessions of others', async () => {
    const { access_token: token } = await world.register(name);
    const stranger = await world.register(`${name}-stranger`);
    const path = `/v1/auth/sessions/${sessionOf(stranger.access_token)}`;
    expect(outcome(await world.call('DELETE', path, { token }))).toEqual([404, 'NOT_FOUND']);
    expect((await me(stranger.access_token)).status).toBe(200);
  });
});

describe('an access token', () => {
  test('stops at its time, and says so', async () => {
    const { access_token: token } = await world.register(name);
    world.clock.advance(ACCESS_TTL_S * 1000 - 1);
    expect((await me(token)).status).toBe(200);
    world.clock.advance(1);
    expect(outcome(await me(token))).toEqual([401, 'TOKEN_EXPIRED']);
  });

  test('of a session that never was is refused, however well it is signed', async () => {
    const { user } = await world.register(name);
    const token = await world.tokens.issue(user, '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10');
    expect(outcome(await me(token))).toEqual([401, 'TOKEN_REVOKED']);
  });
});

test('no password and no token stands in the log', async () => {
  const { access_token: token, refresh_token } = await world.register(name);
  await signIn(emailOf(name), passwordOf(name));
  await world.call('GET', `/v1/users/me?token=${token}`, { token });
  await refresh(refresh_token);
  const log = JSON.stringify(world.lines);
  for (const secret of [passwordOf(name), token, refresh_token, emailOf(name)]) expect(log).not.toContain(secret);
});

function sessionOf(access_token: string): string {
  return JSON.parse(atob(access_token.split('.')[1] ?? '')).sid;
}
