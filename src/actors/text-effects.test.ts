import { describe, expect, test } from 'bun:test';
import Delta from 'quill-delta';
import * as Y from 'yjs';
import { Dice } from '../../test/fuzz/edits.ts';
import { seededRandom } from '../base/random.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { TextEffects } from './text-effects.ts';

/** A text that is watched, with what the effects say it must read. */
class Watched {
  readonly doc = new Y.Doc({ gc: true });
  readonly text = this.doc.getText('content');
  readonly effects = new TextEffects(this.text);
  told = 0;
  untold = 0;
  #reads = new Delta();

  constructor() {
    this.text.observe((event, transaction) => {
      const delta = this.effects.of(transaction);
      if (delta === null) this.untold += 1;
      else this.told += 1;
      this.#reads = this.#reads.compose(new Delta(delta ?? (event.delta as DeltaOps)));
    });
  }

  /** Fails unless the composed effects are the text. */
  check(): void {
    const canonical = new Delta();
    for (const op of this.text.toDelta() as DeltaOps) canonical.push(op);
    expect(this.#reads.ops).toEqual(canonical.ops);
  }
}

const WORDS = ['a', 'bc', 'def', ' ', '\n', 'longer words'];

/** One change by an editor, all of it in one transaction. */
function change(text: Y.Text, random: Dice, formatting: boolean): void {
  const at = random.below(text.length + 1);
  const rest = text.length - at;
  const kind = random.below(formatting ? 10 : 7);
  if (kind < 4) text.insert(at, WORDS[random.below(WORDS.length)] ?? 'x');
  else if (kind < 6) text.delete(at, random.below(Math.min(rest, 6) + 1));
  else if (kind === 6) text.insertEmbed(at, { image: random.below(9) });
  else if (kind === 7) text.insert(at, 'bold', { bold: true });
  else text.format(at, random.below(rest + 1), { [kind === 8 ? 'bold' : 'color']: random.below(2) === 0 ? null : 'x' });
}

/** Several editors who type, fall behind and catch up, all into one watched text. */
function scene(seed: number, steps: number, formatting: boolean): Watched {
  const random = new Dice(seededRandom(seed));
  const watched = new Watched();
  const editors = Array.from({ length: 3 }, (_, i) => {
    const doc = new Y.Doc();
    doc.clientID = i + 1;
    return doc;
  });
  for (let step = 0; step < steps; step++) {
    const editor = editors[random.below(editors.length)] as Y.Doc;
    const changes = 1 + random.below(4);
    const run = (): void => {
      for (let i = 0; i < changes; i++) change(editor.getText('content'), random, formatting);
    };
    if (random.below(2) === 0) editor.transact(run);
    else run();
    if (random.below(3) > 0)
      Y.applyUpdate(watched.doc, Y.encodeStateAsUpdate(editor, Y.encodeStateVector(watched.doc)));
    if (random.below(3) === 0) Y.applyUpdate(editor, Y.encodeStateAsUpdate(watched.doc, Y.encodeStateVector(editor)));
    watched.check();
  }
  return watched;
}

describe('the effect of a transaction', () => {
  test('on a text without formatting is told from its items alone, and adds up to the text (60 seeds)', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const watched = scene(seed, 40, false);
      expect([seed, watched.untold]).toEqual([seed, 0]);
      expect(watched.told).toBeGreaterThan(0);
    }
  });

  test('on a formatted text adds up to the text too, most of it without asking Yjs (60 seeds)', () => {
    let [told, untold] = [0, 0];
    for (let seed = 1; seed <= 60; seed++) {
      const watched = scene(seed, 40, true);
      told += watched.told;
      untold += watched.untold;
    }
    expect(told).toBeGreaterThan(200);
    expect(untold).toBeGreaterThan(200);
  });

  test('is told right all over a text of many items, where walks end at marks', () => {
    const random = new Dice(seededRandom(7));
    const watched = new Watched();
    const editor = new Y.Doc();
    const text = editor.getText('content');
    // From back to front, so that no item merges with its neighbour.
    editor.transact(() => {
      for (let i = 0; i < 1_500; i++) text.insert(0, i % 7 === 0 ? 'xyz' : 'q');
    });
    editor.transact(() => text.insert(5, 'bold', { bold: true }));
    editor.on('update', (update: Uint8Array) => Y.applyUpdate(watched.doc, update));
    Y.applyUpdate(watched.doc, Y.encodeStateAsUpdate(editor));
    for (let i = 0; i < 1_500; i++) {
      const at = random.below(text.length);
      if (i % 3 === 0) text.delete(at, 1 + random.below(Math.min(4, text.length - at)));
      else text.insert(at, 'n');
    }
    watched.check();
    expect(watched.told).toBeGreaterThan(1_450);
  });

  test('of an edit whose effect is known moves the marks along', () => {
    const random = new Dice(seededRandom(8));
    const doc = new Y.Doc();
    const text = doc.getText('content');
    text.insert(0, 'x'.repeat(10));
    for (let i = 0; i < 400; i++) text.insert(random.below(text.length), 'y');
    const effects = new TextEffects(text);
    let known: DeltaOps | null = null;
    let reads = new Delta(text.toDelta());
    text.observe((_, transaction) => {
      if (known !== null) return effects.follow(known);
      const told = effects.of(transaction);
      expect(told).not.toBeNull();
      reads = reads.compose(new Delta(told ?? []));
    });
    for (let i = 0; i < 400; i++) {
      const at = random.below(text.length);
      known = i % 2 === 0 ? [{ retain: at }, { insert: 'k' }] : null;
      text.insert(at, 'k');
      if (known !== null) reads = reads.compose(new Delta(known));
    }
    expect(reads.ops).toEqual(new Delta(text.toDelta()).ops);
  });
});
