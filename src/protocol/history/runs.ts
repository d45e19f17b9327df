/**
 * Runs of edits: what a person did in one go, which is how people want to see history, rather than keystroke by keystroke.
 *
 * The invariant: whether a revision goes on with the run of the one before it depends on these two alone. So runs come
 * out the same however the revisions are cut into pages, once the runs on both sides of a cut are joined ({@link joinRuns}).
 */
import type { EntryMeta } from './entry.ts';

/** A pause this long begins a new run. */
export const RUN_PAUSE_MS = 5 * 60_000;

/** A revision with how much of the text it inserted and deleted. */
export interface Edit extends Pick<EntryMeta, 'rev' | 'user_id' | 'at'> {
  /** UTF-16 units. */
  readonly inserted: number;
  /** UTF-16 units. */
  readonly deleted: number;
}

/** Consecutive revisions of one person without a long pause. */
export interface EditRun {
  readonly from_rev: number;
  readonly to_rev: number;
  readonly user_id: string;
  /** Epoch milliseconds, of the first revision. */
  readonly started_at: number;
  /** Epoch milliseconds, of the last revision. */
  readonly ended_at: number;
  /** UTF-16 units, of all its revisions: what was typed and taken away again counts both ways. */
  readonly inserted: number;
  /** UTF-16 units. */
  readonly deleted: number;
}

/** The runs that consecutive revisions make, oldest first as the revisions are. */
export function runsOfEdits(edits: Iterable<Edit>): EditRun[] {
  const runs: EditRun[] = [];
  let open: { -readonly [K in keyof EditRun]: EditRun[K] } | undefined;
  for (const { rev, user_id, at, inserted, deleted } of edits) {
    if (open !== undefined && open.user_id === user_id && at - open.ended_at < RUN_PAUSE_MS) {
      open.to_rev = rev;
      open.ended_at = at;
      open.inserted += inserted;
      open.deleted += deleted;
    } else {
      open = { from_rev: rev, to_rev: rev, user_id, started_at: at, ended_at: at, inserted, deleted };
      runs.push(open);
    }
  }
  return runs;
}

/** One run of two of which `later` follows right on `earlier`; null when they are two. */
export function joinRuns(earlier: EditRun, later: EditRun): EditRun | null {
  if (earlier.user_id !== later.user_id || later.started_at - earlier.ended_at >= RUN_PAUSE_MS) return null;
  return {
    from_rev: earlier.from_rev,
    to_rev: later.to_rev,
    user_id: earlier.user_id,
    started_at: earlier.started_at,
    ended_at: later.ended_at,
    inserted: earlier.inserted + later.inserted,
    deleted: earlier.deleted + later.deleted,
  };
}
