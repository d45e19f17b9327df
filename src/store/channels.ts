/** The Pub/Sub channels of documents: `collab:<doc_id>`, CONTRACT.md section 7. */
import type { Redis } from 'ioredis';
import type { Clock, Timer } from '../base/clock.ts';
import { TIMES } from '../protocol/limits.ts';

/** The channel that carries a document's events. */
export function documentChannel(doc_id: string): string {
  return `collab:${doc_id}`;
}

/** The document whose channel this is, or null. */
export function channelDocument(channel: string): string | null {
  return channel.startsWith('collab:') ? channel.slice('collab:'.length) : null;
}

/** Bytes of messages that wait for others at most. */
const WAITING_BYTES_MAX = 1_000_000;

/** Messages of one command; Redis serves nobody else meanwhile. */
const MESSAGES_AT_ONCE = 500;

/** One command for many messages: each command of its own costs this side more than making the message. */
const PUBLISH_ALL = `
  local receivers = {}
  for i = 1, #ARGV, 2 do receivers[(i + 1) / 2] = redis.call('PUBLISH', ARGV[i], ARGV[i + 1]) end
  return receivers`;

interface Message {
  readonly doc_id: string;
  readonly message: string;
  readonly done: Published;
}

/** What is told of a message once it is out: how many received it, or null when Redis did not take it. */
export type Published = (receivers: number | null) => void;

/**
 * Publishes the events of documents. What somebody is known to listen to leaves at once. All else is published too, since
 * subscribers do not announce themselves, but it waits a moment and leaves together with what other turns and documents
 * made: a message that nobody hears must not cost as much as the edit. Messages of a document never overtake each other.
 */
export class EventPublisher {
  #waiting: Message[] = [];
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
    for (let from = 0; from < batch.length; from += MESSAGES_AT_ONCE)
      this.#send(batch.slice(from, from + MESSAGES_AT_ONCE));
  }

  #send(batch: readonly Message[]): void {
    const words = batch.flatMap(({ doc_id, message }) => [documentChannel(doc_id), message]);
    this.redis.eval(PUBLISH_ALL, 0, ...words).then(
      (receivers) => {
        for (const [i, { done }] of batch.entries()) done((receivers as number[])[i] ?? null);
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
