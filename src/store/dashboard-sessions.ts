/**
 * Sessions as the dashboard's cookie names them: by a refresh token that is never exchanged. One statement tells all that
 * decides, out of PostgreSQL and nothing else, so that a session that ended and an admin who was demoted are out with
 * their next request.
 */
import type { Sql } from './postgres.ts';

/** Who is behind a cookie. */
export interface DashboardSessionRow {
  readonly session_id: string;
  readonly user_id: string;
  readonly display_name: string;
  /** As it is now. */
  readonly role: 'user' | 'admin';
}

/** The session of a token that was never exchanged, if it is alive at `at`; null otherwise. */
export async function findDashboardSession(
  sql: Sql,
  token_hash: Uint8Array,
  at: Date,
): Promise<DashboardSessionRow | null> {
  const [row] = await sql<DashboardSessionRow[]>`
    SELECT s.id AS session_id, u.id AS user_id, u.display_name, u.role
    FROM refresh_tokens t
    JOIN sessions s ON s.id = t.session_id
    JOIN users u ON u.id = s.user_id
    WHERE t.token_hash = ${token_hash} AND t.used_at IS NULL
      AND s.revoked_at IS NULL AND s.expires_at > ${at} AND NOT u.deleted`;
  return row ?? null;
}

/** Lets a session end `life_s` seconds after it began, unless it would end sooner. */
export async function shortenSession(sql: Sql, session_id: string, life_s: number): Promise<void> {
  await sql`
    UPDATE sessions SET expires_at = LEAST(expires_at, created_at + make_interval(secs => ${life_s}))
    WHERE id = ${session_id}`;
}
