/** Writing deltas into a `Y.Text`, and looking at single code units of one, without walking it more often than needed. */
import * as Y from 'yjs';
import type { DeltaOps } from '../protocol/content/delta.ts';

/** More formatted steps than this and one pass over the whole text is cheaper than finding each place. */
const FOUND_STEPS_MAX = 2;

/** Writes a delta that was checked against the text. */
export function writeDelta(text: Y.Text, delta: DeltaOps): void {
  // Yjs keeps a cache of positions for plain insertions and deletions; whatever touches formatting walks from the start.
  const walks = delta.filter((op) => op.attributes !== undefined || (op.insert !== undefined && text._hasFormatting));
  if (walks.length > FOUND_STEPS_MAX) return text.applyDelta(delta.map(ownAttributes));
  let index = 0;
  for (const op of delta) {
    if (typeof op.insert === 'string') {
      if (op.attributes === undefined && !text._hasFormatting) text.insert(index, op.insert);
      else text.insert(index, op.insert, { ...op.attributes });
      index += op.insert.length;
    } else if (op.insert !== undefined) {
      text.insertEmbed(index, op.insert, { ...op.attributes });
      index += 1;
    } else if (op.delete !== undefined) {
      text.delete(index, op.delete);
    } else if (op.retain !== undefined) {
      if (op.attributes !== undefined) text.format(index, op.retain, { ...op.attributes });
      index += op.retain;
    }
  }
}

/** Yjs writes into the attributes that it is handed; these are also journaled and sent. */
function ownAttributes(op: DeltaOps[number]): DeltaOps[number] {
  return op.attributes === undefined ? op : { ...op, attributes: { ...op.attributes } };
}

/** Reads single code units of the text; each call walks on from the last when it can. */
export function codeUnits(ops: DeltaOps): (index: number) => number {
  let at = 0;
  let start = 0;
  return (index) => {
    if (index < start) {
      at = 0;
      start = 0;
    }
    for (let op = ops[at]; op !== undefined; op = ops[at]) {
      const length = typeof op.insert === 'string' ? op.insert.length : 1;
      if (index < start + length) return typeof op.insert === 'string' ? op.insert.charCodeAt(index - start) : 0;
      start += length;
      at += 1;
    }
    return 0;
  };
}

/** Half of a surrogate pair. */
export const SURROGATE = /[\ud800-\udfff]/;

/** Whether an item holds text with surrogate pairs. */
export function holdsSurrogate(content: Y.Item['content']): boolean {
  return content instanceof Y.ContentString && SURROGATE.test(content.str);
}
