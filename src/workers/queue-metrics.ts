/**
 * What waits in the queues and in the outbox, measured when somebody reads the metrics: how much, and for how long the
 * oldest. Every process that works the queues sees the same, since they are in Redis and PostgreSQL: take the maximum.
 *
 * Reading metrics must stay cheap and must not wait: what was measured is good for some seconds, however often it is
 * read, and what does not answer in time has its figures left out, since an old figure would hide the trouble.
 */
import type { Queue } from 'bullmq';
import { type Clock, TIMED_OUT, within } from '../base/clock.ts';
import type { Metrics } from '../base/metrics.ts';
import { outboxBacklog } from '../store/outbox-backlog.ts';
import type { Sql } from '../store/postgres.ts';

/** How long a measurement is good. */
export const MEASURED_FOR_MS = 5_000;
/** How long one may take. */
const ANSWER_WITHIN_MS = 1_000;

/** The states that are shown. Jobs that are done are gone. */
export const JOB_STATES = ['waiting', 'active', 'delayed', 'failed'] as const;

/** One queue at one moment. */
export interface QueueFigures {
  readonly queue: string;
  readonly jobs: Readonly<Record<(typeof JOB_STATES)[number], number>>;
  /** Age of the job that has been waiting for longest; 0 when none waits. */
  readonly oldest_ms: number;
}

/** Asks Redis about one queue. Rejects, or waits, while Redis is away. */
export async function readFigures(queue: Queue, now_ms: number): Promise<QueueFigures> {
  const [counts, oldest] = await Promise.all([queue.getJobCounts(...JOB_STATES), queue.getWaiting(0, 0)]);
  const { waiting = 0, active = 0, delayed = 0, failed = 0 } = counts;
  const since = oldest[0]?.timestamp ?? now_ms;
  return { queue: queue.name, jobs: { waiting, active, delayed, failed }, oldest_ms: Math.max(0, now_ms - since) };
}

/** Has the queues and the outbox measured whenever the metrics are read. */
export function measureWhenRead(
  measured: { readonly queues: readonly Queue[]; readonly sql: Sql },
  clock: Clock,
  metrics: Metrics,
): void {
  metrics.whenRead(remembered(clock, () => measureQueues(measured.queues, clock, metrics)));
  metrics.whenRead(remembered(clock, () => measureOutbox(measured.sql, clock, metrics)));
}

function remembered(clock: Clock, measure: () => Promise<void>): () => Promise<void> {
  let measured_at = Number.NEGATIVE_INFINITY;
  let measured: Promise<void> = Promise.resolve();
  return () => {
    if (clock.monotonic() - measured_at >= MEASURED_FOR_MS) {
      measured_at = clock.monotonic();
      measured = measure();
    }
    return measured;
  };
}

async function measureQueues(queues: readonly Queue[], clock: Clock, metrics: Metrics): Promise<void> {
  const figures = await inTime(clock, Promise.all(queues.map((queue) => readFigures(queue, clock.now()))));
  metrics.queue_jobs.reset();
  metrics.queue_oldest.reset();
  for (const { queue, jobs, oldest_ms } of figures ?? []) {
    for (const state of JOB_STATES) metrics.queue_jobs.set({ queue, state }, jobs[state]);
    metrics.queue_oldest.set({ queue }, oldest_ms / 1000);
  }
}

async function measureOutbox(sql: Sql, clock: Clock, metrics: Metrics): Promise<void> {
  const backlog = await inTime(clock, outboxBacklog(sql));
  // A gauge without labels is 0 after a reset, and 0 would be a lie.
  if (backlog === null) {
    metrics.outbox_rows.remove();
    metrics.outbox_oldest.remove();
    return;
  }
  const age_ms = backlog.oldest === null ? 0 : clock.now() - backlog.oldest.getTime();
  metrics.outbox_rows.set(backlog.rows);
  metrics.outbox_oldest.set(Math.max(0, age_ms) / 1000);
}

/** The answer, or null when it did not come in time or not at all. */
async function inTime<T>(clock: Clock, answer: Promise<T>): Promise<T | null> {
  const told = await within(clock, ANSWER_WITHIN_MS, answer).catch(() => TIMED_OUT);
  return told === TIMED_OUT ? null : (told as T);
}
