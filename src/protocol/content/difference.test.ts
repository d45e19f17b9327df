import { expect, test } from 'bun:test';
import Delta from 'quill-delta';
import { seededRandom } from '../../base/random.ts';
import type { DeltaOps } from './delta.ts';
import { difference } from './difference.ts';

const apply = (from: DeltaOps, change: DeltaOps): DeltaOps =>
  new Delta(from).compose(new Delta(change)).ops as DeltaOps;
const normal = (ops: DeltaOps): DeltaOps => ops.reduce((all, op) => all.push(op), new Delta()).ops as DeltaOps;
const inserted = (change: DeltaOps): string =>
  change.map(({ insert }) => (typeof insert === 'string' ? insert : '')).join('');

test('half of one emoji is never kept for half of another', () => {
  expect(difference([{ insert: 'a😀😀' }], [{ insert: '😀👩😀' }])).toEqual([
    { delete: 1 },
    { retain: 2 },
    { insert: '👩' },
  ]);
});

test('texts without pairs are compared as they are', () => {
  expect(difference([{ insert: 'abc' }], [{ insert: 'axc', attributes: { bold: true } }])).toEqual(
    new Delta([{ insert: 'abc' }]).diff(new Delta([{ insert: 'axc', attributes: { bold: true } }])).ops as DeltaOps,
  );
});

test('from and the difference make to, whole pairs only, for random texts with formatting and embeds', () => {
  const seed = 20_260_301;
  const random = seededRandom(seed);
  const pick = <T>(list: readonly T[]): T => list[random.uint32() % list.length] as T;
  const document = (): DeltaOps =>
    normal(
      Array.from({ length: random.uint32() % 8 }, () => ({
        insert: random.float() < 0.15 ? { image: 'x' } : pick(['a', 'b😀', '😀', '👩', '\u{f8ff}', 'ab', '😁😀']),
        ...(random.float() < 0.3 ? { attributes: { bold: true } } : {}),
      })),
    );
  for (let round = 0; round < 2_000; round++) {
    const [from, to] = [document(), document()];
    const change = difference(from, to);
    expect({ seed, round, result: apply(from, change) }).toEqual({ seed, round, result: to });
    expect(inserted(change).isWellFormed()).toBe(true);
  }
});
