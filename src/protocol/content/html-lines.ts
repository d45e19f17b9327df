/**
 * Laying out text in lines as a browser does: white space collapses across elements, and is dropped at both ends of a
 * line, which is only known once something follows it. So a space is held back until there is text behind it.
 *
 * A line is what the block around its last content is.
 */
import type { Attributes, DeltaOps, Embed } from './delta.ts';
import { DocumentBuilder } from './ops.ts';
import { type Block, PARAGRAPH, writeBlock } from './styles.ts';

/** What text is like at some point of the HTML. */
export interface Look {
  readonly inline: Attributes;
  readonly block: Block;
  /** White space is kept as it is (`<pre>`, `white-space: pre-wrap`). */
  readonly keeps_space: boolean;
  /** Within a table cell, where nothing ends a line, for a row is one. */
  readonly in_cell: boolean;
}

/** See the head of this file. */
export class HtmlLines {
  readonly #builder = new DocumentBuilder();
  /** Whether the present line has content. */
  #open = false;
  /** Whether there is something, in the present line or cell, that white space could stand behind. */
  #takes_space = false;
  #block: Block = PARAGRAPH;
  /** The formatting of white space that waits for text behind it. */
  #space: Attributes | null = null;
  #count = 0;

  /** Lines ended so far; tells whether an element brought any. */
  get count(): number {
    return this.#count;
  }

  text(text: string, look: Look): void {
    if (look.keeps_space) this.#kept(text, look);
    else this.#collapsed(text, look);
  }

  /** An embed within the line; in code, which holds text alone, `text` instead. */
  embed(embed: Embed, attributes: Attributes, text: string, look: Look): void {
    if (look.block.kind === 'code') {
      this.#keptPart(text.replaceAll('\n', ' '), look);
      return;
    }
    this.#begin(look);
    this.#builder.embed(embed, attributes);
  }

  /** An embed that takes a line of its own. */
  blockEmbed(embed: Embed): void {
    this.#end();
    this.#builder.embed(embed);
    this.#count += 1;
  }

  /** Begins the next cell of a row. */
  nextCell(): void {
    this.#space = null;
    this.#takes_space = false;
    this.#builder.text('\t');
    this.#open = true;
  }

  /** Ends the line, empty or not. */
  breakLine(look: Look): void {
    if (look.in_cell) {
      this.endLine(look);
      return;
    }
    if (!this.#open) this.#block = look.block;
    this.#open = true;
    this.#end();
  }

  /** Ends the line if there is one: where a block element begins or ends. */
  endLine(look: Look): void {
    if (!look.in_cell) this.#end();
    else if (this.#takes_space) this.#space ??= {};
  }

  ops(): DeltaOps {
    this.#end();
    return this.#builder.lines();
  }

  #end(): void {
    if (this.#open) {
      this.#builder.text('\n', writeBlock(this.#block));
      this.#count += 1;
    }
    this.#open = false;
    this.#takes_space = false;
    this.#space = null;
  }

  /** Prepares for content: what was held back comes first. */
  #begin(look: Look): void {
    if (this.#space !== null) this.#builder.text(' ', formatting(this.#space, look.block));
    this.#space = null;
    this.#open = true;
    this.#takes_space = true;
    this.#block = look.block;
  }

  #collapsed(text: string, look: Look): void {
    const words = text.replace(/[ \t\n\f]+/g, ' ');
    const start = words.startsWith(' ') ? 1 : 0;
    const end = words.length > start && words.endsWith(' ') ? words.length - 1 : words.length;
    if (start === 1 && this.#takes_space) this.#space ??= look.inline;
    if (end > start) {
      this.#begin(look);
      this.#builder.text(words.slice(start, end), formatting(look.inline, look.block));
    }
    if (end < words.length) this.#space = look.inline;
  }

  #kept(text: string, look: Look): void {
    const is_layout = look.block.kind !== 'code' && !this.#open && text.includes('\n') && text.trim() === '';
    if (is_layout) return;
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      this.#keptPart(text.slice(start, end), look);
      this.breakLine(look);
      start = end + 1;
    }
    this.#keptPart(text.slice(start), look);
  }

  #keptPart(text: string, look: Look): void {
    if (text === '') return;
    this.#begin(look);
    this.#builder.text(text, formatting(look.inline, look.block));
  }
}

/** Code has no formatting of its own. */
function formatting(inline: Attributes, block: Block): Attributes | undefined {
  return block.kind === 'code' ? undefined : inline;
}
