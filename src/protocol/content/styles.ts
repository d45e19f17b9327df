/**
 * Quill's attributes as the outputs understand them: each value checked, everything else left out.
 *
 * A document may carry any attribute with any value, also hostile ones (`color: "red\"><script>"`). The outputs never see
 * those: they work with {@link Inline} and {@link Block}, whose strings have passed the checks here, the same that
 * imports use, so that what an output writes an import reads back as it was.
 */
import type { Attributes } from './delta.ts';
import { CONTENT_LIMITS } from './limits.ts';
import { safeUrl } from './urls.ts';

/** How a stretch of text looks. */
export interface Inline {
  readonly link: string | null;
  readonly color: string | null;
  readonly background: string | null;
  readonly font: string | null;
  readonly size: string | null;
  readonly script: 'sub' | 'super' | null;
  readonly bold: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
  readonly strike: boolean;
  readonly code: boolean;
}

export type ListType = 'bullet' | 'ordered' | 'checked' | 'unchecked';
export type Align = 'center' | 'right' | 'justify';

/** What a line is. A line is one thing: of several that are claimed, the first of code, list, header, quote counts. */
export interface Block {
  readonly kind: 'paragraph' | 'header' | 'list' | 'quote' | 'code';
  /** 1–6, of a header. */
  readonly level: number;
  /** Of a list item. */
  readonly list: ListType;
  /** Of code, when it is known. */
  readonly language: string | null;
  /** Steps, 0 to `indent_levels_max`. */
  readonly indent: number;
  readonly align: Align | null;
  readonly rtl: boolean;
}

/** Text without any formatting. */
export const PLAIN: Inline = {
  link: null,
  color: null,
  background: null,
  font: null,
  size: null,
  script: null,
  bold: false,
  italic: false,
  underline: false,
  strike: false,
  code: false,
};

/** A line without any formatting. */
export const PARAGRAPH: Block = {
  kind: 'paragraph',
  level: 0,
  list: 'bullet',
  language: null,
  indent: 0,
  align: null,
  rtl: false,
};

const COLOR = /^(?:#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})|[a-z]{3,24}|(?:rgb|hsl)a?\([0-9.,%/ deg]{1,60}\))$/i;
const TOKEN = /^[a-z][a-z0-9-]{0,39}$/;
const FONT_FAMILY = /^[a-z][a-z0-9 ,_-]{0,119}$/i;
const LENGTH = /^\d{1,4}(?:\.\d{1,4})?(?:px|pt|em|rem|%)$/;
const LANGUAGE = /^[a-z0-9][a-z0-9_+#.-]{0,39}$/i;
const DIMENSION = /^\d{1,5}(?:\.\d{1,3})?(?:px|%)?$/;
const LIST_TYPES: ReadonlySet<unknown> = new Set(['bullet', 'ordered', 'checked', 'unchecked']);
const ALIGNS: ReadonlySet<unknown> = new Set(['center', 'right', 'justify']);

/** A CSS colour without functions that could fetch or compute anything. */
export function asColor(value: unknown): string | null {
  return matching(value, COLOR);
}

/** A name that Quill turns into a class (`serif`, `huge`). */
export function asToken(value: unknown): string | null {
  return matching(value, TOKEN);
}

/** A font name, or several after each other, unquoted. */
export function asFont(value: unknown): string | null {
  return matching(value, FONT_FAMILY)?.trimEnd() ?? null;
}

/** A size by name or as a CSS length. */
export function asSize(value: unknown): string | null {
  return matching(value, LENGTH) ?? asToken(value);
}

/** Whether a size is a CSS length rather than a name. */
export function isLength(size: string): boolean {
  return LENGTH.test(size);
}

/** The name of a programming language. */
export function asLanguage(value: unknown): string | null {
  return matching(value, LANGUAGE);
}

/** A width or height of an image, in pixels or percent. */
export function asDimension(value: unknown): string | null {
  return matching(typeof value === 'number' ? String(value) : value, DIMENSION);
}

export function asListType(value: unknown): ListType | null {
  return LIST_TYPES.has(value) ? (value as ListType) : null;
}

export function asAlign(value: unknown): Align | null {
  return ALIGNS.has(value) ? (value as Align) : null;
}

/** Own property of something that should be an object; a document may hold anything. */
export function own(owner: unknown, name: string): unknown {
  if (typeof owner !== 'object' || owner === null || !Object.hasOwn(owner, name)) return undefined;
  return (owner as Record<string, unknown>)[name];
}

/** How text with these attributes looks. */
export function readInline(attributes: unknown): Inline {
  if (attributes === undefined) return PLAIN;
  const script = own(attributes, 'script');
  return {
    link: safeUrl(own(attributes, 'link'), 'link'),
    color: asColor(own(attributes, 'color')),
    background: asColor(own(attributes, 'background')),
    font: asFont(own(attributes, 'font')),
    size: asSize(own(attributes, 'size')),
    script: script === 'sub' || script === 'super' ? script : null,
    bold: Boolean(own(attributes, 'bold')),
    italic: Boolean(own(attributes, 'italic')),
    underline: Boolean(own(attributes, 'underline')),
    strike: Boolean(own(attributes, 'strike')),
    code: Boolean(own(attributes, 'code')),
  };
}

/** What a line is whose `\n` has these attributes. */
export function readBlock(attributes: unknown): Block {
  if (attributes === undefined) return PARAGRAPH;
  const code = own(attributes, 'code-block');
  if (code) return { ...PARAGRAPH, kind: 'code', language: asLanguage(code) };
  const indent = own(attributes, 'indent');
  const shape: Block = {
    ...PARAGRAPH,
    indent: typeof indent === 'number' && indent >= 1 ? clampIndent(Math.floor(indent)) : 0,
    align: asAlign(own(attributes, 'align')),
    rtl: own(attributes, 'direction') === 'rtl',
  };
  const list = asListType(own(attributes, 'list'));
  if (list !== null) return { ...shape, kind: 'list', list };
  const header = own(attributes, 'header');
  if (header === 1 || header === 2 || header === 3 || header === 4 || header === 5 || header === 6) {
    return { ...shape, kind: 'header', level: header };
  }
  return own(attributes, 'blockquote') ? { ...shape, kind: 'quote' } : shape;
}

/** The attributes of a line's `\n`; the inverse of {@link readBlock}. */
export function writeBlock(block: Block): Attributes {
  const attributes: Attributes = {};
  if (block.kind === 'code') return { 'code-block': block.language ?? true };
  if (block.kind === 'list') attributes.list = block.list;
  if (block.kind === 'header') attributes.header = block.level;
  if (block.kind === 'quote') attributes.blockquote = true;
  if (block.indent > 0) attributes.indent = clampIndent(block.indent);
  if (block.align !== null) attributes.align = block.align;
  if (block.rtl) attributes.direction = 'rtl';
  return attributes;
}

function clampIndent(indent: number): number {
  return Math.min(indent, CONTENT_LIMITS.indent_levels_max);
}

function matching(value: unknown, pattern: RegExp): string | null {
  return typeof value === 'string' && pattern.test(value) ? value : null;
}
