/**
 * A document that is lived through again: from its Yjs state at one revision, revision by revision, to learn what each
 * did to the text. Wherever the journal says so already it is believed, provided that the text it amounts to is the one
 * that Yjs has in the end. Where it is not, or where nobody wrote it down, Yjs's own events are asked, and where they do
 * not add up either (see text-ops.ts), each revision's text is held against the one before it.
 *
 * Nothing here adds to what was journaled: Yjs would clean up formatting on its own, and the document has not.
 */
import { isDeepStrictEqual } from 'node:util';
import * as Y from 'yjs';
import type { DeltaOps } from '../../protocol/content/delta.ts';
import { TextFold } from '../../protocol/history/pieces.ts';
import { TEXT_ROOT } from '../../protocol/snapshot.ts';
import { textOps } from '../../protocol/text-ops.ts';
import { composeAll, trueEffect } from '../effects.ts';

/** What revisions did to the text. */
export interface Effects {
  readonly deltas: DeltaOps[];
  /** Those, by their place, of which the journal said something else. */
  readonly corrected: readonly number[];
}

/** See the head of this file. */
export class Replayed {
  #doc: Y.Doc;
  #text: Y.Text;
  #told: DeltaOps[] = [];
  #listens = false;
  /** The text as it is told so far; null while nobody asked for effects. */
  #ops: DeltaOps | null = null;
  /** The state, while nothing was applied to it. */
  #state: Uint8Array | null = null;

  /** `state`: a Yjs update (version 1); null for the empty document. */
  constructor(state: Uint8Array | null) {
    [this.#doc, this.#text] = this.#open(state);
  }

  /** Applies revisions without asking what they did. */
  skip(updates: readonly Uint8Array[]): void {
    this.#apply(updates);
  }

  /** Applies the next revisions and tells the effect of each; `journaled` are those that the journal knows. */
  advance(updates: readonly Uint8Array[], journaled: readonly (DeltaOps | null)[]): Effects {
    const before = this.ops();
    const state = this.state();
    const told = this.#tell(updates, journaled);
    if (told !== null && addUp(before, told, this.ops())) return { deltas: told, corrected: [] };
    return this.#compare(state, updates, journaled);
  }

  /** The text now. */
  ops(): DeltaOps {
    this.#ops ??= textOps(this.#text);
    return this.#ops;
  }

  /** The Yjs state now, as an update. */
  state(): Uint8Array {
    this.#state ??= Y.encodeStateAsUpdate(this.#doc);
    return this.#state;
  }

  destroy(): void {
    this.#doc.destroy();
  }

  /** The effects as journal and Yjs tell them; null when they do not. */
  #tell(updates: readonly Uint8Array[], journaled: readonly (DeltaOps | null)[]): DeltaOps[] | null {
    const known = journaled.filter((delta) => delta !== null);
    if (known.length === updates.length) {
      this.skip(updates);
      return known;
    }
    const deltas = updates.map((update, i) => {
      const delta = journaled[i] ?? null;
      if (delta === null) return this.#effectOf(update);
      this.skip([update]);
      return delta;
    });
    const told = deltas.filter((delta) => delta !== null);
    return told.length === updates.length ? told : null;
  }

  #effectOf(update: Uint8Array): DeltaOps | null {
    this.#told = [];
    this.#listens = true;
    this.#apply([update]);
    this.#listens = false;
    return composeAll(this.#told);
  }

  /** The same again, slowly: each text is held against the one before. */
  #compare(state: Uint8Array, updates: readonly Uint8Array[], journaled: readonly (DeltaOps | null)[]): Effects {
    this.#doc.destroy();
    [this.#doc, this.#text] = this.#open(state);
    const corrected: number[] = [];
    let before = this.ops();
    const deltas = updates.map((update, i) => {
      const known = journaled[i] ?? null;
      const told = this.#effectOf(update);
      const after = textOps(this.#text);
      const delta = trueEffect(before, known ?? told, after);
      if (known !== null && !isDeepStrictEqual(known, delta)) corrected.push(i);
      before = after;
      return delta;
    });
    return { deltas, corrected };
  }

  #apply(updates: readonly Uint8Array[]): void {
    this.#ops = null;
    this.#state = null;
    Y.transact(
      this.#doc,
      () => {
        for (const update of updates) Y.applyUpdate(this.#doc, update);
      },
      null,
      false,
    );
  }

  #open(state: Uint8Array | null): [Y.Doc, Y.Text] {
    const doc = new Y.Doc({ gc: true });
    // Before anything is applied: a text that is typed only afterwards does not know that it has formatting.
    const text = doc.getText(TEXT_ROOT);
    doc.on('afterTransaction', (transaction: Y.Transaction) => {
      transaction._needFormattingCleanup = false;
    });
    if (state !== null) Y.applyUpdate(doc, state);
    text.observe((event) => {
      if (this.#listens) this.#told.push(event.delta as DeltaOps);
    });
    this.#ops = null;
    this.#state = state;
    return [doc, text];
  }
}

function addUp(before: DeltaOps, deltas: readonly DeltaOps[], after: DeltaOps): boolean {
  const text = new TextFold(before);
  try {
    for (const delta of deltas) if (delta.length > 0) text.apply(delta);
  } catch {
    // A delta that does not fit the text it is applied to cannot be its effect.
    return false;
  }
  return isDeepStrictEqual(text.ops(), after);
}
