/**
 * The proof that a run counts: what each client was sent, together with what it wrote itself, makes the same document
 * everywhere.
 */
import * as Y from 'yjs';
import { TEXT_ROOT } from '../../../src/protocol/snapshot.ts';

/** What one client knows. */
export interface Replica {
  /** Such as `client 3`, for the error. */
  readonly who: string;
  readonly updates: Iterable<Uint8Array>;
}

interface Content {
  readonly text: string;
  readonly state_vector: Uint8Array;
}

/** Takes updates into a document of its own. Throws where something that they build on is missing. */
export function contentOf({ who, updates }: Replica): Content {
  const doc = new Y.Doc();
  // One transaction: a hundred thousand small ones would each look for what to clean up.
  doc.transact(() => {
    for (const update of updates) Y.applyUpdate(doc, update);
  });
  if (doc.store.pendingStructs !== null || doc.store.pendingDs !== null)
    throw new Error(`${who} was sent edits that build on others which it was not sent`);
  const content = { text: doc.getText(TEXT_ROOT).toString(), state_vector: Y.encodeStateVector(doc) };
  doc.destroy();
  return content;
}

/** Throws unless all replicas are equal, and their text has `length` characters. */
export function expectEqual(replicas: readonly Replica[], length: number): void {
  let first: Content | null = null;
  for (const replica of replicas) {
    const content = contentOf(replica);
    if (content.text.length !== length)
      throw new Error(`${replica.who} has ${content.text.length} characters instead of ${length}`);
    first ??= content;
    if (content.text !== first.text) throw new Error(`${replica.who} has another text than ${replicas[0]?.who}`);
    if (!Buffer.from(content.state_vector).equals(first.state_vector))
      throw new Error(`${replica.who} has other edits than ${replicas[0]?.who}`);
  }
}

/** Numbers of a sample of at least ten out of `count`, or of all: the first, the last, and some between, evenly. */
export function sampleOf(count: number): ReadonlySet<number> {
  const size = Math.min(count, 10);
  return new Set(Array.from({ length: size }, (_, i) => Math.round((i * (count - 1)) / Math.max(1, size - 1))));
}
