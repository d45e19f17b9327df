/**
 * What a change did to the text, from what Yjs tells of it. Yjs may tell in parts (it cleans up in a transaction of its own),
 * and its event deltas do not count everything that a text can hold (see text-ops.ts); so where they may be wrong they are
 * held against the text.
 */
import Delta from 'quill-delta';
import type * as Y from 'yjs';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { difference } from '../protocol/content/difference.ts';
import { isPlainObject } from '../protocol/text-ops.ts';
import { TextEffects } from './text-effects.ts';

/** Watches a live text and tells what each change did to it. */
export class TextWatch {
  readonly #effects: TextEffects;
  #known: DeltaOps | null = null;
  #told: DeltaOps[] = [];

  constructor(text: Y.Text) {
    this.#effects = new TextEffects(text);
    text.observe((event, transaction) => this.#note(event, transaction));
  }

  /** A change begins; `known` is its effect where that is certain beforehand. */
  begin(known: DeltaOps | null): void {
    this.#known = known;
    this.#told = known === null ? [] : [known];
  }

  /** The effect of what happened since; null when it cannot be put together. */
  effect(): DeltaOps | null {
    return composeAll(this.#told);
  }

  #note(event: Y.YTextEvent, transaction: Y.Transaction): void {
    if (this.#known !== null) this.#effects.follow(this.#known);
    else this.#told.push(this.#effects.of(transaction) ?? (event.delta as DeltaOps));
  }
}

/** What Yjs told, when it turns the text before into the text after; otherwise the difference of the two. */
export function trueEffect(before: DeltaOps, told: DeltaOps | null, after: DeltaOps): DeltaOps {
  if (told !== null) {
    const reached = new Delta(before).compose(new Delta(told)).ops as DeltaOps;
    if (difference(reached, after).length === 0) return told;
  }
  return difference(before, after);
}

/** Whether all that an event delta inserts is text or an embed object; a shared type cannot even be copied. */
function isPlainDelta(ops: DeltaOps): boolean {
  return ops.every(({ insert }) => insert === undefined || typeof insert === 'string' || isPlainObject(insert));
}

/** The event deltas of one change as one; null when they cannot be put together. */
export function composeAll(effects: readonly DeltaOps[]): DeltaOps | null {
  if (!effects.every(isPlainDelta)) return null;
  if (effects.length === 1) return effects[0] ?? [];
  return effects.reduce((all, effect) => all.compose(new Delta(effect)), new Delta()).ops as DeltaOps;
}
