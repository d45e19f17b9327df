/** The resident memory of a process, looked at all the time. */
import { readFileSync } from 'node:fs';

const LOOK_EVERY_MS = 50;

/** See the head of this file. */
export class Memory {
  readonly #before: number;
  #peak: number;
  readonly #timer: Timer;

  constructor(private readonly pid: number) {
    this.#before = this.#now();
    this.#peak = this.#before;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** Bytes above what it was at first, at the worst moment so far. */
  get growth(): number {
    this.#look();
    return this.#peak - this.#before;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    this.#peak = Math.max(this.#peak, this.#now());
  }

  #now(): number {
    return Number(/^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1]) * 1024;
  }
}
