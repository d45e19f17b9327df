import { describe, expect, test } from 'bun:test';
import Delta, { type Op } from 'quill-delta';
import { seededRandom } from '../src/base/random.ts';
import { carry, checkedEdit, cutEdit, difference, documentOf, isNothing } from './delta.ts';

const text = (content: string): Delta => new Delta().insert(content);

describe('an edit is checked before it is applied', () => {
  const content = text('a😀b').insert({ image: 'x' });

  test.each([
    ['reaches past the end', new Delta().retain(6).insert('x')],
    ['deletes past the end', new Delta().retain(3).delete(3)],
    ['inserts within a surrogate pair', new Delta().retain(2).insert('x')],
    ['deletes half of a surrogate pair', new Delta().retain(1).delete(1)],
    ['inserts half of a surrogate pair', text('\ud83d')],
    ['inserts NUL', text('a\0b')],
  ])('one that %s is a RangeError', (_, edit) => {
    expect(() => checkedEdit(edit, content)).toThrow(RangeError);
  });

  test.each<[string, Op[]]>([
    ['retains a fraction', [{ retain: 0.5 }, { insert: 'x' }]],
    ['deletes nothing', [{ delete: 0 }]],
    ['has an operation without a meaning', [{}]],
  ])('one that %s is a TypeError', (_, ops) => {
    expect(() => checkedEdit(ops, content)).toThrow(TypeError);
  });

  test('what means nothing is left out: empty text, formats taken from new text, a retain at the end', () => {
    const ops: Op[] = [{ insert: '' }, { insert: 'x', attributes: { bold: null, italic: true } }, { retain: 2 }];
    expect(checkedEdit(ops, text('ab')).ops).toEqual([{ insert: 'x', attributes: { italic: true } }]);
    expect(checkedEdit([{ insert: 'x', attributes: { bold: null } }], text('')).ops).toEqual([{ insert: 'x' }]);
  });

  test('places beside a surrogate pair and beside an embed are places', () => {
    for (const at of [0, 1, 3, 4, 5])
      expect(() => checkedEdit(new Delta().retain(at).insert('x'), content)).not.toThrow();
  });
});

describe('an edit that is too large for one frame is cut', () => {
  const apply = (document: Delta, edit: Delta): [Delta, number] => {
    let [result, pieces] = [document, 0];
    for (let rest: Delta | null = edit; rest !== null; pieces += 1) {
      const cut = cutEdit(rest);
      expect(JSON.stringify(cut.first.ops).length).toBeLessThan(1024 * 1024 - 1000);
      expect(cut.first.ops.length).toBeLessThanOrEqual(10_000);
      expect(isNothing(cut.first)).toBe(false);
      result = result.compose(cut.first);
      rest = cut.rest;
    }
    return [result, pieces];
  };

  test('a small one stays whole', () => {
    const edit = new Delta().retain(1).insert('x').delete(2);
    expect(cutEdit(edit)).toEqual({ first: edit, rest: null });
  });

  test('long text is cut, never within a surrogate pair, and comes out the same', () => {
    const document = text('ab');
    const edit = new Delta()
      .retain(1)
      .insert('😀'.repeat(700_000))
      .insert('\u0001'.repeat(200_000), { bold: true })
      .delete(1);
    const [result, pieces] = apply(document, edit);
    expect(result.ops).toEqual(document.compose(edit).ops);
    expect(pieces).toBeGreaterThan(4);
  });

  test('many operations are cut and come out the same', () => {
    const document = text('x'.repeat(30_000));
    const edit = new Delta();
    for (let i = 0; i < 10_000; i += 1) edit.retain(1, { n: i }).delete(1).insert(`${i}`);
    const [result, pieces] = apply(document, edit);
    expect(result.ops).toEqual(document.compose(edit).ops);
    expect(pieces).toBeGreaterThan(5);
  });
});

describe('the difference of two documents', () => {
  test('turns one into the other and never cuts a surrogate pair', () => {
    const random = seededRandom(1);
    const below = (limit: number): number => Math.floor(random.float() * limit);
    const letters = ['a', 'b', '😀', '😁', '👩', 'é', '\uf8ff', { image: 'x' }];
    const document = (): Delta =>
      documentOf(
        Array.from({ length: below(8) }, () => {
          const insert = letters[below(letters.length)] ?? 'a';
          return below(3) === 0 ? { insert, attributes: { bold: true } } : { insert };
        }),
      );
    for (let i = 0; i < 3_000; i += 1) {
      const [from, to] = [document(), document()];
      const change = difference(from, to);
      expect(from.compose(change).ops).toEqual(to.ops);
      // The check of edits refuses a change that cuts one.
      checkedEdit(change, from);
    }
  });
});

describe('an edit and a change that did not know of each other', () => {
  test('meet in the same text, whichever comes first, and the change stays left', () => {
    const base = text('0123456789');
    const change = new Delta().retain(5).insert('AB').delete(2);
    const edits = [
      new Delta().retain(5).insert('x'),
      new Delta().retain(6).insert('y'),
      new Delta().retain(10).delete(1),
    ];
    const carried = carry(change, edits);
    const after = carried.edits.reduce((document, edit) => document.compose(edit), base.compose(change));
    const before = edits.reduce((document, edit) => document.compose(edit), base).compose(carried.change);
    expect(after.ops).toEqual(before.ops);
    expect(after.ops).toEqual([{ insert: '01234ABxy79' }]);
  });
});
