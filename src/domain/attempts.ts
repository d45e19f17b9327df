/**
 * Proving who one is, against those who guess. A wrong password counts for the pair of what was tried (an e-mail) and where it
 * was tried from (an address). After ten the pair waits; when it may try again and fails again it waits twice as long, and so
 * on up to an hour. A right password forgets the pair's failures.
 *
 * - The pair, and not the e-mail alone: else a stranger could lock its owner out by failing in his name. From another address
 *   the owner signs in as if nothing had happened.
 * - Guessing from many addresses at once is slowed down all the same: once an e-mail has had very many failures from anywhere,
 *   an address waits after {@link SUSPECT_TRIES} of its own. Its owner, who knows the password, needs one.
 * - An e-mail that nobody has counts like any other. What is refused, and when, says nothing about accounts.
 * - Attempts of one pair take turns, so that a hundred at the same moment are not a hundred guesses before the first failure
 *   is counted. Across nodes that do this each for itself, one guess more per node is possible.
 */
import { ConcordError } from '../protocol/errors.ts';
import { BLOCK_S_MAX } from '../protocol/rate-limits.ts';
import { type RateLimits, tooOften } from './rate-limits.ts';

/** Failures that an address may have on an e-mail that is being guessed at from many. */
export const SUSPECT_TRIES = 2;
/** Attempts of one pair that wait for their turn on a node; each takes as long as checking a password. */
export const ATTEMPTS_WAITING_MAX = 100;

/** What is tried, and what failures count for. */
export interface Attempt {
  /** Counts failures; its setting says how many go before the first wait. */
  readonly limit: 'sign_in_failures' | 'password_failures';
  /** Who tries what, hashed. */
  readonly key: string;
  /** What is tried, from wherever, hashed; null where that does not count. */
  readonly target: string | null;
}

/** See the head of this file. */
export class AttemptGuard {
  readonly #turns = new Map<string, { last: Promise<void>; waiting: number }>();

  constructor(private readonly limits: RateLimits) {}

  /**
   * Lets `prove` go ahead, and counts its INVALID_CREDENTIALS as a failure. Errors: RATE_LIMITED (the pair has to wait, or
   * too many of its attempts are under way), and what `prove` throws.
   */
  async run<T>(attempt: Attempt, prove: () => Promise<T>): Promise<T> {
    const turn = this.#turns.get(attempt.key) ?? { last: Promise.resolve(), waiting: 0 };
    if (turn.waiting >= ATTEMPTS_WAITING_MAX) throw this.#refuse(attempt, 1);
    this.#turns.set(attempt.key, turn);
    turn.waiting += 1;
    const mine = turn.last.then(() => this.#try(attempt, prove));
    turn.last = mine.then(
      () => {},
      () => {},
    );
    try {
      return await mine;
    } finally {
      turn.waiting -= 1;
      if (turn.waiting === 0) this.#turns.delete(attempt.key);
    }
  }

  async #try<T>(attempt: Attempt, prove: () => Promise<T>): Promise<T> {
    const blocked_s = await this.limits.blockedFor(attempt.key);
    if (blocked_s > 0) throw this.#refuse(attempt, blocked_s);
    try {
      const proved = await prove();
      await this.limits.forget(attempt.limit, attempt.key);
      return proved;
    } catch (error) {
      if (error instanceof ConcordError && error.code === 'INVALID_CREDENTIALS') await this.#failed(attempt);
      throw error;
    }
  }

  async #failed({ limit, key, target }: Attempt): Promise<void> {
    const { rates, block_s } = this.limits.settings;
    const [mine, all] = await Promise.all([
      this.limits.add(limit, key),
      target === null ? null : this.limits.add('sign_in_email', target),
    ]);
    const suspect = all !== null && all.used > rates.sign_in_email.count;
    const tries = suspect ? Math.min(SUSPECT_TRIES, rates[limit].count) : rates[limit].count;
    if (mine.used < tries) return;
    const doubled = Math.min(mine.used - tries, 30);
    await this.limits.block(key, Math.min(block_s * 2 ** doubled, BLOCK_S_MAX));
  }

  #refuse({ limit }: Attempt, wait_s: number): ConcordError {
    this.limits.refused(limit);
    return tooOften(wait_s);
  }
}
