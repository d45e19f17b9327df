/**
 * What HTML elements, classes and inline styles mean in Quill's attributes. Only what is listed here is taken over from
 * imported HTML; every value passes the checks of styles.ts.
 */
import type { Attributes } from './delta.ts';
import {
  asAlign,
  asColor,
  asDimension,
  asFont,
  asLanguage,
  asListType,
  asSize,
  asToken,
  type Block,
  isLength,
  type ListType,
} from './styles.ts';
import { safeUrl } from './urls.ts';

/** Attributes of one element, by lower-case name; an object without prototype. */
export type HtmlAttributes = { readonly [name: string]: string | undefined };

/** The attributes that mean something to us; the tokenizer's others are not even kept. */
export const KNOWN_ATTRIBUTES: ReadonlySet<string> = new Set([
  'align',
  'alt',
  'checked',
  'class',
  'color',
  'data-checked',
  'data-language',
  'data-list',
  'data-value',
  'dir',
  'face',
  'height',
  'href',
  'src',
  'style',
  'type',
  'width',
]);

/** Elements that begin and end lines. */
export const BLOCK_ELEMENTS: ReadonlySet<string> = new Set(
  (
    'address article aside blockquote caption center dd details dialog dir div dl dt fieldset figcaption figure footer ' +
    'form h1 h2 h3 h4 h5 h6 header hgroup legend li listing main menu nav ol p pre search section summary table tbody ' +
    'tfoot thead tr ul xmp'
  ).split(' '),
);

/** Elements whose contents are not text of the document. */
export const SKIPPED_ELEMENTS: ReadonlySet<string> = new Set(
  'audio canvas iframe math noembed noframes object script select style svg template textarea title video'.split(' '),
);

/** Those of them whose content the tokenizer gives as text even when the start tag ends with `/>`. */
export const RAW_ELEMENTS: ReadonlySet<string> = new Set(
  'iframe noembed noframes script style textarea title'.split(' '),
);

/** Elements that have no content and no end tag, beside those with a meaning of their own. */
export const VOID_ELEMENTS: ReadonlySet<string> = new Set(
  'area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr'.split(' '),
);

const ELEMENT_FORMATS: Readonly<Record<string, Attributes>> = {
  b: { bold: true },
  strong: { bold: true },
  em: { italic: true },
  i: { italic: true },
  u: { underline: true },
  ins: { underline: true },
  s: { strike: true },
  strike: { strike: true },
  del: { strike: true },
  code: { code: true },
  kbd: { code: true },
  samp: { code: true },
  tt: { code: true },
  sub: { script: 'sub' },
  sup: { script: 'super' },
};

/** The value of a class `prefix` + value. */
export function classValue({ class: classes }: HtmlAttributes, prefix: string): string | null {
  if (classes === undefined) return null;
  for (const name of classes.split(/[ \t\n\f]+/)) if (name.startsWith(prefix)) return name.slice(prefix.length);
  return null;
}

/** Inline styles by lower-case name; of one that is set twice, the last. */
export function styleOf({ style }: HtmlAttributes): ReadonlyMap<string, string> {
  const styles = new Map<string, string>();
  if (style === undefined) return styles;
  for (const declaration of style.split(';')) {
    const colon = declaration.indexOf(':');
    if (colon < 0) continue;
    const value = declaration.slice(colon + 1).replace(/!\s*important\s*$/i, '');
    styles.set(declaration.slice(0, colon).trim().toLowerCase(), value.trim());
  }
  return styles;
}

/** The formatting of text in an element, within that of the element around it. */
export function inlineWithin(
  outer: Attributes,
  name: string,
  attributes: HtmlAttributes,
  styles: ReadonlyMap<string, string>,
): Attributes {
  const own = Object.hasOwn(ELEMENT_FORMATS, name) ? ELEMENT_FORMATS[name] : undefined;
  const has_link = name === 'a' && attributes.href !== undefined;
  if (own === undefined && !has_link && attributes.class === undefined && styles.size === 0 && name !== 'font')
    return outer;
  const inner: Attributes = { ...outer, ...own };
  if (has_link) set(inner, 'link', safeUrl(attributes.href, 'link'));
  if (name === 'font') {
    set(inner, 'color', asColor(attributes.color));
    set(inner, 'font', asFont(attributes.face));
  }
  set(inner, 'font', asToken(classValue(attributes, 'ql-font-')));
  const size = asToken(classValue(attributes, 'ql-size-'));
  set(inner, 'size', size);
  applyStyles(inner, styles);
  return inner;
}

function applyStyles(inner: Attributes, styles: ReadonlyMap<string, string>): void {
  set(inner, 'color', asColor(styles.get('color')));
  set(inner, 'background', asColor(styles.get('background-color') ?? styles.get('background')));
  set(inner, 'font', asFont(styles.get('font-family')?.replace(/["']/g, '')));
  const size = styles.get('font-size')?.toLowerCase();
  if (size !== undefined && isLength(size)) set(inner, 'size', asSize(size));
  const weight = styles.get('font-weight')?.toLowerCase();
  if (weight !== undefined) toggle(inner, 'bold', /^(?:bold|bolder|[6-9]00)$/.test(weight));
  const slant = styles.get('font-style')?.toLowerCase();
  if (slant !== undefined) toggle(inner, 'italic', /^(?:italic|oblique)$/.test(slant));
  const decoration = (styles.get('text-decoration-line') ?? styles.get('text-decoration') ?? '').toLowerCase();
  if (decoration.includes('underline')) inner.underline = true;
  if (decoration.includes('line-through')) inner.strike = true;
  const position = styles.get('vertical-align');
  if (position === 'sub' || position === 'super') inner.script = position;
}

function set(attributes: Attributes, name: string, value: string | null): void {
  if (value !== null) attributes[name] = value;
}

/** Switches a format on, or off where a style takes back what the element around it does. */
function toggle(attributes: Attributes, name: string, on: boolean): void {
  if (on) attributes[name] = true;
  else delete attributes[name];
}

/** What lines in a block element are, within what those of the element around it are. */
export function blockWithin(
  outer: Block,
  name: string,
  attributes: HtmlAttributes,
  styles: ReadonlyMap<string, string>,
  list: { readonly depth: number; readonly type: ListType },
): Block {
  const align = styles.get('text-align') ?? attributes.align ?? classValue(attributes, 'ql-align-');
  const direction = attributes.dir ?? styles.get('direction') ?? classValue(attributes, 'ql-direction-');
  const steps = Number(classValue(attributes, 'ql-indent-') ?? 0);
  const own_indent = Number.isInteger(steps) && steps > 0 ? steps : 0;
  const block: Block = {
    ...outer,
    ...(align === null ? {} : { align: asAlign(align.toLowerCase()) }),
    ...(direction === null ? {} : { rtl: direction.toLowerCase() === 'rtl' }),
    ...(own_indent > 0 ? { indent: own_indent } : {}),
  };
  if (name === 'li') {
    const type = asListType(attributes['data-list']) ?? list.type;
    return { ...block, kind: 'list', list: type, indent: Math.max(0, list.depth - 1) + own_indent };
  }
  if (name === 'pre') {
    const language = asLanguage(attributes['data-language']) ?? codeLanguage(attributes);
    return { ...block, kind: 'code', language };
  }
  if (name === 'blockquote') return { ...block, kind: 'quote' };
  if (/^h[1-6]$/.test(name)) return { ...block, kind: 'header', level: Number(name[1]) };
  return block;
}

/** The language that a class names, as highlighters want it. */
export function codeLanguage(attributes: HtmlAttributes): string | null {
  return asLanguage(classValue(attributes, 'language-') ?? classValue(attributes, 'lang-'));
}

/** What items of a list are, unless they say it themselves. */
export function listType(name: string, attributes: HtmlAttributes): ListType {
  if (name === 'ol') return 'ordered';
  // Quill 1 marks the list; later ones mark the item.
  if (attributes['data-checked'] === 'true') return 'checked';
  return attributes['data-checked'] === 'false' ? 'unchecked' : 'bullet';
}

/** An image's own attributes. */
export function imageAttributes(outer: Attributes, attributes: HtmlAttributes): Attributes {
  const inner: Attributes = { ...outer };
  if (attributes.alt !== undefined && attributes.alt !== '') inner.alt = attributes.alt;
  set(inner, 'width', asDimension(attributes.width));
  set(inner, 'height', asDimension(attributes.height));
  return inner;
}

/** Whether white space is kept in an element; null when it is as around it. */
export function keepsSpace(name: string, styles: ReadonlyMap<string, string>): boolean | null {
  const value = styles.get('white-space');
  if (value !== undefined) return /^(?:pre|pre-wrap|break-spaces)$/i.test(value);
  return name === 'pre' || name === 'listing' || name === 'xmp' ? true : null;
}
