/**
 * Access tokens: short-lived JWTs that say who calls, in which session and until when. Their signature proves only that
 * we issued them; whether the session still lives is asked elsewhere (sessions.ts), so a token never outlives a sign-out.
 *
 * HS256 is pinned on the way in, so that a token cannot choose its own algorithm. Two keys may be good at a time, so that
 * one can take the other's place while tokens of both are about: tokens are signed with the first, and their `kid` names
 * the key. It is a MAC of a constant under the key, so it tells no more of it than a signature does.
 *
 * The library's own check of `exp` is
 * kept out of the way (it is shown the year 1970) and made here by our clock, since it would not tell an expired token
 * from a forged one. `iat` is stamped by the library from the machine's time; nothing is decided by it.
 */
import { jwt } from '@elysiajs/jwt';
import { decodeProtectedHeader } from 'jose';
import type { Clock } from '../base/clock.ts';
import { isUuid } from '../base/ids.ts';
import type { Random } from '../base/random.ts';
import { KnownTokens } from './known-tokens.ts';

/** What an account may do beyond its own documents. */
export type UserRole = 'user' | 'admin';

/** Who is behind a request or a socket. */
export interface Caller {
  readonly user_id: string;
  readonly session_id: string;
  /** As the token says it; what matters is asked of the database. */
  readonly role: UserRole;
  /** When the token ends, epoch seconds. */
  readonly expires_at: number;
}

/** The answer to "who is this?"; a refusal is a value, since every door turns it into its own kind of no. */
export type AuthResult =
  | { readonly ok: true; readonly caller: Caller }
  | { readonly ok: false; readonly code: 'UNAUTHENTICATED' | 'TOKEN_EXPIRED' | 'TOKEN_REVOKED' };

/** What tokens are made of. */
export interface TokenParts {
  readonly clock: Clock;
  readonly random: Random;
  /** HS256 key: the UTF-8 bytes of this text. */
  readonly secret: string;
  /** A second key, whose tokens are good too. */
  readonly other_secret?: string | null;
  readonly ttl_s: number;
}

const PARTY = 'concord';

/** Characters of a `kid`: 96 bits in base64url. */
const KID_CHARS = 16;

/** Issues and reads access tokens. */
export class AccessTokens {
  readonly #parts: TokenParts;
  /** By `kid`; the first one signs. */
  readonly #keys: ReadonlyMap<string, Key>;
  readonly #signing: Key;
  readonly #known = new KnownTokens<Caller>();

  constructor(parts: TokenParts) {
    this.#parts = parts;
    const { secret, other_secret = null } = parts;
    this.#signing = keyOf(secret);
    const others = other_secret === null ? [] : [keyOf(other_secret)];
    this.#keys = new Map([...others, this.#signing].map((key) => [key.kid, key]));
  }

  /** How long a token lives, seconds. */
  get ttl_s(): number {
    return this.#parts.ttl_s;
  }

  /** A fresh token of `session_id`. */
  issue(user: { readonly id: string; readonly role: UserRole }, session_id: string): Promise<string> {
    const { clock, random, ttl_s } = this.#parts;
    const exp = Math.floor(clock.now() / 1000) + ttl_s;
    return this.#signing.jwt.sign({ sub: user.id, sid: session_id, role: user.role, jti: random.id(), exp });
  }

  /** Whether `token` is ours and not expired. Says nothing about its session. */
  async verify(token: string): Promise<AuthResult> {
    const known = this.#known.recall(token);
    if (known !== undefined) return this.#unlessExpired(known);
    const claims = await this.#claimsOf(token);
    if (claims === null) return { ok: false, code: 'UNAUTHENTICATED' };
    const { sub, sid, role, exp } = claims;
    if (typeof sub !== 'string' || typeof sid !== 'string' || typeof exp !== 'number')
      return { ok: false, code: 'UNAUTHENTICATED' };
    if (!isUuid(sub) || !isUuid(sid) || (role !== 'user' && role !== 'admin'))
      return { ok: false, code: 'UNAUTHENTICATED' };
    const caller: Caller = { user_id: sub, session_id: sid, role, expires_at: exp };
    this.#known.remember(token, caller);
    return this.#unlessExpired(caller);
  }

  /** What the token says, if one of our keys signed it; null if not. One that names no key is tried with each. */
  async #claimsOf(token: string): Promise<Readonly<Record<string, unknown>> | null> {
    const kid = kidOf(token);
    const named = kid === null ? [] : kid === undefined ? [...this.#keys.values()] : [this.#keys.get(kid)];
    for (const key of named) {
      const claims = await key?.jwt.verify(token, CHECKS);
      if (typeof claims === 'object') return claims;
    }
    return null;
  }

  #unlessExpired(caller: Caller): AuthResult {
    if (this.#parts.clock.now() >= caller.expires_at * 1000) return { ok: false, code: 'TOKEN_EXPIRED' };
    return { ok: true, caller };
  }
}

const CHECKS = {
  algorithms: ['HS256'],
  issuer: PARTY,
  audience: PARTY,
  requiredClaims: ['sub', 'sid', 'role', 'exp', 'jti'],
  currentDate: new Date(0),
};

type Key = ReturnType<typeof keyOf>;

function keyOf(secret: string) {
  const mac = new Bun.CryptoHasher('sha256', secret).update('concord: which key signed this').digest('base64url');
  const kid = mac.slice(0, KID_CHARS);
  return { kid, jwt: jwt({ secret, alg: 'HS256', iss: PARTY, aud: PARTY, kid }).decorator.jwt };
}

/** The key that a token names: undefined when it names none, null when this is no token. */
function kidOf(token: string): string | undefined | null {
  try {
    return decodeProtectedHeader(token).kid;
  } catch {
    return null;
  }
}
