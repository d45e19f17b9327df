/**
 * Time of the simulated world: a heap of events, and nothing else moves it. Whatever happens, happens to a host (a node, a
 * client, a store) at a moment, one event after the other; after each one, all that its promises set off is worked off
 * before the next begins. So the order of everything follows from the seed.
 *
 * A host can stand still: what would happen to it waits and happens when it wakes, as with a process that was stopped and
 * goes on. A host that is gone takes nothing more; its promises are never answered, like the memory of a killed process.
 */
import { drainMicrotasks } from 'bun:jsc';
import type { Clock, Timer } from '../../src/base/clock.ts';
import type { Dice } from '../fuzz/edits.ts';

/** What an event is to a process: its own timer, or something that came in. */
type Kind = 'timer' | 'input';

interface Event {
  at: number;
  /** Among events of one moment the lower goes first. */
  order: number;
  readonly kind: Kind;
  readonly host: Host;
  run: (() => void) | null;
}

/** Ends of turns come after everything else of their moment. */
const LATE = 2 ** 40;

/** Something that events happen to. */
export class Host {
  /** Milliseconds by which its wall clock is off. */
  skew_ms = 0;
  #state: 'up' | 'still' | 'gone' = 'up';
  #held: Event[] = [];

  constructor(
    readonly name: string,
    readonly time: Time,
  ) {}

  get up(): boolean {
    return this.#state === 'up';
  }

  get still(): boolean {
    return this.#state === 'still';
  }

  get gone(): boolean {
    return this.#state === 'gone';
  }

  /** Stands still until {@link wake}. */
  stop(): void {
    if (this.#state === 'up') this.#state = 'still';
  }

  /** Goes on with what waited: timers that are due before what came in, or all in the order of time. */
  wake(timers_first: boolean): void {
    if (this.#state !== 'still') return;
    this.#state = 'up';
    const held = this.#held;
    this.#held = [];
    for (const event of held) this.time.again(event, timers_first && event.kind === 'timer');
  }

  /** Vanishes with all its memory. */
  vanish(): void {
    this.#state = 'gone';
    this.#held = [];
  }

  /** @internal */
  hold(event: Event): void {
    this.#held.push(event);
  }

  /** Has something come in after `delay_ms`. */
  receive(delay_ms: number, run: () => void): Timer {
    return this.time.add(this, 'input', delay_ms, run);
  }

  /** The clock that the host's process is handed. */
  clock(): Clock {
    const { time } = this;
    return {
      now: () => EPOCH_MS + time.now + this.skew_ms,
      monotonic: () => time.now,
      after: (delay_ms, callback) => time.add(this, 'timer', delay_ms, callback),
      every: (interval_ms, callback) => {
        let present: Timer;
        // Like the platform's: one that could not run for a while runs once, not for each time that it missed.
        const again = (): void => {
          present = time.add(this, 'timer', interval_ms, again);
          callback();
        };
        present = time.add(this, 'timer', interval_ms, again);
        return { cancel: () => present.cancel() };
      },
      endOfTurn: (callback) => void time.add(this, 'timer', 0, callback, LATE),
    };
  }
}

const EPOCH_MS = Date.UTC(2026, 0, 1);

/** See the head of this file. */
export class Time {
  now = 0;
  /** How many events happened. */
  count = 0;
  /** Called with what an event threw. */
  failed: (host: Host, error: unknown) => void = () => {};
  readonly #heap: Event[] = [];
  #order = 0;

  /** @internal Adds an event; whole milliseconds, so that some things happen in one turn. */
  add(host: Host, kind: Kind, delay_ms: number, run: () => void, late = 0): Timer {
    const at = Math.ceil(this.now + Math.max(0, delay_ms));
    const event: Event = { at, order: late + this.#order++, kind, host, run };
    this.#push(event);
    return {
      cancel: () => {
        event.run = null;
      },
    };
  }

  /** @internal An event that waited happens now, before what came after it; with `first` before everything else. */
  again(event: Event, first: boolean): void {
    event.at = this.now;
    if (first) event.order -= 2 * LATE;
    this.#push(event);
  }

  /** Lets events happen until there are none before `end`, or `done` says so after one of them. */
  runUntil(end: number, done: () => boolean = () => false): void {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.at > end) break;
      this.#pop();
      this.now = Math.max(this.now, next.at);
      this.#happen(next);
      if (done()) return;
    }
    this.now = Math.max(this.now, end);
  }

  #happen(event: Event): void {
    const { run, host } = event;
    if (run === null || host.gone) return;
    if (host.still) return host.hold(event);
    event.run = null;
    this.count += 1;
    try {
      run();
    } catch (error) {
      this.failed(host, error);
    }
    drainMicrotasks();
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up] as Event;
      if (!before(event, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Event;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let down = at * 2 + 1;
      if (down >= heap.length) break;
      if (down + 1 < heap.length && before(heap[down + 1] as Event, heap[down] as Event)) down += 1;
      const child = heap[down] as Event;
      if (!before(child, last)) break;
      heap[at] = child;
      at = down;
    }
    heap[at] = last;
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** A way between two places on which nothing overtakes: each piece takes its time, and waits for those before it. */
export class Lane {
  #free_at = 0;

  constructor(
    private readonly time: Time,
    private readonly dice: Dice,
  ) {}

  /** How long what leaves now is on its way; mostly short. */
  delay(usual_ms: number): number {
    const { time, dice } = this;
    const way_ms = 1 + dice.below(usual_ms) + (dice.once(40) ? dice.below(usual_ms * 20) : 0);
    this.#free_at = Math.max(this.#free_at, time.now + way_ms);
    return this.#free_at - time.now;
  }

  /** Nothing arrives for a while. */
  block(duration_ms: number): void {
    this.#free_at = Math.max(this.#free_at, this.time.now + duration_ms);
  }
}
