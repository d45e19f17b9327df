/**
 * A long history in no time: the trace's keystrokes as the journal would hold them had somebody typed them, one revision
 * each, with real Yjs updates. They are written by the journal's own statement, not through a door: typing 260,000 of
 * them takes minutes and is measured elsewhere (replay.ts).
 */
import * as Y from 'yjs';
import { claimHead, releaseHead } from '../src/store/heads.ts';
import type { Database } from '../src/store/postgres.ts';
import { appendUpdates, type NewUpdate } from '../src/store/updates.ts';
import { Astral, patchDeltas, type Trace } from './trace.ts';

const ROWS_AT_ONCE = 2_000;
/** A steady typist, who pauses for ten minutes after every so many keystrokes. */
const KEYSTROKE_MS = 180;
const SITTING_KEYSTROKES = 5_000;
const PAUSE_MS = 600_000;

/** Types the trace into an empty document; returns its text at the revisions of `kept`, ascending. */
export async function seedHistory(
  sql: Database,
  doc_id: string,
  trace: Trace,
  kept: readonly number[],
): Promise<Map<number, string>> {
  const claim_id = crypto.randomUUID();
  const claim = await claimHead(sql, doc_id, 0, { node_id: 'bench', boot_id: 'bench' }, claim_id);
  if (claim === null) throw new Error('the document is held by somebody');
  const [user_id, client_id] = [crypto.randomUUID(), crypto.randomUUID()];
  const wanted = new Set(kept);
  const texts = new Map<number, string>();
  const typist = new Typist();
  let rows: NewUpdate[] = [];
  let rev = 0;
  let at = Date.now() - 90 * 86_400_000;
  for (const { patches } of trace.steps)
    for (const { update, delta } of typist.type(patches)) {
      rev += 1;
      at += rev % SITTING_KEYSTROKES === 0 ? PAUSE_MS : KEYSTROKE_MS + ((rev * 7_919) % 97);
      rows.push({ rev, user_id, client_id, seq: rev, at, update, delta });
      if (wanted.has(rev)) texts.set(rev, typist.text);
      if (rows.length < ROWS_AT_ONCE) continue;
      await append(sql, doc_id, claim.epoch, rows);
      rows = [];
    }
  await append(sql, doc_id, claim.epoch, rows);
  await releaseHead(sql, doc_id, claim_id);
  if (typist.text !== trace.end) throw new Error('what was typed is not what the trace says');
  return texts;
}

async function append(sql: Database, doc_id: string, epoch: number, rows: readonly NewUpdate[]): Promise<void> {
  const first = rows[0];
  if (first === undefined) return;
  const moved = await appendUpdates(sql, [{ doc_id, epoch, head_rev: first.rev - 1, rows }]);
  if (!moved.has(doc_id)) throw new Error('the document was taken by somebody else');
}

/** Types into a document, and beside it into a plain string: the model that everything is held against. */
class Typist {
  text = '';
  readonly #doc = new Y.Doc();
  readonly #content = this.#doc.getText('content');
  readonly #astral = new Astral();
  #update = new Uint8Array();

  constructor() {
    this.#doc.on('update', (update: Uint8Array) => {
      this.#update = new Uint8Array(update);
    });
  }

  *type(patches: Trace['steps'][number]['patches']): Iterable<{ update: Uint8Array; delta: string }> {
    for (const delta of patchDeltas(patches, this.#astral)) {
      let [index, inserted, deleted] = [0, '', 0];
      for (const op of delta) {
        if (op.retain !== undefined) index = op.retain;
        else if (typeof op.insert === 'string') inserted = op.insert;
        else deleted = op.delete ?? 0;
      }
      this.#doc.transact(() => {
        if (deleted > 0) this.#content.delete(index, deleted);
        if (inserted !== '') this.#content.insert(index, inserted);
      });
      this.text = this.text.slice(0, index) + inserted + this.text.slice(index + deleted);
      yield { update: this.#update, delta: JSON.stringify(delta) };
    }
  }
}
