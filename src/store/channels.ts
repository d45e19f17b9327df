/** The Pub/Sub channels of documents: `collab:<doc_id>`, CONTRACT.md section 7. */
import type { Redis } from 'ioredis';
import type { Clock, Timer } from '../base/clock.ts';
import { TIMES } from '../protocol/limits.ts';

/** The channel that carries a document's events. */
export function documentChannel(doc_id: string): string {
  return `collab:${doc_id}`;
}

/** Bytes of messages that wait for others at most. */
const WAITING_BYTES_MAX = 1_000_000;

/** What is told of a message once it is out: how many received it, or null when Redis did not take it. */
export type Published = (receivers: number | null) => void;

/**
 * Publishes the events of documents. What somebody is known to listen to leaves at once. All else is published too, since
 * subscribers do not announce themselves, but it waits a moment and leaves together with what other turns and documents
 * made: a message that nobody hears must not cost as much as the edit. Messages of a document never overtake each other.
 */
export class EventPublisher {
  #waiting: { readonly doc_id: string; readonly message: string; readonly done: Published }[] = [];
  #bytes = 0;
  #timer: Timer | null = null;

  constructor(
    private readonly redis: Redis,
    private readonly clock: Clock,
  ) {}

  /** Publishes a message on a document's channel; `heard`: somebody is known to listen. Never throws. */
  publish(doc_id: string, message: string, heard: boolean, done: Published): void {
    this.#waiting.push({ doc_id, message, done });
    this.#bytes += message.length;
    if (heard || this.#bytes > WAITING_BYTES_MAX) this.flush();
    else this.#timer ??= this.clock.after(TIMES.publish_unheard_ms, () => this.flush());
  }

  /** Sends what waits. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#bytes = 0;
    const batch = this.#waiting;
    if (batch.length === 0) return;
    this.#waiting = [];
    const pipeline = this.redis.pipeline();
    for (const { doc_id, message } of batch) pipeline.publish(documentChannel(doc_id), message);
    pipeline.exec().then(
      (replies) => {
        for (const [i, { done }] of batch.entries()) {
          const [error, receivers] = replies?.[i] ?? [null, null];
          done(error === null && typeof receivers === 'number' ? receivers : null);
        }
      },
      () => {
        for (const { done } of batch) done(null);
      },
    );
  }
}

/** How many subscribe to each document's channel. */
export async function countSubscribers(redis: Redis, doc_ids: readonly string[]): Promise<number[]> {
  const reply = (await redis.pubsub('NUMSUB', ...doc_ids.map(documentChannel))) as (string | number)[];
  return doc_ids.map((_, i) => Number(reply[i * 2 + 1] ?? 0));
}
