import { describe, expect, test } from 'bun:test';
import { SignJWT } from 'jose';
import { ManualClock } from '../base/clock.ts';
import { seededRandom } from '../base/random.ts';
import { AccessTokens } from './tokens.ts';

const SECRET = 'thirty-two bytes are the least of it';
const USER = { id: '0198c5c2-7a3e-7d51-9b0a-000000000001', role: 'user' } as const;
const SESSION = '0198c5c2-7a3e-7d51-9b0a-000000000002';

const clock = new ManualClock();
const tokens = new AccessTokens({ clock, random: seededRandom(1), secret: SECRET, ttl_s: 60 });
const now_s = (): number => Math.floor(clock.now() / 1000);

const claims = (): Record<string, unknown> => ({
  sub: USER.id,
  sid: SESSION,
  role: 'user',
  jti: SESSION,
  iss: 'concord',
  aud: 'concord',
  exp: now_s() + 60,
});

/** A token of any form, signed as ours are unless told otherwise. */
function forge(payload: Record<string, unknown>, alg = 'HS256', secret = SECRET): Promise<string> {
  return new SignJWT(payload).setProtectedHeader({ alg }).sign(new TextEncoder().encode(secret));
}

describe('an access token', () => {
  test('carries who, which session, what role, and who may read it', async () => {
    const token = await tokens.issue({ ...USER, role: 'admin' }, SESSION);
    const payload = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    expect(payload).toEqual({
      sub: USER.id,
      sid: SESSION,
      role: 'admin',
      iss: 'concord',
      aud: 'concord',
      iat: expect.any(Number),
      exp: now_s() + 60,
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(await tokens.verify(token)).toEqual({
      ok: true,
      caller: { user_id: USER.id, session_id: SESSION, role: 'admin', expires_at: now_s() + 60 },
    });
  });

  test('ends at exp, by our clock, and says that it expired rather than that it is wrong', async () => {
    const token = await tokens.issue(USER, SESSION);
    clock.advance(59_999);
    expect((await tokens.verify(token)).ok).toBe(true);
    clock.advance(1);
    expect(await tokens.verify(token)).toEqual({ ok: false, code: 'TOKEN_EXPIRED' });
  });

  test('is not one when its signature, algorithm, issuer or audience is another', async () => {
    const [head, payload] = (await tokens.issue(USER, SESSION)).split('.');
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`;
    const strange = [
      unsigned,
      `${head}.${payload}.`,
      await forge(claims(), 'HS256', 'another secret of thirty-two bytes or more'),
      await forge(claims(), 'HS384'),
      await forge(claims(), 'HS512'),
      await forge({ ...claims(), iss: 'someone' }),
      await forge({ ...claims(), aud: 'someone' }),
      '',
      'a.b.c',
      'not a token',
    ];
    expect((await tokens.verify(await forge(claims()))).ok).toBe(true);
    for (const token of strange) expect(await tokens.verify(token)).toEqual({ ok: false, code: 'UNAUTHENTICATED' });
  });

  test('says the same when it is seen again, and one changed in a single letter is still not one', async () => {
    const token = await tokens.issue(USER, SESSION);
    const first = await tokens.verify(token);
    expect(await tokens.verify(token)).toEqual(first);
    const at = token.length - 10;
    const other = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
    expect(await tokens.verify(other)).toEqual({ ok: false, code: 'UNAUTHENTICATED' });
    clock.advance(60_000);
    expect(await tokens.verify(token)).toEqual({ ok: false, code: 'TOKEN_EXPIRED' });
  });

  test('names its key by a kid that tells nothing of the key', async () => {
    const header = JSON.parse(
      Buffer.from((await tokens.issue(USER, SESSION)).split('.')[0] ?? '', 'base64url').toString(),
    );
    expect(header).toEqual({ alg: 'HS256', typ: 'JWT', kid: expect.stringMatching(/^[\w-]{16}$/) });
    expect(header.kid).not.toBe(
      new Bun.CryptoHasher('sha256').update(SECRET).digest('base64url').slice(0, header.kid.length),
    );
  });

  test('of either of two keys is good, and new ones are signed with the first', async () => {
    const other_secret = 'the key of before, thirty-two bytes';
    const make = (secret: string, other: string | null) =>
      new AccessTokens({ clock, random: seededRandom(2), secret, other_secret: other, ttl_s: 60 });
    const [before, both, after] = [make(other_secret, null), make(SECRET, other_secret), make(SECRET, null)];
    const [old, fresh] = [await before.issue(USER, SESSION), await both.issue(USER, SESSION)];
    const good = async (reader: AccessTokens) => [(await reader.verify(old)).ok, (await reader.verify(fresh)).ok];
    expect(await good(before)).toEqual([true, false]);
    expect(await good(both)).toEqual([true, true]);
    expect(await good(after)).toEqual([false, true]);
    // One without a kid is tried with each.
    expect((await both.verify(await forge(claims(), 'HS256', other_secret))).ok).toBe(true);
    expect((await after.verify(await forge(claims(), 'HS256', other_secret))).ok).toBe(false);
  });

  test('is not one when it names a key that is not ours, whoever signed it', async () => {
    for (const kid of ['another', '', '../../dev/null', "' OR 1=1"]) {
      const token = new SignJWT(claims()).setProtectedHeader({ alg: 'HS256', kid });
      expect(await tokens.verify(await token.sign(new TextEncoder().encode(SECRET)))).toEqual({
        ok: false,
        code: 'UNAUTHENTICATED',
      });
    }
  });

  test('is not one when a claim is missing or has no sense, even if expired', async () => {
    for (const name of Object.keys(claims())) {
      const { [name]: _left_out, ...rest } = claims();
      expect(await tokens.verify(await forge(rest))).toEqual({ ok: false, code: 'UNAUTHENTICATED' });
    }
    for (const wrong of [{ sub: 'me' }, { sid: 5 }, { role: 'root' }, { sub: "'; DROP TABLE users" }, { exp: 'soon' }])
      expect((await tokens.verify(await forge({ ...claims(), ...wrong }))).ok).toBe(false);
  });
});
