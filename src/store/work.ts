/**
 * Where background work may be due: `document_work` marks every document that was claimed, made with content, or brought
 * back after it was deleted, since its work was last wholly done. Who writes must claim first, so no edit escapes the
 * marks; and a mark is written anew by every claim, so one that was seen before a claim cannot be taken away after it.
 */
import { RUN_PAUSE_MS } from '../protocol/history/runs.ts';
import type { Sql } from './postgres.ts';

/** How far a marked document and the work on it are. */
export interface WorkState {
  readonly doc_id: string;
  /** When it was last marked, to the microsecond. */
  readonly touched_at: string;
  readonly head_rev: number;
  /** Whether no node holds it. */
  readonly free: boolean;
  /** Who holds it, and since when; null when it is free. */
  readonly owner_node: string | null;
  readonly owner_boot: string | null;
  readonly claimed_at: Date | null;
  /** When it was last edited; null when it never was. */
  readonly edited_at: Date | null;
  readonly snapshot_rev: number;
  /** The revision of its last version. */
  readonly version_rev: number;
  readonly compacted_rev: number;
  readonly audited_rev: number;
  /** Whether the run of edits that was not audited yet is over, since somebody else or a long pause follows it. */
  readonly run_over: boolean;
  /** Deleted ones are audited, and all else waits until somebody brings them back. */
  readonly deleted: boolean;
}

/** The next `count` marked documents after `after_id` (null: from the first). */
export function markedWork(sql: Sql, after_id: string | null, count: number): Promise<WorkState[]> {
  return sql<WorkState[]>`
    SELECT w.doc_id, w.touched_at::text AS touched_at, h.head_rev, h.owner_node IS NULL AS free,
           h.owner_node, h.owner_boot, h.claimed_at, edit.created_at AS edited_at, coalesce(s.rev, 0)::bigint AS snapshot_rev,
           coalesce((SELECT max(v.rev) FROM document_versions v WHERE v.document_id = w.doc_id), 0)::bigint AS version_rev,
           coalesce(p.compacted_rev, 0)::bigint AS compacted_rev, coalesce(p.audited_rev, 0)::bigint AS audited_rev,
           first.user_id IS DISTINCT FROM edit.user_id
             OR edit.created_at - first.created_at > ${RUN_PAUSE_MS} * interval '1 millisecond' AS run_over,
           d.deleted
    FROM document_work w
    JOIN documents d ON d.id = w.doc_id
    JOIN document_heads h ON h.doc_id = w.doc_id
    LEFT JOIN document_updates edit ON edit.doc_id = h.doc_id AND edit.rev = h.head_rev
    LEFT JOIN document_snapshots s ON s.doc_id = w.doc_id
    LEFT JOIN document_history p ON p.doc_id = w.doc_id
    LEFT JOIN document_updates first ON first.doc_id = h.doc_id AND first.rev = coalesce(p.audited_rev, 0) + 1
    WHERE ${after_id === null ? sql`true` : sql`w.doc_id > ${after_id}`}
    ORDER BY w.doc_id LIMIT ${count}`;
}

/** Takes the marks away of documents that are as they were seen: still free, not claimed in between. */
export async function unmark(sql: Sql, seen: readonly Pick<WorkState, 'doc_id' | 'touched_at'>[]): Promise<void> {
  await sql`
    DELETE FROM document_work w
    USING unnest(${seen.map((s) => s.doc_id)}::uuid[], ${seen.map((s) => s.touched_at)}::text[]) AS s(doc_id, touched_at),
          document_heads h
    WHERE w.doc_id = s.doc_id AND w.touched_at = s.touched_at::timestamptz
      AND h.doc_id = w.doc_id AND h.owner_node IS NULL`;
}
