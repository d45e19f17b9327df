/**
 * What is kept of a document at one revision so that it can be opened without being rebuilt: a join is answered from
 * the state as it is, a returning Yjs client from the state vector, a JSON client from the text's delta, and whether an
 * update brings anything new from the state vector and the delete set. All four are cut from one `Y.Doc` in one turn,
 * so that they are of one revision.
 */
import * as Y from 'yjs';
import { textOps } from './text-ops.ts';

/** The root `Y.Text` that the JSON protocol and REST edit. */
export const TEXT_ROOT = 'content';

/** A document's state in the forms in which it is stored; see `document_snapshots`. */
export interface EncodedState {
  /** The whole state as a Yjs update (version 1). */
  readonly state: Uint8Array;
  readonly state_vector: Uint8Array;
  /** A Yjs update without structs that holds the delete set alone. */
  readonly delete_set: Uint8Array;
  /** The text as JSON ops. */
  readonly delta: string;
}

/** How many items a document consists of: a stretch that was typed without a break is one, and so is what it left. */
export function countItems(doc: Y.Doc): number {
  let items = 0;
  for (const structs of doc.store.clients.values()) items += structs.length;
  return items;
}

/** The state of a document that waits for nothing (no pending structs): those would end up in the delete set. */
export function snapshotOf(doc: Y.Doc): EncodedState {
  const state_vector = Y.encodeStateVector(doc);
  return {
    state: Y.encodeStateAsUpdate(doc),
    state_vector,
    delete_set: Y.encodeStateAsUpdate(doc, state_vector),
    delta: JSON.stringify(textOps(doc.getText(TEXT_ROOT))),
  };
}
