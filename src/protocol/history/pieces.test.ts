import { expect, test } from 'bun:test';
import Delta from 'quill-delta';
import type { DeltaOps } from '../content/delta.ts';
import { docLength } from '../content/delta.ts';
import { forSeeds } from '../content/testing.ts';
import type { Stretches } from './entry.ts';
import { AttributionFold, DiffFold, TextFold } from './pieces.ts';
import { drawDelta, drawText, madeOf, readStretches, stretchesOf } from './testing.ts';

const compose = (a: DeltaOps, b: DeltaOps): DeltaOps => new Delta(a).compose(new Delta(b)).ops as DeltaOps;

test('a text after random deltas is what quill-delta composes, op for op', () => {
  forSeeds(300, (random) => {
    let model = drawText(random);
    const fold = new TextFold(model);
    for (let round = 0; round < 40; round++) {
      const delta = drawDelta(random, fold.length);
      fold.apply(delta);
      model = compose(model, delta);
      if (round % 5 === 0) expect(fold.ops()).toEqual(model);
      expect(fold.length).toBe(docLength(model));
    }
    expect(fold.ops()).toEqual(model);
  });
});

test('random deltas put together are what quill-delta composes, op for op', () => {
  forSeeds(300, (random) => {
    const start = drawText(random);
    let length = docLength(start);
    const [fold, bounded] = [new DiffFold(length), new DiffFold(2 ** 52)];
    let model: DeltaOps = [];
    let text = start;
    for (let round = 0; round < 40; round++) {
      const delta = drawDelta(random, length);
      fold.apply(delta);
      bounded.apply(delta);
      model = compose(model, delta);
      text = compose(text, delta);
      length = docLength(text);
      if (round % 5 === 0) expect(fold.delta()).toEqual(model);
    }
    expect(fold.delta()).toEqual(model);
    expect(bounded.delta()).toEqual(model);
    expect(compose(start, fold.delta())).toEqual(text);
  });
});

test('the author of every unit is the revision that inserted it, whoever formats it', () => {
  forSeeds(200, (random) => {
    const start = drawText(random);
    let owners = new Array<number>(docLength(start)).fill(0);
    let fold = new AttributionFold(ownedBy(owners));
    for (let rev = 1; rev <= 60; rev++) {
      const delta = drawDelta(random, owners.length);
      // Consecutive calls with one revision happen too: an edit may be told in parts.
      fold.apply(delta, madeOf(rev >> 1));
      owners = applyToOwners(owners, delta, rev >> 1);
      expect(fold.length).toBe(owners.length);
      expect(readStretches(fold.stretches())).toEqual(readStretches(ownedBy(owners)));
      if (random.float() < 0.1) fold = new AttributionFold(fold.stretches());
    }
  });
});

/** The longest stretches of one revision each. */
function ownedBy(owners: readonly number[]): Stretches {
  const starts = owners.flatMap((rev, i) => (rev === owners[i - 1] ? [] : [i]));
  return stretchesOf(starts.map((start, i) => [(starts[i + 1] ?? owners.length) - start, owners[start] ?? 0]));
}

function applyToOwners(owners: readonly number[], delta: DeltaOps, rev: number): number[] {
  const after: number[] = [];
  let at = 0;
  for (const { insert, retain, delete: gone } of delta) {
    if (insert !== undefined)
      after.push(...new Array<number>(typeof insert === 'string' ? insert.length : 1).fill(rev));
    else if (retain !== undefined) after.push(...owners.slice(at, at + retain));
    at += retain ?? gone ?? 0;
  }
  return [...after, ...owners.slice(at)];
}

test('many pieces in many chunks stay in order under edits all over the text', () => {
  forSeeds(5, (random) => {
    const bold = { bold: true };
    const start = Array.from({ length: 3_000 }, (_, i) =>
      i % 2 === 0 ? { insert: `${i}` } : { insert: `${i}`, attributes: bold },
    );
    let model: DeltaOps = start;
    const fold = new TextFold(start);
    for (let round = 0; round < 150; round++) {
      const at = Math.floor(random.float() * fold.length);
      const room = fold.length - at;
      const gone = Math.min(room, random.float() < 0.05 ? 2_000 : 3);
      const delta = new Delta()
        .retain(at)
        .insert(random.float() < 0.5 ? `<${round}>` : { image: 'x' })
        .delete(gone)
        .retain(Math.min(room - gone, random.float() < 0.1 ? 1_500 : 4), { italic: round % 3 === 0 ? null : true }).ops;
      fold.apply(delta as DeltaOps);
      model = compose(model, delta as DeltaOps);
    }
    expect(fold.ops()).toEqual(model);
    fold.apply([{ delete: fold.length }]);
    expect(fold.ops()).toEqual([]);
    fold.apply([{ insert: 'again' }]);
    expect(fold.ops()).toEqual([{ insert: 'again' }]);
  });
});

test('a delta that reaches past the end is refused', () => {
  const past: DeltaOps[] = [[{ retain: 3 }, { insert: 'x' }], [{ delete: 3 }], [{ retain: 3 }]];
  past.push([{ retain: 3, attributes: { bold: true } }]);
  for (const delta of past) {
    expect(() => new TextFold([{ insert: 'ab' }]).apply(delta)).toThrow(RangeError);
    expect(() => new DiffFold(2).apply(delta)).toThrow(RangeError);
  }
  for (const delta of past.slice(0, 3))
    expect(() => new AttributionFold(ownedBy([1, 1])).apply(delta, madeOf(2))).toThrow(RangeError);
});

test('a text starts from inserts alone', () => {
  expect(() => new TextFold([{ retain: 1 }])).toThrow(TypeError);
});

test('edits at both ends and across emoji keep every unit', () => {
  const fold = new TextFold([{ insert: 'a😀b' }]);
  fold.apply([{ retain: 2 }, { delete: 1 }]);
  fold.apply([{ insert: 'start' }]);
  fold.apply([{ retain: 8 }, { insert: 'end' }]);
  expect(fold.ops()).toEqual([{ insert: 'starta\ud83dbend' }]);
});
