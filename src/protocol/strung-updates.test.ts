import { expect, test } from 'bun:test';
import * as Y from 'yjs';
import { stringTogether } from './strung-updates.ts';

/** What a client's edit sends. */
function sent(client: number, edit: (doc: Y.Doc) => void, known?: Uint8Array): Uint8Array {
  const doc = new Y.Doc();
  doc.clientID = client;
  if (known !== undefined) Y.applyUpdate(doc, known);
  const updates: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => updates.push(update));
  doc.transact(() => edit(doc));
  return updates[0] as Uint8Array;
}

const types = (doc: Y.Doc): void => {
  doc.getText('content').insert(0, `typed by ${doc.clientID}`);
  doc.getMap('meta').set(`key ${doc.clientID}`, [1, { a: new Uint8Array([0, 0]) }]);
};

test('what different clients added is strung together as Yjs would merge it', () => {
  for (const clients of [[1, 2], [300, 4_000_000_000, 7], Array.from({ length: 150 }, (_, i) => i * 977 + 1)]) {
    const updates = clients.map((client) => sent(client, types));
    expect(stringTogether(updates)).toEqual(Y.mergeUpdates(updates));
  }
});

test('deletions, nothing, several clients in one, and two of one client are left to Yjs', () => {
  const base = sent(1, types);
  const adds = sent(5, types);
  const deletes = sent(2, (doc) => doc.getText('content').delete(0, 3), base);
  const both = sent(
    3,
    (doc) => void [doc.getText('content').insert(0, 'x'), doc.getText('content').delete(3, 2)],
    base,
  );
  const two = Y.mergeUpdates([sent(8, types), sent(9, types)]);
  for (const other of [deletes, both, two, Uint8Array.of(0, 0), sent(5, types)])
    expect(stringTogether([adds, other])).toBeNull();
});
