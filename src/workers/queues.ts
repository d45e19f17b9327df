/**
 * The job queues, asked and worked. A job is a hint: what is due can always be derived again from PostgreSQL, so a queue
 * that was lost with Redis heals by itself, and a job that runs twice does its work once.
 *
 * A queue is one entry of {@link QUEUES}, which says what its jobs are and when two of them are the same; one entry of the
 * list in services/worker.ts works it. A job that fails is tried again, later each time; one that fails for good is kept
 * for a week, where the dashboard shows it and can send it again.
 */
import { type ConnectionOptions, type Job, Queue, Worker as QueueWorker } from 'bullmq';
import { type Clock, TIMED_OUT, within } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import { queuePrefix, type StandingRedis } from '../store/redis-side.ts';

/** Where all queues' keys begin. */
export const QUEUE_PREFIX = 'concord';

/** A job on one document. */
export interface DocumentJob {
  readonly doc_id: string;
}

/** A job on one event of the outbox. */
export interface EventJob {
  readonly event_id: string;
}

/** A job that there is one of. */
export type GlobalJob = Readonly<Record<string, never>>;

/** What tells two jobs of a queue apart: the second of two with one key is not taken while the first waits. */
type KeyOf<Data> = (data: Data) => string;

const perDocument: KeyOf<DocumentJob> = ({ doc_id }) => doc_id;
const onlyOne: KeyOf<GlobalJob> = () => 'all';

/** Every queue. */
const QUEUES = {
  /** The look at what is due of all other document jobs: see schedule.ts. */
  schedule: onlyOne,
  /** Bring the document's snapshot and its words for the search up to its head. */
  snapshots: perDocument,
  /** Keep a version of the document if one is due. */
  versions: perDocument,
  /** Pack revisions of the document that left the window. */
  compaction: perDocument,
  /** Move the event from the outbox into the audit log. */
  audit: ({ event_id }: EventJob) => event_id,
  /** Put the runs of edits of the document into the outbox. */
  'audit-runs': perDocument,
  /** Drop what is older than its retention. */
  retention: onlyOne,
};

/** The name of a queue. */
export type QueueName = keyof typeof QUEUES;

/** What a job of a queue says. */
export type JobData<Name extends QueueName> = Parameters<(typeof QUEUES)[Name]>[0];

/** All names, in the order in which they are shown. */
export const QUEUE_NAMES = Object.keys(QUEUES) as readonly QueueName[];

/** The asking side of every queue. */
export type Queues = { readonly [Name in QueueName]: JobQueue<JobData<Name>> };

/** BullMQ's own declaration of a client is narrower than ioredis's; the object is what it says it takes. */
export function bullConnection(redis: StandingRedis): ConnectionOptions {
  return redis as unknown as ConnectionOptions;
}

/**
 * The asking side of one queue. While Redis is away what was asked waits, once per key, and is sent when it returns.
 */
export class JobQueue<Data> {
  /** For dashboards and measurements. */
  readonly bull: Queue;
  /** What was asked and is not in the queue yet, and when it is. */
  readonly #asked = new Map<string, Promise<void>>();

  constructor(
    readonly name: QueueName,
    redis: StandingRedis,
    private readonly log: Log,
    private readonly keyOf: KeyOf<Data>,
  ) {
    this.bull = new Queue(name, {
      connection: bullConnection(redis),
      prefix: queuePrefix(redis, QUEUE_PREFIX, name),
      defaultJobOptions: {
        attempts: 5,
        backoff: { type: 'exponential', delay: 1_000 },
        removeOnComplete: true,
        removeOnFail: { age: 7 * 86_400, count: 1_000 },
      },
    });
    // The connection logs its own trouble; without a listener an error event would end the process.
    this.bull.on('error', () => {});
  }

  /** How many jobs were asked for that Redis has not taken yet. */
  get unsent(): number {
    return this.#asked.size;
  }

  /** Resolves once Redis has taken all that was asked for until now. */
  async taken(): Promise<void> {
    await Promise.all(this.#asked.values());
  }

  /**
   * Asks for a job, once however often it is asked before the job runs; what is asked while it runs makes it run once
   * more. With `once_in_ms` it is asked at most once in that time, whoever asks. Never fails.
   */
  ask(data: Data, options: { readonly once_in_ms?: number } = {}): void {
    const id = this.keyOf(data);
    if (this.#asked.has(id)) return;
    const { once_in_ms } = options;
    const deduplication = once_in_ms === undefined ? { id, keepLastIfActive: true } : { id, ttl: once_in_ms };
    const taken = this.bull
      .add(this.name, data, { deduplication })
      .catch((error: unknown) => {
        this.log.debug(
          { error, queue: this.name, job: data },
          'a job could not be asked for; the next look at what is due finds it',
        );
      })
      .then(() => void this.#asked.delete(id));
    this.#asked.set(id, taken);
  }
}

/**
 * Makes the asking sides. `redis` is a `standing` connection: BullMQ gives up for good on one that refuses its first
 * command. It is its owner's to close.
 */
export function createQueues(redis: StandingRedis, log: Log): Queues {
  const made = QUEUE_NAMES.map((name) => [name, new JobQueue(name, redis, log, QUEUES[name] as KeyOf<unknown>)]);
  return Object.fromEntries(made) as Queues;
}

/** Lets go of all queues. */
export async function closeQueues(queues: Queues): Promise<void> {
  await Promise.all(QUEUE_NAMES.map((name) => queues[name].bull.close()));
}

/** How long jobs under way are given when the process ends. */
const CLOSE_WITHIN_MS = 3_000;

/** What workers work with. */
export interface WorkerParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /**
   * A worker says of each job under way that it lives; another takes over what has not been heard of for this long, and
   * looks for such jobs somewhat more often. So what a killed worker was at is done by somebody within twice the time.
   */
  readonly lost_ms: number;
}

/** Who works a queue. */
export interface QueueHandler {
  readonly queue: QueueName;
  /** How many of its jobs one process does at a time. */
  readonly concurrency: number;
  /** Does a job: safe to run at any time, any number of times. */
  readonly handle: (data: unknown) => Promise<unknown>;
}

/** Says who works a queue; the compiler holds the handler to the queue's jobs. */
export function handler<Name extends QueueName>(
  queue: Name,
  concurrency: number,
  handle: (data: JobData<Name>) => Promise<unknown>,
): QueueHandler {
  return { queue, concurrency, handle: handle as (data: unknown) => Promise<unknown> };
}

/** Starts working queues. `redis` is a `standing` connection of their own: workers block on copies of it. */
export function startWorkers(
  redis: StandingRedis,
  handlers: readonly QueueHandler[],
  parts: WorkerParts,
): { stop(): Promise<void> } {
  const workers = handlers.map((one) => startWorker(redis, one, parts));
  return {
    async stop() {
      const closed = Promise.all(workers.map((worker) => worker.close()));
      if ((await within(parts.clock, CLOSE_WITHIN_MS, closed)) !== TIMED_OUT) return;
      // One that waits for an answer of a Redis that was killed waits for ever. What it was at, another does again.
      parts.log.warn('jobs did not come to their end in time; they are left to others');
      for (const worker of workers) void worker.close(true);
    },
  };
}

function startWorker(
  redis: StandingRedis,
  { queue, concurrency, handle }: QueueHandler,
  { log, metrics, lost_ms }: WorkerParts,
): QueueWorker {
  const times = { lockDuration: lost_ms, stalledInterval: (lost_ms * 2) / 3 };
  const worker = new QueueWorker(
    queue,
    async (job: Job) => {
      await handle(job.data);
    },
    { connection: bullConnection(redis), prefix: queuePrefix(redis, QUEUE_PREFIX, queue), concurrency, ...times },
  );
  const count = (outcome: 'completed' | 'failed', job: Job | undefined): void => {
    metrics.jobs.inc({ queue, outcome });
    if (job?.processedOn === undefined || job.finishedOn === undefined) return;
    metrics.job_duration.observe({ queue, outcome }, (job.finishedOn - job.processedOn) / 1000);
  };
  worker.on('completed', (job) => count('completed', job));
  worker.on('failed', (job, error) => {
    count('failed', job);
    const doc_id: unknown = job?.data?.doc_id;
    log.warn({ error, queue, doc_id, attempts: job?.attemptsMade }, 'a job failed; what it was to do is still due');
  });
  worker.on('error', (error) => log.debug({ error, queue }, 'a worker lost touch with its queue'));
  return worker;
}
