/**
 * Reads a document from storage: its snapshot and the journal's tail, as bytes. Nothing is decoded here; a document that
 * is only read never costs more than this.
 */
import type { DeltaOps } from '../protocol/content/delta.ts';
import type { DocumentStore } from '../store/document-store.ts';
import type { JournalRow } from '../store/updates.ts';
import { EMPTY_STATE, Replica } from './replica.ts';
import { serverClientId } from './server-ids.ts';
import { deltaBytes, EditWindow, type WindowEntry } from './window.ts';

/** A document as it was found. */
export interface Loaded {
  readonly replica: Replica;
  readonly window: EditWindow;
  readonly snapshot_rev: number;
}

/**
 * Loads a document at `head_rev`, to be written under `epoch`.
 * Throws when the journal does not reach `head_rev`: then something is wrong with storage, and serving would make it worse.
 */
export async function loadDocument(
  store: Pick<DocumentStore, 'readSnapshot' | 'readTail'>,
  doc_id: string,
  epoch: number,
  head_rev: number,
): Promise<Loaded> {
  const snapshot = await store.readSnapshot(doc_id);
  const snapshot_rev = snapshot?.rev ?? 0;
  const rows = await store.readTail(doc_id, snapshot_rev, head_rev);
  const last = rows.at(-1)?.rev ?? snapshot_rev;
  if (last !== head_rev || rows.length !== head_rev - snapshot_rev)
    throw new Error(
      `the journal of document ${doc_id} has ${rows.length} revisions after ${snapshot_rev}, but its head is ${head_rev}`,
    );
  const tail = rows.map((row) => ({ update: row.update, delta: deltaOf(row) }));
  const replica = new Replica(doc_id, serverClientId(doc_id, epoch), snapshot ?? EMPTY_STATE, tail);
  const window = new EditWindow(snapshot_rev);
  for (const row of rows) window.append(windowEntry(row));
  return { replica, window, snapshot_rev };
}

/** A journal row as the window keeps it. */
export function windowEntry(row: Omit<JournalRow, 'update'>): WindowEntry {
  const delta = deltaOf(row);
  const { rev, epoch, user_id, client_id, seq } = row;
  return {
    rev,
    epoch,
    user_id,
    client_id,
    seq,
    at: row.created_at.getTime(),
    delta,
    bytes: deltaBytes(delta, row.delta.length),
  };
}

function deltaOf(row: Pick<JournalRow, 'delta'>): DeltaOps {
  return JSON.parse(row.delta) as DeltaOps;
}
