/** Up to which revision a document's runs of edits were told to the audit. */
import type { Sql } from './postgres.ts';

/** How far a document's runs of edits were told. */
export interface Audited {
  readonly audited_rev: number;
  /** How far they could be. */
  readonly head_rev: number;
  /** Whether no node holds the document. */
  readonly free: boolean;
}

/** Where telling stands; at 0 of 0 when there is no such document. */
export async function readAudited(sql: Sql, doc_id: string): Promise<Audited> {
  const [row] = await sql<Audited[]>`
    SELECT coalesce(p.audited_rev, 0)::bigint AS audited_rev, h.head_rev, h.owner_node IS NULL AS free
    FROM document_heads h LEFT JOIN document_history p USING (doc_id)
    WHERE h.doc_id = ${doc_id}`;
  return row ?? { audited_rev: 0, head_rev: 0, free: true };
}

/** Moves it on, but only from `seen_rev`; false when somebody else has moved it. */
export async function advanceAudited(sql: Sql, doc_id: string, seen_rev: number, next_rev: number): Promise<boolean> {
  const result = await sql`
    INSERT INTO document_history AS h (doc_id, audited_rev)
    SELECT doc_id, ${next_rev}::bigint FROM document_heads
    WHERE doc_id = ${doc_id}
      AND ${seen_rev}::bigint = coalesce((SELECT audited_rev FROM document_history WHERE doc_id = ${doc_id}), 0)
    ON CONFLICT (doc_id) DO UPDATE SET audited_rev = excluded.audited_rev WHERE h.audited_rev = ${seen_rev}`;
  return result.count === 1;
}
