/**
 * A document as its lines, the form in which HTML and Markdown are written.
 *
 * In a delta a line's nature stands on the `\n` at its end, so the text before it has to be held until then; a last line
 * without `\n` is a paragraph. Video and divider take a line of their own, as in Quill, and end an open line. The empty
 * paragraph that editors keep behind one at the very end of a document is not part of what it says, and is left out:
 * imports put it back.
 */
import type { DeltaOps } from './delta.ts';
import { asDimension, type Block, type Inline, own, PARAGRAPH, readBlock, readInline } from './styles.ts';
import { EMBED_CHARACTER, printable } from './text.ts';
import { safeUrl } from './urls.ts';

/** A picture or formula within a line; every address has passed {@link safeUrl}. */
export type InlineEmbed =
  | {
      readonly kind: 'image';
      readonly src: string;
      readonly alt: string;
      readonly width: string | null;
      readonly height: string | null;
    }
  | { readonly kind: 'formula'; readonly tex: string };

/** A stretch of one line: printable text, or an embed. */
export type Run =
  | { readonly text: string; readonly embed: null; readonly inline: Inline }
  | { readonly text: null; readonly embed: InlineEmbed; readonly inline: Inline };

/** One line. `video` and `divider` have no text. */
export type Line =
  | { readonly kind: 'text'; readonly runs: readonly Run[]; readonly block: Block }
  | { readonly kind: 'divider' }
  | { readonly kind: 'video'; readonly src: string };

/** Calls `visit` for each line, in order. Never throws on what a document holds. */
export function eachLine(doc: DeltaOps, visit: (line: Line) => void): void {
  let runs: Run[] = [];
  let after_embed = false;
  let held: Line | null = null;
  const emit = (line: Line, is_embed: boolean): void => {
    if (held !== null) visit(held);
    held = null;
    if (after_embed && line.kind === 'text' && line.runs.length === 0 && line.block === PARAGRAPH) held = line;
    else visit(line);
    after_embed = is_embed;
  };
  const endLine = (block: Block): void => {
    emit({ kind: 'text', runs, block }, false);
    runs = [];
  };
  for (const { insert, attributes } of doc) {
    const inline = readInline(attributes);
    if (typeof insert === 'string') {
      const text = printable(insert);
      let start = 0;
      let block: Block | null = null;
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
        if (end > start) runs.push({ text: text.slice(start, end), embed: null, inline });
        block ??= readBlock(attributes);
        endLine(block);
        start = end + 1;
      }
      if (start < text.length) runs.push({ text: text.slice(start), embed: null, inline });
      continue;
    }
    const line = readBlockEmbed(insert);
    if (line === null) {
      runs.push(readInlineEmbed(insert, attributes, inline));
    } else {
      if (runs.length > 0) endLine(PARAGRAPH);
      emit(line, true);
    }
  }
  if (runs.length > 0) endLine(PARAGRAPH);
}

function readBlockEmbed(embed: unknown): Line | null {
  if (own(embed, 'divider')) return { kind: 'divider' };
  const src = safeUrl(own(embed, 'video'), 'video');
  return src === null ? null : { kind: 'video', src };
}

function readInlineEmbed(embed: unknown, attributes: unknown, inline: Inline): Run {
  const src = safeUrl(own(embed, 'image'), 'image');
  if (src !== null) {
    const alt = own(attributes, 'alt');
    const image: InlineEmbed = {
      kind: 'image',
      src,
      alt: typeof alt === 'string' ? printable(alt) : '',
      width: asDimension(own(attributes, 'width')),
      height: asDimension(own(attributes, 'height')),
    };
    return { text: null, embed: image, inline };
  }
  const tex = own(embed, 'formula');
  if (typeof tex === 'string' && tex.trim() !== '') {
    return { text: null, embed: { kind: 'formula', tex: printable(tex).replaceAll('\n', ' ') }, inline };
  }
  return { text: EMBED_CHARACTER, embed: null, inline };
}

/** A line's text alone, as in a block of code. */
export function lineText(runs: readonly Run[]): string {
  let text = '';
  for (const run of runs) text += run.text ?? EMBED_CHARACTER;
  return text;
}
