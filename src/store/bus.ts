/**
 * Messages between nodes, over Redis Pub/Sub: at most once, in order for each sender and channel, and gone when nobody
 * listens. Whoever needs more than that (actors/remote/) builds it on top. Nothing here knows whether Redis is one server
 * or many: every message names one channel, and no channel is read together with another.
 */
import type { Redis } from 'ioredis';
import type { Log } from '../base/log.ts';
import type { Channels } from './channels.ts';

/** Who hears of what comes in. */
export interface BusListener {
  message(channel: string, message: Uint8Array): void;
  /** The subscriptions are in place, for the first time or again: what was sent until now may have been missed. */
  connected(): void;
}

/** See the head of this file. */
export interface Bus {
  /** Whether nothing can arrive just now. */
  readonly away: boolean;
  /** Sends a message; tells whether Redis took it, as far as is known. Never rejects. */
  publish(channel: string, message: Uint8Array): Promise<boolean>;
  /** Resolves once everything published from now on arrives. While Redis is away that is not before it is back. */
  subscribe(channel: string): Promise<void>;
  unsubscribe(channel: string): void;
  listen(listener: BusListener): void;
  /** Connects afresh: the present connection is deaf. */
  reconnect(): void;
  close(): void;
}

/**
 * The {@link Bus} on a single server: what listens is a standing connection of its own, which is made when something is first
 * subscribed to; a node that never does has none.
 */
export class RedisBus implements Bus {
  readonly #listeners = new Set<BusListener>();
  readonly #channels = new Set<string>();
  #subscriber: Redis | null = null;

  constructor(
    private readonly channels: Pick<Channels, 'send'>,
    private readonly connect: () => Redis,
    private readonly log: Log,
  ) {}

  get away(): boolean {
    return this.#subscriber?.status !== 'ready';
  }

  publish(channel: string, message: Uint8Array): Promise<boolean> {
    return this.channels.send(channel, Buffer.from(message.buffer, message.byteOffset, message.length));
  }

  async subscribe(channel: string): Promise<void> {
    this.#channels.add(channel);
    this.#subscriber ??= this.#open();
    await this.#subscriber.subscribe(channel);
  }

  unsubscribe(channel: string): void {
    if (!this.#channels.delete(channel)) return;
    this.#subscriber?.unsubscribe(channel).catch(() => {});
  }

  listen(listener: BusListener): void {
    this.#listeners.add(listener);
  }

  reconnect(): void {
    this.log.warn('the subscription to Redis is deaf; connecting afresh');
    this.#subscriber?.disconnect(true);
  }

  close(): void {
    this.#subscriber?.disconnect();
  }

  #open(): Redis {
    const subscriber = this.connect();
    subscriber.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      const name = channel.toString();
      for (const listener of this.#listeners) listener.message(name, message);
    });
    subscriber.on('ready', () => void this.#restored(subscriber));
    return subscriber;
  }

  /** ioredis has asked for the old subscriptions by now; asking again for them is answered after that. */
  async #restored(subscriber: Redis): Promise<void> {
    const channels = [...this.#channels];
    try {
      if (channels.length > 0) await subscriber.subscribe(...channels);
    } catch {
      return; // broken again: the next `ready` comes here again
    }
    for (const listener of this.#listeners) listener.connected();
  }
}
