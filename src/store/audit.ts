/**
 * The audit log: partitioned by month, added to and read. It cannot be changed: the server's role has no right to, and the
 * table's own triggers refuse everybody. Making and dropping partitions takes its owner's rights, so functions do it that
 * lend them for nothing else (sql/0003_audit.sql).
 */
import type { AuditAction } from '../protocol/audit.ts';
import { type AuditDetails, moveToAudit } from './outbox.ts';
import { type Sql, sqlState } from './postgres.ts';

/** One row. */
export interface AuditRow {
  readonly id: string;
  readonly at: Date;
  readonly actor_id: string | null;
  readonly action: AuditAction;
  readonly document_id: string | null;
  readonly target_id: string | null;
  readonly ip: string | null;
  readonly request_id: string | null;
  readonly details: AuditDetails;
}

/** Where a row stands in every list. */
export interface AuditKey {
  readonly at: Date;
  readonly id: string;
}

/** Which rows to list; null leaves none out. */
export interface AuditFilter {
  /** Who did it, or whom it was done to. */
  readonly user_id: string | null;
  readonly document_id: string | null;
  readonly action: AuditAction | null;
}

/** No partition takes the row. */
const NO_PARTITION = '23514';

/** Moves an event from the outbox into the log, whose partition is made if need be. False when it was moved before. */
export async function moveEvent(sql: Sql, event_id: string): Promise<boolean> {
  try {
    return await moveToAudit(sql, event_id);
  } catch (error) {
    if (sqlState(error) !== NO_PARTITION) throw error;
    await sql`SELECT audit_make_partition(at) FROM outbox WHERE id = ${event_id}`;
    return moveToAudit(sql, event_id);
  }
}

/**
 * At most `count` rows that the filter describes, newest first, older than `after`. What still waits in the outbox is among
 * them, so that whoever has done something finds it at once: one statement sees one moment, and each event in one table.
 */
export function listAudit(
  sql: Sql,
  filter: AuditFilter,
  after: AuditKey | null,
  count: number,
): Promise<readonly AuditRow[]> {
  const { user_id, document_id, action } = filter;
  const matching = (table: 'audit_log' | 'outbox', person: ReturnType<typeof sql>) => sql`
    SELECT id, at, actor_id, action, document_id, target_id, ip, request_id, details
    FROM ${sql(table)}
    WHERE ${person}
      AND ${document_id === null ? sql`true` : sql`document_id = ${document_id}`}
      AND ${action === null ? sql`true` : sql`action = ${action}`}
      AND ${after === null ? sql`true` : sql`(at, id) < (${after.at}::timestamptz, ${after.id}::uuid)`}
    ORDER BY at DESC, id DESC
    LIMIT ${count}`;
  const of = (table: 'audit_log' | 'outbox') =>
    user_id === null
      ? sql`(${matching(table, sql`true`)})`
      : // Two walks along an index each, instead of one over everything that either condition might fit.
        sql`(${matching(table, sql`actor_id = ${user_id}`)}) UNION (${matching(table, sql`target_id = ${user_id}`)})`;
  return sql<AuditRow[]>`
    ${of('audit_log')} UNION ${of('outbox')}
    ORDER BY at DESC, id DESC
    LIMIT ${count}`;
}

/** Makes the partition of a moment's month unless it is there. */
export async function makePartition(sql: Sql, moment: Date): Promise<void> {
  await sql`SELECT audit_make_partition(${moment})`;
}

/** Drops the partitions that ended over `days` days ago, at least 30; gives their names. */
export async function dropExpiredPartitions(sql: Sql, days: number): Promise<readonly string[]> {
  const rows = await sql<{ part: string }[]>`SELECT audit_drop_expired(${days}) AS part`;
  return rows.map((row) => row.part);
}

/** Takes the addresses of people erased 30 days ago or more out of the log; gives the number of rows. */
export async function forgetErased(sql: Sql): Promise<number> {
  const [row] = await sql<{ rows: number }[]>`SELECT audit_forget_erased() AS rows`;
  return row?.rows ?? 0;
}
