/**
 * Parsing a long Markdown text block by block in bounded memory.
 *
 * markdown-it makes all tokens of a text before the first can be used: gigabytes for 16 MiB of short lines. But a block at
 * the top level depends on nothing behind the block that follows it. So a window of the text is parsed, all its blocks but
 * the last are used, and the next window starts with that last block, which the window's end may have cut. A block that
 * fills its window is given a larger one, until it ends, or until its tokens are too many: then it is cut at a line that
 * is not indented, which loses nothing in a flat list.
 */
import type { Token } from 'markdown-it';
import { CONTENT_LIMITS } from './limits.ts';

/** Calls `use` with the block tokens of `text`, in order; `parse` makes them of any part of it that holds whole lines. */
export function eachWindow(text: string, parse: (window: string) => Token[], use: (tokens: Token[]) => void): void {
  let start = 0;
  let size: number = CONTENT_LIMITS.markdown_window_chars;
  while (start < text.length) {
    const end = cutAfter(text, start, start + size);
    const window = text.slice(start, end);
    const tokens = parse(window);
    const last = lastBlock(tokens);
    const line = last === null ? 0 : (tokens[last]?.map?.[0] ?? 0);
    if (end === text.length) {
      use(tokens);
      start = end;
    } else if (last !== null && line > 0) {
      use(tokens.slice(0, last));
      start += lineStart(window, line);
      size = CONTENT_LIMITS.markdown_window_chars;
    } else if (last !== null && tokens.length < CONTENT_LIMITS.markdown_block_tokens_max) {
      size *= 4;
    } else {
      use(tokens);
      start = end;
      size = CONTENT_LIMITS.markdown_window_chars;
    }
  }
}

/** Index of the token that starts the last block; link definitions before it belong to it, for they may go on in it. */
function lastBlock(tokens: readonly Token[]): number | null {
  let last: number | null = null;
  for (let i = tokens.length - 1; i >= 0; i -= 1) {
    const token = tokens[i];
    if (token === undefined || token.level > 0 || token.nesting < 0) continue;
    if (last !== null && token.type !== 'reference_definition') break;
    last = i;
  }
  return last;
}

/** The start of a line near `wanted`: one that is not indented, if the second half of the window has any. */
function cutAfter(text: string, start: number, wanted: number): number {
  if (wanted >= text.length) return text.length;
  const earliest = start + (wanted - start) / 2;
  for (let end = text.lastIndexOf('\n', wanted); end > earliest; end = text.lastIndexOf('\n', end - 1)) {
    const next = text[end + 1];
    if (next !== ' ' && next !== '\t' && next !== '\n') return end + 1;
  }
  const end = text.lastIndexOf('\n', wanted);
  if (end > earliest) return end + 1;
  const next = text.indexOf('\n', wanted);
  return next < 0 ? text.length : next + 1;
}

function lineStart(window: string, line: number): number {
  let at = 0;
  for (let i = 0; i < line; i += 1) at = window.indexOf('\n', at) + 1;
  return at;
}
