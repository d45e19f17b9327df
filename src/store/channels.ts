/**
 * Pub/Sub, and the channels of documents: `collab:<doc_id>`, CONTRACT.md section 7. Nobody here knows whether Redis is one
 * server or a cluster: {@link Channels} is all that is asked of it, and each channel is on its own.
 */
import type { Redis } from 'ioredis';
import type { Clock, Timer } from '../base/clock.ts';
import { TIMES } from '../protocol/limits.ts';

/** A message of a channel. */
export interface Message {
  readonly channel: string;
  readonly message: string;
}

/** The sending side of Pub/Sub: at most once, and in order for each channel. */
export interface Channels {
  /** Sends bytes; tells whether Redis took them, as far as is known. Never rejects. */
  send(channel: string, message: string | Buffer): Promise<boolean>;
  /** Sends many messages together; tells of each how many received it, null where Redis did not take it. Never rejects. */
  sendAll(messages: readonly Message[]): Promise<readonly (number | null)[]>;
  /** How many subscribe to a channel now. Rejects when Redis does not answer. */
  listening(channel: string): Promise<number>;
  /**
   * The same for many at once, roughly: a part of Redis that is away, or a channel that is changing its place, counts as 0.
   * Rejects when nothing answers.
   */
  listeners(channels: readonly string[]): Promise<number[]>;
}

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

/**
 * One command for many messages: each command of its own costs this side more than making the message. Channels belong to no
 * slot on a single server, so this is no script for a cluster.
 */
const PUBLISH_ALL = `
  local receivers = {}
  for i = 1, #ARGV, 2 do receivers[(i + 1) / 2] = redis.call('PUBLISH', ARGV[i], ARGV[i + 1]) end
  return receivers`;

/** {@link Channels} on a single server: ordinary PUBLISH. */
export class ServerChannels implements Channels {
  constructor(private readonly redis: Redis) {}

  send(channel: string, message: string | Buffer): Promise<boolean> {
    return this.redis.publish(channel, message).then(
      () => true,
      () => false,
    );
  }

  sendAll(messages: readonly Message[]): Promise<readonly (number | null)[]> {
    const words = messages.flatMap(({ channel, message }) => [channel, message]);
    return this.redis.eval(PUBLISH_ALL, 0, ...words).then(
      (receivers) => receivers as number[],
      () => messages.map(() => null),
    );
  }

  async listening(channel: string): Promise<number> {
    const [count] = await this.listeners([channel]);
    return count ?? 0;
  }

  async listeners(channels: readonly string[]): Promise<number[]> {
    const reply = (await this.redis.pubsub('NUMSUB', ...channels)) as (string | number)[];
    return channels.map((_, i) => Number(reply[i * 2 + 1] ?? 0));
  }
}

interface Waiting extends Message {
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
  #waiting: Waiting[] = [];
  #bytes = 0;
  #timer: Timer | null = null;

  constructor(
    private readonly channels: Pick<Channels, 'sendAll'>,
    private readonly clock: Clock,
  ) {}

  /** Publishes a message on a document's channel; `heard`: somebody is known to listen. Never throws. */
  publish(doc_id: string, message: string, heard: boolean, done: Published): void {
    this.#waiting.push({ channel: documentChannel(doc_id), message, done });
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

  #send(batch: readonly Waiting[]): void {
    void this.channels.sendAll(batch).then((receivers) => {
      for (const [i, { done }] of batch.entries()) done(receivers[i] ?? null);
    });
  }
}
