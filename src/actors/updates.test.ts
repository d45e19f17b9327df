import { describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { type Random, seededRandom } from '../base/random.ts';
import { LIMITS } from '../protocol/limits.ts';
import { snapshotOf } from '../protocol/snapshot.ts';
import { decodeUpdate, mergeAll, nestsTooDeep, splitsPair, updateAddsNothing } from './updates.ts';

/** Two authors who write and delete; returns the document and every update that was made, in order. */
function history(random: Random, edits: number): { doc: Y.Doc; updates: Uint8Array[] } {
  const authors = [1, 2].map((client) => {
    const doc = new Y.Doc();
    doc.clientID = client + 2 * (random.uint32() % 1_000);
    return doc;
  });
  const updates: Uint8Array[] = [];
  for (const author of authors) author.on('update', (update: Uint8Array) => updates.push(update));
  for (let i = 0; i < edits; i++) {
    const author = authors[random.uint32() % 2] ?? new Y.Doc();
    const text = author.getText('content');
    if (text.length > 0 && random.float() < 0.4) {
      const at = random.uint32() % text.length;
      text.delete(at, 1 + (random.uint32() % (text.length - at)));
    } else text.insert(random.uint32() % (text.length + 1), 'abcdef'.slice(0, 1 + (random.uint32() % 6)));
    if (random.float() < 0.5) {
      const [a, b] = authors as [Y.Doc, Y.Doc];
      Y.applyUpdate(a, Y.encodeStateAsUpdate(b));
      Y.applyUpdate(b, Y.encodeStateAsUpdate(a));
    }
  }
  const doc = new Y.Doc();
  for (const update of updates) Y.applyUpdate(doc, update);
  return { doc, updates };
}

test('an update decodes as a whole or not at all: what stands behind it may be another, or one of version 2', () => {
  const { doc } = history(seededRandom(5), 30);
  const update = Y.encodeStateAsUpdate(doc);
  expect(decodeUpdate(update)?.structs.length).toBeGreaterThan(0);
  for (const behind of [[0], [1, 2, 3], [...update]])
    expect(decodeUpdate(Uint8Array.from([...update, ...behind]))).toBeNull();
  expect(decodeUpdate(Y.encodeStateAsUpdateV2(doc))).toBeNull();
});

const changes = (doc: Y.Doc, update: Uint8Array): boolean => {
  const copy = new Y.Doc();
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc));
  const before = Buffer.from(Y.encodeStateAsUpdate(copy)).toString('base64');
  Y.applyUpdate(copy, update);
  if (copy.store.pendingStructs !== null || copy.store.pendingDs !== null) return true;
  return Buffer.from(Y.encodeStateAsUpdate(copy)).toString('base64') !== before;
};

const decoded = (update: Uint8Array) => {
  const read = decodeUpdate(update);
  if (read === null) throw new Error('does not decode');
  return read;
};

describe('updateAddsNothing', () => {
  test('says so exactly when applying the update changes nothing, of a live document and of its bytes alike (random)', () => {
    let [nothing, something] = [0, 0];
    for (let seed = 0; seed < 30; seed++) {
      const random = seededRandom(7_000 + seed);
      const { updates } = history(random, 30);
      const known = new Y.Doc();
      const cut = random.uint32() % (updates.length + 1);
      for (const update of updates.slice(0, cut)) Y.applyUpdate(known, update);
      if (known.store.pendingStructs !== null || known.store.pendingDs !== null) continue;
      const merged = Array.from({ length: 6 }, () => {
        const from = random.uint32() % updates.length;
        return mergeAll(updates.slice(from, from + 1 + (random.uint32() % 4))) ?? Uint8Array.of(0, 0);
      });
      for (const update of [...updates, ...merged, Y.encodeStateAsUpdate(known)]) {
        const truth = !changes(known, update);
        if (truth) nothing += 1;
        else something += 1;
        expect([seed, updateAddsNothing(decoded(update), known)]).toEqual([seed, truth]);
        expect([seed, updateAddsNothing(decoded(update), snapshotOf(known))]).toEqual([seed, truth]);
      }
    }
    expect(Math.min(nothing, something)).toBeGreaterThan(100);
  });

  test('the answer of a client that has everything carries its whole delete set and adds nothing', () => {
    const { doc } = history(seededRandom(1), 60);
    const answer = Y.encodeStateAsUpdate(doc, Y.encodeStateVector(doc));
    expect(answer.length).toBeGreaterThan(2);
    expect(updateAddsNothing(decoded(answer), doc)).toBe(true);
    expect(updateAddsNothing(decoded(answer), snapshotOf(doc))).toBe(true);
  });

  test('an empty update adds nothing to anything', () => {
    const empty = decoded(Uint8Array.of(0, 0));
    expect(updateAddsNothing(empty, new Y.Doc())).toBe(true);
    expect(updateAddsNothing(empty, snapshotOf(new Y.Doc()))).toBe(true);
  });

  test('a deletion of nothing adds nothing, wherever it points', () => {
    const doc = new Y.Doc();
    doc.clientID = 7;
    doc.getText('content').insert(0, 'hello');
    for (const clock of [0, 4, 5, 6, 100])
      for (const client of [7, 8]) {
        const update = decoded(Uint8Array.of(0, 1, client, 1, clock, 0));
        expect(updateAddsNothing(update, doc)).toBe(true);
        expect(updateAddsNothing(update, snapshotOf(doc))).toBe(true);
      }
  });

  test('a deletion of what is not here yet adds something', () => {
    const doc = new Y.Doc();
    doc.clientID = 7;
    doc.getText('content').insert(0, 'hello');
    for (const [client, clock, length] of [
      [7, 0, 6],
      [7, 5, 1],
      [7, 2, 1],
      [8, 0, 1],
    ] as const) {
      const update = decoded(Uint8Array.of(0, 1, client, 1, clock, length));
      expect(updateAddsNothing(update, doc)).toBe(false);
      expect(updateAddsNothing(update, snapshotOf(doc))).toBe(false);
    }
  });
});

describe('decodeUpdate', () => {
  test('is null for what does not decode, at every place where an update may be cut off', () => {
    const { doc } = history(seededRandom(2), 40);
    const update = Y.encodeStateAsUpdate(doc);
    expect(decodeUpdate(update)).not.toBeNull();
    for (let length = 0; length < update.length; length++) expect(decodeUpdate(update.slice(0, length))).toBeNull();
  });

  test('does not reserve what a header announces: a few bytes that speak of a hundred million structs cost nothing', () => {
    const before = process.memoryUsage().rss;
    for (const count of [
      [0x80, 0xc2, 0xd7, 0x2f],
      [0xff, 0xff, 0xff, 0xff, 0x0f],
      [0xff, 0xff, 0xff, 0x7f],
    ])
      expect(decodeUpdate(Uint8Array.of(1, ...count, 7, 0))).toBeNull();
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
  });
});

test('mergeAll joins any number of updates into what they are together', () => {
  expect(mergeAll([])).toBeNull();
  const one = Uint8Array.of(0, 0);
  expect(mergeAll([one])).toBe(one);
  const author = new Y.Doc();
  const updates: Uint8Array[] = [];
  author.on('update', (update: Uint8Array) => updates.push(update));
  for (let i = 0; i < 450; i++) author.getText('content').insert(i, String(i % 10));
  const doc = new Y.Doc();
  Y.applyUpdate(doc, mergeAll([...updates, one]) ?? one);
  expect(doc.getText('content').toString()).toBe(author.getText('content').toString());
});

test(`nestsTooDeep tells values of more than ${LIMITS.yjs_value_depth_max} levels, in embeds, formats and plain content`, () => {
  const nested = (levels: number): object => JSON.parse(`${'{"a":'.repeat(levels - 1)}{}${'}'.repeat(levels - 1)}`);
  const max = LIMITS.yjs_value_depth_max;
  const made: ((doc: Y.Doc, value: object) => void)[] = [
    (doc, value) => doc.getText('content').insertEmbed(0, value),
    (doc, value) => doc.getText('content').insert(0, 'x', { style: value }),
    (doc, value) => doc.getArray('list').push([value]),
  ];
  for (const make of made) {
    const deep = [max - 2, max * 2].map((levels) => {
      const doc = new Y.Doc();
      make(doc, nested(levels));
      return nestsTooDeep(decoded(Y.encodeStateAsUpdate(doc)));
    });
    expect(deep).toEqual([false, true]);
  }
  const text = new Y.Doc();
  text.getText('content').insert(0, 'plain');
  expect(nestsTooDeep(decoded(Y.encodeStateAsUpdate(text)))).toBe(false);
});

describe('splitsPair', () => {
  const doc = new Y.Doc();
  doc.clientID = 7;
  doc.getText('content').insert(0, 'a😀b');
  const by = (edit: (text: Y.Text) => void): ReturnType<typeof decoded> => {
    const other = new Y.Doc();
    Y.applyUpdate(other, Y.encodeStateAsUpdate(doc));
    const vector = Y.encodeStateVector(other);
    edit(other.getText('content'));
    return decoded(Y.encodeStateAsUpdate(other, vector));
  };

  test('an insertion, a deletion or a format between the halves does', () => {
    const torn = [
      by((text) => text.insert(2, 'x')),
      by((text) => text.delete(1, 1)),
      by((text) => text.delete(2, 1)),
      by((text) => text.format(2, 1, { bold: true })),
    ];
    expect(torn.map((update) => splitsPair(update, doc, false))).toEqual([true, true, true, true]);
  });

  test('what goes around it does not', () => {
    const whole = [
      by((text) => text.insert(1, 'x')),
      by((text) => text.insert(3, 'x')),
      by((text) => text.delete(1, 2)),
      by((text) => text.delete(0, 4)),
      by((text) => text.format(1, 2, { bold: true })),
    ];
    expect(whole.map((update) => splitsPair(update, doc, false))).toEqual([false, false, false, false, false]);
  });

  test('of a place that is not here yet the caller says what to think', () => {
    const late = decoded(Uint8Array.of(0, 1, 9, 1, 3, 2));
    expect([splitsPair(late, doc, true), splitsPair(late, doc, false)]).toEqual([true, false]);
  });
});
