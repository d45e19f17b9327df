import { beforeEach, describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { seededRandom } from '../base/random.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { snapshotOf } from '../protocol/snapshot.ts';
import { textCursors } from './cursors.ts';
import { EMPTY_STATE, Replica } from './replica.ts';
import { serverClientId } from './server-ids.ts';
import type { CursorTranslator } from './shown.ts';
import { EditWindow } from './window.ts';

const random = seededRandom(61);
const DOC = random.id();

let replica: Replica;
let cursors: CursorTranslator;
beforeEach(() => {
  replica = new Replica(DOC, serverClientId(DOC, 1), EMPTY_STATE, []);
  replica.applyDelta([{ insert: '0123456789' }]);
  cursors = textCursors(replica, new EditWindow(0));
});

/** One cursor there. */
const relative = (index: number, length: number) => cursors.toRelative([{ index, length }])[0] ?? null;

/** One cursor back. */
const absolute = (anchor: unknown, head: unknown) => cursors.toAbsolute([{ anchor, head }])[0] ?? null;

const roots = () => replica.readText((doc) => [...doc.share.keys()]);

test('a cursor there and back is the same, at every place of the text', () => {
  for (let index = 0; index <= 10; index++)
    for (let length = 0; index + length <= 10; length++) {
      const there = relative(index, length);
      expect(absolute(there?.anchor, there?.head)).toEqual({ index, length });
    }
});

test('a relative cursor moves with the text', () => {
  const there = relative(4, 3);
  replica.applyDelta([{ insert: 'ab' }, { retain: 5 }, { delete: 1 }]);
  expect(absolute(there?.anchor, there?.head)).toEqual({ index: 6, length: 2 });
});

test('a selection backwards is the same stretch', () => {
  const there = relative(4, 3);
  expect(absolute(there?.head, there?.anchor)).toEqual({ index: 4, length: 3 });
});

test('a cursor past the end is nowhere', () => {
  expect(relative(11, 0)).toBeNull();
  expect(relative(8, 3)).toBeNull();
});

test('an end-of-text position by root name alone is resolved', () => {
  const end = { type: null, tname: 'content', item: null, assoc: 0 };
  expect(absolute(end, end)).toEqual({ index: 10, length: 0 });
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
  for (const position of strange) expect([position, absolute(position, position)]).toEqual([position, null]);
  expect(roots()).toEqual(['content']);
});

test('a position within another root is nowhere', () => {
  const doc = new Y.Doc();
  doc.getText('notes').insert(0, 'some notes');
  replica.applyUpdates([Y.encodeStateAsUpdate(doc)]);
  const there = Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(doc.getText('notes'), 3));
  expect(absolute(there, there)).toBeNull();
});

describe('of many', () => {
  /** A text of many items, deleted, embedded and formatted ones among them. */
  function scattered(): number {
    const at = (length: number) => Math.floor(random.float() * length);
    for (let i = 0; i < 120; i++) {
      const length = replica.length();
      const retain = { retain: at(length - 3) };
      const kinds: DeltaOps[] = [
        [retain, { insert: 'ab' }],
        [retain, { insert: { image: 'x' } }],
        [retain, { delete: 2 }],
        [retain, { retain: 3, attributes: { bold: i % 2 === 0 ? true : null } }],
        [retain, { insert: 'xyz' }],
      ];
      replica.applyDelta((kinds[i % kinds.length] ?? []).filter((op) => op.retain !== 0));
    }
    return replica.length();
  }

  test('each is where Yjs would say, at every place of a text of many items', () => {
    const length = scattered();
    const places = Array.from({ length: length + 1 }, (_, index) => ({ index, length: 0 }));
    const there = cursors.toRelative(places.toReversed()).toReversed();
    const theirs = replica.readText((_doc, text) =>
      places.map(({ index }) => Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(text, index))),
    );
    expect(there.map((one) => one?.anchor)).toEqual(theirs);
    expect(cursors.toAbsolute(there.map((one) => one ?? { anchor: null, head: null }))).toEqual(places);
  });

  test('each is where Yjs would say, to either side of what was typed, after everything else changed', () => {
    const length = scattered();
    const shown = replica.readText((_doc, text) =>
      [0, -1].flatMap((assoc) =>
        Array.from({ length: length + 1 }, (_, index) => Y.createRelativePositionFromTypeIndex(text, index, assoc)),
      ),
    );
    scattered();
    const theirs = replica.readText((doc) =>
      shown.map((one) => Y.createAbsolutePositionFromRelativePosition(one, doc, false)?.index),
    );
    const ends = shown.map((one) => Y.relativePositionToJSON(one));
    expect(cursors.toAbsolute(ends.map((end) => ({ anchor: end, head: end }))).map((one) => one?.index)).toEqual(
      theirs,
    );
  });

  test('those that are nowhere leave the others as they are', () => {
    const [one, two] = [relative(1, 2), relative(4, 0)];
    const lost = { anchor: one?.anchor, head: null };
    expect(cursors.toAbsolute([lost, one ?? lost, { anchor: 'x', head: 'x' }, two ?? lost])).toEqual([
      null,
      { index: 1, length: 2 },
      null,
      { index: 4, length: 0 },
    ]);
    expect(
      cursors.toRelative([
        { index: 9, length: 2 },
        { index: 1, length: 2 },
      ]),
    ).toEqual([null, one]);
  });
});

describe('of a stored text', () => {
  const doc = new Y.Doc();
  doc.getText('content').insert(0, 'stored');
  const at = (index: number) =>
    Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(doc.getText('content'), index));
  let stored: Replica;
  beforeEach(() => {
    stored = new Replica(DOC, serverClientId(DOC, 2), snapshotOf(doc), []);
    cursors = textCursors(stored, new EditWindow(0));
  });

  test('a cursor makes it live, in either direction', () => {
    expect(absolute(at(3), at(5))).toEqual({ index: 3, length: 2 });
    expect([stored.live, cursors.live]).toEqual([true, true]);
    const other = new Replica(DOC, serverClientId(DOC, 3), snapshotOf(doc), []);
    expect(textCursors(other, new EditWindow(0)).toRelative([{ index: 3, length: 2 }])).toEqual([
      { anchor: at(3), head: at(5) },
    ]);
    expect(other.live).toBe(true);
  });

  test('nothing is built where there is nothing to resolve', () => {
    const nowhere: unknown[] = [null, 'text', {}, { tname: 'other' }, { item: { client: 'x', clock: 0 } }];
    for (const end of nowhere) expect(absolute(end, end)).toBeNull();
    expect([cursors.toAbsolute([]), cursors.toRelative([])]).toEqual([[], []]);
    expect([stored.live, cursors.live]).toEqual([false, false]);
  });
});
