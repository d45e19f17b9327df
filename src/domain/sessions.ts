/**
 * Sessions: what keeps somebody signed in, and what makes every door stop when they are not.
 *
 * Two credentials, one session. The access token is checked at each request: its signature here, its session in Redis or
 * else in PostgreSQL. The refresh token is 32 random bytes, kept only as a SHA-256 hash, good for one exchange. Shown a
 * second time it means that two parties hold it, and we cannot tell the thief from the owner; so the session ends for
 * both. Ending a session commits to PostgreSQL first, then tells Redis, then the open sockets: whatever of the latter
 * two is lost, the truth is there.
 */
import type { Signals } from '../actors/gateway.ts';
import { type Clock, isoTime } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { ConcordError, type ErrorCode } from '../protocol/errors.ts';
import { recordEvent, recordEvents, type Source } from '../store/outbox.ts';
import type { Database, Sql } from '../store/postgres.ts';
import * as store from '../store/sessions.ts';
import type { SessionCache } from '../store/sessions-cache.ts';
import { eventOf } from './audit.ts';
import type { ForeignTokens } from './foreign-tokens.ts';
import type { AccessTokens, AuthResult, Caller, UserRole } from './tokens.ts';

/** Bytes of a refresh token: beyond guessing. */
const REFRESH_TOKEN_BYTES = 32;

/** Where a request came from, as its session and the audit remember it. */
export interface Origin {
  readonly ip: string;
  readonly user_agent: string | null;
  readonly request_id: string;
}

/** What signing in or refreshing gives. */
export interface TokenPair {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly token_type: 'Bearer';
  /** Seconds until the access token ends. */
  readonly expires_in: number;
}

/** A session as REST shows it. */
export interface Session {
  readonly id: string;
  readonly created_at: string;
  /** When tokens were last issued for it. */
  readonly last_used_at: string;
  readonly expires_at: string;
  readonly ip: string | null;
  readonly user_agent: string | null;
  /** Whether it is the caller's own. */
  readonly current: boolean;
}

/** What sessions work with. */
export interface SessionParts {
  readonly sql: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly tokens: AccessTokens;
  /** Whose tokens are good instead of ours, when an identity provider signs people in. */
  readonly foreign?: ForeignTokens | null;
  readonly cache: SessionCache;
  readonly signals: Signals;
  /** Life of a refresh token, and of a session that is not refreshed, seconds. */
  readonly refresh_ttl_s: number;
}

/** Who signs in, proven by the password of this hash. */
export interface SignIn {
  readonly id: string;
  readonly role: UserRole;
  readonly password_hash: string;
}

/** What an exchange of a refresh token came to. */
type Exchange =
  | {
      readonly outcome: 'rotated';
      readonly user: { readonly id: string; readonly role: UserRole };
      readonly id: string;
    }
  | { readonly outcome: 'refused'; readonly code: ErrorCode; readonly message: string }
  | { readonly outcome: 'reused'; readonly ended: readonly string[] };

/** See the head of this file. */
export class Sessions {
  constructor(private readonly parts: SessionParts) {}

  /**
   * Who `token` speaks for. Every door asks here. Throws only when PostgreSQL is needed and away. `issued` is called once the
   * token is known to be one of ours, in the turn in which Redis is asked about its session: what else is to be asked there
   * about the caller travels along.
   */
  async authenticate(token: string, issued?: (caller: Caller) => void): Promise<AuthResult> {
    const { tokens, foreign } = this.parts;
    const result = await (foreign ?? tokens).verify(token);
    if (!result.ok) return result;
    issued?.(result.caller);
    const alive = await this.#isAlive(result.caller.session_id);
    return alive ? result : { ok: false, code: 'TOKEN_REVOKED' };
  }

  /**
   * Begins a session; `sql` may be the transaction that made the account. Null when the account has another password
   * than the one that was checked, or is gone.
   */
  async open(sql: Sql, user: SignIn, origin: Origin): Promise<TokenPair | null> {
    const { clock, random } = this.parts;
    const session_id = random.id();
    const refresh_token = this.#newRefreshToken();
    const opened = await store.insertSession(sql, {
      id: session_id,
      user_id: user.id,
      password_hash: user.password_hash,
      ...origin,
      token_hash: hashToken(refresh_token),
      at: new Date(clock.now()),
      expires_at: this.#expiry(),
    });
    return opened ? this.#pair(user, session_id, refresh_token) : null;
  }

  /**
   * Exchanges a refresh token for a new pair.
   * Errors: UNAUTHENTICATED (never ours), TOKEN_EXPIRED, TOKEN_REVOKED (ended, or shown twice: then it ends now).
   */
  async refresh(refresh_token: string, origin: Origin): Promise<TokenPair> {
    const next_token = this.#newRefreshToken();
    const exchange = await this.parts.sql.begin((sql) =>
      this.#exchange(sql, hashToken(refresh_token), hashToken(next_token), origin),
    );
    switch (exchange.outcome) {
      case 'rotated':
        return this.#pair(exchange.user, exchange.id, next_token);
      case 'refused':
        throw new ConcordError(exchange.code, exchange.message);
      case 'reused':
        await this.announceEnd(exchange.ended);
        throw new ConcordError('TOKEN_REVOKED', 'This refresh token was used before; its session has ended.');
    }
  }

  /**
   * Signs out: both credentials that were shown stop working, with the sessions that they are of.
   * Errors: UNAUTHENTICATED (the refresh token is not one of the caller's).
   */
  async end(caller: Caller, refresh_token: string, source: Source): Promise<void> {
    const { user_id, session_id } = caller;
    const found = await store.findByRefreshToken(this.parts.sql, hashToken(refresh_token));
    if (found === null || found.user_id !== user_id)
      throw new ConcordError('UNAUTHENTICATED', 'This is not a refresh token of yours.');
    const ids = [...new Set([session_id, found.session_id])];
    const event = eventOf(this.parts, source, {
      action: 'user.logout',
      actor_id: user_id,
      target_id: user_id,
      details: { session_id },
    });
    const { ended } = await this.parts.sql.begin(async (sql) => {
      const ended = await store.revokeSessions(sql, user_id, ids, this.#now());
      if (ended.length > 0) await recordEvent(sql, event);
      // The refresh token may be of another session of theirs: that one was ended from outside.
      const others = ended.filter((id) => id !== session_id);
      await this.#recordRevoked(sql, user_id, others, source, 'asked');
      return { ended };
    });
    await this.announceEnd(ended);
  }

  /** Ends one of the caller's sessions. Errors: NOT_FOUND. */
  async endOne(user_id: string, session_id: string, source: Source): Promise<void> {
    const { ended } = await this.parts.sql.begin(async (sql) => {
      const ended = await store.revokeSessions(sql, user_id, [session_id], this.#now());
      await this.#recordRevoked(sql, user_id, ended, source, 'asked');
      return { ended };
    });
    if (ended.length === 0) throw new ConcordError('NOT_FOUND', 'You have no such session.');
    await this.announceEnd(ended);
  }

  /** At most `count` sessions of the caller, newest first, after the session `after`. */
  async list(
    caller: Caller,
    page: { readonly after: string | null; readonly count: number },
  ): Promise<readonly Session[]> {
    const rows = await store.listSessions(this.parts.sql, caller.user_id, this.#now(), page.after, page.count);
    return rows.map((row) => ({
      id: row.id,
      created_at: isoTime(row.created_at.getTime()),
      last_used_at: isoTime(row.last_used_at.getTime()),
      expires_at: isoTime(row.expires_at.getTime()),
      ip: row.ip,
      user_agent: row.user_agent,
      current: row.id === caller.session_id,
    }));
  }

  /** Tells Redis and every open socket that these sessions ended. Called after the commit that ended them. */
  async announceEnd(session_ids: readonly string[]): Promise<void> {
    for (const session_id of session_ids) this.parts.signals.send({ type: 'session_ended', session_id });
    await this.parts.cache.rememberRevoked(session_ids);
  }

  async #isAlive(session_id: string): Promise<boolean> {
    const remembered = await this.parts.cache.recall(session_id);
    if (remembered !== null) return remembered === 'alive';
    const alive = await store.isSessionAlive(this.parts.sql, session_id);
    if (alive) await this.parts.cache.rememberAlive(session_id);
    else await this.parts.cache.rememberRevoked([session_id]);
    return alive;
  }

  async #exchange(sql: Sql, old_hash: Uint8Array, new_hash: Uint8Array, origin: Origin): Promise<Exchange> {
    const state = await store.lockByRefreshToken(sql, old_hash);
    if (state === null) return refused('UNAUTHENTICATED', 'This is not a refresh token of ours.');
    if (state.revoked) return refused('TOKEN_REVOKED', 'The session of this token has ended; sign in again.');
    if (state.used) {
      const ended = await store.revokeSessions(sql, state.user_id, [state.session_id], this.#now());
      await this.#recordRevoked(sql, state.user_id, ended, origin, 'refresh_token_reused');
      return { outcome: 'reused', ended };
    }
    if (state.expires_at.getTime() <= this.parts.clock.now())
      return refused('TOKEN_EXPIRED', 'The refresh token has expired; sign in again.');
    await store.rotateRefreshToken(sql, {
      session_id: state.session_id,
      old_hash,
      new_hash,
      ...origin,
      at: this.#now(),
      expires_at: this.#expiry(),
    });
    return { outcome: 'rotated', user: { id: state.user_id, role: state.role }, id: state.session_id };
  }

  #recordRevoked(
    sql: Sql,
    user_id: string,
    ended: readonly string[],
    source: Source,
    reason: 'asked' | 'refresh_token_reused',
  ): Promise<void> {
    const asked = { action: 'session.revoked', actor_id: user_id, details: { reason } } as const;
    return recordEvents(
      sql,
      ended.map((session_id) => eventOf(this.parts, source, { ...asked, target_id: session_id })),
    );
  }

  async #pair(user: { readonly id: string; readonly role: UserRole }, session_id: string, refresh_token: string) {
    const { tokens } = this.parts;
    const access_token = await tokens.issue(user, session_id);
    return { access_token, refresh_token, token_type: 'Bearer', expires_in: tokens.ttl_s } as const;
  }

  #newRefreshToken(): string {
    return Buffer.from(this.parts.random.bytes(REFRESH_TOKEN_BYTES)).toString('base64url');
  }

  #now(): Date {
    return new Date(this.parts.clock.now());
  }

  #expiry(): Date {
    return new Date(this.parts.clock.now() + this.parts.refresh_ttl_s * 1000);
  }
}

function refused(code: ErrorCode, message: string): Exchange {
  return { outcome: 'refused', code, message };
}

function hashToken(token: string): Uint8Array {
  return new Bun.CryptoHasher('sha256').update(token).digest();
}
