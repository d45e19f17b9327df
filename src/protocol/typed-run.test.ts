import { describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { Dice } from '../../test/fuzz/edits.ts';
import { seededRandom } from '../base/random.ts';
import { joinTyping } from './typed-run.ts';

/** What an editor of this clientID sends for each of its edits. */
function editor(client: number, known: Uint8Array | null = null): { text: Y.Text; sent: Uint8Array[]; doc: Y.Doc } {
  const doc = new Y.Doc();
  doc.clientID = client;
  if (known !== null) Y.applyUpdate(doc, known);
  const sent: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array, origin: unknown) => {
    if (origin !== 'others') sent.push(update);
  });
  return { doc, sent, text: doc.getText('content') };
}

/** The state after these updates, one by one. */
function applied(updates: readonly Uint8Array[], known: Uint8Array | null = null): Uint8Array {
  const doc = new Y.Doc();
  doc.getText('content');
  if (known !== null) Y.applyUpdate(doc, known);
  for (const update of updates) Y.applyUpdate(doc, update);
  return Y.encodeStateAsUpdate(doc);
}

describe('a run of typing', () => {
  for (const [what, letters] of [
    ['ASCII', [...'hello world']],
    ['two and three bytes a letter', [...'Grüße, 日本語 हिन्दी 한국']],
    ['several letters at a time', ['hel', 'lo wor', 'ld', ' '.repeat(200)]],
  ] as const)
    test(`of ${what} becomes one update, at the start, in the middle and at the end of a text`, () => {
      const base = editor(9);
      base.text.insert(0, 'abc');
      const state = Y.encodeStateAsUpdate(base.doc);
      for (const [known, from] of [
        [null, 0],
        [state, 0],
        [state, 2],
        [state, 3],
      ] as const) {
        const { text, sent } = editor(4_000_000_000, known);
        let at = from;
        for (const typed of letters) {
          text.insert(at, typed);
          at += typed.length;
        }
        expect(sent).toHaveLength(letters.length);
        const joined = joinTyping(sent);
        expect(joined).toHaveLength(1);
        expect(applied(joined, known)).toEqual(applied(sent, known));
      }
    });

  test('ends where the cursor jumps, something is deleted or formatted, an embed or a pair comes, or another client writes', () => {
    const { text, sent } = editor(7);
    for (const typed of ['a', 'b', 'c']) text.insert(text.length, typed);
    text.insert(1, 'jump');
    text.insert(5, 's');
    text.delete(0, 1);
    text.insert(0, 'x');
    text.insert(1, 'y');
    text.format(0, 1, { bold: true });
    text.insertEmbed(0, { image: 'x' });
    text.insert(text.length, '😀');
    text.insert(text.length, 'z');
    const other = editor(8);
    other.text.insert(0, 'o');
    other.text.insert(1, 'p');
    const all = [...sent, ...other.sent];
    const joined = joinTyping(all);
    expect(joined).toHaveLength(all.length - 5);
    expect(applied(joined)).toEqual(applied(all));
  });

  test('of one update is that update, and without runs the list is handed back', () => {
    const { text, sent } = editor(7);
    text.insert(0, 'a');
    text.insert(0, 'b');
    expect(joinTyping(sent)).toBe(sent);
    expect(joinTyping(sent.slice(0, 1))).toHaveLength(1);
    expect(joinTyping([])).toEqual([]);
  });

  test('is the same in every replica, whatever others type at the same place meanwhile (200 seeds)', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const dice = new Dice(seededRandom(seed));
      const base = editor(50);
      base.text.insert(0, 'base');
      const state = Y.encodeStateAsUpdate(base.doc);
      const writers = [3, 90, 40].map((client) => editor(client, state));
      for (let step = 0; step < 30; step++) {
        const { text, doc } = dice.pick(writers as [ReturnType<typeof editor>]);
        if (dice.once(8)) {
          const other = dice.pick(writers as [ReturnType<typeof editor>]);
          Y.applyUpdate(doc, Y.encodeStateAsUpdate(other.doc), 'others');
        }
        let at = dice.below(text.length + 1);
        for (let i = dice.below(6); i >= 0; i--) text.insert(at++, dice.pick(['a', 'b', 'ü', '日']));
        if (dice.once(4) && text.length > 2) text.delete(dice.below(text.length - 1), 1);
      }
      const orders = [writers, writers.toReversed()];
      const [separate, joined, reversed] = [
        applied(
          writers.flatMap(({ sent }) => sent),
          state,
        ),
        applied(
          writers.flatMap(({ sent }) => joinTyping(sent)),
          state,
        ),
        applied(
          (orders[1] ?? []).flatMap(({ sent }) => joinTyping(sent)),
          state,
        ),
      ];
      expect([seed, joined]).toEqual([seed, separate]);
      expect([seed, reversed]).toEqual([seed, separate]);
    }
  });

  test('is not seen in broken bytes: what is joined does what the parts did, and nothing throws (3,000 mutations)', () => {
    const dice = new Dice(seededRandom(77));
    const { text, sent } = editor(300);
    for (let i = 0; i < 12; i++) text.insert(i, i % 3 === 0 ? 'ü' : 'x');
    const outcome = (updates: readonly Uint8Array[]): unknown => {
      const doc = new Y.Doc();
      for (const update of updates) {
        try {
          Y.decodeUpdate(update);
          Y.applyUpdate(doc, update);
        } catch {
          return 'refused';
        }
      }
      return doc.getText('content').toString();
    };
    let joins = 0;
    for (let round = 0; round < 3_000; round++) {
      const mutated = sent.map((update) => update.slice());
      const victim = mutated[dice.below(mutated.length)] as Uint8Array;
      victim[dice.below(victim.length)] = dice.below(256);
      const whole = outcome(mutated);
      const joined = joinTyping(mutated);
      if (joined !== mutated) joins += 1;
      if (whole !== 'refused') expect([round, outcome(joined)]).toEqual([round, whole]);
    }
    expect(joins).toBeGreaterThan(2_000);
  });
});
