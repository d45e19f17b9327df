/**
 * Makes the first revision of a document from content in any of the formats. This is the one moment at which a CRDT is
 * built from text: later the text only ever changes by edits, because a document that is rebuilt forgets who wrote what
 * and tears itself away from everybody who holds a copy.
 *
 * An import may be 16 MiB, so every step is linear in it. Yjs merges neighbouring pieces of one formatting by cutting
 * them out of an array, each run at the cost of all that follow; what `parseContent` returns has none to merge.
 */
import * as Y from 'yjs';
import { decodeUpdate, typesNestTooDeep } from '../actors/updates.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { type ContentFormat, parseContent, renderContent, type TextFormat } from '../protocol/content/formats.ts';
import { type ConcordError, invalidField } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import { nestsDeeperThan } from '../protocol/nesting.ts';
import { countItems, type EncodedState, snapshotOf, TEXT_ROOT } from '../protocol/snapshot.ts';

/** Content as a caller hands it over: ops for `delta`, a Yjs update (version 1) in base64 for `yjs`, else a string. */
export interface ContentInput {
  readonly format: ContentFormat;
  readonly value: unknown;
}

/** A document's first revision. */
export interface ImportedContent {
  readonly state: EncodedState;
  /** Its size: see actors/kept-state.ts. */
  readonly size: number;
  /** The plain text, for the search. */
  readonly text: string;
}

/** Where refusals point to, in the body of a document's creation. */
const VALUE_PATH = '/content/value';

/** Far beyond what an editor makes, and well within what JSON can be written of. */
const NESTING_MAX = 1_000;

/** Builds the document. Errors: VALIDATION_ERROR that says what is wrong with the value. */
export function importContent(content: ContentInput): ImportedContent {
  const doc = content.format === 'yjs' ? fromUpdate(content.value) : fromText(content.format, content.value);
  try {
    const state = encode(doc);
    const size = state.state.length + countItems(doc) * LIMITS.document_item_bytes_min;
    return { state, size, text: renderContent('text', JSON.parse(state.delta) as DeltaOps) };
  } finally {
    doc.destroy();
  }
}

function encode(doc: Y.Doc): EncodedState {
  try {
    return snapshotOf(doc);
  } catch (error) {
    // Shared types that stand in each other tens of thousands deep.
    if (error instanceof RangeError) throw tooDeep();
    throw error;
  }
}

function tooDeep(): ConcordError {
  return invalidField(VALUE_PATH, `holds something in its text that is nested more than ${NESTING_MAX} levels deep`);
}

function fromText(format: TextFormat, value: unknown): Y.Doc {
  const parsed = parseContent(format, value);
  if (!parsed.ok) throw invalidField(`${VALUE_PATH}${parsed.path}`, parsed.message);
  const doc = new Y.Doc();
  doc.getText(TEXT_ROOT).applyDelta(parsed.ops);
  return doc;
}

function fromUpdate(value: unknown): Y.Doc {
  const update = decodeBase64(value);
  if (update === null) throw invalidField(VALUE_PATH, 'must be a string of base64');
  const decoded = decodeUpdate(update);
  if (decoded === null) throw invalidField(VALUE_PATH, 'must be a Yjs update (version 1)');
  const doc = new Y.Doc();
  try {
    Y.applyUpdate(doc, update);
  } catch {
    throw invalidField(VALUE_PATH, 'must be a Yjs update (version 1)');
  }
  if (typesNestTooDeep(decoded.structs, doc)) throw tooDeep();
  if (doc.store.pendingStructs !== null || doc.store.pendingDs !== null)
    throw invalidField(VALUE_PATH, 'builds on changes that it does not hold; send the whole state');
  if (valuesOf(doc.getText(TEXT_ROOT)).some((value) => nestsDeeperThan(value, NESTING_MAX))) throw tooDeep();
  return doc;
}

/** The plain values that stand in a text: its embeds and the values of its formatting. */
function valuesOf(text: Y.Text): readonly unknown[] {
  const values: unknown[] = [];
  for (let item = text._start; item !== null; item = item.right) {
    const { content } = item;
    if (content instanceof Y.ContentEmbed) values.push(content.embed);
    else if (content instanceof Y.ContentFormat) values.push(content.value);
    else if (content instanceof Y.ContentJSON || content instanceof Y.ContentAny) values.push(...content.arr);
  }
  return values;
}

function decodeBase64(value: unknown): Uint8Array | null {
  if (typeof value !== 'string') return null;
  const bytes = Buffer.from(value, 'base64');
  return bytes.toString('base64') === value ? bytes : null;
}
