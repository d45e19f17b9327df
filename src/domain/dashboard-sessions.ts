/**
 * Who may look at the dashboard from a browser. Signing in there begins an ordinary session, one that its owner sees and
 * can end among all others; what the browser keeps of it, in a cookie that no script can read, is its refresh token.
 * That token is shown again and again and never exchanged: it is good for the dashboard and, should somebody exchange it
 * after all, for the dashboard no longer.
 *
 * Nothing is remembered between requests. Each asks PostgreSQL whether the session lives and its owner is an admin, so
 * whoever signs out, is signed out or is demoted is out at once.
 */
import type { Clock } from '../base/clock.ts';
import { ConcordError } from '../protocol/errors.ts';
import { findDashboardSession, shortenSession } from '../store/dashboard-sessions.ts';
import type { Database } from '../store/postgres.ts';
import type { Accounts } from './accounts.ts';
import type { Origin, Sessions } from './sessions.ts';

/** A session of the dashboard ends after a day's work, used or not. */
export const DASHBOARD_SESSION_S = 8 * 3600;

/** A session of the dashboard and its owner, who may have ceased to be an admin. */
export interface DashboardCaller {
  readonly session_id: string;
  readonly user_id: string;
  readonly display_name: string;
  readonly role: 'user' | 'admin';
}

/** What the dashboard's sessions work with. */
export interface DashboardParts {
  readonly sql: Database;
  readonly clock: Clock;
  readonly accounts: Accounts;
  readonly sessions: Sessions;
}

/** See the head of this file. */
export class DashboardSessions {
  constructor(private readonly parts: DashboardParts) {}

  /**
   * Begins a session and returns its token. Errors: INVALID_CREDENTIALS; FORBIDDEN (the password is right, but it is not
   * an admin's: the session is ended again).
   */
  async signIn(asked: { readonly email: string; readonly password: string }, origin: Origin): Promise<string> {
    const { accounts, sessions, sql } = this.parts;
    const { refresh_token } = await accounts.signIn(asked, origin);
    const caller = await this.find(refresh_token);
    if (caller === null) throw new ConcordError('INVALID_CREDENTIALS');
    if (caller.role !== 'admin') {
      await sessions.endOne(caller.user_id, caller.session_id, origin);
      throw new ConcordError('FORBIDDEN', 'This account is not an admin.');
    }
    await shortenSession(sql, caller.session_id, DASHBOARD_SESSION_S);
    return refresh_token;
  }

  /** Whose session the token names, whatever their role is now; null when the session is over or never was. */
  find(token: string): Promise<DashboardCaller | null> {
    const token_hash = new Bun.CryptoHasher('sha256').update(token).digest();
    return findDashboardSession(this.parts.sql, token_hash, new Date(this.parts.clock.now()));
  }

  /** Ends the token's session; nothing when it is over. */
  async signOut(token: string, origin: Origin): Promise<void> {
    const caller = await this.find(token);
    if (caller === null) return;
    await this.parts.sessions.endOne(caller.user_id, caller.session_id, origin).catch((error: unknown) => {
      // Somebody else ended it a moment ago.
      if (!(error instanceof ConcordError && error.code === 'NOT_FOUND')) throw error;
    });
  }
}
