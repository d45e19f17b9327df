/**
 * Time comes into Concord through this file alone, so that a test can drive it: production code asks a {@link Clock}
 * that it was handed and never the platform. That is what lets tests prove timeouts without sleeping.
 */

/** A cancellable timer. */
export interface Timer {
  /** Forgets the callback; harmless after it ran. */
  cancel(): void;
}

/** The only source of time. Durations are milliseconds. */
export interface Clock {
  /** Wall-clock milliseconds since the Unix epoch. */
  now(): number;
  /** Milliseconds, with fractions, that never go back: for measuring durations. */
  monotonic(): number;
  /** Calls `callback` once after `delay_ms`. */
  after(delay_ms: number, callback: () => void): Timer;
  /** Calls `callback` every `interval_ms` until cancelled. */
  every(interval_ms: number, callback: () => void): Timer;
  /** Calls `callback` when the present turn of the event loop has read all that had arrived. */
  endOfTurn(callback: () => void): void;
}

/** The real time of this machine. Timers do not keep the process alive: sockets and servers do. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delay_ms, callback) {
    const handle = setTimeout(callback, delay_ms);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
  every(interval_ms, callback) {
    const handle = setInterval(callback, interval_ms);
    handle.unref();
    return { cancel: () => clearInterval(handle) };
  },
  endOfTurn(callback) {
    setImmediate(callback);
  },
};

/** The moment that was written last: many things happen within one millisecond. */
let written = { epoch_ms: 0, text: '1970-01-01T00:00:00.000Z' };

/** ISO 8601 in UTC with milliseconds, the one form of time on every wire. */
export function isoTime(epoch_ms: number): string {
  if (written.epoch_ms !== epoch_ms) written = { epoch_ms, text: new Date(epoch_ms).toISOString() };
  return written.text;
}

/** Resolves after `delay_ms` of the clock's time. */
export function pause(clock: Clock, delay_ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delay_ms, resolve);
  });
}

/** What {@link within} resolves to when the time was up first. */
export const TIMED_OUT: unique symbol = Symbol('timed out');

/**
 * The promise's value, or {@link TIMED_OUT} when it has not settled within `limit_ms`. The promise itself goes on; a
 * rejection that comes too late is swallowed, because its outcome was already reported as unknown.
 */
export function within<T>(clock: Clock, limit_ms: number, promise: Promise<T>): Promise<T | typeof TIMED_OUT> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(limit_ms, () => resolve(TIMED_OUT));
    promise.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error: unknown) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}

interface Waiting {
  at: number;
  order: number;
  interval: number | null;
  callback: () => void;
}

/** A clock for tests: it stands still until {@link ManualClock.advance} moves it, and runs due callbacks in order. */
export class ManualClock implements Clock {
  #now: number;
  #order = 0;
  readonly #waiting = new Set<Waiting>();

  constructor(start_ms = Date.UTC(2026, 0, 1)) {
    this.#now = start_ms;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  after(delay_ms: number, callback: () => void): Timer {
    return this.#add(delay_ms, null, callback);
  }

  every(interval_ms: number, callback: () => void): Timer {
    return this.#add(interval_ms, interval_ms, callback);
  }

  endOfTurn(callback: () => void): void {
    this.#add(0, null, callback);
  }

  /** Moves time forward by `duration_ms`, running each callback at its own moment. */
  advance(duration_ms: number): void {
    const end = this.#now + duration_ms;
    for (let next = this.#due(end); next !== undefined; next = this.#due(end)) {
      this.#now = Math.max(this.#now, next.at);
      if (next.interval === null) this.#waiting.delete(next);
      else next.at += next.interval;
      next.callback();
    }
    this.#now = end;
  }

  #add(delay_ms: number, interval: number | null, callback: () => void): Timer {
    const entry: Waiting = { at: this.#now + delay_ms, order: this.#order++, interval, callback };
    this.#waiting.add(entry);
    return { cancel: () => this.#waiting.delete(entry) };
  }

  #due(end: number): Waiting | undefined {
    let first: Waiting | undefined;
    for (const entry of this.#waiting) {
      if (entry.at > end) continue;
      if (first === undefined || entry.at < first.at || (entry.at === first.at && entry.order < first.order))
        first = entry;
    }
    return first;
  }
}
