/**
 * The look at what is due. Jobs are hints that die with Redis; what they were to do is in PostgreSQL, so some worker looks
 * there again and again and asks for it. It looks at marked documents only (store/work.ts), however many there are beside
 * them, and takes the mark away where nothing is left to do. What a node that is gone did not give up is freed, so that its
 * mark does not stay until somebody opens it.
 */
import type { Clock, Timer } from '../base/clock.ts';
import type { VersionPace } from '../domain/auto-versions.ts';
import { RUN_PAUSE_MS } from '../protocol/history/runs.ts';
import type { Directory } from '../store/directory.ts';
import { freeHeads } from '../store/heads.ts';
import type { Database } from '../store/postgres.ts';
import { markedWork, unmark, type WorkState } from '../store/work.ts';
import { RUN_EDITS_MAX } from './audit-runs.ts';
import { compactionDue } from './compaction.ts';
import type { Queues } from './queues.ts';

/** An open document this far ahead of its snapshot is due, and one that has long been ahead by a 32nd of its history. */
const SNAPSHOT_REVS = 500;
const SNAPSHOT_PART = 1 / 32;
/** An open document that rests for so long gets one too: what was typed should be found while its readers are still there. */
const SNAPSHOT_REST_MS = 10_000;
/** After this long without an edit or a claim the owner may be asked for: one that died gives nothing up. */
const ABANDONED_MS = 600_000;
/** Marked documents that are fetched at a time. */
const PAGE = 1_000;

/** The queues of work on documents. */
const DOCUMENT_QUEUES = ['snapshots', 'versions', 'audit-runs', 'compaction'] as const;
type DocumentQueue = (typeof DOCUMENT_QUEUES)[number];

/** What the look works with. */
export interface LookParts {
  readonly sql: Database;
  readonly clock: Clock;
  readonly directory: Pick<Directory, 'shows'>;
  readonly queues: Pick<Queues, DocumentQueue>;
  readonly pace: VersionPace;
}

/** Asks for everything that is due. */
export async function lookAtWork({ sql, clock, directory, queues, pace }: LookParts): Promise<void> {
  for (let after_id: string | null = null; ; ) {
    const page: WorkState[] = await markedWork(sql, after_id, PAGE);
    for (const state of page)
      for (const queue of dueOf(state, pace, clock.now())) queues[queue].ask({ doc_id: state.doc_id });
    // What Redis has not taken yet is held in memory, ten kilobytes each, and a million documents may be due at once.
    await Promise.all(DOCUMENT_QUEUES.map((queue) => queues[queue].taken()));
    const done = page.filter(isDone);
    if (done.length > 0) await unmark(sql, done);
    await freeAbandoned(sql, directory, page, clock.now());
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after_id = last.doc_id;
  }
}

/**
 * Frees documents that have long been still and whose owner shows no sign of life. Nothing is freed while Redis cannot say,
 * and were it wrong the owner is refused at its next edit and its clients come back.
 */
async function freeAbandoned(
  sql: Database,
  directory: LookParts['directory'],
  page: readonly WorkState[],
  now: number,
): Promise<void> {
  const shows = new Map<string, Promise<boolean>>();
  const left: { doc_id: string; boot_id: string }[] = [];
  for (const { doc_id, owner_node: node_id, owner_boot: boot_id, claimed_at, edited_at } of page) {
    const stirred_at = Math.max(claimed_at?.getTime() ?? 0, edited_at?.getTime() ?? 0);
    if (node_id === null || boot_id === null || now - stirred_at < ABANDONED_MS) continue;
    const shown = shows.get(boot_id) ?? directory.shows({ node_id, boot_id }).catch(() => true);
    shows.set(boot_id, shown);
    if (!(await shown)) left.push({ doc_id, boot_id });
  }
  if (left.length > 0) await freeHeads(sql, left);
}

/** The queues that have something to do on this document. */
export function dueOf(state: WorkState, pace: VersionPace, now: number): readonly DocumentQueue[] {
  const { head_rev, free } = state;
  const still_ms = state.edited_at === null ? Number.POSITIVE_INFINITY : now - state.edited_at.getTime();
  const due = {
    snapshots: (behind: number) =>
      free || still_ms >= SNAPSHOT_REST_MS || behind >= Math.max(SNAPSHOT_REVS, head_rev * SNAPSHOT_PART),
    versions: (behind: number) => still_ms >= pace.pause_ms || behind >= pace.edits,
    // Where a run of edits ends is known once all have left, it has been still for long enough, or somebody else goes on.
    'audit-runs': (behind: number) =>
      free || still_ms >= Math.min(pace.pause_ms, RUN_PAUSE_MS) || behind >= RUN_EDITS_MAX || state.run_over,
    compaction: () => compactionDue(state),
  };
  const done_rev = {
    snapshots: state.snapshot_rev,
    versions: state.version_rev,
    'audit-runs': state.audited_rev,
    compaction: state.compacted_rev,
  };
  return DOCUMENT_QUEUES.filter((queue) => {
    const behind = head_rev - done_rev[queue];
    return behind > 0 && (queue === 'audit-runs' || !state.deleted) && due[queue](behind);
  });
}

/** Whether nothing is left to do on this document until somebody claims it again, or brings it back. */
function isDone(state: WorkState): boolean {
  const { free, deleted, head_rev, snapshot_rev, version_rev, audited_rev } = state;
  if (!free || audited_rev < head_rev) return false;
  return deleted || (Math.min(snapshot_rev, version_rev) >= head_rev && !compactionDue(state));
}

/**
 * Has some worker look every `every_ms`, however many processes ask. It is asked for again and again rather than scheduled
 * once: a schedule would be gone with a flushed Redis.
 */
export function startScheduler(clock: Clock, queues: Pick<Queues, 'schedule'>, every_ms: number): Timer {
  return clock.every(every_ms, () => queues.schedule.ask({}, { once_in_ms: every_ms / 2 }));
}
