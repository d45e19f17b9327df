/**
 * Sessions and their refresh tokens. A session is a family: each refresh replaces the token by the next, and a token
 * that is shown twice was stolen or lost by somebody, so it ends the session for all who hold one.
 *
 * Whoever decides about a session's tokens holds the session's row lock, so that of two refreshes with one token the
 * second sees what the first did. PostgreSQL is the truth about revocation; Redis only remembers it for a while.
 */
import type { Sql } from './postgres.ts';

/** A session that is alive, as its owner sees it. */
export interface SessionRow {
  readonly id: string;
  readonly created_at: Date;
  readonly last_used_at: Date;
  readonly expires_at: Date;
  readonly ip: string | null;
  readonly user_agent: string | null;
}

/** What decides about one refresh token. */
export interface RefreshState {
  readonly session_id: string;
  readonly user_id: string;
  readonly role: 'user' | 'admin';
  readonly expires_at: Date;
  readonly revoked: boolean;
  /** Whether the token was exchanged before. */
  readonly used: boolean;
}

/**
 * Begins a session with its first refresh token, for the holder of the password whose hash was checked. `false` when
 * the account has another password by now, or is gone: a sign-in that was under way must not outlive either.
 */
export async function insertSession(
  sql: Sql,
  session: {
    readonly id: string;
    readonly user_id: string;
    readonly password_hash: string;
    readonly ip: string;
    readonly user_agent: string | null;
    readonly token_hash: Uint8Array;
    readonly at: Date;
    readonly expires_at: Date;
  },
): Promise<boolean> {
  // FOR SHARE waits for whoever is changing the account, and makes them wait until this session can be seen.
  const result = await sql`
    WITH holder AS (
      SELECT id FROM users
      WHERE id = ${session.user_id} AND password_hash = ${session.password_hash} AND NOT deleted
      FOR SHARE
    ), session AS (
      INSERT INTO sessions (id, user_id, ip, user_agent, created_at, updated_at, last_used_at, expires_at)
      SELECT ${session.id}::uuid, holder.id, ${session.ip}, ${session.user_agent},
             ${session.at}::timestamptz, ${session.at}::timestamptz, ${session.at}::timestamptz,
             ${session.expires_at}::timestamptz
      FROM holder
      RETURNING id
    )
    INSERT INTO refresh_tokens (token_hash, session_id, created_at)
    SELECT ${session.token_hash}::bytea, id, ${session.at}::timestamptz FROM session`;
  return result.count === 1;
}

/** Locks the session of a refresh token and says how both stand; null when nobody ever issued the token. */
export async function lockByRefreshToken(sql: Sql, token_hash: Uint8Array): Promise<RefreshState | null> {
  const [session] = await sql<Omit<RefreshState, 'used'>[]>`
    SELECT s.id AS session_id, s.user_id, u.role, s.expires_at, s.revoked_at IS NOT NULL AS revoked
    FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE s.id = (SELECT session_id FROM refresh_tokens WHERE token_hash = ${token_hash})
    FOR UPDATE OF s`;
  if (session === undefined) return null;
  // A statement of its own, after the lock was got: it sees what the holder before us has committed.
  const [token] = await sql<Pick<RefreshState, 'used'>[]>`
    SELECT used_at IS NOT NULL AS used FROM refresh_tokens WHERE token_hash = ${token_hash}`;
  return token === undefined ? null : { ...session, ...token };
}

/** Exchanges a token for the next one and keeps the session alive. The caller holds the session's lock. */
export async function rotateRefreshToken(
  sql: Sql,
  rotation: {
    readonly session_id: string;
    readonly old_hash: Uint8Array;
    readonly new_hash: Uint8Array;
    readonly ip: string;
    readonly user_agent: string | null;
    readonly at: Date;
    readonly expires_at: Date;
  },
): Promise<void> {
  await sql`
    WITH used AS (
      UPDATE refresh_tokens SET used_at = ${rotation.at} WHERE token_hash = ${rotation.old_hash}
    ), session AS (
      UPDATE sessions
      SET last_used_at = ${rotation.at}, updated_at = ${rotation.at}, expires_at = ${rotation.expires_at},
          ip = ${rotation.ip}, user_agent = ${rotation.user_agent}
      WHERE id = ${rotation.session_id}
    )
    INSERT INTO refresh_tokens (token_hash, session_id, created_at)
    VALUES (${rotation.new_hash}, ${rotation.session_id}, ${rotation.at})`;
}

/** Whether there is such a session and it has not been revoked. */
export async function isSessionAlive(sql: Sql, session_id: string): Promise<boolean> {
  const rows = await sql`SELECT 1 FROM sessions WHERE id = ${session_id} AND revoked_at IS NULL`;
  return rows.length === 1;
}

/** Whose session a refresh token belongs to, used or not; null when nobody ever issued it. */
export async function findByRefreshToken(
  sql: Sql,
  token_hash: Uint8Array,
): Promise<{ readonly session_id: string; readonly user_id: string } | null> {
  const [row] = await sql<{ session_id: string; user_id: string }[]>`
    SELECT s.id AS session_id, s.user_id
    FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id
    WHERE t.token_hash = ${token_hash}`;
  return row ?? null;
}

/** At most `count` live sessions of a user, newest first, older than `after`. */
export function listSessions(
  sql: Sql,
  user_id: string,
  at: Date,
  after: string | null,
  count: number,
): Promise<readonly SessionRow[]> {
  return sql<SessionRow[]>`
    SELECT id, created_at, last_used_at, expires_at, ip, user_agent
    FROM sessions
    WHERE user_id = ${user_id} AND revoked_at IS NULL AND expires_at > ${at}
      AND (${after}::uuid IS NULL OR id < ${after}::uuid)
    ORDER BY id DESC
    LIMIT ${count}`;
}

/** Ends the named sessions of a user; gives those that were alive until now. */
export async function revokeSessions(
  sql: Sql,
  user_id: string,
  session_ids: readonly string[],
  at: Date,
): Promise<readonly string[]> {
  const rows = await sql<{ id: string }[]>`
    UPDATE sessions SET revoked_at = ${at}, updated_at = ${at}
    WHERE user_id = ${user_id} AND id = ANY(${[...session_ids]}::uuid[]) AND revoked_at IS NULL
    RETURNING id`;
  return rows.map((row) => row.id);
}

/** Ends all sessions of a user but one (none spared with null); gives those that were alive until now. */
export async function revokeOtherSessions(
  sql: Sql,
  user_id: string,
  spared_id: string | null,
  at: Date,
): Promise<readonly string[]> {
  const rows = await sql<{ id: string }[]>`
    UPDATE sessions SET revoked_at = ${at}, updated_at = ${at}
    WHERE user_id = ${user_id} AND revoked_at IS NULL AND id IS DISTINCT FROM ${spared_id}
    RETURNING id`;
  return rows.map((row) => row.id);
}

/** Removes what a user's sessions tell about them: addresses and browsers. */
export async function forgetSessionOrigins(sql: Sql, user_id: string, at: Date): Promise<void> {
  await sql`UPDATE sessions SET ip = NULL, user_agent = NULL, updated_at = ${at} WHERE user_id = ${user_id}`;
}
