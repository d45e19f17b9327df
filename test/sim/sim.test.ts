/**
 * The simulation, as every run of the tests plays it; run.ts tells how to play more of it, and one seed by itself. Seeds are
 * shared out to processes, because each is the work of one core.
 */
import { expect, test } from 'bun:test';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Storage } from './storage.ts';
import { play } from './world.ts';

const SEEDS = 10_000;
/** Far above what it takes (a minute for one core), so that only a hang fails by time. */
const TEST_MS_MAX = 600_000;

/** Plays a range of seeds in a process of its own; its output, a line for each seed that failed. */
async function played(from: number, count: number): Promise<string[]> {
  const cmd = [process.execPath, join(import.meta.dir, 'run.ts'), `--from=${from}`, `--seeds=${count}`];
  const child = Bun.spawn(cmd, { stdout: 'pipe', stderr: 'pipe', stdin: 'ignore' });
  const [out, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const lines = `${out}${errors}`.trim().split('\n');
  const last = lines.at(-1) ?? '';
  return last.startsWith(`${count} seeds`) ? lines.slice(0, -1) : lines;
}

test(
  `${SEEDS} seeds: whatever befalls nodes, lines, PostgreSQL and Redis, what was acked is kept once, and all come to agree`,
  async () => {
    const processes = Math.min(4, availableParallelism());
    const share = Math.ceil(SEEDS / processes);
    const shares = Array.from({ length: processes }, (_, i) => played(1 + i * share, share));
    expect((await Promise.all(shares)).flat()).toEqual([]);
  },
  TEST_MS_MAX,
);

test('a seed plays the same every time, to the last event', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const [first, again] = [play(seed), play(seed, true)];
    expect(again.hash).toBe(first.hash);
    expect(again.events).toBe(first.events);
    expect(again.lines.length).toBeGreaterThan(10);
  }
});

test('a storage that lets stale owners write is found out', () => {
  class Unfenced extends Storage {
    protected override mayAppend(): boolean {
      return true;
    }
  }
  let found = 0;
  for (let seed = 1; seed <= 1_000 && found === 0; seed++)
    if (play(seed, false, (...parts) => new Unfenced(...parts)).faults.length > 0) found = seed;
  expect(found).toBeGreaterThan(0);
});
