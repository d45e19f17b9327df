/** Where opening a document starts: its state at one revision, ready to be handed out as it is. */
import type { Sql } from './postgres.ts';

/** A row of `document_snapshots`. */
export interface Snapshot {
  readonly rev: number;
  readonly state: Uint8Array;
  readonly state_vector: Uint8Array;
  readonly delete_set: Uint8Array;
  /** The text as JSON ops. */
  readonly delta: string;
}

/** The latest snapshot of a document, or null when it has none. */
export async function readSnapshot(sql: Sql, doc_id: string): Promise<Snapshot | null> {
  const [row] = await sql<Snapshot[]>`
    SELECT rev, state, state_vector, delete_set, delta FROM document_snapshots WHERE doc_id = ${doc_id}`;
  return row ?? null;
}

/** Stores a snapshot unless a later one is there already. Returns whether it was stored. */
export async function writeSnapshot(sql: Sql, doc_id: string, snapshot: Snapshot): Promise<boolean> {
  const rows = await sql`
    INSERT INTO document_snapshots (doc_id, rev, state, state_vector, delete_set, delta)
    VALUES (${doc_id}, ${snapshot.rev}, ${snapshot.state}, ${snapshot.state_vector}, ${snapshot.delete_set}, ${snapshot.delta})
    ON CONFLICT (doc_id) DO UPDATE
    SET rev = excluded.rev, state = excluded.state, state_vector = excluded.state_vector,
        delete_set = excluded.delete_set, delta = excluded.delta, created_at = now()
    WHERE document_snapshots.rev < excluded.rev
    RETURNING rev`;
  return rows.length > 0;
}
