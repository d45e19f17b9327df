/**
 * Makes a snapshot's contents from the last one and the journal since: a pure function of bytes, so that it can run on a
 * thread of its own and a large document does not hold up everybody's edits.
 */
import * as Y from 'yjs';
import { type EncodedState, snapshotOf } from '../protocol/snapshot.ts';

/** What a snapshot is made of. */
export interface SnapshotInput {
  /** State of the last snapshot; null when there is none. */
  readonly state: Uint8Array | null;
  /** The journal since, in order. */
  readonly updates: readonly Uint8Array[];
}

/** See the head of this file. */
export function makeSnapshot(input: SnapshotInput): EncodedState {
  const doc = new Y.Doc({ gc: true });
  Y.transact(
    doc,
    () => {
      if (input.state !== null) Y.applyUpdate(doc, input.state);
      for (const update of input.updates) Y.applyUpdate(doc, update);
    },
    null,
    false,
  );
  const snapshot = snapshotOf(doc);
  doc.destroy();
  return snapshot;
}
