/**
 * A change undone, as quill-delta's `invert` has it, in one pass over the text: that one cuts a slice out of the text for
 * every op, which for thousands of ops on a long text is quadratic.
 */
import Delta, { AttributeMap, OpIterator } from 'quill-delta';
import type { DeltaOps } from '../../protocol/content/delta.ts';

/** What turns the text after `delta` back into `before`. */
export function inverse(delta: DeltaOps, before: DeltaOps): DeltaOps {
  const undone = new Delta();
  const text = new OpIterator(before);
  for (const { insert, retain, delete: gone, attributes } of delta) {
    if (insert !== undefined) {
      undone.delete(typeof insert === 'string' ? insert.length : 1);
      continue;
    }
    for (let left = gone ?? retain ?? 0; left > 0; ) {
      const op = text.next(left);
      const length = typeof op.insert === 'string' ? op.insert.length : 1;
      if (op.insert === undefined) throw new RangeError('a delta reaches past the end of the text');
      if (gone !== undefined) undone.push(op);
      else undone.retain(length, attributes === undefined ? undefined : AttributeMap.invert(attributes, op.attributes));
      left -= length;
    }
  }
  return undone.chop().ops as DeltaOps;
}
