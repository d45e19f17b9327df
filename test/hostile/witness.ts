/** What an attack costs somebody who has nothing to do with it: latency. */
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
