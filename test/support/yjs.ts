/** Yjs documents in the hand of a test. */
import * as Y from 'yjs';
import type { Applied, Change, Replica } from '../../src/actors/replica.ts';

/** A client's document with a stable clientID, holding what the replica holds when one is given. */
export function client(id: number, from?: Replica): Y.Doc {
  const doc = new Y.Doc();
  doc.clientID = id;
  if (from !== undefined) Y.applyUpdate(doc, from.state());
  return doc;
}

/** What `edit` makes of the document, as the updates that its client would send. */
export function updatesOf(doc: Y.Doc, edit: (text: Y.Text) => void): Uint8Array[] {
  const updates: Uint8Array[] = [];
  const note = (update: Uint8Array): void => void updates.push(update);
  doc.on('update', note);
  edit(doc.getText('content'));
  doc.off('update', note);
  return updates;
}

/** The update of these words at the beginning of an empty document. */
export function updateOfWords(words: string): Uint8Array {
  const doc = new Y.Doc();
  doc.getText('content').insert(0, words);
  return Y.encodeStateAsUpdate(doc);
}

/** The change, when there must be one. */
export function changed(applied: Applied): Change {
  if (applied.kind !== 'changed') throw new Error('nothing changed');
  return applied.change;
}

/** The text of a replica, each embed as U+FFFC. */
export function plainText(replica: Replica): string {
  return replica
    .ops()
    .map(({ insert }) => (typeof insert === 'string' ? insert : '\ufffc'))
    .join('');
}
