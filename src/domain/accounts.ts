/**
 * Accounts: registering, signing in, changing and erasing. The rule of every check here: whoever fails to prove who they
 * are learns nothing, neither by words nor by time, about whether the account exists.
 *
 * A password is checked outside any transaction, because that takes some 60 ms; what follows then names the hash that
 * was checked, so that it comes to nothing when the password was changed or the account erased in between.
 */
import type { Signals } from '../actors/gateway.ts';
import { type Clock, isoTime } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { AuditAction } from '../protocol/audit.ts';
import { ConcordError } from '../protocol/errors.ts';
import { type AuditDetails, recordEvent, recordEvents, type Source } from '../store/outbox.ts';
import type { Database, Sql } from '../store/postgres.ts';
import { forgetSessionOrigins, revokeOtherSessions } from '../store/sessions.ts';
import * as store from '../store/users.ts';
import { eraseUser, leaveDocuments, lockDocumentsOf } from '../store/users-erase.ts';
import { emailKey, requireEmail } from './accounts-email.ts';
import { eventOf } from './audit.ts';
import { type Passwords, requireStrong } from './passwords.ts';
import type { Origin, Sessions, TokenPair } from './sessions.ts';
import type { Caller, UserRole } from './tokens.ts';

/** What stands where the name of an erased account would. */
export const ERASED_NAME = 'Deleted user';

/** An account as its owner sees it. */
export interface User {
  readonly id: string;
  readonly email: string;
  readonly display_name: string;
  readonly role: UserRole;
  readonly created_at: string;
  readonly updated_at: string;
}

/** What registering and signing in give. */
export interface SignedIn extends TokenPair {
  readonly user: User;
}

/** What accounts work with. */
export interface AccountParts {
  readonly sql: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly passwords: Passwords;
  readonly sessions: Sessions;
  readonly signals: Signals;
}

/** See the head of this file. */
export class Accounts {
  constructor(private readonly parts: AccountParts) {}

  /** Makes an account and signs in. Errors: VALIDATION_ERROR, WEAK_PASSWORD, EMAIL_TAKEN. */
  async register(
    asked: { readonly email: string; readonly password: string; readonly display_name: string },
    origin: Origin,
  ): Promise<SignedIn> {
    requireEmail(asked.email, '/email');
    const email_key = emailKey(asked.email);
    requireStrong(asked.password, email_key, '/password');
    const password_hash = await this.parts.passwords.hash(asked.password);
    const { email, display_name } = asked;
    const signed_in = await this.parts.sql.begin(async (sql) => {
      const id = this.parts.random.id();
      const row = await store.insertUser(sql, { id, email, email_key, display_name, password_hash, at: this.#now() });
      if (row === 'taken') return null;
      const pair = await this.parts.sessions.open(sql, { id, role: row.role, password_hash }, origin);
      await this.#record(sql, 'user.registered', id, origin);
      return pair === null ? null : { user: show(row), ...pair };
    });
    if (signed_in === null) throw new ConcordError('EMAIL_TAKEN');
    return signed_in;
  }

  /** Signs in. Errors: INVALID_CREDENTIALS, in the same words and time whatever was wrong. */
  async signIn(asked: { readonly email: string; readonly password: string }, origin: Origin): Promise<SignedIn> {
    const { sql, passwords, sessions } = this.parts;
    const row = await store.findUserForSignIn(sql, emailKey(asked.email));
    const password_hash = row?.password_hash ?? null;
    const right = await passwords.matches(asked.password, password_hash);
    const opened =
      right && row !== null && password_hash !== null
        ? await sql.begin(async (sql) => {
            const pair = await sessions.open(sql, { ...row, password_hash }, origin);
            if (pair !== null) await this.#record(sql, 'user.login', row.id, origin);
            return pair === null ? null : { user: show(row), ...pair };
          })
        : null;
    if (opened !== null) return opened;
    // Whether there is such an account or not, one row is written: the time it takes must not tell.
    const target_id = row?.id ?? null;
    await recordEvent(
      sql,
      eventOf(this.parts, origin, { action: 'user.login_failed', actor_id: null, target_id, details: {} }),
    );
    throw new ConcordError('INVALID_CREDENTIALS');
  }

  /** The caller's own account. Errors: NOT_FOUND (erased a moment ago). */
  async own(user_id: string): Promise<User> {
    return show((await store.findUser(this.parts.sql, user_id)) ?? throwGone());
  }

  /** Changes what others see. Errors: NOT_FOUND. */
  async rename(user_id: string, display_name: string): Promise<User> {
    const row = await store.updateDisplayName(this.parts.sql, user_id, display_name, this.#now());
    return show(row ?? throwGone());
  }

  /**
   * Replaces the password and ends all other sessions: whoever else knew the old one is out.
   * Errors: INVALID_CREDENTIALS (the current password is wrong), WEAK_PASSWORD.
   */
  async changePassword(
    caller: Caller,
    asked: { readonly current_password: string; readonly new_password: string },
    source: Source,
  ): Promise<void> {
    const { sql, passwords, sessions } = this.parts;
    const { password_hash: old_hash, ...row } = await this.#requirePassword(caller.user_id, asked.current_password);
    if (old_hash === null) throw wrongPassword();
    requireStrong(asked.new_password, emailKey(row.email), '/new_password');
    const new_hash = await passwords.hash(asked.new_password);
    const change = { id: row.id, old_hash, new_hash, at: this.#now() };
    const ended = await sql.begin(async (sql) => {
      if ((await store.updatePassword(sql, change)) === 'lost') return null;
      const ids = await revokeOtherSessions(sql, row.id, caller.session_id, this.#now());
      await this.#record(sql, 'user.password_changed', row.id, source, { sessions_ended: ids.length });
      return { ids };
    });
    if (ended === null) throw wrongPassword();
    await sessions.announceEnd(ended.ids);
  }

  /**
   * Erases the account: everything personal goes, all sessions end, and its documents pass to their other owners or are
   * deleted. The id stays, under {@link ERASED_NAME}. An account without a password has the empty one here: its provider
   * vouches for the caller. Errors: INVALID_CREDENTIALS.
   */
  async erase(caller: Caller, password: string, source: Source): Promise<void> {
    const { id, password_hash } = await this.#requirePassword(caller.user_id, password);
    const at = this.#now();
    const erased = await this.parts.sql.begin(async (sql) => {
      await lockDocumentsOf(sql, id);
      if ((await eraseUser(sql, { id, password_hash, shown_as: ERASED_NAME, at })) === 'lost') return null;
      // While we waited for the account's row somebody may have shared one more document with it.
      await lockDocumentsOf(sql, id);
      const left = await leaveDocuments(sql, id, at);
      const sessions = await revokeOtherSessions(sql, id, null, at);
      await forgetSessionOrigins(sql, id, at);
      await this.#record(sql, 'user.deleted', id, source, { sessions_ended: sessions.length });
      await recordEvents(
        sql,
        left.map(({ document_id, ended }) =>
          eventOf(this.parts, source, {
            ...(ended ? { action: 'document.deleted' } : { action: 'permission.revoked', target_id: id }),
            actor_id: id,
            document_id,
            details: { reason: 'account_erased' },
          }),
        ),
      );
      return { left, sessions };
    });
    if (erased === null) throw wrongPassword();
    for (const { document_id: doc_id, ended } of erased.left)
      this.parts.signals.send(
        ended ? { type: 'document_deleted', doc_id } : { type: 'role', doc_id, user_id: id, role: null },
      );
    await this.parts.sessions.announceEnd(erased.sessions);
  }

  /** What anybody signed in may know of an account. Errors: NOT_FOUND. */
  async nameOf(user_id: string): Promise<store.UserName> {
    const row = await store.findUserName(this.parts.sql, user_id);
    if (row === null) throw new ConcordError('NOT_FOUND', 'There is no such user.');
    return row;
  }

  /** Whether the account is an admin now, whatever its tokens say. */
  async isAdmin(user_id: string): Promise<boolean> {
    return (await store.findUserRole(this.parts.sql, user_id)) === 'admin';
  }

  async #requirePassword(user_id: string, password: string): Promise<store.UserWithPassword> {
    const row = await store.findUser(this.parts.sql, user_id);
    const hash = row?.password_hash ?? null;
    const right = await this.parts.passwords.matches(password, hash);
    if (row === null || !(right || (hash === null && password === ''))) throw wrongPassword();
    return row;
  }

  /** Records what somebody did about their own account. */
  #record(sql: Sql, action: AuditAction, user_id: string, source: Source, details: AuditDetails = {}): Promise<void> {
    const event = eventOf(this.parts, source, { action, actor_id: user_id, target_id: user_id, details });
    return recordEvent(sql, event);
  }

  #now(): Date {
    return new Date(this.parts.clock.now());
  }
}

function show(row: store.UserRow): User {
  const { id, email, display_name, role } = row;
  const created_at = isoTime(row.created_at.getTime());
  return { id, email, display_name, role, created_at, updated_at: isoTime(row.updated_at.getTime()) };
}

function wrongPassword(): ConcordError {
  return new ConcordError('INVALID_CREDENTIALS', 'The password is wrong.');
}

function throwGone(): never {
  throw new ConcordError('NOT_FOUND', 'This account is gone.');
}
