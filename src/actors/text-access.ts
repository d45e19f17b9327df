/** Writing deltas into a `Y.Text`, and looking at single code units of one, without walking it more often than needed. */
import * as Y from 'yjs';
import type { DeltaOps } from '../protocol/content/delta.ts';

/** More formatted steps than this and one pass over the whole text is cheaper than finding each place. */
const FOUND_STEPS_MAX = 2;

/** Writes a delta that was checked against the text. `foreign`: the text holds what Yjs does not count as text: see text-ops.ts. */
export function writeDelta(text: Y.Text, delta: DeltaOps, foreign: boolean): void {
  // Yjs keeps a cache of positions for plain insertions and deletions; whatever touches formatting walks from the start.
  const walks = delta.filter((op) => op.attributes !== undefined || (op.insert !== undefined && text._hasFormatting));
  if (walks.length > FOUND_STEPS_MAX && !foreign) return text.applyDelta(delta.map(withOwnAttributes));
  let index = 0;
  for (const op of delta) {
    if (typeof op.insert === 'string') {
      if (op.attributes === undefined && !text._hasFormatting) text.insert(index, op.insert);
      else text.insert(index, op.insert, ownAttributes(op));
      index += op.insert.length;
    } else if (op.insert !== undefined) {
      text.insertEmbed(index, op.insert, ownAttributes(op));
      index += 1;
    } else if (op.delete !== undefined) {
      if (foreign) deleteAny(text, index, op.delete);
      else text.delete(index, op.delete);
    } else if (op.retain !== undefined) {
      if (op.attributes !== undefined) text.format(index, op.retain, ownAttributes(op));
      index += op.retain;
    }
  }
}

/** Yjs steps over whatever is no string, embed or type when it deletes in a text, and deletes what comes behind instead. */
function deleteAny(text: Y.Text, index: number, length: number): void {
  if (text.doc === null) return;
  Y.transact(text.doc, (transaction) => {
    const cutBefore = (item: Y.Item, units: number): void => {
      if (units < item.length) Y.getItemCleanStart(transaction, Y.createID(item.id.client, item.id.clock + units));
    };
    let [before, left] = [index, length];
    for (let item = text._start; item !== null && left > 0; item = item.right) {
      if (item.deleted || !item.countable) continue;
      if (before > 0) {
        cutBefore(item, before);
        before -= item.length;
      } else {
        cutBefore(item, left);
        left -= item.length;
        item.delete(transaction);
      }
    }
    // Places that Yjs remembers are not what they were.
    if (text._searchMarker !== null) text._searchMarker.length = 0;
  });
}

/**
 * Yjs writes into the attributes that it is handed, and these are also journaled and sent. It takes a name for one that is set
 * if every object has a property of that name, so these have none.
 */
function ownAttributes({ attributes }: DeltaOps[number]): Record<string, unknown> {
  return Object.assign(Object.create(null), attributes);
}

function withOwnAttributes(op: DeltaOps[number]): DeltaOps[number] {
  return op.attributes === undefined ? op : { ...op, attributes: ownAttributes(op) as typeof op.attributes };
}

/** Whether an attribute of the op is an object or a list: Yjs takes an empty one of either kind for the other. */
export function hasObjectValue({ attributes }: DeltaOps[number]): boolean {
  if (attributes === undefined) return false;
  return Object.values(attributes).some((value) => typeof value === 'object' && value !== null);
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
