import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { exportSPKI, importJWK, type JWTPayload, SignJWT } from 'jose';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { TestIssuer } from '../../test/support/issuer.ts';
import { addPerson } from '../../test/support/people.ts';
import { until } from '../../test/support/until.ts';
import { ManualClock } from '../base/clock.ts';
import { createLog } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { eraseUser } from '../store/users-erase.ts';
import { CLOCK_SKEW_S, ForeignTokens } from './foreign-tokens.ts';
import { IssuerKeys, KEYS_GOOD_MS } from './issuer-keys.ts';
import type { AuthResult, Caller } from './tokens.ts';

const log = createLog({ level: 'silent', service: 'test', node_id: 'test' });
const issuer = new TestIssuer();
const UNAUTHENTICATED: AuthResult = { ok: false, code: 'UNAUTHENTICATED' };

let database: TestDatabase;
let clock: ManualClock;
let tokens: ForeignTokens;
let key: Awaited<ReturnType<TestIssuer['makeKey']>>;
let people = 0;
/** A subject of its own for each test. */
let sub = '';

beforeAll(async () => {
  database = await createTestDatabase();
  key = await issuer.makeKey('RS256');
});
afterAll(async () => {
  await issuer.stop();
  await database.drop();
});
beforeEach(() => {
  clock = new ManualClock();
  tokens = node();
  sub = `auth0|person-${++people}`;
});

/** The tokens as one node reads them. */
function node(): ForeignTokens {
  const keys = new IssuerKeys({ clock, log, url: issuer.jwks_url });
  const { issuer: named, audience } = issuer;
  return new ForeignTokens({ sql: database.sql, clock, random: systemRandom, keys, issuer: named, audience });
}

const now_s = (): number => Math.floor(clock.now() / 1000);
const claims = (more: JWTPayload = {}): JWTPayload => ({ sub, sid: `${sub} here`, exp: now_s() + 60, ...more });
const sign = (more: JWTPayload = {}, header = {}) => issuer.sign(key, claims(more), header);

async function callerOf(token: string, reader = tokens): Promise<Caller> {
  const result = await reader.verify(token);
  if (!result.ok) throw new Error(`refused: ${result.code}`);
  return result.caller;
}

const userOf = async (caller: Caller) => {
  const [row] =
    await database.sql`SELECT email, email_key, display_name, password_hash FROM users WHERE id = ${caller.user_id}`;
  return row;
};

describe('a token of the identity provider', () => {
  test.each(['RS256', 'ES256', 'EdDSA'] as const)('signed with %s is good', async (alg) => {
    const token = await issuer.sign(await issuer.makeKey(alg), claims());
    expect(await callerOf(token)).toMatchObject({ role: 'user', expires_at: now_s() + 60 + CLOCK_SKEW_S });
  });

  test('is not one when its signature, algorithm, issuer, audience or subject is not what we ask for', async () => {
    await callerOf(await sign());
    const others = await issuer.makeKey('RS256', false);
    const [head, payload, signature] = (await sign()).split('.');
    const header = (fields: object) => Buffer.from(JSON.stringify(fields)).toString('base64url');
    const spki = await exportSPKI((await importJWK(key.jwk, 'RS256', { extractable: true })) as CryptoKey);
    const confused = (text: string) =>
      new SignJWT({ iss: issuer.issuer, aud: issuer.audience, ...claims() })
        .setProtectedHeader({ alg: 'HS256', kid: key.kid })
        .sign(new TextEncoder().encode(text));
    const strange = [
      `${header({ alg: 'none' })}.${payload}.`,
      `${header({ alg: 'none', kid: key.kid })}.${payload}.${signature}`,
      `${header({ alg: 'RS384', kid: key.kid })}.${payload}.${signature}`,
      `${head}.${payload}.`,
      await confused(spki),
      await confused(JSON.stringify(key.jwk)),
      await issuer.sign({ ...others, kid: key.kid }, claims()),
      await issuer.sign(others, claims(), { jwk: others.jwk }),
      await issuer.sign(others, claims(), { jku: issuer.jwks_url }),
      await sign({ iss: 'https://id.example.org' }),
      await sign({ aud: 'another service' }),
      await sign({ sub: '' }),
      await sign({ sub: 'x'.repeat(256) }),
      await sign({ sub: 'a\0b' }),
      await sign({ sid: 5 }),
      await sign({ jti: '' }),
      await sign({ nbf: now_s() + CLOCK_SKEW_S + 1 }),
      await issuer.sign(key, { sub }),
      await issuer.sign(key, { exp: now_s() + 60 }),
      '',
      'a.b.c',
    ];
    for (const [n, token] of strange.entries()) expect([n, await tokens.verify(token)]).toEqual([n, UNAUTHENTICATED]);
  });

  test('may be for several audiences, and may come from a clock that is a little ahead', async () => {
    await callerOf(await sign({ aud: ['another service', issuer.audience] }));
    await callerOf(await sign({ nbf: now_s() + CLOCK_SKEW_S, iat: now_s() + CLOCK_SKEW_S }));
    expect((await callerOf(await sign({ sub: 'x'.repeat(255), exp: 1e300 }))).expires_at).toBeLessThan(1e12);
  });

  test('ends at exp and the clocks’ difference, and says that it expired', async () => {
    const [seen, unseen] = [await sign(), await sign({ jti: 'another' })];
    await callerOf(seen);
    clock.advance((60 + CLOCK_SKEW_S) * 1000 - 1);
    expect((await callerOf(seen)).expires_at * 1000).toBe(clock.now() + 1);
    clock.advance(1);
    for (const token of [seen, unseen])
      expect(await tokens.verify(token)).toEqual({ ok: false, code: 'TOKEN_EXPIRED' });
  });

  test('that was good is not any more once its key is gone', async () => {
    const gone = await issuer.makeKey('ES256');
    const token = await issuer.sign(gone, claims({ exp: now_s() + 86_400 }));
    await callerOf(token);
    issuer.told = issuer.told.filter(({ kid }) => kid !== gone.kid);
    clock.advance(KEYS_GOOD_MS);
    // Asked again in the background; until the answer is there the old keys are good.
    await until('the new keys', async () => !(await tokens.verify(token)).ok);
    expect(await tokens.verify(token)).toEqual(UNAUTHENTICATED);
  });
});

describe('somebody who is seen for the first time', () => {
  test('gets an account with the name and the verified e-mail that the token tells, and keeps it', async () => {
    const told = { name: ' Ada\tLovelace ', email: `Ada-${people}@Example.org`, email_verified: true };
    const caller = await callerOf(await sign(told));
    const row = {
      email: told.email,
      email_key: told.email.toLowerCase(),
      display_name: 'Ada Lovelace',
      password_hash: null,
    };
    expect(await userOf(caller)).toEqual(row);
    const later = await callerOf(await sign({ sid: 'another', name: 'Somebody else', email_verified: false }));
    expect(later.user_id).toBe(caller.user_id);
    expect(later.session_id).not.toBe(caller.session_id);
    expect(await userOf(caller)).toEqual(row);
  });

  test.each([
    ['one that is not verified', { email: 'eve@example.org' }],
    ['one that is not said to be verified as it should be', { email: 'eve@example.org', email_verified: 'true' }],
    ['none that is one', { email: 'eve', email_verified: true }],
    ['one that is no text', { email: ['eve@example.org'], email_verified: true }],
  ])('gets no e-mail from %s', async (_what, more) => {
    expect(await userOf(await callerOf(await sign(more)))).toMatchObject({ email: '', email_key: null });
  });

  test('is never taken for somebody who has the e-mail here, and does not get it', async () => {
    const id = await addPerson(database.sql, `known-${people}`);
    const caller = await callerOf(await sign({ email: `known-${people}@example.org`, email_verified: true }));
    expect(caller.user_id).not.toBe(id);
    expect(await userOf(caller)).toMatchObject({ email: '', email_key: null });
  });

  test('is shown by a name that can be shown', async () => {
    const names = [
      [{}, 'Somebody'],
      [{ name: ' ' }, 'Somebody'],
      [{ name: 5, preferred_username: 'grace' }, 'grace'],
      [{ name: 'a\0b\nc\ud800' }, 'a b c\ufffd'],
      [{ name: '😀'.repeat(101) }, '😀'.repeat(100)],
    ] as const;
    for (const [n, [more, name]] of names.entries()) {
      const caller = await callerOf(await sign({ ...more, sub: `${sub} ${n}` }));
      expect((await userOf(caller))?.display_name).toBe(name);
    }
  });

  test('by many nodes at one moment gets one account and one session', async () => {
    const token = await sign({ email: `one-${people}@example.org`, email_verified: true });
    const callers = await Promise.all(Array.from({ length: 8 }, () => callerOf(token, node())));
    expect(new Set(callers.map(({ user_id, session_id }) => `${user_id} ${session_id}`)).size).toBe(1);
    const [first] = callers;
    const told = await database.sql`
      SELECT action, actor_id, ip FROM outbox WHERE target_id = ${first?.user_id ?? ''} ORDER BY action`;
    const whom = { actor_id: first?.user_id, ip: null };
    expect([...told]).toEqual([
      { ...whom, action: 'user.login' },
      { ...whom, action: 'user.registered' },
    ]);
  });

  test('who was erased gets another account, but not by what was signed before', async () => {
    const [old, sid] = [await sign(), 'after'];
    const { user_id: id, session_id } = await callerOf(old);
    const at = new Date(clock.now());
    await database.sql`UPDATE sessions SET revoked_at = ${at} WHERE id = ${session_id}`;
    expect(await eraseUser(database.sql, { id, password_hash: null, shown_as: 'Deleted user', at })).toBe('erased');
    expect(await node().verify(old)).toEqual({ ok: false, code: 'TOKEN_REVOKED' });
    expect((await callerOf(await sign({ sid }))).user_id).not.toBe(id);
  });
});

describe('the session of a token', () => {
  test('is that of its sid, else of its jti, else its own; of one subject alone', async () => {
    const session = async (more: JWTPayload) => (await callerOf(await sign({ sid: undefined, ...more }))).session_id;
    expect(await session({ sid: 'a', jti: '1' })).toBe(await session({ sid: 'a', jti: '2' }));
    expect(await session({ jti: '1' })).toBe(await session({ jti: '1', exp: now_s() + 61 }));
    const different = [
      await session({ sid: 'a' }),
      await session({ jti: 'a' }),
      await session({ sid: 'a', sub: `${sub} another` }),
      await session({}),
      await session({ exp: now_s() + 62 }),
    ];
    expect(new Set(different).size).toBe(different.length);
  });

  test('lasts as long as the latest of its tokens', async () => {
    const { session_id } = await callerOf(await sign());
    const ends = async () => {
      const [row] = await database.sql<
        { expires_at: Date }[]
      >`SELECT expires_at FROM sessions WHERE id = ${session_id}`;
      return Math.floor((row?.expires_at.getTime() ?? 0) / 1000) - CLOCK_SKEW_S - now_s();
    };
    expect(await ends()).toBe(60);
    await callerOf(await sign({ exp: now_s() + 300 }));
    await callerOf(await sign({ exp: now_s() + 100 }));
    expect(await ends()).toBe(300);
  });

  test('that was ended here refuses its tokens, whatever their provider thinks', async () => {
    const { session_id } = await callerOf(await sign());
    await database.sql`UPDATE sessions SET revoked_at = now() WHERE id = ${session_id}`;
    expect(await tokens.verify(await sign({ exp: now_s() + 90 }))).toEqual({ ok: false, code: 'TOKEN_REVOKED' });
  });
});
