/**
 * What Redis remembers of sessions, so that most requests need not ask PostgreSQL whether theirs is alive. It holds
 * `session:<session_id>` = `alive` for a short while, or `revoked` for as long as a token of that session could live.
 *
 * `alive` is only ever set where nothing stands: a reader that saw the session alive, and then was overtaken by its
 * revocation, cannot write over the `revoked` that stands there by then. A revocation that could not be told to Redis
 * is noticed when `alive` runs out, {@link ALIVE_S} later, and at once where nothing was remembered.
 *
 * Redis that is slow or away must cost nothing: a question gets {@link BUDGET_MS}, and after a failure none is asked
 * for {@link REST_MS}.
 */
import { type Clock, TIMED_OUT, within } from '../base/clock.ts';
import type { RedisCommands } from './redis.ts';

/** How long `alive` is believed. */
export const ALIVE_S = 10;

const BUDGET_MS = 50;
const REST_MS = 1_000;

/** What is remembered of a session; null is nothing. */
export type Remembered = 'alive' | 'revoked' | null;

/** See the head of this file. None of its methods throws. */
export class SessionCache {
  #asked_again_at = 0;

  constructor(
    private readonly redis: RedisCommands,
    private readonly clock: Clock,
    /** Longest life of an access token, seconds. */
    private readonly token_ttl_s: number,
  ) {}

  /** What is remembered of the session. */
  async recall(session_id: string): Promise<Remembered> {
    const value = await this.#ask(() => this.redis.get(key(session_id)));
    return value === 'alive' || value === 'revoked' ? value : null;
  }

  /** Remembers that PostgreSQL has just said `alive`. */
  async rememberAlive(session_id: string): Promise<void> {
    await this.#ask(() => this.redis.set(key(session_id), 'alive', 'EX', ALIVE_S, 'NX'));
  }

  /** Remembers that these sessions ended. Tried even while Redis is in trouble: it may only look so from here. */
  async rememberRevoked(session_ids: readonly string[]): Promise<void> {
    const life_s = Math.max(this.token_ttl_s, 2 * ALIVE_S);
    await Promise.allSettled(session_ids.map((session_id) => this.redis.set(key(session_id), 'revoked', 'EX', life_s)));
  }

  async #ask<T>(question: () => Promise<T>): Promise<T | null> {
    if (this.clock.monotonic() < this.#asked_again_at) return null;
    const answer = await within(this.clock, BUDGET_MS, question()).catch(() => TIMED_OUT);
    if (answer !== TIMED_OUT) return answer as T;
    this.#asked_again_at = this.clock.monotonic() + REST_MS;
    return null;
  }
}

function key(session_id: string): string {
  return `session:${session_id}`;
}
