/**
 * Writes snapshots: opening a document starts from its last one, so this is what keeps opening fast. The journal stays
 * the truth; a snapshot only says what it amounts to at one revision, and one that is behind another is not written.
 */
import { type Job, Worker as QueueWorker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { renderContent } from '../protocol/content/formats.ts';
import type { EncodedState } from '../protocol/snapshot.ts';
import { readHead } from '../store/heads.ts';
import type { Database } from '../store/postgres.ts';
import { searchBody } from '../store/search.ts';
import { readSnapshot, snapshotsDue, writeSnapshot } from '../store/snapshots.ts';
import { readTail } from '../store/updates.ts';
import { makeSnapshot, type SnapshotInput } from './make-snapshot.ts';
import { bullConnection, QUEUE_PREFIX, SNAPSHOT_QUEUE, type SnapshotJob, type SnapshotQueue } from './queues.ts';

/** A document this far ahead of its snapshot is due even if nobody asked. */
const DUE_REVS = 500;
/** Documents that one look hands out. */
const DUE_MAX = 1_000;
/** How often the scheduler looks. */
const LOOK_EVERY_MS = 30_000;
/** Snapshots of more bytes than this are made on a thread of their own. */
const INLINE_BYTES_MAX = 128 * 1024;

/** What the worker is made of. */
export interface SnapshotWorkerParts {
  readonly clock: Clock;
  readonly sql: Database;
  /** A connection of its own: a worker blocks on it. */
  readonly redis: Redis;
  readonly queue: SnapshotQueue;
  readonly log: Log;
  readonly metrics: Metrics;
}

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
  if (await writeSnapshot(sql, doc_id, { rev, ...made }))
    await searchBody(sql, doc_id, renderContent('text', JSON.parse(made.delta) as DeltaOps) as string);
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

/** Starts working the snapshot queue. */
export function startSnapshotWorker(parts: SnapshotWorkerParts): { stop(): Promise<void> } {
  const { sql, redis, queue, log, metrics, clock } = parts;
  const worker = new QueueWorker<SnapshotJob>(
    SNAPSHOT_QUEUE,
    async (job: Job<SnapshotJob>) => {
      if ('doc_id' in job.data) await snapshotDocument(sql, job.data.doc_id);
      else for (const doc_id of await snapshotsDue(sql, DUE_REVS, DUE_MAX)) queue.ask(doc_id);
    },
    { connection: bullConnection(redis), prefix: QUEUE_PREFIX, concurrency: 2 },
  );
  worker.on('completed', () => metrics.jobs.inc({ queue: SNAPSHOT_QUEUE, outcome: 'completed' }));
  worker.on('failed', (job, error) => {
    metrics.jobs.inc({ queue: SNAPSHOT_QUEUE, outcome: 'failed' });
    const doc_id = job !== undefined && 'doc_id' in job.data ? job.data.doc_id : undefined;
    log.warn({ error, doc_id, attempts: job?.attemptsMade }, 'a snapshot was not made; the journal has everything');
  });
  worker.on('error', (error) => log.debug({ error }, 'the snapshot worker lost touch with its queue'));
  // Asked for again and again rather than scheduled once: a schedule would be gone with a flushed Redis.
  const asking = clock.every(LOOK_EVERY_MS, () => queue.askForDue(LOOK_EVERY_MS));
  return {
    async stop() {
      asking.cancel();
      await worker.close();
    },
  };
}
