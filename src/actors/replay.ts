/**
 * What a listener of a document's channel missed, from the owner: the journal has what is on disk, the ledger what is not.
 */
import { LIMITS } from '../protocol/limits.ts';
import type { DocumentStore } from '../store/document-store.ts';
import { withUpdate } from './broadcast.ts';
import { editEvent } from './edit-log.ts';
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
 * The edits after `after`, or null when they are too many, or packed away, or `after` is no point of this document.
 * Rejects while storage is away and some of them are only there.
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
  const unwritten = ledger
    .unwritten(after)
    .map(({ rev, user_id, client_id, seq, at, update, delta }) =>
      withUpdate({ update, event: editEvent(doc_id, { user_id, client_id, seq }, rev, delta, at) }),
    );
  const written = after >= durable_rev ? [] : await store.readTail(doc_id, after, durable_rev);
  const edits = written.map(({ rev, user_id, client_id, seq, created_at, update, delta }) =>
    withUpdate({ update, event: editEvent(doc_id, { user_id, client_id, seq }, rev, delta, created_at.getTime()) }),
  );
  edits.push(...unwritten);
  return edits.length === rev - after ? { claim_id, epoch, rev, edits, status } : null;
}
