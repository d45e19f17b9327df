/**
 * A document as Markdown: CommonMark with GitHub's task lists, strikethrough and formulas.
 *
 * Each line of the document is a block of its own, and an empty one is `<br>`, so that lines are neither joined nor lost
 * on the way back. What Markdown has no form for (colours, sizes, alignment, underline…) is left out; its text stays. A
 * video becomes a link.
 *
 * It is written here because quill-delta-to-markdown, which exists for this, was judged unfit: it escapes nothing, so that
 * text turns into markup and `javascript:` into links.
 */
import type { DeltaOps } from './delta.ts';
import { eachLine, type Line, lineText, type Run } from './lines.ts';
import { destination, inlineMarkdown } from './markdown-inline-write.ts';
import type { Block } from './styles.ts';

/** The document's text and formatting as Markdown; empty, or ending with a line end. */
export function toMarkdown(doc: DeltaOps): string {
  const writer = new MarkdownWriter();
  eachLine(doc, (line) => writer.line(line));
  return writer.end();
}

/** A list that is open. */
interface OpenList {
  readonly ordered: boolean;
  /** Columns of its present item's marker: what the item's own lists are indented by. */
  width: number;
  count: number;
}

/** What the last line was, where that decides how the next one is joined to it. */
type Before = 'nothing' | 'list' | 'quote' | 'code' | 'other';

/** Holds what is open between lines: lists by level, and the lines of a block of code, whose fence depends on them. */
class MarkdownWriter {
  #out = '';
  #before: Before = 'nothing';
  #lists: OpenList[] = [];
  /** Of the last list item: its depth, and whether it has no text. */
  #depth_before = 0;
  #empty_before = false;
  #code: string[] = [];
  #language: string | null = null;

  line(line: Line): void {
    if (line.kind === 'text' && line.block.kind === 'code') {
      if (this.#before === 'code' && line.block.language !== this.#language) this.#closeCode();
      this.#before = 'code';
      this.#language = line.block.language;
      this.#code.push(lineText(line.runs));
      return;
    }
    this.#closeCode();
    if (line.kind === 'divider') this.#block('---');
    else if (line.kind === 'video')
      this.#block(`[${line.src.replace(/[\\`*_[\]<~&!$]/g, '\\$&')}](${destination(line.src)})`);
    else if (line.block.kind === 'list') this.#item(line.runs, line.block);
    else if (line.block.kind === 'quote') this.#quote(line.runs);
    else if (line.block.kind === 'header')
      this.#block(`${'#'.repeat(line.block.level)} ${inlineMarkdown(line.runs, 'heading')}`);
    else this.#block(inlineMarkdown(line.runs, 'block'));
  }

  end(): string {
    this.#closeCode();
    return this.#out === '' ? '' : `${this.#out}\n`;
  }

  #block(markdown: string): void {
    this.#out += (this.#before === 'nothing' ? '' : '\n\n') + markdown;
    this.#before = 'other';
  }

  #quote(runs: readonly Run[]): void {
    const content = `> ${inlineMarkdown(runs, 'block')}`;
    if (this.#before === 'quote') this.#out += `\n>\n${content}`;
    else this.#block(content);
    this.#before = 'quote';
  }

  #closeCode(): void {
    if (this.#before !== 'code') return;
    const content = this.#code.join('\n');
    let longest = 2;
    for (const run of content.match(/`+/g) ?? []) longest = Math.max(longest, run.length);
    const fence = '`'.repeat(longest + 1);
    this.#before = this.#out === '' ? 'nothing' : 'other';
    this.#block(`${fence}${this.#language ?? ''}\n${content}\n${fence}`);
    this.#code = [];
  }

  /** Levels that an item skips get an empty item on the same line (`- - text`), which is none when read back. */
  #item(runs: readonly Run[], { list, indent }: Block): void {
    const ordered = list === 'ordered';
    if (this.#before !== 'list') this.#lists = [];
    this.#lists.length = Math.min(this.#lists.length, indent + 1);
    const present = this.#lists[indent];
    if (present !== undefined && present.ordered !== ordered) this.#lists.pop();
    const starts_anew = this.#before === 'list' && this.#lists.length === 0;
    let prefix = ' '.repeat(this.#lists.slice(0, indent).reduce((columns, { width }) => columns + width, 0));
    while (this.#lists.length < indent) {
      this.#lists.push({ ordered: false, width: 2, count: 1 });
      prefix += '- ';
    }
    let item = this.#lists[indent];
    if (item === undefined) {
      item = { ordered, width: 0, count: 0 };
      this.#lists.push(item);
    }
    item.count += 1;
    const marker = ordered ? `${item.count}. ` : '- ';
    item.width = marker.length;
    const box = list === 'checked' ? '[x] ' : list === 'unchecked' ? '[ ] ' : '';
    const content = prefix + marker + box + inlineMarkdown(runs, 'block');
    const goes_deeper = prefix !== '' && this.#lists.length > this.#depth_before;
    // Alone on its line, `<br>` begins raw HTML for parsers that take it, up to the next empty line.
    const gap = this.#empty_before && goes_deeper ? '\n\n' : '\n';
    if (this.#before === 'list' && !starts_anew) this.#out += gap + content;
    else this.#block(content);
    this.#before = 'list';
    this.#empty_before = runs.length === 0;
    this.#depth_before = this.#lists.length;
  }
}
