/**
 * Plain text, both ways, and what every output does to characters that its readers could not take.
 *
 * Through the Yjs doors a text may hold NUL, lone surrogates and control characters. In plain text each one that cannot
 * be stored or sent becomes U+FFFD, one code unit for one, so that positions still mean the same. HTML and Markdown
 * also give up every other character that XML or HTML forbid.
 */
import type { DeltaOps } from './delta.ts';

/** What stands for an embed where only text can be: U+FFFC, the object replacement character. */
export const EMBED_CHARACTER = '\ufffc';

const FORBIDDEN = /(?![\t\n])[\p{Cc}\p{Noncharacter_Code_Point}]/gu;

/** The document's text; an embed is U+FFFC, so indexes into it are indexes into the document. */
export function toText(doc: DeltaOps): string {
  let text = '';
  for (const { insert } of doc) text += typeof insert === 'string' ? insert : EMBED_CHARACTER;
  if (text.includes('\0')) text = text.replaceAll('\0', '\ufffd');
  return text.toWellFormed();
}

/** A document of this text. Line ends become `\n`, the only one that editors of a delta know. */
export function fromText(text: string): DeltaOps {
  const lines = unifyLineEnds(storable(text));
  return lines === '' ? [] : [{ insert: lines }];
}

/** `\r\n` and `\r` as `\n`. */
export function unifyLineEnds(text: string): string {
  return text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text;
}

/** The text without what a document made by us may not hold. */
export function storable(text: string): string {
  const clean = text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text;
  return clean.toWellFormed();
}

/** The text as HTML and Markdown show it: U+FFFD for whatever they cannot hold, `\n` for every line end. */
export function printable(text: string): string {
  return unifyLineEnds(text).toWellFormed().replace(FORBIDDEN, '\ufffd');
}
