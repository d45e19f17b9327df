/** Deltas written into texts, and of attributes, that Yjs or quill-delta take for others than they are. */
import { describe, expect, test } from 'bun:test';
import Delta from 'quill-delta';
import * as Y from 'yjs';
import { seededRandom } from '../base/random.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { docLength } from '../protocol/content/delta.ts';
import { forSeeds, pick } from '../protocol/content/testing.ts';
import { EMPTY_STATE, Replica } from './replica.ts';
import { serverClientId } from './server-ids.ts';

const DOC = seededRandom(72).id();

const compose = (ops: DeltaOps, delta: DeltaOps): DeltaOps => new Delta(ops).compose(new Delta(delta)).ops as DeltaOps;

/** A replica whose text a client took for an array, with text around. */
function strange(values: (array: Y.Array<unknown>) => void): Replica {
  const doc = new Y.Doc();
  const text = doc.getText('content');
  text.insert(0, 'hello\n');
  const replica = new Replica(DOC, serverClientId(DOC, 1), EMPTY_STATE, []);
  // The same root, as somebody with another idea of it would write into it.
  const other = new Y.Doc();
  Y.applyUpdate(other, Y.encodeStateAsUpdate(doc));
  values(other.getArray('content'));
  replica.applyUpdates([Y.encodeStateAsUpdate(other)]);
  return replica;
}

describe('Y53: in a text that holds what is no text', () => {
  test('a delete takes what it counts, an embed that Yjs would step over too', () => {
    const replica = strange((array) => array.insert(0, [1]));
    const before = replica.ops();
    expect(before).toEqual([{ insert: { yjs: 1 } }, { insert: 'hello\n' }]);
    const { delta } = replica.applyDelta([{ delete: 1 }]);
    expect([delta, replica.ops()]).toEqual([[{ delete: 1 }], [{ insert: 'hello\n' }]]);
  });

  test('a delete across such embeds, within and around them, takes no more than it says (random)', () => {
    forSeeds(60, (random) => {
      const replica = strange((array) => {
        array.insert(random.uint32() % 7, [1, 'two', { three: 3 }, Uint8Array.of(4), new Y.Doc()]);
        if (random.float() < 0.5) array.insert(random.uint32() % 10, [null, true]);
      });
      if (random.float() < 0.5) replica.applyDelta([{ retain: 3, attributes: { bold: true } }]);
      for (let round = 0; round < 4; round++) {
        const before = replica.ops();
        const length = docLength(before);
        const from = random.uint32() % length;
        const asked = new Delta().retain(from).delete(1 + (random.uint32() % (length - from)));
        const inserted = asked.insert(pick(random, ['Q', 'xy']));
        for (let more = 0; more < 3; more++) inserted.insert('z', { bold: more % 2 === 0 });
        const expected = compose(before, inserted.ops as DeltaOps);
        const { delta } = replica.applyDelta(inserted.ops as DeltaOps);
        expect(replica.ops()).toEqual(expected);
        expect(compose(before, delta)).toEqual(expected);
      }
    });
  });
});

describe('the effect that is told', () => {
  const fresh = () => new Replica(DOC, serverClientId(DOC, 1), EMPTY_STATE, []);

  test('is that of the text where values differ that Yjs takes for equal: an empty list is none to an empty object', () => {
    const replica = fresh();
    let told: DeltaOps = [];
    const deltas: DeltaOps[] = [
      [{ insert: 'abc' }],
      [{ retain: 1, attributes: { x: {} } }],
      [{ retain: 1 }, { insert: 'J', attributes: { x: [] } }],
      [{ retain: 2, attributes: { x: [1] } }],
      [{ retain: 2, attributes: { x: { 0: 1 } } }],
    ];
    for (const delta of deltas) {
      told = compose(told, replica.applyDelta(delta).delta);
      expect(replica.ops()).toEqual(told);
    }
  });

  test('is that of the text where a Yjs client set a format that every object seems to have', () => {
    const replica = fresh();
    let told = replica.applyDelta([{ insert: 'abc' }]).delta;
    const doc = new Y.Doc();
    Y.applyUpdate(doc, replica.state());
    doc.getText('content').format(0, 1, { constructor: true as never });
    const applied = replica.applyUpdates([Y.encodeStateAsUpdate(doc)]);
    if (applied.kind !== 'changed') throw new Error('nothing changed');
    told = compose(told, applied.change.delta);
    told = compose(told, replica.applyDelta([{ retain: 1 }, { insert: 'J' }]).delta);
    expect(replica.ops()).toEqual(told);
    expect(told).toEqual([
      { insert: 'a', attributes: { constructor: true } },
      { insert: 'Jbc' },
    ] as unknown as DeltaOps);
  });
});
