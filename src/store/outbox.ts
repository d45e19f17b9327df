/**
 * The outbox: what happened, written in the transaction that made it happen, so that neither is ever there without the
 * other. From here it goes to the audit log, exactly once whoever dies when:
 *
 * 1. A relay takes rows whose turn it is, puts off their next turn and commits; then it asks for a job a row. Killed before
 *    the commit, it took nothing. Killed after it, or Redis losing the job, the next turn comes half a minute later.
 * 2. The job moves its row: one statement deletes it here and inserts it there. Killed before the commit, it did nothing,
 *    and the row still has its turns. Killed after it, a second job finds no row and does nothing.
 *
 * So a row is here or in the log, never in both and never in neither, and a job is a hint like all others. That the log's
 * key refuses the same event twice is a second lock on the same door.
 */
import type { AuditAction } from '../protocol/audit.ts';
import type { Sql } from './postgres.ts';

/** What a row says beside its columns: numbers, words and ids, never a secret, an e-mail or a name. */
export type AuditDetails = Readonly<Record<string, string | number | boolean | null>>;

/** Where a request came from. */
export interface Source {
  readonly ip: string | null;
  readonly request_id: string | null;
}

/** Something that happened. */
export interface AuditEvent extends Source {
  /** UUID v7. */
  readonly id: string;
  readonly at: Date;
  readonly action: AuditAction;
  /** Who did it; null where nobody was signed in. */
  readonly actor_id: string | null;
  readonly document_id: string | null;
  /** Whom or what it was done to, where that is not the document: a user, a session, a version, a link. */
  readonly target_id: string | null;
  readonly details: AuditDetails;
}

/** Rows of one statement at most: each has nine parameters, and a statement takes 65,535. */
const ROWS_MAX = 1_000;

/** Writes one event. `sql` is the transaction of what it tells of. */
export function recordEvent(sql: Sql, event: AuditEvent): Promise<void> {
  return recordEvents(sql, [event]);
}

/** Writes any number of events. `sql` is the transaction of what they tell of. */
export async function recordEvents(sql: Sql, events: readonly AuditEvent[]): Promise<void> {
  for (let start = 0; start < events.length; start += ROWS_MAX) {
    const rows = events.slice(start, start + ROWS_MAX).map((event) => ({ ...event, details: sql.json(event.details) }));
    await sql`
      INSERT INTO outbox ${sql(rows, 'id', 'at', 'action', 'actor_id', 'document_id', 'target_id', 'ip', 'request_id', 'details')}`;
  }
}

/**
 * Takes the ids of at most `count` events whose turn it is at `now`, longest waiting first, and puts off their next turn
 * until `next_turn`. Several relays never take the same.
 */
export async function takeTurns(
  sql: Sql,
  turn: { readonly now: Date; readonly next_turn: Date; readonly count: number },
): Promise<readonly string[]> {
  const rows = await sql<{ id: string }[]>`
    WITH due AS (
      SELECT id FROM outbox WHERE queue_after <= ${turn.now}
      ORDER BY queue_after, id
      LIMIT ${turn.count}
      FOR UPDATE SKIP LOCKED
    )
    UPDATE outbox SET queue_after = ${turn.next_turn} FROM due WHERE outbox.id = due.id
    RETURNING outbox.id`;
  return rows.map((row) => row.id);
}

/** Moves one event into the audit log. False when it is there already, or never was. */
export async function moveToAudit(sql: Sql, event_id: string): Promise<boolean> {
  const result = await sql`
    WITH event AS (DELETE FROM outbox WHERE id = ${event_id} RETURNING *)
    INSERT INTO audit_log (id, at, action, actor_id, document_id, target_id, ip, request_id, details)
    SELECT id, at, action, actor_id, document_id, target_id, ip, request_id, details FROM event
    ON CONFLICT DO NOTHING`;
  return result.count === 1;
}
