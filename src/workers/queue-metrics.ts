/**
 * What stands in the queues, measured when somebody reads the metrics: how many jobs in which state, and for how long the
 * oldest has been waiting. Every process that works the queues sees the same, since they are in Redis; take the maximum.
 *
 * Reading metrics must stay cheap and must not wait: what was measured is good for some seconds, however often it is
 * read, and when Redis does not answer in time the figures are left out, since an old figure would hide the trouble.
 */
import type { Queue } from 'bullmq';
import { type Clock, TIMED_OUT, within } from '../base/clock.ts';
import type { Metrics } from '../base/metrics.ts';

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

/** Has the queues measured whenever the metrics are read. */
export function measureQueues(queues: readonly Queue[], clock: Clock, metrics: Metrics): void {
  let measured_at = Number.NEGATIVE_INFINITY;
  let measured: Promise<void> = Promise.resolve();
  metrics.measureQueues(() => {
    if (clock.monotonic() - measured_at >= MEASURED_FOR_MS) {
      measured_at = clock.monotonic();
      measured = measure(queues, clock, metrics);
    }
    return measured;
  });
}

async function measure(queues: readonly Queue[], clock: Clock, metrics: Metrics): Promise<void> {
  const asked = Promise.all(queues.map((queue) => readFigures(queue, clock.now())));
  const figures = await within(clock, ANSWER_WITHIN_MS, asked).catch(() => TIMED_OUT);
  metrics.queue_jobs.reset();
  metrics.queue_oldest.reset();
  if (figures === TIMED_OUT) return;
  for (const { queue, jobs, oldest_ms } of figures as readonly QueueFigures[]) {
    for (const state of JOB_STATES) metrics.queue_jobs.set({ queue, state }, jobs[state]);
    metrics.queue_oldest.set({ queue }, oldest_ms / 1000);
  }
}
