/**
 * Counting what many nodes see together: rate-limiter-flexible over Redis, one command a count, in keys `rl:<limit>:<who>`
 * of one slot each. A window begins with the first thing counted in it and lasts as long as the key.
 *
 * Redis that is away must neither open the gates nor shut them, and one that hangs must keep nobody waiting. So a question to
 * it gets {@link BUDGET_MS}; after a failure this node counts alone, and one question every {@link REST_MS} finds out whether
 * Redis is back. What this node counts alone begins at zero and is forgotten again: at worst a caller gets one more window per
 * node and outage.
 *
 * The library has a memory of its own for that purpose, which is not used: it sets a timer of the machine's for every key, and
 * has no bound. Callers invent keys (addresses, e-mails), so {@link LocalCounts} has one, on the clock that it is handed.
 */
import { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { type Clock, TIMED_OUT, within } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Rate } from '../protocol/rate-limits.ts';
import type { RedisCommands } from './redis.ts';

/** How long one question may take. */
const BUDGET_MS = 50;
/** How long Redis is left alone after it failed. */
const REST_MS = 1_000;
/** Keys of one limit that a node counts alone; beyond that the oldest are forgotten. */
export const LOCAL_KEYS_MAX = 20_000;

/** What stands under a key. */
export interface Usage {
  readonly used: number;
  /** When it is forgotten. */
  readonly ends_in_ms: number;
}

/** Asks Redis for as long as that makes sense: see the head of this file. All counts of a node share one. */
export class PatientRedis {
  #away = false;
  #asked_again_at = 0;

  constructor(
    readonly redis: RedisCommands,
    readonly clock: Clock,
    private readonly log: Log,
  ) {}

  /** The answer, or {@link TIMED_OUT} when there is none. Never rejects. */
  async ask<T>(question: () => Promise<T>): Promise<T | typeof TIMED_OUT> {
    if (this.#away) {
      if (this.clock.monotonic() < this.#asked_again_at) return TIMED_OUT;
      // One question finds out; the others of the next moment do not wait for it.
      this.#asked_again_at = this.clock.monotonic() + REST_MS;
    }
    const answer = await within(this.clock, BUDGET_MS, question()).catch(() => TIMED_OUT);
    if (answer === TIMED_OUT) this.#failed();
    else if (this.#away) this.#back();
    return answer as T | typeof TIMED_OUT;
  }

  #failed(): void {
    this.#asked_again_at = this.clock.monotonic() + REST_MS;
    if (this.#away) return;
    this.#away = true;
    this.log.warn('Redis does not answer in time; this node counts rate limits alone until it does');
  }

  #back(): void {
    this.#away = false;
    this.log.info('rate limits are counted in Redis again');
  }
}

/** The counts of one limit, by key. Nothing here rejects. */
export class SharedCounts {
  readonly #shared: RateLimiterRedis;
  readonly #local: LocalCounts;

  /** @param name goes into the keys. */
  constructor(
    private readonly patient: PatientRedis,
    name: string,
    rate: Rate,
  ) {
    this.#shared = new RateLimiterRedis({
      storeClient: patient.redis,
      keyPrefix: `rl:${name}`,
      points: rate.count,
      duration: rate.window_s,
    });
    this.#local = new LocalCounts(patient.clock, rate.window_s * 1000);
  }

  /** Counts `points`, which may be below zero, and tells what is used by then, beyond the limit too. */
  async add(key: string, points: number): Promise<Usage> {
    const answer = await this.patient.ask(() => this.#shared.consume(key, points).catch(refusal));
    return answer === TIMED_OUT ? this.#local.add(key, points) : usageOf(answer);
  }

  /** What is used; null when nothing is. */
  async look(key: string): Promise<Usage | null> {
    const answer = await this.patient.ask(() => this.#shared.get(key));
    if (answer === TIMED_OUT) return this.#local.look(key);
    return answer === null ? null : usageOf(answer);
  }

  /** Has the key stand for `duration_s`, whatever stood there. */
  async hold(key: string, duration_s: number): Promise<void> {
    const answer = await this.patient.ask(() => this.#shared.block(key, duration_s));
    if (answer === TIMED_OUT) this.#local.hold(key, duration_s * 1000);
  }

  /** Forgets the key. */
  async forget(key: string): Promise<void> {
    this.#local.forget(key);
    await this.patient.ask(() => this.#shared.delete(key));
  }
}

/** What the library throws when a limit is reached is an answer all the same. */
function refusal(thrown: unknown): RateLimiterRes {
  if (thrown instanceof RateLimiterRes) return thrown;
  throw thrown;
}

function usageOf(answer: RateLimiterRes): Usage {
  return { used: answer.consumedPoints, ends_in_ms: Math.max(answer.msBeforeNext, 0) };
}

/** Counts in windows, in the memory of this node; bounded. */
export class LocalCounts {
  /** By when they began. */
  readonly #windows = new Map<string, { used: number; ends_at: number }>();

  constructor(
    private readonly clock: Clock,
    private readonly window_ms: number,
    private readonly keys_max = LOCAL_KEYS_MAX,
  ) {}

  add(key: string, points: number): Usage {
    const now = this.clock.monotonic();
    let window = this.#windows.get(key);
    if (window === undefined || window.ends_at <= now) {
      window = { used: 0, ends_at: now + this.window_ms };
      this.#put(key, window);
    }
    window.used += points;
    return { used: window.used, ends_in_ms: window.ends_at - now };
  }

  look(key: string): Usage | null {
    const now = this.clock.monotonic();
    const window = this.#windows.get(key);
    if (window === undefined || window.ends_at <= now) return null;
    return { used: window.used, ends_in_ms: window.ends_at - now };
  }

  hold(key: string, duration_ms: number): void {
    this.#put(key, { used: 1, ends_at: this.clock.monotonic() + duration_ms });
  }

  forget(key: string): void {
    this.#windows.delete(key);
  }

  /** Keys that are remembered. */
  get size(): number {
    return this.#windows.size;
  }

  /** The oldest make room: those that are over, and as many more as the bound asks for. */
  #put(key: string, window: { used: number; ends_at: number }): void {
    this.#windows.delete(key);
    const now = this.clock.monotonic();
    for (const [oldest, { ends_at }] of this.#windows) {
      if (ends_at > now && this.#windows.size < this.keys_max) break;
      this.#windows.delete(oldest);
    }
    this.#windows.set(key, window);
  }
}
