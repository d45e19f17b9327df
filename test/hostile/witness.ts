/** What an attack costs: the latency of somebody who has nothing to do with it, and the memory of the server. */
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { until } from '../support/until.ts';

/** The worst of a hundred. */
export function p99(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.ceil(times.length * 0.99) - 1] ?? Number.NaN;
}

/** The typist of typist.ts, and what it told. */
export class Typist {
  readonly times: number[] = [];
  readonly faults: string[] = [];
  readonly #worker: Worker;

  /** `url` is a JSON door with a token. */
  constructor(url: string) {
    this.#worker = new Worker(new URL('./typist.ts', import.meta.url), { workerData: { url } });
    this.#worker.on('message', (told: number | string) => {
      if (typeof told === 'number') this.times.push(told);
      else this.faults.push(told);
    });
    this.#worker.on('error', (error) => void this.faults.push(String(error)));
  }

  /** Resolves with the times of the next `count` edits. */
  async next(count: number): Promise<readonly number[]> {
    const from = this.times.length;
    await until(`${count} edits`, () => this.faults.length > 0 || this.times.length >= from + count, 60_000);
    return this.times.slice(from);
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** The resident memory of a process. */
export class Memory {
  readonly #before: number;
  #peak: number;
  readonly #timer: Timer;

  constructor(private readonly pid: number) {
    this.#before = this.#now();
    this.#peak = this.#before;
    this.#timer = setInterval(() => this.#look(), 50);
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
