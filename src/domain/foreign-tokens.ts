/**
 * Access tokens that an organisation's own identity provider signs in our stead. What we ask of one: a signature by a key
 * of the provider's, with an algorithm that has a public and a private half (so no token can pass our own secrets, or the
 * public key's text, for a key); the issuer and the audience of our settings; `exp`, and `nbf` where there is one, give or
 * take a little for clocks that differ; and a `sub`.
 *
 * Who is seen for the first time gets an account, tied to issuer and subject. It is never one that is here already: an
 * e-mail proves nothing about who registered it here before. The e-mail is taken only if the provider has verified it and
 * nobody here has it; name and e-mail are read this once, and from then on they are the account's.
 *
 * The provider's session (`sid`, else `jti`, else the token itself) gets a session of ours, so that it stands in the list of
 * its user's and ends like any other: a token whose session was ended here is refused, whatever its provider thinks.
 */
import { errors, type JWTPayload, jwtVerify } from 'jose';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { ConcordError, unavailable } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import * as store from '../store/identities.ts';
import { recordEvent } from '../store/outbox.ts';
import type { Database, Sql } from '../store/postgres.ts';
import { emailKey, isEmail } from './accounts-email.ts';
import { eventOf } from './audit.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import { KnownTokens } from './known-tokens.ts';
import type { AuthResult, Caller } from './tokens.ts';

/** Algorithms that are accepted. */
export const FOREIGN_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const;

/** How far the provider's clock may be from ours, seconds. */
export const CLOCK_SKEW_S = 30;

/** OpenID Connect bounds `sub` by this; the others are bounded likewise. */
const CLAIM_CHARS_MAX = 255;
/** The end of the year 9999: no token has to last longer, and every place that keeps times can hold it. */
const EXP_MAX_S = 253_402_300_799;
/** Nobody's name. */
const NAMELESS = 'Somebody';
/** Times that an account may be erased while it is being looked up. */
const ATTEMPTS_MAX = 3;

/** Who signs tokens, and for whom. */
export interface ForeignTokenParts {
  readonly sql: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly keys: IssuerKeys;
  readonly issuer: string;
  readonly audience: string;
}

/** What a token says that matters here. */
interface Claims {
  readonly subject: string;
  readonly foreign_key: Uint8Array;
  /** Epoch seconds, the clocks' difference included. */
  readonly expires_at: number;
  readonly display_name: string;
  readonly email: { readonly address: string; readonly key: string } | null;
}

const REFUSED = { ok: false, code: 'UNAUTHENTICATED' } as const;

/** See the head of this file. */
export class ForeignTokens {
  /** Tokens that were good by the keys of {@link #revision}. */
  readonly #known = new KnownTokens<Caller>();
  #revision = 0;

  constructor(private readonly parts: ForeignTokenParts) {}

  /** Who `token` speaks for, an account being made for them if need be. Errors: UNAVAILABLE (no keys were got yet). */
  async verify(token: string): Promise<AuthResult> {
    const { keys } = this.parts;
    keys.freshen();
    const { revision } = keys;
    if (revision !== this.#revision) this.#known.clear();
    this.#revision = revision;
    const remembered = this.#known.recall(token);
    if (remembered !== undefined) return this.#unlessExpired(remembered);
    const claims = await this.#claimsOf(token);
    if ('ok' in claims) return claims;
    const session = await this.#sessionOf(claims);
    const { session_id, user_id, role } = session;
    if (session.revoked) return { ok: false, code: 'TOKEN_REVOKED' };
    const caller: Caller = { user_id, session_id, role, expires_at: claims.expires_at };
    if (keys.revision === revision) this.#known.remember(token, caller);
    return this.#unlessExpired(caller);
  }

  async #claimsOf(token: string): Promise<Claims | Extract<AuthResult, { ok: false }>> {
    const { clock, keys, issuer, audience } = this.parts;
    try {
      const { payload } = await jwtVerify(token, (...question) => keys.find(...question), {
        algorithms: [...FOREIGN_ALGORITHMS],
        issuer,
        audience,
        requiredClaims: ['sub', 'exp'],
        currentDate: new Date(clock.now()),
        clockTolerance: CLOCK_SKEW_S,
      });
      return readClaims(payload, issuer, token) ?? REFUSED;
    } catch (error) {
      if (error instanceof ConcordError) throw error;
      return error instanceof errors.JWTExpired ? { ok: false, code: 'TOKEN_EXPIRED' } : REFUSED;
    }
  }

  async #sessionOf(claims: Claims): Promise<store.ForeignSession> {
    const { sql, clock } = this.parts;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const session = await store.findForeignSession(sql, claims.foreign_key);
      if (session === null) {
        await sql.begin((sql) => this.#admit(sql, claims));
        continue;
      }
      const expires_at = new Date(claims.expires_at * 1000);
      if (expires_at > session.expires_at)
        await store.extendForeignSession(sql, {
          session_id: session.session_id,
          expires_at,
          at: new Date(clock.now()),
        });
      return session;
    }
    throw unavailable('The account is being erased.', 1);
  }

  /** Makes the account unless it is there, and the session unless somebody else just did. */
  async #admit(sql: Sql, claims: Claims): Promise<void> {
    const { clock, random, issuer } = this.parts;
    const at = new Date(clock.now());
    const { subject, foreign_key } = claims;
    const new_id = random.id();
    const is_new = await store.claimIdentity(sql, { issuer, subject, user_id: new_id, at });
    if (is_new) {
      const user = { id: new_id, display_name: claims.display_name, at };
      if ((await store.insertForeignUser(sql, { ...user, email: claims.email })) === 'taken')
        await store.insertForeignUser(sql, { ...user, email: null });
      await this.#record(sql, 'user.registered', new_id);
    }
    const user = is_new ? { id: new_id } : await store.holdIdentity(sql, issuer, subject);
    // Erased a moment ago: the next attempt makes another account.
    if (user === null) return;
    const expires_at = new Date(claims.expires_at * 1000);
    const session = { id: random.id(), user_id: user.id, foreign_key, at, expires_at };
    if (await store.insertForeignSession(sql, session)) await this.#record(sql, 'user.login', user.id);
  }

  /** Where from is not known here: a token says nothing of it. */
  #record(sql: Sql, action: 'user.registered' | 'user.login', user_id: string): Promise<void> {
    const details = { by: 'identity_provider' };
    const nowhere = { ip: null, request_id: null };
    return recordEvent(sql, eventOf(this.parts, nowhere, { action, actor_id: user_id, target_id: user_id, details }));
  }

  #unlessExpired(caller: Caller): AuthResult {
    if (this.parts.clock.now() >= caller.expires_at * 1000) return { ok: false, code: 'TOKEN_EXPIRED' };
    return { ok: true, caller };
  }
}

/** What a token that was signed rightly says; null when it makes no sense. */
function readClaims(payload: JWTPayload, issuer: string, token: string): Claims | null {
  const { sub, exp, sid, jti, name, preferred_username, email, email_verified } = payload;
  if (!isClaim(sub) || exp === undefined) return null;
  if ((sid !== undefined && !isClaim(sid)) || (jti !== undefined && !isClaim(jti))) return null;
  const session = sid !== undefined ? ['sid', sid] : jti !== undefined ? ['jti', jti] : ['token', token];
  const key = JSON.stringify([issuer, sub, ...session]);
  const believed = email_verified === true && typeof email === 'string' && isEmail(email) ? email : null;
  return {
    subject: sub,
    foreign_key: new Bun.CryptoHasher('sha256').update(key).digest(),
    expires_at: Math.min(Math.floor(exp) + CLOCK_SKEW_S, EXP_MAX_S),
    display_name: shownName(name) ?? shownName(preferred_username) ?? NAMELESS,
    email: believed === null ? null : { address: believed, key: emailKey(believed) },
  };
}

/** What can be kept and compared: some text, not too much, of what PostgreSQL can store. */
function isClaim(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value.length <= CLAIM_CHARS_MAX &&
    !value.includes('\0') &&
    value.isWellFormed()
  );
}

/** A name as people here have them: without control characters, not blank, not too long. Null when nothing is left. */
function shownName(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const plain = value
    .toWellFormed()
    .replace(/\p{Cc}/gu, ' ')
    .trim();
  const cut = [...plain].slice(0, LIMITS.display_name_chars_max).join('').trim();
  return cut === '' ? null : cut;
}
