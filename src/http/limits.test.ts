/** Rate limits over real HTTP. Addresses are those that a proxy of ours would tell. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { type Answer, createHttpWorld, emailOf, passwordOf, type World } from '../../test/support/http-world.ts';
import { LimitWorld, type SmallLimits, smallSettings } from '../../test/support/rate-limits.ts';
import { systemClock } from '../base/clock.ts';
import type { SignedIn } from '../domain/accounts.ts';
import { bodyCost, contentCost, HttpLimits } from './limits.ts';

let db: TestDatabase;
let store: LimitWorld;
const open: World[] = [];

beforeAll(async () => {
  [db, store] = await Promise.all([createTestDatabase(), LimitWorld.start()]);
});
afterAll(async () => {
  await Promise.all(open.map((world) => world.close()));
  await Promise.all([db.drop(), store.close()]);
});
afterEach(() => store.renew());

/** A door with these limits in a minute. */
async function doorWith(small: SmallLimits): Promise<World> {
  const limits = new HttpLimits(store.limits(smallSettings(small)));
  const parts = { limits, trust_proxy: true };
  const world = await createHttpWorld({ database_url: db.url, redis_url: store.server.url, parts });
  open.push(world);
  return world;
}

let people = 0;
/** Makes somebody on a door of its own without limits, so that nothing is used up. */
async function somebody(): Promise<SignedIn & { readonly name: string }> {
  const name = `somebody${++people}`;
  const world = await createHttpWorld({ database_url: db.url, redis_url: store.server.url });
  const signed_in = await world.register(name);
  await world.close();
  return { ...signed_in, name };
}

const at = (ip: string, more: object = {}) => ({ headers: { 'x-forwarded-for': ip }, ...more });
const codeOf = ({ status, body }: Answer): unknown => (status < 400 ? status : body.error.code);
const fieldsOf = ({ headers }: Answer): (number | null)[] =>
  ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset', 'retry-after'].map((name) => {
    const value = headers.get(name);
    return value === null ? null : Number(value);
  });

const signIn = (world: World, name: string, password: string, ip: string): Promise<Answer> =>
  world.call('POST', '/v1/auth/login', at(ip, { body: { email: emailOf(name), password } }));

describe('users', () => {
  test('N calls in a window are answered, N + 1 are not, and the headers tell how it stands', async () => {
    const world = await doorWith({ user: 3 });
    const { access_token: token } = await somebody();
    const answers: Answer[] = [];
    for (let i = 0; i < 4; i++) answers.push(await world.call('GET', '/v1/users/me', { token }));
    expect(answers.map(codeOf)).toEqual([200, 200, 200, 'RATE_LIMITED']);
    expect(answers.map((answer) => fieldsOf(answer).slice(0, 2))).toEqual([
      [3, 2],
      [3, 1],
      [3, 0],
      [3, 0],
    ]);
    const [, , reset_s, retry_s] = fieldsOf(answers[3] as Answer);
    expect(reset_s).toBeGreaterThan(50);
    expect(reset_s).toBeLessThanOrEqual(60);
    expect(retry_s).toBe(reset_s as number);
    expect(fieldsOf(answers[0] as Answer)[3]).toBeNull();
  });

  test('many behind one address count each for themselves, and one at many addresses is one', async () => {
    const world = await doorWith({ user: 2, ip: 2 });
    const [ada, bob] = await Promise.all([somebody(), somebody()]);
    const call = async (token: string, ip: string) =>
      codeOf(await world.call('GET', '/v1/users/me', at(ip, { token })));
    const codes: unknown[] = [];
    for (const { access_token } of [ada, bob, ada, bob]) codes.push(await call(access_token, '192.0.2.1'));
    expect(codes).toEqual([200, 200, 200, 200]);
    expect(await call(ada.access_token, '192.0.2.2')).toBe('RATE_LIMITED');
  });

  test('a call that is not allowed or makes no sense counts too', async () => {
    const world = await doorWith({ user: 2 });
    const { access_token: token } = await somebody();
    const codes: unknown[] = [];
    for (let i = 0; i < 3; i++) codes.push(codeOf(await world.call('PATCH', '/v1/users/me', { token, body: {} })));
    expect(codes).toEqual(['VALIDATION_ERROR', 'VALIDATION_ERROR', 'RATE_LIMITED']);
  });

  test('whoever is signed out counts for the address, and the user is not charged for it', async () => {
    const world = await doorWith({ ip: 1 });
    const { access_token, refresh_token, user } = await somebody();
    const other = await signIn(world, `somebody${people}`, passwordOf(`somebody${people}`), '192.0.2.9');
    const end = await world.call('POST', '/v1/auth/logout', { token: access_token, body: { refresh_token } });
    expect(end.status).toBe(200);
    const used = await store.redis.get(`rl:user:${user.id}`);
    const call = async (token: string) => codeOf(await world.call('GET', '/v1/users/me', at('192.0.2.1', { token })));
    expect([await call(access_token), await call(access_token)]).toEqual(['TOKEN_REVOKED', 'RATE_LIMITED']);
    expect(await store.redis.get(`rl:user:${user.id}`)).toBe(used);
    expect(await call(other.body.data.access_token)).toBe(200);
  });

  test('what reads or writes much costs more', () => {
    const url = 'http://concord.test/v1/documents/x/content';
    const cost = (query: string) => contentCost(new Request(url + query));
    expect(['', '?format=yjs', '?rev=4', '?rev=4&format=yjs'].map(cost)).toEqual([1, 1, 5, 20]);
    const body = (bytes: string) => bodyCost(new Request(url, { headers: { 'content-length': bytes } }));
    expect(['0', '65535', '65536', '16777216', '-1', 'x', '9e99'].map(body)).toEqual([1, 1, 2, 257, 1, 1, 1_001]);
  });
});

describe('callers without an account', () => {
  test('count by address: N calls, not N + 1, whatever was wrong with them', async () => {
    const world = await doorWith({ ip: 3 });
    const call = async (ip: string, more: object = {}) => codeOf(await world.call('GET', '/v1/users/me', at(ip, more)));
    expect(await call('192.0.2.1')).toBe('UNAUTHENTICATED');
    expect(await call('192.0.2.1', { token: 'x' })).toBe('UNAUTHENTICATED');
    const { status } = await world.call('POST', '/v1/auth/refresh', at('192.0.2.1', { body: {} }));
    expect(status).toBe(422);
    expect(await call('192.0.2.1')).toBe('RATE_LIMITED');
    expect(await call('192.0.2.2')).toBe('UNAUTHENTICATED');
    const { access_token: token } = await somebody();
    expect(await call('192.0.2.1', { token })).toBe(200);
  });

  test('of IPv6 a whole /64 is one address', async () => {
    const world = await doorWith({ ip: 1 });
    const call = async (ip: string) => codeOf(await world.call('GET', '/v1/users/me', at(ip)));
    expect(await call('2001:db8:0:1::1')).toBe('UNAUTHENTICATED');
    expect(await call('2001:db8:0:1:ffff::2')).toBe('RATE_LIMITED');
    expect(await call('2001:db8:0:2::1')).toBe('UNAUTHENTICATED');
  });

  test('whoever watches the process may ask as often as it likes', async () => {
    const world = await doorWith({ ip: 1, user: 1 });
    for (let i = 0; i < 3; i++)
      for (const path of ['/healthz', '/readyz']) {
        const answer = await world.call('GET', path, at('192.0.2.1'));
        expect([answer.status, ...fieldsOf(answer)]).toEqual([200, null, null, null, null]);
      }
  });
});

describe('signing in', () => {
  test('N wrong passwords, then 429 for a growing time, the right password too; from elsewhere it is let in', async () => {
    const world = await doorWith({ sign_in_failures: 3 });
    const { name } = await somebody();
    for (let i = 0; i < 3; i++)
      expect(codeOf(await signIn(world, name, 'wrong password', '192.0.2.1'))).toBe('INVALID_CREDENTIALS');
    const refused = await signIn(world, name, passwordOf(name), '192.0.2.1');
    expect([codeOf(refused), ...fieldsOf(refused)]).toEqual(['RATE_LIMITED', 3, 0, 30, 30]);
    expect((await signIn(world, name, passwordOf(name), '192.0.2.2')).status).toBe(200);

    await store.unblock();
    expect(codeOf(await signIn(world, name, 'wrong password', '192.0.2.1'))).toBe('INVALID_CREDENTIALS');
    expect(fieldsOf(await signIn(world, name, passwordOf(name), '192.0.2.1'))[3]).toBe(60);
    await store.unblock();
    expect((await signIn(world, name, passwordOf(name), '192.0.2.1')).status).toBe(200);
  });

  test('an e-mail that nobody has is refused alike, in whatever case it is written', async () => {
    const world = await doorWith({ sign_in_failures: 2 });
    const { name } = await somebody();
    const answers = async (...names: readonly string[]) => {
      const seen: unknown[] = [];
      for (const one of names) {
        const answer = await signIn(world, one, 'wrong password', '192.0.2.1');
        seen.push([answer.status, answer.body.error, ...fieldsOf(answer).filter((_, i) => i !== 2)]);
      }
      return seen;
    };
    const known = await answers(name, name.toUpperCase(), name, name);
    await store.renew();
    const unknown = await answers('nobody', 'NOBODY', 'nobody', 'nobody');
    expect(unknown).toEqual(known);
    expect(known.map((seen) => (seen as unknown[])[0])).toEqual([401, 401, 429, 429]);
  });

  test('an address may fail with N e-mails, not with N + 1; those who are let in do not count', async () => {
    const world = await doorWith({ sign_in: 2 });
    const { name } = await somebody();
    for (let i = 0; i < 4; i++) expect((await signIn(world, name, passwordOf(name), '192.0.2.1')).status).toBe(200);
    const codes: unknown[] = [];
    for (let i = 0; i < 3; i++) codes.push(codeOf(await signIn(world, `nobody${i}`, 'wrong', '192.0.2.1')));
    expect(codes).toEqual(['INVALID_CREDENTIALS', 'INVALID_CREDENTIALS', 'RATE_LIMITED']);
    expect(codeOf(await signIn(world, 'nobody', 'wrong', '192.0.2.2'))).toBe('INVALID_CREDENTIALS');
  });

  test('what stands in Redis names neither the e-mail nor the address', async () => {
    const world = await doorWith({});
    await signIn(world, 'nobody', 'wrong', '192.0.2.1');
    const keys = await store.redis.keys('*');
    expect(keys.map((key) => key.replace(/:[\w-]{22}$/, ':…')).sort()).toEqual([
      'rl:ip:…',
      'rl:sign_in:…',
      'rl:sign_in_email:…',
      'rl:sign_in_failures:…',
    ]);
  });

  test('a refused sign-in leaves no trace in the audit', async () => {
    const world = await doorWith({ sign_in_failures: 1 });
    const { name, user } = await somebody();
    for (let i = 0; i < 5; i++) await signIn(world, name, 'wrong password', '192.0.2.1');
    const rows = await db.sql`SELECT 1 FROM outbox WHERE action = 'user.login_failed' AND target_id = ${user.id}`;
    expect(rows).toHaveLength(1);
  });
});

describe('registering', () => {
  const register = async (world: World, name: string, ip: string): Promise<unknown> => {
    const body = { email: emailOf(name), password: 'password', display_name: name };
    return codeOf(await world.call('POST', '/v1/auth/register', at(ip, { body })));
  };

  test('N of an address, not N + 1', async () => {
    const world = await doorWith({ register: 2 });
    const codes: unknown[] = [];
    for (let i = 0; i < 3; i++) codes.push(await register(world, `new${i}`, '192.0.2.1'));
    expect(codes).toEqual(['WEAK_PASSWORD', 'WEAK_PASSWORD', 'RATE_LIMITED']);
    expect(await register(world, 'new', '192.0.2.2')).toBe('WEAK_PASSWORD');
  });

  test('N of an e-mail, not N + 1, from wherever', async () => {
    const world = await doorWith({ register_email: 2 });
    const codes: unknown[] = [];
    for (let i = 0; i < 3; i++) codes.push(await register(world, i === 0 ? 'ada' : 'Ada', `192.0.2.${i}`));
    expect(codes).toEqual(['WEAK_PASSWORD', 'WEAK_PASSWORD', 'RATE_LIMITED']);
    expect(await register(world, 'eve', '192.0.2.9')).toBe('WEAK_PASSWORD');
  });
});

test('refresh tokens: N exchanges of an address, not N + 1', async () => {
  const world = await doorWith({ refresh: 2 });
  const refresh = async (ip: string): Promise<unknown> =>
    codeOf(await world.call('POST', '/v1/auth/refresh', at(ip, { body: { refresh_token: 'x' } })));
  const codes = [await refresh('192.0.2.1'), await refresh('192.0.2.1'), await refresh('192.0.2.1')];
  expect(codes).toEqual(['UNAUTHENTICATED', 'UNAUTHENTICATED', 'RATE_LIMITED']);
  expect(await refresh('192.0.2.2')).toBe('UNAUTHENTICATED');
});

test('changing the password and erasing the account: N wrong passwords of a user, whichever of the two it was', async () => {
  const world = await doorWith({ password_failures: 2 });
  const [ada, bob] = await Promise.all([somebody(), somebody()]);
  const change = async ({ access_token: token }: SignedIn, current_password: string): Promise<unknown> => {
    const body = { current_password, new_password: 'a new and better password' };
    return codeOf(await world.call('POST', '/v1/users/me/password', { token, body }));
  };
  const erase = async ({ access_token: token }: SignedIn, password: string): Promise<unknown> =>
    codeOf(await world.call('DELETE', '/v1/users/me', { token, body: { password } }));
  expect(await change(ada, 'wrong')).toBe('INVALID_CREDENTIALS');
  expect(await erase(ada, 'wrong')).toBe('INVALID_CREDENTIALS');
  expect(await erase(ada, passwordOf(ada.name))).toBe('RATE_LIMITED');
  expect(await change(ada, passwordOf(ada.name))).toBe('RATE_LIMITED');
  expect(await change(bob, passwordOf(bob.name))).toBe(200);
});

describe('without Redis', () => {
  const AT_ONCE_MS = 900;

  test('killed: limits hold all the same, and everybody else is served', async () => {
    const world = await doorWith({ user: 3, sign_in_failures: 2 });
    const [ada, bob] = await Promise.all([somebody(), somebody()]);
    await store.server.kill9();
    const codes: unknown[] = [];
    for (let i = 0; i < 4; i++)
      codes.push(codeOf(await world.call('GET', '/v1/users/me', { token: ada.access_token })));
    expect(codes).toEqual([200, 200, 200, 'RATE_LIMITED']);
    expect(codeOf(await world.call('GET', '/v1/users/me', { token: bob.access_token }))).toBe(200);
    for (let i = 0; i < 2; i++)
      expect(codeOf(await signIn(world, ada.name, 'wrong', '192.0.2.1'))).toBe('INVALID_CREDENTIALS');
    expect(codeOf(await signIn(world, ada.name, passwordOf(ada.name), '192.0.2.1'))).toBe('RATE_LIMITED');
    expect(codeOf(await signIn(world, ada.name, passwordOf(ada.name), '192.0.2.2'))).toBe(200);
  });

  test('hung: limits hold all the same, and nobody waits for it', async () => {
    const world = await doorWith({ ip: 3 });
    store.server.pause();
    const codes: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      const before = systemClock.monotonic();
      codes.push(codeOf(await world.call('GET', '/v1/users/me', at('192.0.2.1'))));
      expect(systemClock.monotonic() - before).toBeLessThan(AT_ONCE_MS);
    }
    expect(codes).toEqual(['UNAUTHENTICATED', 'UNAUTHENTICATED', 'UNAUTHENTICATED', 'RATE_LIMITED']);
  });
});
