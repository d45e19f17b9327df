/** What the client needs of deltas beyond quill-delta itself. Deltas are values here: nothing changes one in place. */
import Delta, { type Op } from 'quill-delta';

/** Bounds of one edit on the wire, well below what the server takes: 10,000 ops, frames of 1 MiB. */
const EDIT_OPS_MAX = 5_000;
const EDIT_BYTES_MAX = 768 * 1024;
/** A code unit is at most six bytes of JSON (`\u0001`), so a piece of this length always fits. */
const PIECE_UNITS_MAX = 64 * 1024;

/** A document in quill-delta's own form: Yjs may hand out neighbours that look the same as two ops. */
export function documentOf(ops: readonly Op[]): Delta {
  const text = new Delta();
  for (const op of ops) text.push(op);
  return text;
}

/** Whether applying it changes nothing. */
export function isNothing(delta: Delta): boolean {
  return delta.ops.every((op) => typeof op.retain === 'number' && op.attributes === undefined);
}

/**
 * Brings edits made one on top of the other, and a change made to what the first stands on, together. The change is the
 * earlier one, so it stays left. Returns the edits as they are on top of the change, and the change as it is on top of the edits.
 */
export function carry(change: Delta, edits: readonly Delta[]): { readonly change: Delta; readonly edits: Delta[] } {
  let rest = change;
  const carried = edits.map((edit) => {
    const moved = rest.transform(edit, true);
    rest = edit.transform(rest, false);
    return moved;
  });
  return { change: rest, edits: carried };
}

/**
 * The edit in the form in which the server takes it, or a throw that says why it never would: a RangeError when it does
 * not fit `content`, a TypeError when it is not a delta.
 */
export function checkedEdit(edit: Delta | readonly Op[], content: Delta): Delta {
  const checked = new Delta();
  const length = content.length();
  const boundaries: number[] = [];
  let index = 0;
  for (const op of edit instanceof Delta ? edit.ops : edit) {
    if (op.insert === '') continue;
    if (typeof op.insert === 'string') {
      if (op.insert.includes('\0')) throw new RangeError('text must not contain NUL');
      if (!isWellFormed(op.insert)) throw new RangeError('text must not contain half of a surrogate pair');
    } else if (op.insert === undefined) {
      const step: unknown = op.delete ?? op.retain;
      if (typeof step !== 'number' || !Number.isSafeInteger(step) || step <= 0)
        throw new TypeError('an operation must be an insert, a retain or a delete of a positive number of code units');
      index += step;
    }
    boundaries.push(index);
    checked.push(op.insert === undefined ? op : withoutNulls(op));
  }
  if (index > length) throw new RangeError(`the edit reaches ${index}, and the text is ${length} long`);
  if (splitsPair(content, boundaries)) throw new RangeError('the edit splits a surrogate pair');
  return checked.chop();
}

/** Taking a format away from new text means nothing, and would stay in a delta where the server's text has no trace of it. */
function withoutNulls(op: Op): Op {
  if (op.attributes === undefined) return op;
  const kept = Object.entries(op.attributes).filter(([, value]) => value !== null && value !== undefined);
  const { attributes: _, ...rest } = op;
  return kept.length === 0 ? rest : { ...rest, attributes: Object.fromEntries(kept) };
}

/** `String.prototype.isWellFormed`, which older browsers lack. */
function isWellFormed(text: string): boolean {
  return !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text);
}

/** Whether one of the rising `boundaries` lies within a surrogate pair of the text. */
function splitsPair(content: Delta, boundaries: readonly number[]): boolean {
  let start = 0;
  let at = 0;
  for (const { insert } of content.ops) {
    const text = typeof insert === 'string' ? insert : ' ';
    for (let boundary = boundaries[at]; boundary !== undefined && boundary <= start + text.length; ) {
      if (isHigh(text.charCodeAt(boundary - start - 1)) && isLow(text.charCodeAt(boundary - start))) return true;
      at += 1;
      boundary = boundaries[at];
    }
    start += text.length;
  }
  return false;
}

function isHigh(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800;
}

function isLow(unit: number): boolean {
  return (unit & 0xfc00) === 0xdc00;
}

/**
 * Cuts an edit that is too large for one message: first what fits, then the rest on top of it (null when all of it
 * fitted). A single embed or set of attributes that is too large stays whole; the server will say so.
 */
export function cutEdit(edit: Delta): { readonly first: Delta; readonly rest: Delta | null } {
  const first = new Delta();
  const ops = edit.ops.slice();
  let bytes = 0;
  let count = 0;
  for (let op = ops.shift(); op !== undefined; op = ops.shift()) {
    const [piece, remainder] = cutText(op);
    const cost = new TextEncoder().encode(JSON.stringify(piece)).length;
    if (count > 0 && (bytes + cost > EDIT_BYTES_MAX || count >= EDIT_OPS_MAX)) {
      const rest = new Delta().retain(lengthAfter(first)).push(op);
      for (const later of ops) rest.push(later);
      return { first: first.chop(), rest };
    }
    first.push(piece);
    bytes += cost;
    count += 1;
    if (remainder !== null) ops.unshift(remainder);
  }
  return { first, rest: null };
}

function cutText(op: Op): [Op, Op | null] {
  if (typeof op.insert !== 'string' || op.insert.length <= PIECE_UNITS_MAX) return [op, null];
  const at = isLow(op.insert.charCodeAt(PIECE_UNITS_MAX)) ? PIECE_UNITS_MAX - 1 : PIECE_UNITS_MAX;
  return [
    { ...op, insert: op.insert.slice(0, at) },
    { ...op, insert: op.insert.slice(at) },
  ];
}

/** How far into the changed text an edit has come. */
function lengthAfter(edit: Delta): number {
  let length = 0;
  for (const op of edit.ops) {
    if (typeof op.retain === 'number') length += op.retain;
    else if (op.insert !== undefined) length += typeof op.insert === 'string' ? op.insert.length : 1;
  }
  return length;
}

/**
 * The change that turns one document into another. quill-delta compares code units and would match the halves of two
 * different emoji; so every distinct surrogate pair is first replaced by one code unit that neither text uses.
 */
export function difference(from: Delta, to: Delta): Delta {
  const texts = [from, to].map(({ ops }) =>
    ops.map(({ insert }) => (typeof insert === 'string' ? insert : '')).join(''),
  );
  const pairs = new Set(texts.join(' ').match(PAIRS));
  if (pairs.size === 0) return from.diff(to);
  const stand_ins = unusedUnits(texts.join(''), pairs.size);
  if (stand_ins === null) return from.diff(to);
  const stand_in_of = new Map([...pairs].map((pair, i) => [pair, stand_ins[i] ?? '']));
  const pair_of = new Map([...stand_in_of].map(([pair, unit]) => [unit, pair]));
  const small = [from, to].map((document) =>
    mapText(document, (text) => text.replace(PAIRS, (pair) => stand_in_of.get(pair) ?? '')),
  );
  const [small_from, small_to] = small as [Delta, Delta];
  const widths = flatUnits(small_from).map((unit) => pair_of.get(unit)?.length ?? 1);
  return widened(small_from.diff(small_to), widths, (text) =>
    Array.from(text, (unit) => pair_of.get(unit) ?? unit).join(''),
  );
}

const PAIRS = /[\ud800-\udbff][\udc00-\udfff]/g;

/** As many code units as asked for that the text does not hold, none of them a surrogate; null when there are not enough. */
function unusedUnits(text: string, count: number): string[] | null {
  const used = new Set(text);
  const unused: string[] = [];
  for (let unit = 0xf8ff; unit > 0 && unused.length < count; unit -= 1) {
    const character = String.fromCharCode(unit);
    if (!isHigh(unit) && !isLow(unit) && !used.has(character)) unused.push(character);
  }
  return unused.length === count ? unused : null;
}

function mapText(document: Delta, map: (text: string) => string): Delta {
  return new Delta(document.ops.map((op) => (typeof op.insert === 'string' ? { ...op, insert: map(op.insert) } : op)));
}

/** Every code unit of a document; an embed is one. */
function flatUnits(document: Delta): string[] {
  return document.ops.flatMap(({ insert }) => (typeof insert === 'string' ? insert.split('') : ['']));
}

/** A change of the text with stand-ins as a change of the text itself; `widths` of the units that it retains or deletes. */
function widened(change: Delta, widths: readonly number[], text: (small: string) => string): Delta {
  const wide = new Delta();
  let at = 0;
  for (const op of change.ops) {
    const step = op.delete ?? op.retain;
    if (typeof step !== 'number') {
      wide.push(typeof op.insert === 'string' ? { ...op, insert: text(op.insert) } : op);
      continue;
    }
    const length = widths.slice(at, at + step).reduce((sum, width) => sum + width, 0);
    at += step;
    wide.push(op.delete === undefined ? { ...op, retain: length } : { delete: length });
  }
  return wide;
}
