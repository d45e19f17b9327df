import { expect, test } from 'bun:test';
import Delta from 'quill-delta';
import * as Y from 'yjs';
import { seededRandom } from '../base/random.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { codeUnits, writeDelta } from './text-access.ts';

test('a code unit is found in any order; an embed and what is behind the end are none', () => {
  const at = codeUnits([{ insert: 'ab', attributes: { bold: true } }, { insert: { image: 'x' } }, { insert: '😀c' }]);
  const units = [0, 1, 2, 3, 4, 5, 6].map((index) => [index, at(index)]);
  expect(units).toEqual([0x61, 0x62, 0, 0xd83d, 0xde00, 0x63, 0].map((unit, index) => [index, unit]));
  expect([5, 0, 4, 2, 1, 99, 3].map(at)).toEqual([0x63, 0x61, 0xde00, 0, 0x62, 0, 0xd83d]);
});

test('a delta is written as it says, with few formatted steps or many, and is not changed by it (random)', () => {
  const formats = [{ bold: true }, { bold: null }, { italic: true }, { link: { href: 'x' } }];
  for (let seed = 0; seed < 200; seed++) {
    const random = seededRandom(4_000 + seed);
    const text = new Y.Doc().getText('content');
    let expected = new Delta();
    for (let round = 0; round < 6; round++) {
      const delta = new Delta();
      let left = expected.length();
      for (let step = 0; step < 1 + (seed % 9) && left > 0; step++) {
        const length = 1 + (random.uint32() % Math.min(left, 4));
        const kind = random.uint32() % 3;
        if (kind === 0) delta.retain(length);
        else if (kind === 1) delta.delete(length);
        else delta.retain(length, formats[random.uint32() % formats.length]);
        left -= length;
        if (random.float() < 0.3) delta.insert('xy', random.float() < 0.5 ? { bold: true } : undefined);
      }
      delta.insert('abc ').insert({ image: 'x' }, { width: 1 });
      const handed = structuredClone(delta.ops);
      text.doc?.transact(() => writeDelta(text, delta.ops as DeltaOps, false));
      expect([seed, delta.ops]).toEqual([seed, handed]);
      expected = expected.compose(delta);
      const written = new Delta();
      for (const op of text.toDelta() as DeltaOps) written.push(op);
      expect([seed, written.ops]).toEqual([seed, expected.ops]);
    }
  }
});
