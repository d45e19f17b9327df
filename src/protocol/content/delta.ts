/**
 * What a delta is, and the only check between a client's JSON and the document.
 *
 * The invariant: a {@link Delta} that {@link parseDelta} returned, and that {@link checkFits} accepted for a document,
 * can be applied to it, transformed, composed, journaled as JSON and stored in PostgreSQL without a further look. So no
 * NUL, no lone surrogate and no `__proto__` key passes, at any depth, and no number that is not a count of code units.
 *
 * The checks are written by hand: this runs at every keystroke, and a schema engine cannot say "exactly one of". What is
 * allowed but means nothing (an attribute set to null on new text, an empty attributes object) is left out of the result,
 * because quill-delta would keep it in the text where Yjs does not.
 */
import Delta, { type Op } from 'quill-delta';
import { CONTENT_LIMITS } from './limits.ts';

/** Anything JSON can say. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** Formatting by name; null takes one away. */
export type Attributes = { [name: string]: JsonValue };

/** Something in the text that is not text, one code unit long: one key, its name, and any value. */
export type Embed = { [name: string]: JsonValue };

/** New text or a new embed. */
export type InsertOp = { insert: string | Embed; attributes?: Attributes; retain?: never; delete?: never };

/** Code units passed over, or formatted when there are attributes. */
export type RetainOp = { retain: number; attributes?: Attributes; insert?: never; delete?: never };

/** Code units taken away. */
export type DeleteOp = { delete: number; insert?: never; retain?: never; attributes?: never };

/** One step of a delta; a stricter form of quill-delta's `Op`, assignable to it. */
export type DeltaOp = InsertOp | RetainOp | DeleteOp;

/** A delta, as JSON carries it. */
export type DeltaOps = DeltaOp[];

/** Why a value is refused: `path` is a JSON pointer into it, empty for the whole. */
export interface Refusal {
  readonly ok: false;
  readonly path: string;
  readonly message: string;
}

/** Outcome of {@link parseDelta}. */
export type ParsedDelta = { readonly ok: true; readonly delta: Delta } | Refusal;

/** Outcome of {@link parseDocument}. */
export type ParsedDocument = { readonly ok: true; readonly ops: DeltaOps } | Refusal;

/** Checks the delta of an edit: CONTRACT.md section 3. The result shares the value's parts; it may not be changed. */
export function parseDelta(value: unknown): ParsedDelta {
  const ops = parseOps(value, CONTENT_LIMITS.delta_ops_max, false);
  if (!Array.isArray(ops)) return ops;
  if (!ops.some(changesSomething)) return refusal('', 'must change something: it is empty or only retains');
  return { ok: true, delta: new Delta(ops) };
}

/** Checks a delta that is a whole document: inserts alone, perhaps none. */
export function parseDocument(value: unknown): ParsedDocument {
  const ops = parseOps(value, CONTENT_LIMITS.document_ops_max, true);
  return Array.isArray(ops) ? { ok: true, ops } : ops;
}

/**
 * Why `delta` cannot be applied to a text of `length` code units, or null when it can: it must not reach past the end,
 * and no boundary of an op (hence no insert, no end of a deletion or of formatting) may lie within a surrogate pair.
 * `codeUnitAt` gives the UTF-16 code unit at an index of the text, anything but a surrogate for an embed; it is asked
 * at boundaries alone, with rising indexes.
 */
export function checkFits(delta: Delta, length: number, codeUnitAt: (index: number) => number): string | null {
  let index = 0;
  for (const op of delta.ops) {
    const step = op.delete ?? op.retain;
    if (typeof step === 'number') {
      index += step;
      if (index > length) return `reaches past the end of the document, which is ${length} long`;
    }
    if (index === 0 || index === length) continue;
    if (isHighSurrogate(codeUnitAt(index - 1)) && isLowSurrogate(codeUnitAt(index))) {
      return `splits a surrogate pair at ${index - 1}`;
    }
  }
  return null;
}

/** Length in UTF-16 code units of the text that a document's ops make; an embed counts 1. */
export function docLength(ops: readonly Op[]): number {
  let length = 0;
  for (const { insert } of ops) {
    if (insert !== undefined) length += typeof insert === 'string' ? insert.length : 1;
  }
  return length;
}

function changesSomething(op: DeltaOp): boolean {
  return op.retain === undefined || op.attributes !== undefined;
}

/** Checks every op; returns the ops, or the first refusal. Copies the array only when an op has to be put in order. */
function parseOps(value: unknown, ops_max: number, inserts_only: boolean): DeltaOps | Refusal {
  if (!Array.isArray(value)) return refusal('', 'must be an array of operations');
  if (value.length > ops_max) return refusal('', `must have at most ${ops_max} operations`);
  let ops = value;
  for (let index = 0; index < value.length; index += 1) {
    const op: unknown = value[index];
    if (!isPlainObject(op)) return refusal(`/${index}`, 'must be an object');
    const issue = checkOp(op, inserts_only);
    if (issue !== null) return refusal(`/${index}${issue.path}`, issue.message);
    if (op.attributes !== undefined && !inOrder(op)) {
      if (ops === value) ops = value.slice();
      ops[index] = putInOrder(op);
    }
  }
  return ops as DeltaOps;
}

function checkOp(op: Record<string, unknown>, inserts_only: boolean): Refusal | null {
  let kind = '';
  for (const key in op) {
    if (key === 'insert' || key === 'retain' || key === 'delete') {
      if (kind !== '') return refusal('', `must have exactly one of insert, retain and delete, not ${kind} and ${key}`);
      kind = key;
    } else if (key !== 'attributes') {
      return refusal(pointer(key), 'is not a field of an operation');
    }
  }
  if (kind === 'insert') {
    const issue = checkInsert(op.insert);
    if (issue !== null) return issue;
  } else {
    if (kind === '') return refusal('', 'must have exactly one of insert, retain and delete');
    if (inserts_only) return refusal(`/${kind}`, 'has no place in a document, which consists of inserts');
    const count = op[kind];
    if (!Number.isSafeInteger(count) || (count as number) <= 0)
      return refusal(`/${kind}`, 'must be a positive integer');
    if (kind === 'delete' && 'attributes' in op) return refusal('/attributes', 'has no meaning on a delete');
  }
  return 'attributes' in op ? checkAttributes(op.attributes) : null;
}

function checkInsert(insert: unknown): Refusal | null {
  if (typeof insert === 'string') {
    if (insert.length === 0) return refusal('/insert', 'must not be empty');
    const flaw = textFlaw(insert);
    return flaw === null ? null : refusal('/insert', flaw);
  }
  if (!isPlainObject(insert)) return refusal('/insert', 'must be a string or an embed object');
  let names = 0;
  for (const name in insert) {
    names += 1;
    const issue = names > 1 ? null : checkMember(insert, name, 1);
    if (issue !== null) return refusal(`/insert${issue.path}`, issue.message);
  }
  return names === 1 ? null : refusal('/insert', 'must have exactly one key, the name of the embed');
}

function checkAttributes(attributes: unknown): Refusal | null {
  if (!isPlainObject(attributes)) return refusal('/attributes', 'must be an object');
  let count = 0;
  for (const name in attributes) {
    count += 1;
    if (count > CONTENT_LIMITS.attributes_per_op_max) {
      return refusal('/attributes', `must have at most ${CONTENT_LIMITS.attributes_per_op_max} keys`);
    }
    // Yjs and quill-delta find such a name set where it is not.
    const issue =
      name in Object.prototype
        ? refusal(pointer(name), 'must not have the name of a property that every object has')
        : checkMember(attributes, name, 0);
    if (issue !== null) return refusal(`/attributes${issue.path}`, issue.message);
  }
  return null;
}

function checkMember(owner: Record<string, unknown>, key: string, depth: number): Refusal | null {
  const flaw = key === '__proto__' ? 'must not be named __proto__' : textFlaw(key);
  if (flaw !== null) return refusal(pointer(key), flaw);
  const issue = checkJson(owner[key], depth);
  return issue === null ? null : refusal(pointer(key) + issue.path, issue.message);
}

/** Checks a value within `depth` objects and arrays. The depth bounds the recursion. */
function checkJson(value: unknown, depth: number): Refusal | null {
  if (typeof value === 'string') {
    const flaw = textFlaw(value);
    return flaw === null ? null : refusal('', flaw);
  }
  if (typeof value === 'boolean' || value === null) return null;
  if (typeof value === 'number') return Number.isFinite(value) ? null : refusal('', 'must be a finite number');
  const is_array = Array.isArray(value);
  if (!is_array && !isPlainObject(value)) return refusal('', 'must be a JSON value');
  if (depth >= CONTENT_LIMITS.delta_depth_max) {
    return refusal('', `must not be nested deeper than ${CONTENT_LIMITS.delta_depth_max} levels`);
  }
  if (!is_array) {
    for (const key in value) {
      const issue = checkMember(value, key, depth + 1);
      if (issue !== null) return issue;
    }
    return null;
  }
  for (let index = 0; index < value.length; index += 1) {
    const issue = checkJson(value[index], depth + 1);
    if (issue !== null) return refusal(`/${index}${issue.path}`, issue.message);
  }
  return null;
}

/** What makes a string unfit to be stored and sent, or null. */
export function textFlaw(text: string): string | null {
  if (text.includes('\0')) return 'must not contain NUL';
  return text.isWellFormed() ? null : 'must not contain a lone surrogate';
}

/** Whether an op says nothing that {@link putInOrder} would leave out. */
function inOrder(op: Record<string, unknown>): boolean {
  const attributes = op.attributes as Attributes;
  let count = 0;
  for (const name in attributes) {
    if (attributes[name] === null && op.insert !== undefined) return false;
    count += 1;
  }
  return count > 0;
}

function putInOrder(op: Record<string, unknown>): DeltaOp {
  const { attributes, ...rest } = op as InsertOp | RetainOp;
  const kept = Object.entries(attributes ?? {}).filter(([, value]) => value !== null || rest.insert === undefined);
  return kept.length === 0 ? (rest as DeltaOp) : ({ ...rest, attributes: Object.fromEntries(kept) } as DeltaOp);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function isHighSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800;
}

function isLowSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xdc00;
}

/** One step of a JSON pointer (RFC 6901), cut where a hostile key would fill the answer. */
function pointer(key: string): string {
  return `/${key.slice(0, 64).toWellFormed().replaceAll('\0', '\ufffd').replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

function refusal(path: string, message: string): Refusal {
  return { ok: false, path, message };
}

/** How much a delta lengthens the text. */
export function lengthChange(delta: DeltaOps): number {
  let change = 0;
  for (const op of delta) {
    if (op.insert !== undefined) change += typeof op.insert === 'string' ? op.insert.length : 1;
    else if (op.delete !== undefined) change -= op.delete;
  }
  return change;
}

/** How far into the text a delta reaches. */
export function reach(delta: DeltaOps): number {
  let reached = 0;
  for (const op of delta) reached += op.delete ?? op.retain ?? 0;
  return reached;
}

/**
 * Where an index is once the delta is applied: behind what is inserted at it. The same as quill-delta's
 * `transformPosition`, which makes objects of every op and takes five times as long; five hundred cursors may have to be
 * carried over thousands of edits at once.
 */
export function transformIndex(delta: DeltaOps, index: number): number {
  let [at, reached] = [index, 0];
  for (const op of delta) {
    if (reached > at) break;
    if (op.delete !== undefined) at -= Math.min(op.delete, at - reached);
    else {
      const length = op.retain ?? (typeof op.insert === 'string' ? op.insert.length : 1);
      if (op.insert !== undefined) at += length;
      reached += length;
    }
  }
  return at;
}
