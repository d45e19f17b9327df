/**
 * The formats in which a document's text comes in and goes out, by name. What a caller hands over is checked here before
 * any reader sees it: after that nothing can go wrong, for every reader takes any text.
 */
import { type DeltaOps, parseDocument, type Refusal, textFlaw } from './delta.ts';
import { fromHtml } from './html-read.ts';
import { toHtml } from './html-write.ts';
import { CONTENT_LIMITS } from './limits.ts';
import { fromMarkdown } from './markdown-read.ts';
import { toMarkdown } from './markdown-write.ts';
import { DocumentBuilder, TooManyOps } from './ops.ts';
import { fromText, toText } from './text.ts';

/** The formats that hold the text and nothing of its history. */
export const TEXT_FORMATS = ['delta', 'text', 'markdown', 'html'] as const;

/** One of {@link TEXT_FORMATS}. */
export type TextFormat = (typeof TEXT_FORMATS)[number];

/** All formats of content; `yjs` is the whole CRDT and none of this folder's business. */
export const CONTENT_FORMATS = [...TEXT_FORMATS, 'yjs'] as const;

/** One of {@link CONTENT_FORMATS}. */
export type ContentFormat = (typeof CONTENT_FORMATS)[number];

/** Outcome of {@link parseContent}. */
export type ParsedContent = { readonly ok: true; readonly ops: DeltaOps } | Refusal;

/** Makes a document's ops of content in a format: an array of ops for `delta`, a string for all others. */
export function parseContent(format: TextFormat, value: unknown): ParsedContent {
  if (format === 'delta') {
    const parsed = parseDocument(value);
    return parsed.ok ? { ok: true, ops: merged(parsed.ops) } : parsed;
  }
  if (typeof value !== 'string') return { ok: false, path: '', message: 'must be a string' };
  const flaw = textFlaw(value);
  if (flaw !== null) return { ok: false, path: '', message: flaw };
  try {
    return { ok: true, ops: READERS[format](value) };
  } catch (error) {
    if (!(error instanceof TooManyOps)) throw error;
    const message = `must not make a document of more than ${CONTENT_LIMITS.document_ops_max} operations`;
    return { ok: false, path: '', message };
  }
}

const READERS = { text: fromText, markdown: fromMarkdown, html: fromHtml } as const;

export function renderContent(format: 'delta', ops: DeltaOps): DeltaOps;
export function renderContent(format: Exclude<TextFormat, 'delta'>, ops: DeltaOps): string;
export function renderContent(format: TextFormat, ops: DeltaOps): DeltaOps | string;
/** The document in a format: its ops as they are for `delta`, a string for all others. Takes any document. */
export function renderContent(format: TextFormat, ops: DeltaOps): DeltaOps | string {
  switch (format) {
    case 'delta':
      return ops;
    case 'text':
      return toText(ops);
    case 'markdown':
      return toMarkdown(ops);
    case 'html':
      return toHtml(ops);
  }
}

/** The same document with neighbours of equal formatting in one op, which is how a `Y.Text` will give it back. */
function merged(ops: DeltaOps): DeltaOps {
  const builder = new DocumentBuilder();
  for (const { insert, attributes } of ops) {
    if (typeof insert === 'string') builder.text(insert, attributes);
    else if (insert !== undefined) builder.embed(insert, attributes);
  }
  return builder.ops();
}
