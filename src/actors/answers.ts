/**
 * How often one member is told the whole document again. A question is a few bytes, its answer may be megabytes: who asks over
 * and over, or edits on a revision that is long gone, would keep the node busy with answers that nobody reads.
 *
 * Each answer is owed, as many bytes as the document has (looking up a difference goes over all of it too), and paid off with
 * time. While a member owes more than `answer_bytes_at_once_max`, its next question waits until it does not; one that it asks
 * meanwhile takes the place of the one that waits, since the newest answer holds all that the older ones would. What is owed
 * has a bound, so that no question waits for longer than `answer_wait_ms`.
 */
import type { Clock, Timer } from '../base/clock.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import type { QuestionEntry } from './entries.ts';
import type { Member } from './member.ts';

/** A question that waits. */
interface Waiting {
  question: QuestionEntry;
  readonly timer: Timer;
}

/** See the head of this file. */
export class Answers {
  /** When each member has paid off what it owes, on the monotonic clock. */
  readonly #paid_at = new WeakMap<Member, number>();
  readonly #waiting = new Map<Member, Waiting>();

  /** `again` gets a question whose time has come. */
  constructor(
    private readonly clock: Clock,
    private readonly again: (question: QuestionEntry) => void,
  ) {}

  /** Whether to answer now a question that costs so many bytes; otherwise it is kept, and comes again. */
  admits(question: QuestionEntry, bytes: number): boolean {
    const { member } = question;
    const waiting = this.#waiting.get(member);
    if (waiting !== undefined) {
      waiting.question = question;
      return false;
    }
    const now = this.clock.monotonic();
    const paid_at = Math.max(this.#paid_at.get(member) ?? now, now);
    const wait_ms = paid_at - now - AT_ONCE_MS;
    if (wait_ms <= 0) {
      this.#paid_at.set(member, Math.min(paid_at + msFor(bytes), now + AT_ONCE_MS + TIMES.answer_wait_ms));
      return true;
    }
    const timer = this.clock.after(wait_ms, () => {
      const kept = this.#waiting.get(member);
      this.#waiting.delete(member);
      if (kept !== undefined) this.again(kept.question);
    });
    this.#waiting.set(member, { question, timer });
    return false;
  }

  /** The member is gone. */
  leave(member: Member): void {
    this.#waiting.get(member)?.timer.cancel();
    this.#waiting.delete(member);
  }

  /** Nobody is answered any more. */
  end(): void {
    for (const { timer } of this.#waiting.values()) timer.cancel();
    this.#waiting.clear();
  }
}

function msFor(bytes: number): number {
  return (bytes / LIMITS.answer_bytes_per_second_max) * 1_000;
}

const AT_ONCE_MS = msFor(LIMITS.answer_bytes_at_once_max);
