/**
 * What a listener of a document's channel missed, from the owner: the journal has what is on disk, the ledger what is not.
 */
import { LIMITS } from '../protocol/limits.ts';
import type { DocumentStore } from '../store/document-store.ts';
import { withUpdate } from './broadcast.ts';
import { editEvent } from './edit-log.ts';
import { bytesOf } from './ledger.ts';
import type { DocumentRuntime } from './runtime.ts';

/** Edits behind a revision, as the channel carries them, up to `rev`, the head when it was asked. */
export interface Replay {
  readonly claim_id: string;
  readonly epoch: number;
  readonly rev: number;
  readonly edits: readonly string[];
  readonly status: string;
}

/**
 * The edits after `after`, or null when they are too many or too large, or packed away, or `after` is no point of this
 * document. Rejects while storage is away and some of them are only there.
 */
export async function replayAfter(
  store: DocumentStore,
  runtime: DocumentRuntime,
  after: number,
): Promise<Replay | null> {
  const { doc_id, ledger, log } = runtime;
  const { claim_id, epoch, durable_rev } = ledger;
  const rev = log.head;
  if (after > rev || rev - after > LIMITS.window_revs_max) return null;
  const status = runtime.statusEvent();
  const rows = ledger.unwritten(after);
  const bytes_left = rows.reduce((left, row) => left - bytesOf(row), LIMITS.replay_bytes_max);
  if (bytes_left < 0) return null;
  const unwritten = rows.map(({ rev, user_id, client_id, seq, at, update, delta }) =>
    withUpdate({ update, event: editEvent(doc_id, { user_id, client_id, seq }, rev, delta, at) }),
  );
  const written = after >= durable_rev ? [] : await store.readMissed(doc_id, after, durable_rev, bytes_left);
  const edits = written.map(({ rev, user_id, client_id, seq, created_at, update, delta }) =>
    withUpdate({ update, event: editEvent(doc_id, { user_id, client_id, seq }, rev, delta, created_at.getTime()) }),
  );
  edits.push(...unwritten);
  return edits.length === rev - after ? { claim_id, epoch, rev, edits, status } : null;
}
