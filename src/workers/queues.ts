/**
 * The job queues. A job is a hint: what is due can always be derived again from PostgreSQL, so a queue that was lost with
 * Redis heals by itself, and a job that runs twice does its work once.
 */
import { type ConnectionOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Log } from '../base/log.ts';

/** Where all queues' keys begin. */
export const QUEUE_PREFIX = 'concord';

/** The queue of snapshots. */
export const SNAPSHOT_QUEUE = 'snapshots';

/** A job of the snapshot queue: one document, or (from the scheduler) a look at what is due. */
export type SnapshotJob = { readonly doc_id: string } | { readonly due: true };

/** BullMQ's own declaration of a client is narrower than ioredis's; the object is what it says it takes. */
export function bullConnection(redis: Redis): ConnectionOptions {
  return redis as unknown as ConnectionOptions;
}

/**
 * The asking side of the snapshot queue. While Redis is away what was asked waits, once per document, and is sent when
 * it returns.
 */
export class SnapshotQueue {
  readonly #queue: Queue<SnapshotJob>;
  /** What was asked and is not in the queue yet. */
  readonly #asked = new Set<string>();

  /** `redis` is a `standing` connection: BullMQ gives up for good on one that refuses its first command. */
  constructor(
    redis: Redis,
    private readonly log: Log,
  ) {
    this.#queue = new Queue(SNAPSHOT_QUEUE, {
      connection: bullConnection(redis),
      prefix: QUEUE_PREFIX,
      defaultJobOptions: {
        attempts: 5,
        backoff: { type: 'exponential', delay: 1_000 },
        removeOnComplete: true,
        removeOnFail: { age: 7 * 86_400, count: 1_000 },
      },
    });
    // The connection logs its own trouble; without a listener an error event would end the process.
    this.#queue.on('error', () => {});
  }

  /** Asks for a snapshot of a document, once however often it is asked before the job runs. Never fails. */
  ask(doc_id: string): void {
    this.#add('snapshot', { doc_id }, { id: doc_id });
  }

  /** Has some worker look at what is due, once however many processes ask for it in `every_ms`. Never fails. */
  askForDue(every_ms: number): void {
    this.#add('due', { due: true }, { id: 'due', ttl: every_ms / 2 });
  }

  /** Lets go of the queue; the connection is its owner's to close. */
  async close(): Promise<void> {
    await this.#queue.close();
  }

  #add(name: string, job: SnapshotJob, deduplication: { id: string; ttl?: number }): void {
    if (this.#asked.has(deduplication.id)) return;
    this.#asked.add(deduplication.id);
    this.#queue
      .add(name, job, { deduplication })
      .catch((error: unknown) => {
        this.log.debug({ error, job }, 'a job could not be asked for; the next look at what is due finds it');
      })
      .finally(() => this.#asked.delete(deduplication.id));
  }
}
