/** Sessions that are over, removed once nobody can need to know why a token of theirs is refused. */
import type { Sql } from './postgres.ts';

/** Sessions and tokens of one statement at most, so that no lock is held for long. */
const ROWS_MAX = 5_000;

/**
 * Removes sessions that ended before `before`, revoked or not, with their tokens; gives how many, at most 5,000. Their
 * access tokens stay refused: a session that is not there is not alive.
 */
export async function deleteEndedSessions(sql: Sql, before: Date): Promise<number> {
  const result = await sql`
    DELETE FROM sessions WHERE id IN (
      SELECT id FROM sessions WHERE least(expires_at, coalesce(revoked_at, 'infinity')) < ${before}
      LIMIT ${ROWS_MAX}
    )`;
  return result.count;
}

/**
 * Removes tokens that were exchanged before `before` from sessions that go on; gives how many, at most 5,000. Shown again
 * they are not known, which refuses them too.
 */
export async function deleteUsedTokens(sql: Sql, before: Date): Promise<number> {
  const result = await sql`
    DELETE FROM refresh_tokens WHERE token_hash IN (
      SELECT token_hash FROM refresh_tokens WHERE used_at < ${before}
      LIMIT ${ROWS_MAX}
    )`;
  return result.count;
}
