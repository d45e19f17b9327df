/**
 * A document as HTML: plain semantic elements, balanced and nested as they must be, that {@link fromHtml} reads back as
 * the same document and that a browser can be shown without a sanitizer.
 *
 * The invariant that makes it safe: this file writes `<`, and nothing of the document reaches the output but through
 * {@link escapeHtml} (text, addresses) or through the narrow patterns of styles.ts (colours, fonts, sizes, languages), none
 * of which lets a quote, an angle bracket, a semicolon or a function pass.
 *
 * Where a line's white space would be collapsed, its element says `white-space: pre-wrap`; the text itself is never
 * changed for it. It is written here because quill-delta-to-html was judged unfit: it knows nothing of Quill 2, lets `file:`,
 * `blob:` and SVG as `data:` pass, loses white space, and writes nothing that could be read back exactly.
 */
import type { DeltaOps } from './delta.ts';
import { eachLine, type InlineEmbed, type Line, lineText, type Run } from './lines.ts';
import { asToken, type Block, type Inline, isLength, PARAGRAPH } from './styles.ts';

/** The document's text and formatting as HTML, without a frame of `<html>` and `<body>`. */
export function toHtml(doc: DeltaOps): string {
  const writer = new HtmlWriter();
  eachLine(doc, (line) => writer.line(line));
  return writer.end();
}

/** An open list with its open item, whose alignment and direction items within would inherit. */
interface OpenList {
  readonly tag: 'ol' | 'ul';
  item: Pick<Block, 'align' | 'rtl'>;
}

/** Holds the elements that are open from one line to the next. */
class HtmlWriter {
  #out = '';
  /** The outermost first. */
  #lists: OpenList[] = [];
  #in_quote = false;
  /** The language of the open block of code; undefined when none is open. */
  #code: string | null | undefined = undefined;

  line(line: Line): void {
    const kind = line.kind === 'text' ? line.block.kind : null;
    if (kind !== 'list') this.#closeLists(0);
    if (kind !== 'quote') this.#closeQuote();
    if (line.kind !== 'text') {
      this.#closeCode();
      this.#out += line.kind === 'divider' ? '<hr>' : video(line.src);
    } else if (kind === 'code') {
      this.#codeLine(line.runs, line.block.language);
    } else {
      this.#closeCode();
      if (kind === 'list') this.#item(line.runs, line.block);
      else this.#block(line.runs, line.block);
    }
  }

  end(): string {
    this.#closeLists(0);
    this.#closeQuote();
    this.#closeCode();
    return this.#out;
  }

  #block(runs: readonly Run[], block: Block): void {
    if (block.kind === 'quote' && !this.#in_quote) {
      this.#out += '<blockquote>';
      this.#in_quote = true;
    }
    const tag = block.kind === 'header' ? `h${block.level}` : 'p';
    const indent = block.indent > 0 ? ` class="ql-indent-${block.indent}"` : '';
    this.#out += `<${tag}${indent}${blockAttributes(runs, block)}>${content(runs)}</${tag}>`;
  }

  #item(runs: readonly Run[], block: Block): void {
    const tag = block.list === 'ordered' ? 'ol' : 'ul';
    this.#closeLists(block.indent + 1);
    const present = this.#lists[block.indent];
    if (present?.tag === tag) this.#out += '</li>';
    else this.#closeLists(block.indent);
    // A level that has no item of its own gets one without a marker, to hold the list within.
    while (this.#lists.length < block.indent) {
      this.#out += '<ul><li style="list-style-type: none">';
      this.#lists.push({ tag: 'ul', item: this.#lists.at(-1)?.item ?? PARAGRAPH });
    }
    if (this.#lists.length === block.indent) {
      this.#out += `<${tag}>`;
      this.#lists.push({ tag, item: block });
    }
    const outer = this.#lists[block.indent - 1]?.item ?? PARAGRAPH;
    const state = block.list === 'checked' || block.list === 'unchecked' ? ` data-list="${block.list}"` : '';
    this.#out += `<li${state}${blockAttributes(runs, block, outer)}>${content(runs)}`;
    const open = this.#lists[block.indent];
    if (open !== undefined) open.item = block;
  }

  #closeLists(keep: number): void {
    while (this.#lists.length > keep) this.#out += `</li></${this.#lists.pop()?.tag}>`;
  }

  #closeQuote(): void {
    if (this.#in_quote) this.#out += '</blockquote>';
    this.#in_quote = false;
  }

  #codeLine(runs: readonly Run[], language: string | null): void {
    if (this.#code !== language) {
      this.#closeCode();
      const names = language === null ? ['', ''] : [` data-language="${language}"`, ` class="language-${language}"`];
      this.#out += `<pre${names[0]}><code${names[1]}>`;
      this.#code = language;
    }
    this.#out += `${escapeHtml(lineText(runs))}\n`;
  }

  #closeCode(): void {
    if (this.#code !== undefined) this.#out += '</code></pre>';
    this.#code = undefined;
  }
}

/** A link, as Quill's own export does it: a frame of a foreign page is more than a text should be able to open. */
function video(src: string): string {
  return `<p><a class="ql-video" href="${escapeHtml(src)}" rel="noopener noreferrer" target="_blank">${escapeHtml(src)}</a></p>`;
}

/** Alignment and direction where they differ from what is inherited, and white space where it matters. */
function blockAttributes(runs: readonly Run[], block: Block, outer: Pick<Block, 'align' | 'rtl'> = PARAGRAPH): string {
  const styles: string[] = [];
  if (losesSpace(runs)) styles.push('white-space: pre-wrap');
  if (block.align !== outer.align) styles.push(`text-align: ${block.align ?? 'start'}`);
  const direction = block.rtl === outer.rtl ? '' : ` dir="${block.rtl ? 'rtl' : 'ltr'}"`;
  return direction + (styles.length === 0 ? '' : ` style="${styles.join('; ')}"`);
}

/** Whether a browser would drop some of the line's white space: at its ends, behind other white space, or a tab. */
function losesSpace(runs: readonly Run[]): boolean {
  let after_space = true;
  for (const { text } of runs) {
    if (text === null) {
      after_space = false;
      continue;
    }
    if ((after_space && text.startsWith(' ')) || text.includes('  ') || text.includes('\t')) return true;
    after_space = text.endsWith(' ');
  }
  return after_space && runs.length > 0;
}

/** The line's runs; elements that go on from one run to the next stay open. */
function content(runs: readonly Run[]): string {
  if (runs.length === 0) return '<br>';
  let out = '';
  let open: readonly Element[] = [];
  for (const run of runs) {
    const wanted = elements(run.inline);
    let shared = 0;
    while (shared < open.length && open[shared]?.start === wanted[shared]?.start) shared += 1;
    out += ends(open, shared);
    for (let i = shared; i < wanted.length; i += 1) out += wanted[i]?.start;
    out += run.embed === null ? escapeHtml(run.text) : embed(run.embed);
    open = wanted;
  }
  return out + ends(open, 0);
}

interface Element {
  readonly start: string;
  readonly end: string;
}

const BOLD: Element = { start: '<strong>', end: '</strong>' };
const ITALIC: Element = { start: '<em>', end: '</em>' };
const UNDERLINE: Element = { start: '<u>', end: '</u>' };
const STRIKE: Element = { start: '<s>', end: '</s>' };
const SUB: Element = { start: '<sub>', end: '</sub>' };
const SUPER: Element = { start: '<sup>', end: '</sup>' };
const CODE: Element = { start: '<code>', end: '</code>' };

/** The elements around a stretch, the outermost first. */
function elements(inline: Inline): Element[] {
  const list: Element[] = [];
  if (inline.link !== null) {
    const start = `<a href="${escapeHtml(inline.link)}" rel="noopener noreferrer" target="_blank">`;
    list.push({ start, end: '</a>' });
  }
  const span = spanStart(inline);
  if (span !== null) list.push({ start: span, end: '</span>' });
  if (inline.bold) list.push(BOLD);
  if (inline.italic) list.push(ITALIC);
  if (inline.underline) list.push(UNDERLINE);
  if (inline.strike) list.push(STRIKE);
  if (inline.script !== null) list.push(inline.script === 'sub' ? SUB : SUPER);
  if (inline.code) list.push(CODE);
  return list;
}

/** Names are classes, as Quill's style sheet has them; everything else is a style. */
function spanStart({ color, background, font, size }: Inline): string | null {
  const classes: string[] = [];
  const styles: string[] = [];
  if (color !== null) styles.push(`color: ${color}`);
  if (background !== null) styles.push(`background-color: ${background}`);
  if (font !== null) {
    if (asToken(font) === null) styles.push(`font-family: ${font}`);
    else classes.push(`ql-font-${font}`);
  }
  if (size !== null) {
    if (isLength(size)) styles.push(`font-size: ${size}`);
    else classes.push(`ql-size-${size}`);
  }
  if (classes.length === 0 && styles.length === 0) return null;
  const class_attribute = classes.length === 0 ? '' : ` class="${classes.join(' ')}"`;
  return `<span${class_attribute}${styles.length === 0 ? '' : ` style="${styles.join('; ')}"`}>`;
}

function ends(open: readonly Element[], keep: number): string {
  let out = '';
  for (let i = open.length - 1; i >= keep; i -= 1) out += open[i]?.end;
  return out;
}

function embed(embed: InlineEmbed): string {
  if (embed.kind === 'formula') {
    return `<span class="ql-formula" data-value="${escapeHtml(embed.tex)}">${escapeHtml(embed.tex)}</span>`;
  }
  const alt = embed.alt === '' ? '' : ` alt="${escapeHtml(embed.alt)}"`;
  const width = embed.width === null ? '' : ` width="${embed.width}"`;
  const height = embed.height === null ? '' : ` height="${embed.height}"`;
  return `<img src="${escapeHtml(embed.src)}"${alt}${width}${height}>`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text that means itself in an element and in an attribute, whatever the quotes. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? '');
}
