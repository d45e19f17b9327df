/**
 * What a change did to the text, from what Yjs tells of it. Yjs may tell in parts (it cleans up in a transaction of its own),
 * and its event deltas do not count everything that a text can hold (see text-ops.ts); so where they may be wrong they are
 * held against the text.
 */
import Delta from 'quill-delta';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { difference } from '../protocol/content/difference.ts';
import { isPlainObject } from '../protocol/text-ops.ts';

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
