/**
 * What must be true when everybody has come to rest: one text, whoever is asked, and a journal that tells the same.
 */
import Delta, { type Op } from 'quill-delta';
import * as Y from 'yjs';
import { documentOf } from '../../client/delta.ts';
import { TEXT_ROOT } from '../../src/protocol/snapshot.ts';
import type { TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { isMarker, type JsonActor, type Ledger, type RestEdit, type YjsActor } from './actors.ts';
import { flatText } from './edits.ts';

/** Everything that is looked at. */
export interface Ended {
  readonly server: TestServer;
  readonly doc_id: string;
  readonly json: readonly JsonActor[];
  readonly yjs: readonly YjsActor[];
  /** Numbered edits that the server took over REST. */
  readonly rest: readonly RestEdit[];
  readonly ledger: Ledger;
}

interface JournalRow {
  readonly rev: number;
  readonly user_id: string;
  readonly client_id: string;
  readonly seq: number | null;
  readonly update: Uint8Array;
  readonly delta: string;
}

/** Beyond this they will not agree any more. */
const SETTLE_MS_MAX = 8_000;

/** Waits until every edit is on disk and everybody has the same text at the same revision, which is returned. */
export async function settle(ended: Ended): Promise<number> {
  const { json, yjs, server, doc_id } = ended;
  const owner = json[0]?.stage.user.token;
  let difference = 'the JSON clients have edits that were never acked';
  let rev = 0;
  const agreed = async (): Promise<boolean> => {
    if (json.some(({ client }) => client.unacked > 0 || client.connection.kind !== 'open')) return false;
    const { body } = await server.call('GET', `/v1/documents/${doc_id}/content`, owner);
    if (!body.success) return false;
    rev = body.data.rev;
    difference = disagreement(ended, rev, body.data.value) ?? '';
    if (difference !== '') return false;
    // What a Yjs client did last is acked to nobody who is asked here.
    const [row] = await server.sql`SELECT head_rev FROM document_heads WHERE doc_id = ${doc_id}`;
    if (row?.head_rev !== rev) difference = `the journal ends at ${row?.head_rev}, the document at ${rev}`;
    return difference === '';
  };
  await until('all to agree', agreed, SETTLE_MS_MAX).catch(() => {
    const lines = json.map(({ stage, client }) => `${stage.name} ${client.connection.kind} unacked ${client.unacked}`);
    const synced = yjs.map(({ stage, provider }) => `${stage.name} ${provider.synced ? 'synced' : 'not synced'}`);
    throw new Error(`they do not agree: ${difference} (${[...lines, ...synced].join(', ')})`);
  });
  return rev;
}

/** The first of them whose document is another than the server's, and how; null when there is none. */
function disagreement({ json, yjs }: Ended, rev: number, ops: readonly Op[]): string | null {
  const content = documentOf(ops).ops;
  const differs = (name: string, theirs: Delta): string | null => {
    const found = documentOf(theirs.ops).ops;
    if (Bun.deepEquals(found, content)) return null;
    return `${name} has\n  ${JSON.stringify(found)}\nand the server has, at rev ${rev},\n  ${JSON.stringify(content)}`;
  };
  for (const { stage, client, content: theirs, shown } of json) {
    if (client.rev !== rev) return `${stage.name} is at rev ${client.rev} and the server at ${rev}`;
    const found = differs(stage.name, theirs) ?? differs(`the editor that follows ${stage.name}`, shown);
    if (found !== null) return found;
  }
  for (const { stage, content: theirs, provider, denied } of yjs) {
    if (!provider.synced) return `${stage.name} is not synchronised`;
    // A viewer's Yjs may hold a deletion that was lost with its owner, and nothing can make Yjs undelete.
    if (denied && isWithin(flatText(theirs.ops), flatText(ops))) continue;
    const found = differs(stage.name, theirs);
    if (found !== null) return found;
  }
  // An edit of another root leaves the text alone, and may still be on its way from its author to everybody else.
  const [first, ...others] = yjs.filter(({ denied }) => !denied);
  for (const { stage, doc } of others)
    if (first !== undefined && !Bun.deepEquals(otherRoots(doc), otherRoots(first.doc)))
      return `${stage.name} has other roots than ${first.stage.name}`;
  return null;
}

/** Whether a text is another one with some of it left out. */
function isWithin(part: string, whole: string): boolean {
  let at = 0;
  for (const unit of whole) if (part.startsWith(unit, at)) at += unit.length;
  return at === part.length;
}

/**
 * Checks everything that does not change any more. Throws with what is wrong. What comes after `rev`, at which all agreed,
 * is not looked at: a Yjs client may still tidy up its formatting, which changes nothing that is read.
 */
export async function checkEnd(ended: Ended, rev: number): Promise<void> {
  const { server, doc_id, json, yjs, ledger } = ended;
  if (ledger.faults.length > 0) throw new Error(ledger.faults.join('; '));
  const rows = await server.sql<JournalRow[]>`
    SELECT rev, user_id, client_id, seq, update, delta FROM document_updates
    WHERE doc_id = ${doc_id} AND rev <= ${rev} ORDER BY rev`;
  const content = json[0]?.content ?? new Delta();
  checkRevisions(rows, rev);
  checkSequences(rows, ended);
  checkMarkers(rows, ledger, flatText(content.ops));
  checkRebuilt(rows, content, yjs);
  const text = documentOf(content.ops);
  const composed = rows.reduce((all, { delta }) => all.compose(new Delta(JSON.parse(delta))), new Delta());
  if (!Bun.deepEquals(documentOf(composed.ops).ops, text.ops))
    throw new Error(`the journal's deltas make another text: ${JSON.stringify(composed.ops)}`);
}

function checkRevisions(rows: readonly JournalRow[], head: number): void {
  for (const [index, { rev }] of rows.entries())
    if (rev !== index + 1) throw new Error(`revision ${index + 1} is missing`);
  if (rows.length !== head) throw new Error(`the journal ends at ${rows.length} and the document is at ${head}`);
}

/** Each numbered edit is there once, in order, and REST edits are where their answers said. */
function checkSequences(rows: readonly JournalRow[], { json, rest }: Ended): void {
  for (const { stage } of json) {
    const seqs = rows.filter((row) => row.client_id === stage.client_id).map((row) => row.seq);
    if (seqs.some((seq, index) => seq !== index + 1)) throw new Error(`${stage.name} left the seqs ${seqs.join(' ')}`);
  }
  for (const { body, rev } of rest) {
    const found = rows.filter((row) => row.client_id === body.client_id && row.seq === body.seq).map((row) => row.rev);
    if (found.length !== 1 || found[0] !== rev)
      throw new Error(`REST edit ${body.seq} was answered with rev ${rev} and is at ${found.join(', ') || 'none'}`);
  }
}

/** What somebody typed once was written once, and is there unless somebody deleted it. */
function checkMarkers(rows: readonly JournalRow[], ledger: Ledger, text: string): void {
  const written = rows.flatMap(({ delta }) => JSON.parse(delta) as Op[]);
  const times = countMarkers(flatText(written.filter(({ insert }) => insert !== undefined)));
  const left = countMarkers(text);
  for (const marker of ledger.typed) {
    const name = `marker ${marker.charCodeAt(0).toString(16)}`;
    const doubtful = ledger.doubtful.has(marker);
    const count = left.get(marker) ?? 0;
    if (count > 1 || (count === 0 && !doubtful)) throw new Error(`${name} is there ${count} times`);
    const wrote = times.get(marker) ?? 0;
    if ((wrote > 1 && !ledger.rewritten) || (wrote === 0 && !doubtful))
      throw new Error(`${name} was written ${wrote} times`);
  }
  for (const marker of left.keys())
    if (!ledger.typed.has(marker)) throw new Error(`nobody typed ${marker.charCodeAt(0)}`);
}

function countMarkers(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const unit of text) if (isMarker(unit)) counts.set(unit, (counts.get(unit) ?? 0) + 1);
  return counts;
}

/** A document made from the journal alone is the one that everybody has, other roots included. */
function checkRebuilt(rows: readonly JournalRow[], content: Delta, yjs: readonly YjsActor[]): void {
  const doc = new Y.Doc();
  for (const { update } of rows) Y.applyUpdate(doc, update);
  const rebuilt = documentOf(doc.getText(TEXT_ROOT).toDelta());
  if (!Bun.deepEquals(rebuilt.ops, documentOf(content.ops).ops))
    throw new Error(`the journal rebuilds another text: ${JSON.stringify(rebuilt.ops)}`);
  if (doc.store.pendingStructs !== null || doc.store.pendingDs !== null)
    throw new Error('the journal holds updates whose predecessors are missing');
  const roots = otherRoots(doc);
  for (const { stage, doc: theirs } of yjs)
    if (!Bun.deepEquals(otherRoots(theirs), roots))
      throw new Error(
        `${stage.name} has other roots: ${JSON.stringify(otherRoots(theirs))} and not ${JSON.stringify(roots)}`,
      );
  doc.destroy();
}

function otherRoots(doc: Y.Doc): unknown {
  return { meta: doc.getMap('meta').toJSON(), list: doc.getArray('list').toJSON() };
}
