/**
 * Markdown into a document: CommonMark with GitHub's tables, task lists, strikethrough and formulas, read by
 * markdown-it, which is maintained, complete and, unlike its rivals, tested against inputs made to be slow.
 *
 * A document is a list of lines, so what Markdown nests is laid flat: every line is what its innermost container makes
 * it, a table row is one line with tabs between its cells. HTML is text, as typed, except `<br>`, which ends a line.
 *
 * Bounded in memory and time, whatever the text: blocks come in windows (markdown-windows.ts), the text of one block is
 * parsed in pieces of at most `markdown_inline_chars_max`, and what is nested too deep is text.
 */
import MarkdownItParser, {
  type Env,
  type MarkdownIt,
  type StateBlock,
  type StateInline,
  type Token,
} from 'markdown-it';
import type { Attributes, DeltaOps } from './delta.ts';
import { CONTENT_LIMITS } from './limits.ts';
import { eachWindow } from './markdown-windows.ts';
import { DocumentBuilder } from './ops.ts';
import { asLanguage, type ListType, PARAGRAPH, writeBlock } from './styles.ts';
import { storable, unifyLineEnds } from './text.ts';
import { safeUrl } from './urls.ts';

/** A list goes two levels deeper at once; {@link tooDeep} has to be asked before the parser gives up. */
const blocks = makeParser(CONTENT_LIMITS.markdown_depth_max + 3);
const inlines = makeParser(CONTENT_LIMITS.markdown_brackets_max);

const BR = /<br[ \t]{0,8}\/?>/iy;
const TASK = /^\[([ xX])\](?:[ \t\n]+|$)/;
/** A character reference that a cut would tear. */
const OPEN_REFERENCE = /&[#A-Za-z0-9]{0,40}$/;

/** The document that a Markdown text describes. Throws `TooManyOps`. */
export function fromMarkdown(markdown: string): DeltaOps {
  const text = unifyLineEnds(storable(markdown));
  const env: Env = { references: Object.create(null) };
  const parse = (window: string): Token[] => {
    const tokens: Token[] = [];
    blocks.block.parse(window, blocks, env, tokens);
    return tokens;
  };
  // A link may be defined anywhere, also behind its use: definitions are gathered first.
  if (text.includes(']:')) eachWindow(text, parse, () => {});
  const reader = new MarkdownReader(env);
  eachWindow(text, parse, (tokens) => reader.read(tokens));
  return reader.end();
}

function makeParser(depth_max: number): MarkdownIt {
  const md = new MarkdownItParser({ html: false, linkify: false, maxNesting: depth_max });
  // Addresses are kept as they are written and judged by safeUrl, where it is known what they are for.
  md.validateLink = () => true;
  md.normalizeLink = (url) => url;
  md.normalizeLinkText = (url) => url;
  md.block.ruler.before('table', 'too_deep', tooDeep);
  md.inline.ruler.before('autolink', 'line_break', lineBreak);
  return md;
}

/** Where markdown-it would drop what is nested too deep, the rest of the container becomes one stretch of text. */
function tooDeep(state: StateBlock, start: number, end: number, silent: boolean): boolean {
  if (silent || state.level <= CONTENT_LIMITS.markdown_depth_max) return false;
  const token = state.push('inline', '', 0);
  token.content = state.getLines(start, end, state.blkIndent, false);
  token.hidden = true;
  state.line = end;
  return true;
}

function lineBreak(state: StateInline, silent: boolean): boolean {
  BR.lastIndex = state.pos;
  const match = BR.exec(state.src);
  if (match === null) return false;
  if (!silent) state.push('hardbreak', 'br', 0);
  state.pos += match[0].length;
  return true;
}

/** A container that is open. */
type Container =
  | { readonly kind: 'list'; readonly ordered: boolean }
  /** What lines within are, and how many lines there were before it: one that stays empty is a line all the same. */
  | { readonly kind: 'item' | 'quote'; readonly attributes: Attributes; readonly lines_before: number };

/** Turns tokens into lines, holding what is open between them. */
class MarkdownReader {
  readonly #env: Env;
  readonly #builder = new DocumentBuilder();
  readonly #containers: Container[] = [];
  #lists = 0;
  #lines = 0;
  #heading: Attributes | null = null;
  /** Cells of the present table row; null outside of a table. */
  #cells: number | null = null;

  constructor(env: Env) {
    this.#env = env;
  }

  end(): DeltaOps {
    return this.#builder.lines();
  }

  read(tokens: readonly Token[]): void {
    tokens.forEach((token, index) => {
      this.#token(token, tokens, index);
    });
  }

  #token(token: Token, tokens: readonly Token[], index: number): void {
    switch (token.type) {
      case 'bullet_list_open':
      case 'ordered_list_open':
        this.#lists += 1;
        this.#containers.push({ kind: 'list', ordered: token.type === 'ordered_list_open' });
        break;
      case 'bullet_list_close':
      case 'ordered_list_close':
        this.#lists -= 1;
        this.#containers.pop();
        break;
      case 'list_item_open':
        this.#openItem(tokens[index + 2]);
        break;
      case 'blockquote_open':
        this.#openContainer('quote', { blockquote: true });
        break;
      case 'list_item_close':
      case 'blockquote_close':
        this.#closeContainer();
        break;
      case 'heading_open':
        this.#heading = { header: Number(token.tag.slice(1)) };
        break;
      case 'heading_close':
        this.#heading = null;
        break;
      case 'tr_open':
        this.#cells = 0;
        break;
      case 'th_open':
      case 'td_open':
        if (this.#cells !== null && this.#cells > 0) this.#builder.text('\t');
        this.#cells = (this.#cells ?? 0) + 1;
        break;
      case 'tr_close':
        this.#cells = null;
        this.#endLine();
        break;
      case 'inline':
        if (token.hidden) this.#literal(token.content);
        else this.#inline(token.content);
        break;
      case 'fence':
      case 'code_block':
        this.#code(token);
        break;
      case 'hr':
        this.#builder.embed({ divider: true });
        this.#lines += 1;
        break;
      default:
    }
  }

  /** `first` is where the text of the item's first paragraph is, if it begins with one. */
  #openItem(first: Token | undefined): void {
    const list = this.#containers.at(-1);
    let type: ListType = list?.kind === 'list' && list.ordered ? 'ordered' : 'bullet';
    const task = first?.type === 'inline' && !first.hidden ? TASK.exec(first.content) : null;
    if (first !== undefined && task !== null) {
      type = task[1] === ' ' ? 'unchecked' : 'checked';
      first.content = first.content.slice(task[0].length);
    }
    this.#openContainer('item', writeBlock({ ...PARAGRAPH, kind: 'list', list: type, indent: this.#lists - 1 }));
  }

  #openContainer(kind: 'item' | 'quote', attributes: Attributes): void {
    this.#containers.push({ kind, attributes, lines_before: this.#lines });
  }

  #closeContainer(): void {
    const container = this.#containers.at(-1);
    if (container !== undefined && container.kind !== 'list' && container.lines_before === this.#lines) this.#endLine();
    this.#containers.pop();
  }

  #endLine(): void {
    const container = this.#containers.at(-1);
    this.#builder.text('\n', this.#heading ?? (container?.kind === 'list' ? undefined : container?.attributes));
    this.#lines += 1;
  }

  #code({ content, info }: Token): void {
    const language = asLanguage(info.trim().split(/[\s{]/, 1)[0]);
    const attributes = writeBlock({ ...PARAGRAPH, kind: 'code', language });
    const lines = content.endsWith('\n') ? content.slice(0, -1) : content;
    for (const line of lines.split('\n')) {
      this.#builder.text(line);
      this.#builder.text('\n', attributes);
    }
    this.#lines += 1;
  }

  #literal(content: string): void {
    for (const line of content.split('\n')) {
      this.#builder.text(line.trim());
      this.#endLine();
    }
  }

  /** The text of one block. A line break ends a line, except as the last thing of several, where it ends nothing more. */
  #inline(content: string): void {
    let line_open = true;
    for (const piece of pieces(content)) {
      const tokens: Token[] = [];
      inlines.inline.parse(piece, inlines, this.#env, tokens);
      line_open = this.#pieceTokens(tokens, line_open);
    }
    if (line_open && this.#cells === null) this.#endLine();
  }

  /** Returns whether the line is open at the end: it has text, or nothing ended one yet. */
  #pieceTokens(tokens: readonly Token[], open_before: boolean): boolean {
    const marks = new Marks();
    let line_open = open_before;
    tokens.forEach((token, index) => {
      if (marks.take(token)) return;
      if (token.type === 'hardbreak' && this.#cells === null) {
        this.#endLine();
        line_open = false;
        return;
      }
      line_open = true;
      if (token.type === 'image') this.#image(token, marks.attributes());
      else if (token.type === 'softbreak' || token.type === 'hardbreak') this.#builder.text(' ', marks.attributes());
      else if (token.type === 'code_inline') this.#codeSpan(token, tokens, index, marks);
      else this.#builder.text(beforeFormula(token, tokens, index), marks.attributes());
    });
    return line_open;
  }

  #codeSpan(token: Token, tokens: readonly Token[], index: number, marks: Marks): void {
    const after = tokens[index + 1];
    if (after !== undefined && isFormula(tokens, index)) {
      after.content = after.content.slice(1);
      this.#builder.embed({ formula: token.content }, marks.attributes());
    } else {
      this.#builder.text(token.content, { ...marks.attributes(), code: true });
    }
  }

  #image(token: Token, attributes: Attributes | undefined): void {
    const src = safeUrl(token.attrGet('src'), 'image');
    const alt = plainText(token.children ?? []);
    if (src === null) this.#builder.text(alt, attributes);
    else this.#builder.embed({ image: src }, alt === '' ? attributes : { ...attributes, alt });
  }
}

/** The formatting that is on at a point of a line. */
class Marks {
  #on = { bold: 0, italic: 0, strike: 0 };
  readonly #links: (string | null)[] = [];
  #attributes: Attributes | undefined | null = undefined;

  /** Takes note of a token that turns formatting on or off; false for any other. */
  take(token: Token): boolean {
    const mark = MARKS[token.tag];
    if (mark !== undefined && token.nesting !== 0) this.#on[mark] += token.nesting;
    else if (token.type === 'link_open') this.#links.push(safeUrl(token.attrGet('href'), 'link'));
    else if (token.type === 'link_close') this.#links.pop();
    else return false;
    this.#attributes = null;
    return true;
  }

  attributes(): Attributes | undefined {
    if (this.#attributes === null) {
      this.#attributes = {};
      for (const name of ['bold', 'italic', 'strike'] as const) if (this.#on[name] > 0) this.#attributes[name] = true;
      const link = this.#links.at(-1) ?? null;
      if (link !== null) this.#attributes.link = link;
    }
    return this.#attributes;
  }
}

const MARKS: Readonly<Record<string, 'bold' | 'italic' | 'strike'>> = { strong: 'bold', em: 'italic', s: 'strike' };

/** GitHub's unmistakable form of a formula: a code span between two dollar signs (an escaped one is no `text` token). */
function isFormula(tokens: readonly Token[], index: number): boolean {
  const before = tokens[index - 1];
  const after = tokens[index + 1];
  if (before?.type !== 'text' || after?.type !== 'text') return false;
  return before.content.endsWith('$') && after.content.startsWith('$') && tokens[index]?.content.trim() !== '';
}

function beforeFormula(token: Token, tokens: readonly Token[], index: number): string {
  const is_before = token.type === 'text' && tokens[index + 1]?.type === 'code_inline' && isFormula(tokens, index + 1);
  return is_before ? token.content.slice(0, -1) : token.content;
}

/** An image's description without its markup. It is nested at most `markdown_brackets_max` deep. */
function plainText(tokens: readonly Token[]): string {
  let text = '';
  for (const token of tokens) {
    if (token.type === 'image') text += plainText(token.children ?? []);
    else if (token.type === 'softbreak' || token.type === 'hardbreak') text += ' ';
    else text += token.content;
  }
  return text;
}

/** The text in pieces that are parsed by themselves: one, unless it is very long. */
function pieces(text: string): string[] {
  const parts: string[] = [];
  let start = 0;
  while (text.length - start > CONTENT_LIMITS.markdown_inline_chars_max) {
    const end = pieceEnd(text, start, start + CONTENT_LIMITS.markdown_inline_chars_max);
    parts.push(text.slice(start, end));
    start = end;
  }
  parts.push(text.slice(start));
  return parts;
}

function pieceEnd(text: string, start: number, wanted: number): number {
  const earliest = start + (wanted - start) / 2;
  const space = Math.max(text.lastIndexOf(' ', wanted - 1), text.lastIndexOf('\n', wanted - 1)) + 1;
  if (space > earliest) return space;
  const torn = OPEN_REFERENCE.exec(text.slice(wanted - 48, wanted));
  let end = torn === null ? wanted : wanted - torn[0].length;
  while (end > earliest && (text[end - 1] === '\\' || !text.slice(end - 1, end + 1).isWellFormed())) end -= 1;
  return end;
}
