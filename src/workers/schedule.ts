/**
 * The look at what is due. Jobs are hints that die with Redis; what they were to do is in PostgreSQL, so some worker looks
 * there again and again and asks for it.
 */
import type { Clock, Timer } from '../base/clock.ts';
import type { Database } from '../store/postgres.ts';
import { snapshotsDue } from '../store/snapshots.ts';
import type { Queues } from './queues.ts';

/** A document this far ahead of its snapshot is due even if nobody asked. */
const DUE_REVS = 500;
/** Documents that one look hands out. */
const DUE_MAX = 1_000;

/** Asks for everything that is due. */
export async function lookAtWork(sql: Database, queues: Queues): Promise<void> {
  for (const doc_id of await snapshotsDue(sql, DUE_REVS, DUE_MAX)) queues.snapshots.ask({ doc_id });
}

/**
 * Has some worker look every `every_ms`, however many processes ask. It is asked for again and again rather than scheduled
 * once: a schedule would be gone with a flushed Redis.
 */
export function startScheduler(clock: Clock, queues: Queues, every_ms: number): Timer {
  return clock.every(every_ms, () => queues.schedule.ask({}, { once_in_ms: every_ms / 2 }));
}
