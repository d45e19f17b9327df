/**
 * A `Y.Text` as delta ops, whatever a Yjs client put into it.
 *
 * Yjs lets a client embed a string, a number or a shared type in a text, or use the root for something else altogether,
 * and `toDelta` then shows an embedded string like typed text, or leaves units out that every position counts. Here each
 * unit of the text is one unit of the ops: what is neither text nor an embed object is shown as `{"yjs": value}`.
 */
import Delta from 'quill-delta';
import * as Y from 'yjs';
import type { DeltaOps, JsonValue } from './content/delta.ts';

/** What a Yjs item holds. */
type Content = Y.Item['content'];

/** The parts of a Yjs item that are read here. */
interface ListItem {
  readonly deleted: boolean;
  readonly countable: boolean;
  readonly content: Content;
  readonly right: ListItem | null;
}

/** Whether an item's content is something that `Y.Text` deltas cannot show as it is. */
export function isForeign(content: Content): boolean {
  if (content instanceof Y.ContentString || content instanceof Y.ContentFormat) return false;
  return !(content instanceof Y.ContentEmbed && isPlainObject(content.embed));
}

/** Whether the text holds anything foreign. Linear in its items. */
export function holdsForeign(text: Y.Text): boolean {
  for (let item: ListItem | null = text._start; item !== null; item = item.right)
    if (!item.deleted && item.countable && isForeign(item.content)) return true;
  return false;
}

/**
 * The text as ops; see the head of this file. Neighbours of one formatting are one op, wherever Yjs happens to keep them
 * apart, so that a text reads the same however it came about.
 */
export function textOps(text: Y.Text): DeltaOps {
  const ops = holdsForeign(text) ? walk(text) : (text.toDelta() as DeltaOps);
  const canonical = new Delta();
  for (const op of ops) canonical.push(op);
  return canonical.ops as DeltaOps;
}

/** The formatting that stands open at the end of the text: what is typed there next would have it. */
export function openFormatting(text: Y.Text): DeltaOps {
  const attributes = new Map<string, JsonValue>();
  for (let item: ListItem | null = text._start; item !== null; item = item.right)
    if (!item.deleted && item.content instanceof Y.ContentFormat) enter(attributes, item.content);
  return [{ insert: '\n', attributes: Object.fromEntries(attributes) }];
}

function enter(attributes: Map<string, JsonValue>, { key, value }: Y.ContentFormat): void {
  if (value === null) attributes.delete(key);
  else attributes.set(key, value as unknown as JsonValue);
}

function walk(text: Y.Text): DeltaOps {
  const ops: DeltaOps = [];
  const attributes = new Map<string, JsonValue>();
  let typed = '';
  const push = (insert: string | { [key: string]: JsonValue }): void => {
    ops.push(attributes.size === 0 ? { insert } : { insert, attributes: Object.fromEntries(attributes) });
  };
  const pushTyped = (): void => {
    if (typed !== '') push(typed);
    typed = '';
  };
  for (let item: ListItem | null = text._start; item !== null; item = item.right) {
    const { content } = item;
    if (item.deleted) continue;
    if (content instanceof Y.ContentString) {
      typed += content.str;
      continue;
    }
    pushTyped();
    if (content instanceof Y.ContentFormat) enter(attributes, content);
    else if (item.countable)
      for (const value of content.getContent()) push(isForeign(content) ? { yjs: plain(value) } : value);
  }
  pushTyped();
  return ops;
}

/** Whether a value is an object as JSON makes them. */
export function isPlainObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** A value of Yjs as JSON. A shared type shows what it is (its content changes on its own), bytes base64, what JSON lacks null. */
function plain(value: unknown): JsonValue {
  if (value instanceof Y.AbstractType) return { type: value.constructor.name };
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof Y.Doc) return { guid: value.guid };
  const text = JSON.stringify(value);
  return text === undefined ? null : (JSON.parse(text) as JsonValue);
}
