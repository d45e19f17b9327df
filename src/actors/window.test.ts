import { describe, expect, test } from 'bun:test';
import Delta from 'quill-delta';
import { seededRandom } from '../base/random.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { LIMITS } from '../protocol/limits.ts';
import { deltaBytes, EditWindow, type WindowEntry } from './window.ts';

const random = seededRandom(31);

const bytesOf = (delta: DeltaOps): number => deltaBytes(delta, JSON.stringify(delta).length);

function entry(rev: number, delta: DeltaOps = [{ insert: 'x' }], more: Partial<WindowEntry> = {}): WindowEntry {
  return { rev, epoch: 1, user_id: 'u', client_id: 'c', seq: null, at: rev, delta, bytes: bytesOf(delta), ...more };
}

/** A window of revisions `from + 1` to `to`. */
function windowOf(from: number, to: number): EditWindow {
  const window = new EditWindow(from);
  for (let rev = from + 1; rev <= to; rev++) window.append(entry(rev));
  return window;
}

const revs = (entries: readonly WindowEntry[] | null) => entries?.map((one) => one.rev) ?? null;

test('an empty window is a point: its head is its start, and only edits of that revision fit', () => {
  const window = new EditWindow(7);
  expect([window.head, window.start]).toEqual([7, 7]);
  expect(window.after(7)).toEqual([]);
  expect([window.after(6), window.after(8), window.at(7), window.at(8)]).toEqual([null, null, null, null]);
});

test('after gives what came after a revision, for every revision from its start to its head', () => {
  const window = windowOf(10, 14);
  expect([window.start, window.head]).toEqual([10, 14]);
  expect([9, 10, 12, 14, 15].map((rev) => revs(window.after(rev)))).toEqual([
    null,
    [11, 12, 13, 14],
    [13, 14],
    [],
    null,
  ]);
  expect([10, 11, 14, 15].map((rev) => window.at(rev)?.rev ?? null)).toEqual([null, 11, 14, null]);
});

describe('bounds', () => {
  const max = LIMITS.window_revs_max;

  test(`holds ${max} revisions; with one more the oldest falls out`, () => {
    const window = windowOf(0, max);
    expect(window.start).toBe(0);
    window.append(entry(max + 1));
    expect([window.start, window.head, window.after(0)]).toEqual([1, max + 1, null]);
    expect(revs(window.after(1))?.at(0)).toBe(2);
  });

  test('lets go of what fell out, however few entries fill its bytes', () => {
    const window = new EditWindow(0);
    const large = Array.from({ length: 200 }, (_, i): WeakRef<DeltaOps> => {
      const delta = [{ insert: `${i}` }];
      window.append(entry(i + 1, delta, { bytes: LIMITS.window_bytes_max / 2 }));
      return new WeakRef(delta);
    });
    Bun.gc(true);
    expect(window.start).toBe(198);
    expect(large.filter((delta) => delta.deref() !== undefined).length).toBeLessThan(20);
  });

  test(`holds ${LIMITS.window_bytes_max} bytes; with one more the oldest fall out until it fits`, () => {
    const window = new EditWindow(0);
    window.append(entry(1, [], { bytes: 100 }));
    window.append(entry(2, [], { bytes: LIMITS.window_bytes_max - 100 }));
    expect(window.start).toBe(0);
    window.append(entry(3, [], { bytes: 1 }));
    expect(window.start).toBe(1);
    window.append(entry(4, [], { bytes: LIMITS.window_bytes_max - 1 }));
    expect(window.start).toBe(2);
  });

  test('an edit larger than all of it leaves a point at the head, and the next edits gather again', () => {
    const window = windowOf(0, 3);
    window.append(entry(4, [], { bytes: LIMITS.window_bytes_max + 1 }));
    expect([window.start, window.head]).toEqual([4, 4]);
    window.append(entry(5));
    expect(revs(window.after(4))).toEqual([5]);
  });

  test('stay right over many times its length', () => {
    const window = new EditWindow(0);
    for (let rev = 1; rev <= max * 4 + 17; rev++) {
      window.append(entry(rev));
      if (rev % 997 !== 0) continue;
      const start = Math.max(0, rev - max);
      expect([window.start, window.head]).toEqual([start, rev]);
      expect(revs(window.after(rev - 3))).toEqual([rev - 2, rev - 1, rev]);
      expect(window.at(start + 1)?.rev).toBe(start + 1);
      expect(window.at(start)).toBeNull();
    }
  });
});

test('an edit that is larger than the window leaves it empty: it starts anew behind it', () => {
  const window = windowOf(0, 5);
  window.append({ ...entry(6), bytes: LIMITS.window_bytes_max + 1 });
  expect([window.start, window.head, window.after(5)]).toEqual([6, 6, null]);
  expect(window.after(6)).toEqual([]);
  window.append(entry(7));
  expect(revs(window.after(6))).toEqual([7]);
});

describe('extendBack', () => {
  test('puts older entries before it when they end where it starts', () => {
    const window = windowOf(10, 12);
    window.extendBack([entry(8), entry(9), entry(10)]);
    expect([window.start, window.head]).toEqual([7, 12]);
    expect(revs(window.after(7))).toEqual([8, 9, 10, 11, 12]);
    expect(window.at(9)?.rev).toBe(9);
  });

  test('ignores what does not end there, and nothing', () => {
    const window = windowOf(10, 12);
    for (const older of [[], [entry(9)], [entry(11)], [entry(10), entry(11)]]) window.extendBack(older);
    expect(revs(window.after(10))).toEqual([11, 12]);
    expect(window.start).toBe(10);
  });

  test('works at a window that is a point, and on one whose front has fallen out', () => {
    const point = new EditWindow(3);
    point.extendBack([entry(2), entry(3)]);
    expect(revs(point.after(1))).toEqual([2, 3]);
    const max = LIMITS.window_revs_max;
    const long = windowOf(0, max + 5);
    expect(long.start).toBe(5);
    long.extendBack([entry(4), entry(5)]);
    expect(long.head).toBe(max + 5);
    expect(long.start).toBeGreaterThanOrEqual(3);
    expect(long.at(long.start + 1)?.rev).toBe(long.start + 1);
    long.append(entry(max + 6));
    expect(long.start).toBe(6);
  });

  test('counts the bytes of what it put there', () => {
    const window = new EditWindow(2);
    window.extendBack([entry(1, [], { bytes: 10 }), entry(2, [], { bytes: LIMITS.window_bytes_max - 20 })]);
    expect(window.start).toBe(0);
    window.append(entry(3, [], { bytes: 10 }));
    expect(window.start).toBe(0);
    window.append(entry(4, [], { bytes: 1 }));
    expect(window.start).toBe(1);
  });
});

test('find knows an edit by user, client and seq together', () => {
  const window = new EditWindow(0);
  window.append(entry(1, [], { seq: 1 }));
  window.append(entry(2, [], { seq: 2 }));
  window.append(entry(3, [], { seq: 1, client_id: 'd' }));
  window.append(entry(4, [], { seq: 1, user_id: 'v' }));
  window.append(entry(5));
  expect(window.find('u', 'c', 1)?.rev).toBe(1);
  expect(window.find('u', 'c', 2)?.rev).toBe(2);
  expect(window.find('u', 'd', 1)?.rev).toBe(3);
  expect(window.find('v', 'c', 1)?.rev).toBe(4);
  expect([window.find('u', 'c', 3), window.find('v', 'd', 1)]).toEqual([null, null]);
  window.append({ ...entry(6), bytes: LIMITS.window_bytes_max + 1 });
  expect(window.find('u', 'c', 1)).toBeNull();
});

test('find does not know what fell out of the window', () => {
  const window = new EditWindow(0);
  window.append(entry(1, [], { seq: 1 }));
  for (let rev = 2; rev <= LIMITS.window_revs_max + 1; rev++) window.append(entry(rev));
  expect(window.find('u', 'c', 1)).toBeNull();
});

describe('transform', () => {
  const ops = (delta: Delta): DeltaOps => delta.ops as DeltaOps;

  test('at the head nothing changes, outside the window there is no answer', () => {
    const window = windowOf(4, 6);
    const delta: DeltaOps = [{ retain: 1 }, { insert: 'a' }];
    expect(window.transform(delta, 6)).toBe(delta);
    expect([window.transform(delta, 3), window.transform(delta, 7)]).toEqual([null, null]);
  });

  test('the earlier edit stays left', () => {
    const window = new EditWindow(0);
    window.append(entry(1, [{ insert: 'earlier' }]));
    expect(window.transform([{ insert: 'later' }], 0)).toEqual([{ retain: 7 }, { insert: 'later' }]);
  });

  test('what an earlier edit deleted cannot be deleted again, nor formatted', () => {
    const window = new EditWindow(0);
    window.append(entry(1, [{ retain: 1 }, { delete: 3 }]));
    expect(window.transform([{ delete: 5 }], 0)).toEqual([{ delete: 2 }]);
    expect(window.transform([{ retain: 1 }, { retain: 3, attributes: { bold: true } }], 0)).toEqual([]);
  });

  test('carries over every edit after the base, one after another; those without effect change nothing', () => {
    const window = new EditWindow(0);
    window.append(entry(1, [{ insert: 'ab' }]));
    window.append(entry(2, []));
    window.append(entry(3, [{ delete: 1 }]));
    window.append(entry(4, [{ retain: 1 }, { insert: 'c' }]));
    expect(window.transform([{ insert: 'x' }], 0)).toEqual([{ retain: 2 }, { insert: 'x' }]);
    expect(window.transform([{ insert: 'x' }], 3)).toEqual([{ insert: 'x' }]);
  });

  test('leaves two clients with one text: earlier, then the carried one, is what the later author computes (300 random pairs)', () => {
    const letters = 'abcdefgh';
    const randomDelta = (length: number): Delta => {
      const delta = new Delta();
      let left = length;
      while (left > 0 && random.float() < 0.8) {
        const step = 1 + (random.uint32() % left);
        const kind = random.uint32() % 4;
        if (kind === 0) delta.retain(step);
        else if (kind === 1) delta.delete(step);
        else if (kind === 2) delta.retain(step, { bold: random.float() < 0.5 ? true : null });
        if (kind !== 3) left -= step;
        if (random.float() < 0.6) delta.insert(letters.slice(0, 1 + (random.uint32() % 4)));
      }
      return delta;
    };
    for (let round = 0; round < 300; round++) {
      const base = new Delta().insert(letters.repeat(3));
      const window = new EditWindow(0);
      const missed: Delta[] = [];
      let text = base;
      for (let rev = 1; rev <= 3; rev++) {
        const earlier = randomDelta(text.length());
        missed.push(earlier);
        text = text.compose(earlier);
        window.append(entry(rev, ops(earlier)));
      }
      const later = randomDelta(base.length());
      const server = text.compose(new Delta(window.transform(ops(later), 0) ?? []));
      // The author's side: what it missed arrives after its own edit was applied, so it is carried over that, to the right of nothing.
      let mine = base.compose(later);
      let pending = later;
      for (const earlier of missed) {
        mine = mine.compose(pending.transform(earlier, false));
        pending = earlier.transform(pending, true);
      }
      expect(ops(mine)).toEqual(ops(server));
    }
  });
});

test('the size of a delta grows with all that it holds: text, ops, embeds and the values of attributes', () => {
  const large = 'x'.repeat(1_000);
  expect(bytesOf([])).toBeGreaterThan(0);
  expect(bytesOf([{ retain: 5 }, { delete: 5 }])).toBeGreaterThan(bytesOf([{ retain: 5 }]));
  expect(bytesOf([{ insert: large }])).toBeGreaterThan(2_000);
  expect(bytesOf([{ insert: { image: large } }])).toBeGreaterThan(2_000);
  expect(bytesOf([{ retain: 5, attributes: { background: large } }])).toBeGreaterThan(2_000);
});
