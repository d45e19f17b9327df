/**
 * One line's runs as Markdown that reads back as the same runs, in CommonMark with GitHub's strikethrough and formulas.
 *
 * Two things make that hard. Text may look like markup, so whatever could be is escaped. And CommonMark decides by the
 * characters on both sides whether `**` opens, closes or is text ("flanking": a delimiter next to white space, or to
 * punctuation on its inner side and a letter on its outer side, is text). Where a delimiter would not count, the character
 * beside it is written as a character reference, which counts as punctuation: `b&#32;**` for a bold space. Emphasis is
 * `_` and strong `**`, so that delimiters side by side never merge into a longer one.
 */
import type { InlineEmbed, Run } from './lines.ts';
import type { Inline } from './styles.ts';

/** A stretch with the same formatting: escaped later when it is text, ready when it is an embed. */
interface Segment {
  /** The closing delimiters of its formatting, outermost first; a link's holds its destination. */
  readonly delimiters: readonly string[];
  readonly is_code: boolean;
  readonly is_embed: boolean;
  text: string;
}

/** Where the line stands, for what has to be escaped there alone. */
export type LinePlace = 'block' | 'heading';

const ALWAYS = /[\\`*[\]<~]/g;
/** `_` within a word is text for everybody when no character beside it is ever written as a reference. */
const UNDERSCORE = /(?<![A-Za-z0-9]{2})_|_(?![A-Za-z0-9]{2})/g;
const REFERENCE = /&(?=#|[A-Za-z][A-Za-z0-9]{0,40};)/g;
const LETTER = /^[\p{L}\p{N}]$/u;
const SAFE_NEIGHBOUR = /^[ \t!-/:-@[-`{-~]$/;
const SPACE = /^\s$/;
const LIST_OR_RULE = /^[-+](?![A-Za-z0-9])/;
const ORDERED = /^(\d{1,9})([.)])(?=[ \t]|$)/;

/** The line's content, `<br>` when it has none. */
export function inlineMarkdown(runs: readonly Run[], place: LinePlace): string {
  const segments = toSegments(runs);
  if (segments.length === 0) return '<br>';
  let out = '';
  let open: readonly string[] = [];
  segments.forEach(({ delimiters }, index) => {
    const shared = sharedStart(open, delimiters);
    for (let i = open.length - 1; i >= shared; i -= 1) out += open[i] ?? '';
    for (let i = shared; i < delimiters.length; i += 1) out += opening(delimiters[i] ?? '');
    open = delimiters;
    out += segmentMarkdown(segments, index, place);
  });
  for (let i = open.length - 1; i >= 0; i -= 1) out += open[i] ?? '';
  return place === 'heading' ? escapeClosingSequence(out) : out;
}

/** A code span, with a fence longer than any run of backticks in it. */
export function codeSpan(text: string): string {
  let longest = 0;
  for (const run of text.match(/`+/g) ?? []) longest = Math.max(longest, run.length);
  const fence = '`'.repeat(longest + 1);
  const is_blank = !/[^ ]/.test(text);
  const touches = text.startsWith('`') || text.endsWith('`') || (text.startsWith(' ') && text.endsWith(' '));
  const pad = touches && !is_blank ? ' ' : '';
  return fence + pad + text + pad + fence;
}

/** Runs that differ only in what Markdown cannot say become one: escaping has to see them as one. */
function toSegments(runs: readonly Run[]): Segment[] {
  const segments: Segment[] = [];
  for (const { text, embed, inline } of runs) {
    const delimiters = delimitersOf(inline);
    if (embed !== null) {
      segments.push({ delimiters, is_code: false, is_embed: true, text: embedMarkdown(embed) });
      continue;
    }
    const before = segments.at(-1);
    const goes_on =
      before !== undefined &&
      !before.is_embed &&
      before.is_code === inline.code &&
      before.delimiters.length === delimiters.length &&
      sharedStart(before.delimiters, delimiters) === delimiters.length;
    if (goes_on) before.text += text;
    else segments.push({ delimiters, is_code: inline.code, is_embed: false, text });
  }
  return segments;
}

function embedMarkdown(embed: InlineEmbed): string {
  if (embed.kind === 'formula') return `$${codeSpan(embed.tex)}$`;
  return `![${escapeText(embed.alt.replaceAll('\n', ' '), false)}](${destination(embed.src)})`;
}

function delimitersOf({ link, bold, italic, strike }: Inline): string[] {
  const delimiters: string[] = [];
  if (link !== null) delimiters.push(`](${destination(link)})`);
  if (bold) delimiters.push('**');
  if (italic) delimiters.push('_');
  if (strike) delimiters.push('~~');
  return delimiters;
}

function isLink(delimiter: string | undefined): boolean {
  return delimiter?.startsWith(']') === true;
}

/** How many of the outermost delimiters two stretches have in common. */
function sharedStart(a: readonly string[], b: readonly string[]): number {
  let shared = 0;
  while (shared < a.length && a[shared] === b[shared]) shared += 1;
  return shared;
}

function opening(delimiter: string): string {
  return isLink(delimiter) ? '[' : delimiter;
}

function segmentMarkdown(segments: readonly Segment[], index: number, place: LinePlace): string {
  const segment = segments[index];
  if (segment === undefined || segment.is_embed) return segment?.text ?? '';
  if (segment.is_code) return codeSpan(segment.text);
  const after = segments[index + 1];
  const at_start = index === 0 && segment.delimiters.length === 0 && place === 'block';
  const first = firstCharacter(segment.text);
  const last = lastCharacter(segment.text);
  const encode_first = needsReference(first, segments, index, -1);
  if (encode_first && segment.text.length === first.length) return reference(first);
  const encode_last = needsReference(last, segments, index, 1);
  const head = encode_first ? first.length : 0;
  const tail = encode_last ? segment.text.length - last.length : segment.text.length;
  const text = segment.text.slice(head, tail);
  let out = escapeText(text, at_start && !encode_first);
  if (!encode_last) {
    // `!` would make an image of a link that follows, `$` a formula of a code span.
    if (text.endsWith('!') && after !== undefined) out = `${out.slice(0, -1)}\\!`;
    if (text.endsWith('$') && after?.is_code === true) out = `${out.slice(0, -1)}\\$`;
  }
  return (encode_first ? reference(first) : '') + out + (encode_last ? reference(last) : '');
}

/**
 * Whether a character at the edge of a segment has to be a character reference: white space that would be trimmed or would
 * keep a delimiter of its own segment from counting, or anything that would keep one of its neighbour from counting.
 * `side` is the neighbour's: -1 before, 1 behind.
 */
function needsReference(character: string, segments: readonly Segment[], index: number, side: -1 | 1): boolean {
  const beside = segments[index + side];
  const { own, other } = delimitersBetween(segments[index], beside);
  if (SPACE.test(character) && (beside === undefined || own.some((delimiter) => !isLink(delimiter)))) return true;
  if (SAFE_NEIGHBOUR.test(character) || beside === undefined) return false;
  // Delimiters of both sides meet, or a bracket stands between: each then has punctuation on its outer side.
  if (own.length > 0 || other.length === 0 || isLink(other[0])) return false;
  if (other.length > 1 || other[0] === '_' || beside.is_embed || beside.is_code) return true;
  const inner = side < 0 ? lastCharacter(beside.text) : firstCharacter(beside.text);
  if (!LETTER.test(inner)) return true;
  // A single character may become a reference for the sake of what is on its other side.
  const beyond = delimitersBetween(beside, segments[index + 2 * side]);
  return inner.length === beside.text.length && beyond.own.length === 0 && beyond.other.length > 0;
}

/** The delimiters that stand between two neighbours: those of the one and those of the other. */
function delimitersBetween(
  one: Segment | undefined,
  other: Segment | undefined,
): { own: readonly string[]; other: readonly string[] } {
  const own = one?.delimiters ?? [];
  const others = other?.delimiters ?? [];
  const shared = sharedStart(own, others);
  return { own: own.slice(shared), other: others.slice(shared) };
}

function reference(character: string): string {
  return `&#${character.codePointAt(0) ?? 0xfffd};`;
}

/** Escapes all that could be inline markup and, at the start of a block, all that could begin another kind of block. */
function escapeText(text: string, at_block_start: boolean): string {
  let out = text.replace(ALWAYS, '\\$&').replace(UNDERSCORE, '\\_').replace(REFERENCE, '\\&');
  if (at_block_start) {
    if (out.startsWith('#') || out.startsWith('>') || LIST_OR_RULE.test(out)) out = `\\${out}`;
    else out = out.replace(ORDERED, '$1\\$2');
  }
  return out;
}

/** A heading's last `#`s would be taken for its end. */
function escapeClosingSequence(content: string): string {
  let end = content.length;
  while (end > 0 && content[end - 1] === '#') end -= 1;
  return end === content.length ? content : `${content.slice(0, end)}\\${content.slice(end)}`;
}

/** A link destination in angle brackets, which need the fewest escapes and take spaces and parentheses. */
export function destination(url: string): string {
  return /^[A-Za-z0-9/?#@:.=%+,;_~!'-]+$/.test(url) ? url : `<${url.replace(/[\\<>&]/g, '\\$&')}>`;
}

function firstCharacter(text: string): string {
  return String.fromCodePoint(text.codePointAt(0) ?? 0x20);
}

function lastCharacter(text: string): string {
  const pair = text.slice(-2);
  return pair.length === 2 && pair.codePointAt(0) !== pair.charCodeAt(0) ? pair : text.slice(-1);
}
