/**
 * Redis as the nodes know it, in memory: the directory with its compare-and-set and its expiring keys, and Pub/Sub, which
 * delivers at most once, in order for each sender and receiver, and in no order between senders. It can be flushed, be
 * away, lose answers, lose and repeat messages, and go deaf on one subscriber.
 */

import type { Random } from '../../src/base/random.ts';
import type { Bus, BusListener } from '../../src/store/bus.ts';
import {
  CLAIMING_LIFE_S,
  type Directory,
  entryText,
  nodeChannel,
  OWNED_LIFE_S,
  parseEntry,
} from '../../src/store/directory.ts';
import type { NodeIdentity } from '../../src/store/heads.ts';
import { COMMAND_TIMEOUT_MS } from '../../src/store/redis.ts';
import { Dice } from '../fuzz/edits.ts';
import { type Host, Lane, type Time } from './time.ts';
import type { Trace } from './trace.ts';

interface Key {
  readonly text: string;
  readonly until: number;
}

/** Milliseconds that a command or a message is on its way. */
const WAY_MS = 3;

/** See the head of this file. */
export class SimRedis {
  readonly dice: Dice;
  away = false;
  /** One message in so many is lost, and is repeated; 0: none. */
  lost_once_in = 0;
  repeated_once_in = 0;
  /** The answer of one command in so many is lost; 0: none. */
  unknown_once_in = 0;
  /** Processes that cannot reach it. */
  readonly #cut_off = new Set<Host>();
  readonly #keys = new Map<string, Key>();
  readonly #subscribers = new Set<Subscriber>();

  constructor(
    private readonly server: Host,
    readonly time: Time,
    readonly trace: Trace,
    random: Random,
  ) {
    this.dice = new Dice(random);
  }

  /** Forgets everything but who is connected. */
  flush(): void {
    this.#keys.clear();
  }

  /** Goes away; every connection breaks. */
  leave(): void {
    this.away = true;
    for (const subscriber of this.#subscribers) subscriber.breakOff();
  }

  /** Is back, with or without what it knew. */
  comeBack(forgetful: boolean): void {
    this.away = false;
    if (forgetful) this.flush();
    for (const subscriber of this.#subscribers) subscriber.comeBack();
  }

  /** Takes a process that ended off all channels. */
  drop(host: Host): void {
    for (const subscriber of this.#subscribers) if (subscriber.host === host) this.#subscribers.delete(subscriber);
  }

  /** Breaks, or deafens, the subscriptions of a process. */
  disturb(host: Host, how: 'cut' | 'deaf'): void {
    for (const subscriber of this.#subscribers) {
      if (subscriber.host !== host) continue;
      if (how === 'deaf') subscriber.deaf = true;
      else {
        subscriber.breakOff();
        subscriber.comeBack();
      }
    }
  }

  /** Cuts a process off; `noticed`: Redis takes its connections for dead at once, and not only when it is back. */
  cutOff(host: Host, noticed: boolean): void {
    this.#cut_off.add(host);
    for (const subscriber of this.#subscribers)
      if (subscriber.host === host) {
        if (noticed) subscriber.breakOff();
        else subscriber.deaf = true;
      }
  }

  /** It can be reached again; connections are made anew. */
  reachAgain(host: Host): void {
    if (!this.#cut_off.delete(host)) return;
    for (const subscriber of this.#subscribers)
      if (subscriber.host === host) {
        subscriber.breakOff();
        subscriber.comeBack();
      }
  }

  /** Whether a process' packets get here. */
  reaches(host: Host): boolean {
    return !this.away && !this.#cut_off.has(host);
  }

  /** Makes everybody's ears good again. */
  heal(): void {
    for (const host of [...this.#cut_off]) this.reachAgain(host);
    this.lost_once_in = 0;
    this.repeated_once_in = 0;
    this.unknown_once_in = 0;
    if (this.away) this.comeBack(false);
  }

  /** How many are subscribed to a channel. */
  listeners(channel: string): number {
    let count = 0;
    for (const subscriber of this.#subscribers) if (subscriber.channels.has(channel)) count += 1;
    return count;
  }

  /** The directory as a process on `host` sees it. */
  directoryFor(host: Host): Directory {
    const lane = new Lane(this.time, this.dice);
    const ask = <T>(apply: () => T): Promise<T> => this.command(host, lane, apply);
    const boots = (...node_ids: string[]) => ask(() => node_ids.map((node_id) => this.#get(`node:${node_id}`) || null));
    const listening = (node: NodeIdentity) => ask(() => this.listeners(nodeChannel(node)));
    return {
      beat: (node, life_ms) => ask(() => this.#set(`node:${node.node_id}`, node.boot_id, life_ms)),
      leave: (node) => ask(() => void this.#replace(`node:${node.node_id}`, node.boot_id, '', 0)),
      boots,
      listening,
      shows: async (node) => (await boots(node.node_id))[0] === node.boot_id || (await listening(node)) > 0,
      mark: (id, life_ms) => ask(() => this.#set(`mark:${id}`, '.', life_ms)),
      marked: (id) => ask(() => this.#get(`mark:${id}`) !== ''),
      read: (doc_id) =>
        ask(() => {
          const text = this.#get(`actor:${doc_id}`);
          return { entry: parseEntry(text), text };
        }),
      replace: (doc_id, seen, next) =>
        ask(() => {
          const wanted = next === null ? '' : entryText(next);
          const life_s = next?.state === 'claiming' ? CLAIMING_LIFE_S : OWNED_LIFE_S;
          const text = this.#replace(`actor:${doc_id}`, seen, wanted, life_s * 1_000);
          return { entry: parseEntry(text), text, won: text === wanted };
        }),
    };
  }

  /** Connects a subscriber and a publisher for a process on `host`. */
  busFor(host: Host): SimBus {
    const subscriber = new Subscriber(host, this);
    this.#subscribers.add(subscriber);
    return new SimBus(host, this, subscriber);
  }

  /** Hands a message to everybody who listens. Returns how many. */
  deliver(from: Host, channel: string, message: Uint8Array): number {
    let count = 0;
    for (const subscriber of this.#subscribers) {
      if (!subscriber.channels.has(channel)) continue;
      count += 1;
      subscriber.receive(from, channel, message);
    }
    return count;
  }

  /** A command's answer; it fails at once while Redis is away, and after a second when no answer comes. */
  command<T>(host: Host, lane: Lane, apply: () => T): Promise<T> {
    const { dice } = this;
    const there_ms = lane.delay(WAY_MS);
    const back_ms = 1 + dice.below(WAY_MS);
    const lost = this.unknown_once_in > 0 && dice.once(this.unknown_once_in) ? dice.below(2) : null;
    return new Promise((resolve, reject) => {
      const fail = (delay_ms: number): void => {
        host.receive(delay_ms, () => reject(new Error('Redis does not answer')));
      };
      if (this.away) return fail(0);
      if (!this.reaches(host)) return fail(COMMAND_TIMEOUT_MS);
      this.server.receive(there_ms, () => {
        if (this.away) return fail(back_ms);
        if (lost === 0) return fail(COMMAND_TIMEOUT_MS);
        const value = apply();
        if (lost === 1) return fail(COMMAND_TIMEOUT_MS);
        host.receive(back_ms, () => resolve(value));
      });
    });
  }

  #get(key: string): string {
    const found = this.#keys.get(key);
    return found !== undefined && found.until > this.time.now ? found.text : '';
  }

  #set(key: string, text: string, life_ms: number): void {
    this.#keys.set(key, { text, until: this.time.now + life_ms });
  }

  #replace(key: string, seen: string, next: string, life_ms: number): string {
    const present = this.#get(key);
    if (present !== seen) return present;
    if (next === '') this.#keys.delete(key);
    else this.#set(key, next, life_ms);
    this.trace.note('redis', `${key.slice(0, 5)} ${next}`);
    return next;
  }
}

/** A process' connection for subscriptions. */
class Subscriber {
  /** What Redis has it subscribed to now. */
  readonly channels = new Set<string>();
  /** What it wants to be subscribed to. */
  readonly wanted = new Set<string>();
  readonly listeners: BusListener[] = [];
  deaf = false;
  connected = true;
  /** Counts connections: what was under way on an older one is lost. */
  #life = 0;
  readonly #lanes = new Map<Host, Lane>();

  constructor(
    readonly host: Host,
    private readonly redis: SimRedis,
  ) {}

  receive(from: Host, channel: string, message: Uint8Array): void {
    const { redis, host } = this;
    const { dice } = redis;
    let lane = this.#lanes.get(from);
    if (lane === undefined) {
      lane = new Lane(redis.time, dice);
      this.#lanes.set(from, lane);
    }
    if (this.deaf || (redis.lost_once_in > 0 && dice.once(redis.lost_once_in))) return;
    const copies = redis.repeated_once_in > 0 && dice.once(redis.repeated_once_in) ? 2 : 1;
    const life = this.#life;
    for (let i = 0; i < copies; i++)
      host.receive(lane.delay(WAY_MS), () => {
        if (life === this.#life) for (const listener of this.listeners) listener.message(channel, message);
      });
  }

  breakOff(): void {
    this.#life += 1;
    this.connected = false;
    this.channels.clear();
  }

  /** Tries again by itself, as ioredis does; the old subscriptions are asked for and then it is told. */
  comeBack(): void {
    const life = this.#life;
    const { redis, host } = this;
    host.receive(20 + redis.dice.below(1_000), () => {
      if (life !== this.#life || !redis.reaches(host)) return;
      this.connected = true;
      this.deaf = false;
      for (const channel of this.wanted) this.channels.add(channel);
      host.receive(1 + redis.dice.below(WAY_MS), () => {
        if (life === this.#life) for (const listener of this.listeners) listener.connected();
      });
    });
  }
}

/** The {@link Bus} of one process, and what its event publisher needs of a connection. */
export class SimBus implements Bus {
  readonly #lane: Lane;

  constructor(
    private readonly host: Host,
    private readonly redis: SimRedis,
    private readonly subscriber: Subscriber,
  ) {
    this.#lane = new Lane(redis.time, redis.dice);
  }

  get away(): boolean {
    return !this.subscriber.connected;
  }

  publish(channel: string, message: Uint8Array): Promise<boolean> {
    const copy = message.slice();
    return this.redis
      .command(this.host, this.#lane, () => this.redis.deliver(this.host, channel, copy))
      .then(
        () => true,
        () => false,
      );
  }

  /** Publishes many messages at once; resolves with how many received each. */
  publishAll(messages: readonly { readonly channel: string; readonly text: string }[]): Promise<number[]> {
    return this.redis.command(this.host, this.#lane, () =>
      messages.map(({ channel, text }) => this.redis.deliver(this.host, channel, Buffer.from(text))),
    );
  }

  /** How many are subscribed to each of these. */
  count(channels: readonly string[]): Promise<number[]> {
    return this.redis.command(this.host, this.#lane, () => channels.map((channel) => this.redis.listeners(channel)));
  }

  async subscribe(channel: string): Promise<void> {
    const { subscriber, redis, host } = this;
    subscriber.wanted.add(channel);
    while (!subscriber.channels.has(channel)) {
      if (!subscriber.wanted.has(channel)) return;
      const done = subscriber.connected && redis.reaches(host);
      await new Promise<void>((resolve) => {
        host.receive(1 + redis.dice.below(done ? WAY_MS : 200), () => {
          if (subscriber.connected && redis.reaches(host) && subscriber.wanted.has(channel))
            subscriber.channels.add(channel);
          resolve();
        });
      });
    }
  }

  unsubscribe(channel: string): void {
    this.subscriber.wanted.delete(channel);
    this.subscriber.channels.delete(channel);
  }

  listen(listener: BusListener): void {
    this.subscriber.listeners.push(listener);
  }

  reconnect(): void {
    this.redis.trace.note(this.host.name, 'subscribes afresh');
    this.subscriber.breakOff();
    this.subscriber.comeBack();
  }

  close(): void {
    this.redis.drop(this.host);
  }
}
