import { describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { rootsBack } from './past/roots.ts';
import { EMPTY_STATE, Replica } from './replica.ts';

const CLIENT_ID = 7;

/** A replica of what `write` makes of an empty document, and that document. */
function replicaOf(write: (doc: Y.Doc) => void): { replica: Replica; doc: Y.Doc } {
  const doc = new Y.Doc();
  write(doc);
  const replica = new Replica('a document', CLIENT_ID, EMPTY_STATE, []);
  replica.applyUpdates([Y.encodeStateAsUpdate(doc)]);
  return { replica, doc };
}

/** What `write` does to a copy of the document, as an update. */
function change(doc: Y.Doc, write: (doc: Y.Doc) => void): Uint8Array {
  const copy = new Y.Doc();
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc));
  const before = Y.encodeStateVector(copy);
  write(copy);
  return Y.encodeStateAsUpdate(copy, before);
}

const filled = (): ReturnType<typeof replicaOf> =>
  replicaOf((doc) => {
    doc.getText('content').insert(0, 'bold text');
    doc.getText('content').format(0, 4, { bold: true });
    doc.getMap('map').set('key', new Y.Map([['deep', 1]]));
    doc.getArray('list').push([1, 2]);
  });

describe('an update of other roots', () => {
  test('that builds on what is here and leaves the text alone can be applied', () => {
    const { replica, doc } = filled();
    const update = change(doc, (copy) => {
      (copy.getMap('map').get('key') as Y.Map<number>).set('deep', 2);
      copy.getMap('new').set('a', Y.Array.from([1, 2]));
      copy.getArray('list').delete(0, 1);
      copy.getArray('list').insert(1, [3]);
    });
    expect(replica.rootsFlaw(update)).toBeNull();
  });

  test.each<[string, (doc: Y.Doc) => void]>([
    ['writes into the text', (doc) => doc.getText('content').insert(2, 'x')],
    ['writes into the text', (doc) => doc.getText('content').insertEmbed(9, new Y.Map([['a', 1]]))],
    ['writes into the text', (doc) => doc.getText('content').setAttribute('a', 1)],
    ['deletes some of the text', (doc) => doc.getText('content').delete(0, 1)],
    ['deletes some of the text', (doc) => doc.getText('content').format(0, 4, { bold: null })],
  ])('that %s cannot', (flaw, write) => {
    const { replica, doc } = filled();
    expect(replica.rootsFlaw(change(doc, write))).toBe(flaw);
  });

  test('that builds on what is not here cannot, nor one that does not decode', () => {
    const { replica, doc } = filled();
    const unknown = new Y.Doc();
    Y.applyUpdate(unknown, Y.encodeStateAsUpdate(doc));
    unknown.getArray('list').push([5]);
    expect(replica.rootsFlaw(change(unknown, (copy) => copy.getArray('list').push([6])))).toBe(
      'builds on what is not here',
    );
    expect(replica.rootsFlaw(change(unknown, (copy) => copy.getArray('list').delete(2, 1)))).toBe(
      'deletes what is not here',
    );
    expect(replica.rootsFlaw(Uint8Array.of(9, 9, 9))).toBe('does not decode');
  });

  test('is one change with a delta, whose effect is what the delta says', () => {
    const { replica, doc } = filled();
    const past = new Y.Doc();
    Y.applyUpdate(past, Y.encodeStateAsUpdate(doc));
    const before = Y.encodeStateVector(doc);
    doc.getMap('map').set('key', 'other');
    doc.getArray('list').delete(0, 2);
    replica.applyUpdates([Y.encodeStateAsUpdate(doc, before)]);
    const head = new Y.Doc();
    Y.applyUpdate(head, replica.state());
    const roots = rootsBack(past, head) ?? new Uint8Array();
    expect(replica.rootsFlaw(roots)).toBeNull();
    const delta = [
      { retain: 4, attributes: { bold: null } },
      { insert: '!', attributes: { bold: true } },
    ];
    const made = replica.applyDelta(delta, roots);
    expect(made.delta).toEqual(delta);
    // Somebody who was there gets all of it from that one update.
    Y.applyUpdate(doc, made.update);
    expect(doc.getMap('map').toJSON()).toEqual({ key: { deep: 1 } });
    expect(doc.getArray('list').toJSON()).toEqual([1, 2]);
    expect(doc.getText('content').toDelta()).toEqual([
      { insert: 'bold' },
      { insert: '!', attributes: { bold: true } },
      { insert: ' text' },
    ]);
    expect(replica.ops()).toEqual(doc.getText('content').toDelta());
  });

  test('alone changes no text', () => {
    const { replica, doc } = filled();
    const made = replica.applyDelta(
      [],
      change(doc, (copy) => copy.getArray('list').push([3])),
    );
    expect(made.delta).toEqual([]);
    Y.applyUpdate(doc, made.update);
    expect(doc.getArray('list').toJSON()).toEqual([1, 2, 3]);
  });
});
