/**
 * Who may write a document. `document_heads` holds an epoch that grows with every claim; an append that names an older
 * one changes nothing. So PostgreSQL, not a clock or a lock in Redis, refuses a stale owner. Losing a race is a value.
 */
import type { Sql } from './postgres.ts';

/** A node's process: its name and which start of it. */
export interface NodeIdentity {
  readonly node_id: string;
  /** Random per start. */
  readonly boot_id: string;
}

/** A row of `document_heads`. */
export interface Head {
  readonly epoch: number;
  readonly head_rev: number;
  /** Null when nobody holds the document. */
  readonly owner: NodeIdentity | null;
}

/** Reads a document's head; null when there is no such document or it is deleted. */
export async function readHead(sql: Sql, doc_id: string): Promise<Head | null> {
  const [row] = await sql<{ epoch: number; head_rev: number; owner_node: string | null; owner_boot: string | null }[]>`
    SELECT h.epoch, h.head_rev, h.owner_node, h.owner_boot
    FROM document_heads h JOIN documents d ON d.id = h.doc_id
    WHERE h.doc_id = ${doc_id} AND NOT d.deleted`;
  if (row === undefined) return null;
  const { owner_node, owner_boot } = row;
  const owner = owner_node === null || owner_boot === null ? null : { node_id: owner_node, boot_id: owner_boot };
  return { epoch: row.epoch, head_rev: row.head_rev, owner };
}

/**
 * Takes a document whose epoch still is `seen_epoch`; null when somebody was faster. Marks it as one that background work
 * has to look at: who edits must claim, so no edit is ever overlooked. The mark is written anew even where there is one, so
 * that whoever is about to take that away finds it changed.
 */
export async function claimHead(
  sql: Sql,
  doc_id: string,
  seen_epoch: number,
  node: NodeIdentity,
  claim_id: string,
): Promise<{ epoch: number; head_rev: number } | null> {
  const [row] = await sql<{ epoch: number; head_rev: number }[]>`
    WITH claimed AS (
      UPDATE document_heads
      SET epoch = epoch + 1, owner_node = ${node.node_id}, owner_boot = ${node.boot_id}, claim_id = ${claim_id},
          claimed_at = now()
      WHERE doc_id = ${doc_id} AND epoch = ${seen_epoch}
      RETURNING doc_id, epoch, head_rev
    ), marked AS (
      INSERT INTO document_work (doc_id, touched_at) SELECT doc_id, clock_timestamp() FROM claimed
      ON CONFLICT (doc_id) DO UPDATE SET touched_at = excluded.touched_at
    )
    SELECT epoch, head_rev FROM claimed`;
  return row ?? null;
}

/**
 * After appends whose outcome is unknown: takes the next epoch on every document that is still held by the claim named
 * for it, so that a statement still on its way can no longer take effect, and tells where each document's journal ends.
 * A document that is missing from the answer was taken by somebody else.
 */
export async function reclaimHeads(
  sql: Sql,
  claims: readonly { readonly doc_id: string; readonly claim_id: string }[],
): Promise<Map<string, { epoch: number; head_rev: number }>> {
  const rows = await sql<{ doc_id: string; epoch: number; head_rev: number }[]>`
    WITH mine AS (
      SELECT * FROM unnest(${claims.map((c) => c.doc_id)}::uuid[], ${claims.map((c) => c.claim_id)}::uuid[])
        AS m(doc_id, claim_id)
    ), locked AS (
      SELECT h.doc_id FROM document_heads h JOIN mine USING (doc_id) ORDER BY 1 FOR UPDATE OF h
    )
    UPDATE document_heads h SET epoch = h.epoch + 1
    FROM mine m JOIN locked USING (doc_id)
    WHERE h.doc_id = m.doc_id AND h.claim_id = m.claim_id
    RETURNING h.doc_id, h.epoch, h.head_rev`;
  return new Map(rows.map(({ doc_id, epoch, head_rev }) => [doc_id, { epoch, head_rev }]));
}

/** Gives a document up; does nothing when the claim is no longer the holder's. */
export async function releaseHead(sql: Sql, doc_id: string, claim_id: string): Promise<void> {
  await sql`
    UPDATE document_heads SET owner_node = NULL, owner_boot = NULL, claim_id = NULL
    WHERE doc_id = ${doc_id} AND claim_id = ${claim_id}`;
}

/**
 * Frees documents that a node which is gone did not give up; only those that it still has. Their epoch grows, so an owner
 * that lives after all is refused at its next append, like one whose document was taken over.
 */
export async function freeHeads(
  sql: Sql,
  left: readonly { readonly doc_id: string; readonly boot_id: string }[],
): Promise<void> {
  await sql`
    WITH locked AS (
      SELECT h.doc_id
      FROM unnest(${left.map((l) => l.doc_id)}::uuid[], ${left.map((l) => l.boot_id)}::text[]) AS l(doc_id, boot_id)
      JOIN document_heads h ON h.doc_id = l.doc_id AND h.owner_boot = l.boot_id
      ORDER BY 1 FOR UPDATE OF h
    )
    UPDATE document_heads h SET epoch = h.epoch + 1, owner_node = NULL, owner_boot = NULL, claim_id = NULL
    FROM locked WHERE h.doc_id = locked.doc_id`;
}

/** Which of these documents are still held by the claim named for them: what a node that lost touch asks about itself. */
export async function heldDocuments(
  sql: Sql,
  claims: readonly { readonly doc_id: string; readonly claim_id: string }[],
): Promise<Set<string>> {
  const rows = await sql<{ doc_id: string }[]>`
    SELECT h.doc_id
    FROM unnest(${claims.map((c) => c.doc_id)}::uuid[], ${claims.map((c) => c.claim_id)}::uuid[]) AS m(doc_id, claim_id)
    JOIN document_heads h USING (doc_id)
    WHERE h.claim_id = m.claim_id`;
  return new Set(rows.map((row) => row.doc_id));
}
