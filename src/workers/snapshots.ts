/**
 * Writes snapshots: opening a document starts from its last one, so this is what keeps opening fast. The journal stays
 * the truth; a snapshot only says what it amounts to at one revision, and one that is behind another is not written.
 */
import type { DeltaOps } from '../protocol/content/delta.ts';
import { renderContent } from '../protocol/content/formats.ts';
import type { EncodedState } from '../protocol/snapshot.ts';
import { readHead } from '../store/heads.ts';
import type { Database } from '../store/postgres.ts';
import { searchBody } from '../store/search.ts';
import { readSnapshot, writeSnapshot } from '../store/snapshots.ts';
import { readTail } from '../store/updates.ts';
import { makeSnapshot, type SnapshotInput } from './make-snapshot.ts';

/** Snapshots of more bytes than this are made on a thread of their own. */
const INLINE_BYTES_MAX = 128 * 1024;

/**
 * Brings a document's snapshot up to its committed head. Returns the revision it is at now, or null when there is no
 * such document. Safe to run at any time, any number of times, beside any owner.
 */
export async function snapshotDocument(sql: Database, doc_id: string): Promise<number | null> {
  const head = await readHead(sql, doc_id);
  if (head === null) return null;
  const last = await readSnapshot(sql, doc_id);
  const rows = await readTail(sql, doc_id, last?.rev ?? 0, head.head_rev);
  const rev = rows.at(-1)?.rev;
  if (rev === undefined) return last?.rev ?? 0;
  const made = await make({ state: last?.state ?? null, updates: rows.map((row) => row.update) });
  const words = renderContent('text', JSON.parse(made.delta) as DeltaOps) as string;
  // Together, or a try that died in between would leave the search behind, with nothing to show that it is.
  await sql.begin(async (step) => {
    if (await writeSnapshot(step, doc_id, { rev, ...made })) await searchBody(step, doc_id, words);
  });
  return rev;
}

function make(input: SnapshotInput): Promise<EncodedState> {
  const bytes = (input.state?.length ?? 0) + input.updates.reduce((sum, update) => sum + update.length, 0);
  return bytes <= INLINE_BYTES_MAX ? Promise.resolve(makeSnapshot(input)) : makeOnThread(input);
}

function makeOnThread(input: SnapshotInput): Promise<EncodedState> {
  const thread = new Worker(new URL('./snapshot-thread.ts', import.meta.url).href);
  return new Promise<EncodedState>((resolve, reject) => {
    thread.onmessage = (event: MessageEvent<EncodedState>) => resolve(event.data);
    thread.onerror = (event) => reject(new Error(`making a snapshot failed: ${event.message}`));
    thread.postMessage(input);
  }).finally(() => thread.terminate());
}
