import { beforeEach, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { seededRandom } from '../base/random.ts';
import { snapshotOf } from '../protocol/snapshot.ts';
import { textCursors } from './cursors.ts';
import type { CursorTranslator } from './presence.ts';
import { EMPTY_STATE, Replica } from './replica.ts';
import { serverClientId } from './server-ids.ts';

const random = seededRandom(61);
const DOC = random.id();

let replica: Replica;
let cursors: CursorTranslator;
beforeEach(() => {
  replica = new Replica(DOC, serverClientId(DOC, 1), EMPTY_STATE, []);
  replica.applyDelta([{ insert: '0123456789' }]);
  cursors = textCursors(replica);
});

const roots = () => replica.readText((doc) => [...doc.share.keys()]);

test('a cursor there and back is the same, at every place of the text', () => {
  for (let index = 0; index <= 10; index++)
    for (let length = 0; index + length <= 10; length++) {
      const relative = cursors.toRelative({ index, length });
      expect(cursors.toAbsolute(relative?.anchor, relative?.head)).toEqual({ index, length });
    }
});

test('a relative cursor moves with the text', () => {
  const relative = cursors.toRelative({ index: 4, length: 3 });
  replica.applyDelta([{ insert: 'ab' }, { retain: 5 }, { delete: 1 }]);
  expect(cursors.toAbsolute(relative?.anchor, relative?.head)).toEqual({ index: 6, length: 2 });
});

test('a selection backwards is the same stretch', () => {
  const relative = cursors.toRelative({ index: 4, length: 3 });
  expect(cursors.toAbsolute(relative?.head, relative?.anchor)).toEqual({ index: 4, length: 3 });
});

test('a cursor past the end is nowhere', () => {
  expect(cursors.toRelative({ index: 11, length: 0 })).toBeNull();
  expect(cursors.toRelative({ index: 8, length: 3 })).toBeNull();
});

test('an end-of-text position by root name alone is resolved', () => {
  const end = { type: null, tname: 'content', item: null, assoc: 0 };
  expect(cursors.toAbsolute(end, end)).toEqual({ index: 10, length: 0 });
});

test('whatever is not a position of this text is nowhere, and leaves the document as it is', () => {
  const other = new Y.Doc();
  other.getText('content').insert(0, 'elsewhere');
  const foreign = Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(other.getText('content'), 3));
  const strange: unknown[] = [
    null,
    'text',
    7,
    {},
    [],
    foreign,
    { tname: 'other root' },
    { type: null, tname: 'another', item: null, assoc: 0 },
    { type: { client: 1, clock: 1 } },
    { type: { client: serverClientId(DOC, 1), clock: 0 } },
    { item: { client: serverClientId(DOC, 1), clock: 99 } },
    { item: { client: 'x', clock: -1 } },
    { item: { client: serverClientId(DOC, 1), clock: 0.5 } },
    { item: 'x', tname: 'content' },
  ];
  for (const position of strange) expect([position, cursors.toAbsolute(position, position)]).toEqual([position, null]);
  expect(roots()).toEqual(['content']);
});

test('a position within another root is nowhere', () => {
  const doc = new Y.Doc();
  doc.getText('notes').insert(0, 'some notes');
  replica.applyUpdates([Y.encodeStateAsUpdate(doc)]);
  const there = Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(doc.getText('notes'), 3));
  expect(cursors.toAbsolute(there, there)).toBeNull();
});

test('no document is built for a cursor', () => {
  const doc = new Y.Doc();
  doc.getText('content').insert(0, 'stored');
  const stored = new Replica(DOC, serverClientId(DOC, 2), snapshotOf(doc), []);
  const asleep = textCursors(stored);
  const position = Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(doc.getText('content'), 3));
  expect(asleep.toRelative({ index: 1, length: 1 })).toBeNull();
  expect(asleep.toAbsolute(position, position)).toBeNull();
  expect(stored.live).toBe(false);
});
