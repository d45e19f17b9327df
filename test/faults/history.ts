/**
 * What must hold of a document's journal (and of the segments that its oldest part was packed into) whatever happened: revisions without gaps from 1 to the head, epochs that never
 * fall along them, and updates that, applied in order to an empty `Y.Doc`, give the text that everybody sees.
 */
import Delta, { type Op } from 'quill-delta';
import * as Y from 'yjs';
import { unpackMeta, unpackUpdates } from '../../src/protocol/history/segment.ts';
import type { Database } from '../../src/store/postgres.ts';

/** A revision as the journal holds it. */
export interface Row {
  readonly rev: number;
  readonly epoch: number;
  readonly update: Uint8Array;
}

/** A document as its journal tells it. */
export interface History {
  readonly head_rev: number;
  readonly rows: readonly Row[];
  /** What is wrong with it. */
  readonly wrongs: readonly string[];
  /** Rebuilt from the updates alone. */
  readonly doc: Y.Doc;
}

/** Reads and judges a document's whole journal. */
export async function readHistory(sql: Database, doc_id: string): Promise<History> {
  // One snapshot of all tables: the document may still be written, and packed.
  const [head, rows] = await sql.begin('isolation level repeatable read read only', async (snapshot) => {
    const [first] = await snapshot<{ head_rev: number; epoch: number }[]>`
      SELECT head_rev, epoch FROM document_heads WHERE doc_id = ${doc_id}`;
    const all = await snapshot<Row[]>`
      SELECT rev, epoch, update FROM document_updates WHERE doc_id = ${doc_id} ORDER BY rev`;
    const segments = await snapshot<{ meta: Uint8Array; updates: Uint8Array }[]>`
      SELECT meta, updates FROM document_segments WHERE doc_id = ${doc_id} ORDER BY to_rev`;
    const packed = segments.flatMap(({ meta, updates }) => {
      const bytes = unpackUpdates(updates);
      return unpackMeta(meta).map(({ rev, epoch }, i) => ({ rev, epoch, update: bytes[i] ?? new Uint8Array() }));
    });
    return [first, [...packed, ...all]] as const;
  });
  const wrongs: string[] = [];
  const doc = new Y.Doc();
  let epoch = 0;
  for (const [i, row] of rows.entries()) {
    if (row.rev !== i + 1) wrongs.push(`revision ${row.rev} stands where ${i + 1} should`);
    if (row.epoch < epoch) wrongs.push(`revision ${row.rev} is of epoch ${row.epoch}, the one before of ${epoch}`);
    epoch = row.epoch;
    Y.applyUpdate(doc, row.update);
  }
  if (rows.length !== head?.head_rev) wrongs.push(`${rows.length} revisions, but the head is ${head?.head_rev}`);
  if (head !== undefined && epoch > head.epoch)
    wrongs.push(`the head is of epoch ${head.epoch}, the last revision of ${epoch}`);
  if (doc.store.pendingStructs !== null) wrongs.push('an update builds on one that is not there');
  return { head_rev: head?.head_rev ?? 0, rows, wrongs, doc };
}

/** The one way to write this content down: Yjs may tell two stretches apart that look the same. */
export function canonical(ops: readonly Op[]): readonly Op[] {
  return ops.reduce((delta, op) => delta.push(op), new Delta()).ops;
}
