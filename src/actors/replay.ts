/**
 * Documents as storage has them: for reading one that is not open here, and for any revision of the past. Nothing here
 * claims a document or keeps one; what is read is what is committed.
 */

import type { Sql } from '../store/postgres.ts';
import { readSnapshot } from '../store/snapshots.ts';
import { readTail } from '../store/updates.ts';
import type { StateAt, TextAt } from './gateway.ts';
import { windowEntry } from './loader.ts';
import { EMPTY_STATE, Replica } from './replica.ts';

/** The document at `rev` (at most its committed head). The caller destroys the replica. */
async function replicaAt(sql: Sql, doc_id: string, rev: number): Promise<Replica> {
  const snapshot = await readSnapshot(sql, doc_id);
  const base = snapshot !== null && snapshot.rev <= rev ? snapshot : null;
  const rows = await readTail(sql, doc_id, base?.rev ?? 0, rev);
  const tail = rows.map((row) => ({ update: row.update, delta: windowEntry(row)?.delta ?? null }));
  return new Replica(doc_id, 0, base ?? EMPTY_STATE, tail);
}

/** The text at a committed revision. */
export async function storedText(sql: Sql, doc_id: string, rev: number): Promise<TextAt> {
  const replica = await replicaAt(sql, doc_id, rev);
  const text = { rev, ops: replica.ops() };
  replica.destroy();
  return text;
}

/** The Yjs state at a committed revision. */
export async function storedState(sql: Sql, doc_id: string, rev: number): Promise<StateAt> {
  const replica = await replicaAt(sql, doc_id, rev);
  const state = { rev, update: replica.state() };
  replica.destroy();
  return state;
}
