/**
 * Time that runs by itself and can be moved ahead: a whole server lives on it as it would on the machine's clock, and a
 * test that needs the next minute jumps there instead of waiting.
 */
import { type Clock, systemClock, type Timer } from '../../src/base/clock.ts';

interface Waiting {
  due: number;
  readonly interval: number | null;
  readonly callback: () => void;
  handle: Timer | null;
}

/** See the head of this file. */
export class WarpClock implements Clock {
  #ahead_ms = 0;
  readonly #waiting = new Set<Waiting>();

  now(): number {
    return systemClock.now() + this.#ahead_ms;
  }

  monotonic(): number {
    return systemClock.monotonic() + this.#ahead_ms;
  }

  after(delay_ms: number, callback: () => void): Timer {
    return this.#add(delay_ms, null, callback);
  }

  every(interval_ms: number, callback: () => void): Timer {
    return this.#add(interval_ms, interval_ms, callback);
  }

  endOfTurn(callback: () => void): void {
    systemClock.endOfTurn(callback);
  }

  /**
   * Moves time ahead and runs what became due, in order. What repeats runs once however often it would have, as on a
   * machine that slept.
   */
  advance(duration_ms: number): void {
    this.#ahead_ms += duration_ms;
    const due = [...this.#waiting].filter(({ due }) => due <= this.monotonic()).sort((a, b) => a.due - b.due);
    for (const waiting of due) if (this.#waiting.has(waiting)) this.#run(waiting);
    for (const waiting of this.#waiting) this.#arm(waiting);
  }

  /** Forgets every timer: whoever lived on this clock is gone. */
  stop(): void {
    for (const waiting of this.#waiting) waiting.handle?.cancel();
    this.#waiting.clear();
  }

  #add(delay_ms: number, interval: number | null, callback: () => void): Timer {
    const waiting: Waiting = { due: this.monotonic() + delay_ms, interval, callback, handle: null };
    this.#waiting.add(waiting);
    this.#arm(waiting);
    return {
      cancel: () => {
        waiting.handle?.cancel();
        this.#waiting.delete(waiting);
      },
    };
  }

  #arm(waiting: Waiting): void {
    waiting.handle?.cancel();
    waiting.handle = systemClock.after(Math.max(0, waiting.due - this.monotonic()), () => this.#run(waiting));
  }

  #run(waiting: Waiting): void {
    if (waiting.interval === null) {
      waiting.handle?.cancel();
      this.#waiting.delete(waiting);
    } else {
      waiting.due = this.monotonic() + waiting.interval;
      this.#arm(waiting);
    }
    waiting.callback();
  }
}
