/**
 * The {@link Bus} on a Redis cluster: each channel is subscribed to where its slot is, over one standing connection to each
 * master that has any of them, so the messages of a channel arrive in order. The servers may change places at any time: a
 * connection breaks, a slot moves, a replica takes over. Then the channels that lost their place look for a new one until they
 * have it, and everybody is told that messages may have been missed.
 *
 * The client library could do this too, but it does not tell when the subscriptions are in place again.
 */
import type { Redis } from 'ioredis';
import type { Clock, Timer } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { TIMES } from '../protocol/limits.ts';
import type { Bus, BusListener } from './bus.ts';
import type { Channels } from './channels.ts';
import { type SlotMap, slotOf } from './redis-cluster.ts';

/** How long a channel without a place waits before it looks again. */
const LOOK_EVERY_MS = 250;
/** A server that leaves so many questions unanswered is connected to afresh: its line may be dead. */
const SILENT_MAX = 2;

/** What a {@link ShardBus} is made of. */
export interface ShardBusParts {
  readonly channels: Pick<Channels, 'send'>;
  readonly map: SlotMap;
  /** Makes a standing connection to the server at `host:port`. */
  readonly connect: (address: string) => Redis;
  readonly clock: Clock;
  readonly log: Log;
}

/** A channel that is wanted. */
interface Wanted {
  readonly slot: number;
  /** Where it is subscribed to; null while it is nowhere. */
  place: Shard | null;
  placing: boolean;
  readonly waiting: PromiseWithResolvers<void>[];
}

/** A master with channels of ours. */
interface Shard {
  readonly address: string;
  readonly redis: Redis;
  /** Subscriptions under way. */
  placing: number;
  /** Whether listeners must be told once they are done. */
  news: boolean;
  silent: number;
}

/** See the head of this file. */
export class ShardBus implements Bus {
  readonly #parts: ShardBusParts;
  readonly #listeners = new Set<BusListener>();
  readonly #wanted = new Map<string, Wanted>();
  /** Those of them that are nowhere. */
  readonly #homeless = new Map<string, Wanted>();
  /** By address. */
  readonly #shards = new Map<string, Shard>();
  readonly #timers: readonly Timer[];
  #closed = false;

  constructor(parts: ShardBusParts) {
    this.#parts = parts;
    const { clock, map } = parts;
    map.listen(() => this.#follow());
    this.#timers = [
      clock.every(LOOK_EVERY_MS, () => this.#look()),
      clock.every(TIMES.node_beat_ms, () => this.#askAll()),
    ];
  }

  get away(): boolean {
    return this.#wanted.size === 0 || this.#homeless.size > 0;
  }

  publish(channel: string, message: Uint8Array): Promise<boolean> {
    return this.#parts.channels.send(channel, Buffer.from(message.buffer, message.byteOffset, message.length));
  }

  async subscribe(channel: string): Promise<void> {
    let wanted = this.#wanted.get(channel);
    if (wanted === undefined) {
      wanted = { slot: slotOf(channel), place: null, placing: false, waiting: [] };
      this.#wanted.set(channel, wanted);
      this.#homeless.set(channel, wanted);
    }
    if (wanted.place !== null) return;
    const placed = Promise.withResolvers<void>();
    wanted.waiting.push(placed);
    void this.#place(channel, wanted);
    await placed.promise;
  }

  unsubscribe(channel: string): void {
    const wanted = this.#wanted.get(channel);
    if (wanted === undefined) return;
    this.#wanted.delete(channel);
    this.#homeless.delete(channel);
    for (const { resolve } of wanted.waiting) resolve();
    wanted.place?.redis.sunsubscribe(channel).catch(() => {});
  }

  listen(listener: BusListener): void {
    this.#listeners.add(listener);
  }

  reconnect(): void {
    this.#parts.log.warn('the subscription to Redis is deaf; connecting afresh');
    for (const { redis } of this.#shards.values()) redis.disconnect(true);
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
    for (const { redis } of this.#shards.values()) redis.disconnect();
    this.#shards.clear();
    const closed = new Error('the bus is closed');
    for (const { waiting } of this.#wanted.values()) for (const { reject } of waiting) reject(closed);
  }

  /** Subscribes where the channel is now. What fails is tried again at the next look. */
  async #place(channel: string, wanted: Wanted): Promise<void> {
    const shard = this.#shardOf(wanted.slot);
    if (wanted.placing || shard?.redis.status !== 'ready') return;
    wanted.placing = true;
    shard.placing += 1;
    try {
      await shard.redis.ssubscribe(channel);
      if (this.#wanted.get(channel) === wanted) this.#placed(channel, wanted, shard);
      // Nobody wants it any more, or somebody else does, who asks for it again.
      else if (!this.#wanted.has(channel)) shard.redis.sunsubscribe(channel).catch(() => {});
    } catch {
      this.#parts.map.refresh();
    }
    wanted.placing = false;
    shard.placing -= 1;
    if (shard.placing === 0 && shard.news) {
      shard.news = false;
      for (const listener of this.#listeners) listener.connected();
    }
  }

  #placed(channel: string, wanted: Wanted, shard: Shard): void {
    // The connection may have broken while the answer was on its way to us.
    if (shard.redis.status !== 'ready' || this.#shards.get(shard.address) !== shard) return;
    wanted.place = shard;
    this.#homeless.delete(channel);
    for (const { resolve } of wanted.waiting.splice(0)) resolve();
  }

  /** The connection to the master of a slot, made if need be; null while nobody knows where that is. */
  #shardOf(slot: number): Shard | null {
    const address = this.#parts.map.address(slot);
    if (address === null || this.#closed) return null;
    const known = this.#shards.get(address);
    if (known !== undefined) return known;
    const redis = this.#parts.connect(address);
    const shard: Shard = { address, redis, placing: 0, news: false, silent: 0 };
    this.#shards.set(address, shard);
    redis.on('smessageBuffer', (channel: Buffer, message: Buffer) => {
      const name = channel.toString();
      for (const listener of this.#listeners) listener.message(name, message);
    });
    redis.on('ready', () => {
      shard.news = true;
      this.#look();
    });
    redis.on('close', () => {
      this.#leave((wanted) => wanted.place === shard);
      // Perhaps another took its place.
      this.#parts.map.refresh();
    });
    // A slot left this server, which does not say to us which one it was.
    redis.on('moved', () => {
      shard.news = true;
      this.#leave((wanted) => wanted.place === shard);
      this.#parts.map.refresh();
    });
    return shard;
  }

  /** The map was read anew: channels that are elsewhere now go there, and connections that nobody needs are closed. */
  #follow(): void {
    if (this.#closed) return;
    const { map } = this.#parts;
    const needed = new Set<string | null>();
    for (const [channel, wanted] of this.#wanted) {
      const address = map.address(wanted.slot);
      needed.add(address);
      if (wanted.place === null || wanted.place.address === address) continue;
      wanted.place.redis.sunsubscribe(channel).catch(() => {});
      this.#lose(channel, wanted);
      const shard = this.#shardOf(wanted.slot);
      if (shard !== null) shard.news = true;
    }
    for (const [address, { redis }] of this.#shards) {
      if (needed.has(address)) continue;
      this.#shards.delete(address);
      redis.disconnect();
    }
    this.#look();
  }

  #leave(whose: (wanted: Wanted) => boolean): void {
    for (const [channel, wanted] of this.#wanted) if (whose(wanted)) this.#lose(channel, wanted);
  }

  #lose(channel: string, wanted: Wanted): void {
    wanted.place = null;
    this.#homeless.set(channel, wanted);
  }

  #look(): void {
    for (const [channel, wanted] of this.#homeless) void this.#place(channel, wanted);
  }

  /** A line can die without a word, and then nothing is ever heard on it. */
  #askAll(): void {
    for (const shard of this.#shards.values()) {
      if (shard.redis.status !== 'ready') continue;
      shard.silent += 1;
      if (shard.silent > SILENT_MAX) {
        shard.silent = 0;
        this.#parts.log.warn({ server: shard.address }, 'a subscription to Redis is deaf; connecting afresh');
        shard.redis.disconnect(true);
        continue;
      }
      shard.redis.ping().then(
        () => {
          shard.silent = 0;
        },
        () => {},
      );
    }
  }
}
