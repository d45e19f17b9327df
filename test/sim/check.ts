/**
 * What must be true once everything is well again and everybody has come to rest: one text, whoever is asked, and a journal
 * that tells the same, in which each edit stands once.
 */
import Delta, { type Op } from 'quill-delta';
import * as Y from 'yjs';
import { documentOf } from '../../client/delta.ts';
import { TEXT_ROOT } from '../../src/protocol/snapshot.ts';
import { flatText } from '../fuzz/edits.ts';
import type { Client, Typed } from './place.ts';
import type { StoredDocument } from './storage.ts';

/** The first client whose text is not the journal's, and how; null when there is none. */
export function disagreement(stored: StoredDocument, clients: readonly Client[]): string | null {
  const text = composed(stored);
  for (const client of clients) {
    const theirs = documentOf(client.content());
    if (Bun.deepEquals(theirs.ops, text.ops)) continue;
    return `${client.place.name} has ${JSON.stringify(theirs.ops)}, the journal makes ${JSON.stringify(text.ops)}`;
  }
  return null;
}

/** All that is wrong with a journal. */
export function journalFaults(stored: StoredDocument, typed: Typed): string[] {
  return [...orderFaults(stored), ...rebuildFaults(stored), ...markerFaults(stored, typed)];
}

function composed({ rows }: StoredDocument): Delta {
  return documentOf(rows.reduce((all, { delta }) => all.compose(new Delta(JSON.parse(delta))), new Delta()).ops);
}

/** Revisions without gaps, epochs that never fall, and each author's numbers in order, once. */
function orderFaults({ rows, head_rev }: StoredDocument): string[] {
  const faults: string[] = [];
  const seqs = new Map<string, number>();
  let epoch = 0;
  for (const [index, row] of rows.entries()) {
    if (row.rev !== index + 1) faults.push(`revision ${index + 1} is ${row.rev}`);
    if (row.epoch < epoch) faults.push(`revision ${row.rev} is of epoch ${row.epoch}, behind ${epoch}`);
    epoch = row.epoch;
    if (row.seq === null) continue;
    const expected = (seqs.get(row.client_id) ?? 0) + 1;
    if (row.seq !== expected) faults.push(`revision ${row.rev} has seq ${row.seq} and not ${expected}`);
    seqs.set(row.client_id, row.seq);
  }
  if (rows.length !== head_rev) faults.push(`the journal has ${rows.length} revisions and its head is ${head_rev}`);
  return faults;
}

/** The Yjs updates make the same text as the deltas, and nothing is missing among them. */
function rebuildFaults(stored: StoredDocument): string[] {
  const doc = new Y.Doc();
  for (const { update } of stored.rows) Y.applyUpdate(doc, update);
  const faults: string[] = [];
  if (doc.store.pendingStructs !== null || doc.store.pendingDs !== null)
    faults.push('the journal holds updates whose predecessors are missing');
  const rebuilt = documentOf(doc.getText(TEXT_ROOT).toDelta() as Op[]);
  const text = composed(stored);
  if (!Bun.deepEquals(rebuilt.ops, text.ops))
    faults.push(`the updates make ${JSON.stringify(rebuilt.ops)}, the deltas ${JSON.stringify(text.ops)}`);
  doc.destroy();
  return faults;
}

/** What somebody typed once was written once, and is there unless somebody deleted it. */
function markerFaults(stored: StoredDocument, typed: Typed): string[] {
  const written = stored.rows.flatMap(({ delta }) => JSON.parse(delta) as Op[]);
  const times = counts(flatText(written.filter(({ insert }) => insert !== undefined)));
  const left = counts(flatText(composed(stored).ops));
  const faults: string[] = [];
  for (const [marker, who] of typed.markers) {
    const name = `marker ${marker.charCodeAt(0).toString(16)} of ${who}`;
    // What is deleted before it is sent need never be written.
    const least = typed.deleted.has(marker) ? 0 : 1;
    const wrote = times.get(marker) ?? 0;
    if (wrote > 1 || wrote < least) faults.push(`${name} was written ${wrote} times`);
    const present = left.get(marker) ?? 0;
    if (present > 1 || present < least) faults.push(`${name} is there ${present} times`);
  }
  return faults;
}

function counts(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const unit of text) found.set(unit, (found.get(unit) ?? 0) + 1);
  return found;
}
