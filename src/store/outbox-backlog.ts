/** How far the audit log is behind: what monitoring asks of the outbox. */
import type { Sql } from './postgres.ts';

/** Rows beyond this are not counted: counting must stay cheap when there are far too many. */
export const OUTBOX_COUNTED_MAX = 100_000;

/** How many events are in the outbox, {@link OUTBOX_COUNTED_MAX} at most, and when the oldest happened. */
export async function outboxBacklog(sql: Sql): Promise<{ readonly rows: number; readonly oldest: Date | null }> {
  // Ids are in the order of time, so the first by the primary key is the oldest.
  const [row] = await sql<{ rows: number; oldest: Date | null }[]>`
    SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT ${OUTBOX_COUNTED_MAX}) counted) AS rows,
           (SELECT at FROM outbox ORDER BY id LIMIT 1) AS oldest`;
  return row ?? { rows: 0, oldest: null };
}
