/** The part of the fuzz that every run of the tests plays; convergence.ts tells how to play more of it. */
import { expect, test } from 'bun:test';
import { runSeeds } from './convergence.ts';

/** Far above what it takes (some 15 s for all), so that only a hang fails by time. */
const TEST_MS_MAX = 120_000;

const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, index) => from + index);

test(
  '200 seeds: JSON, Yjs and REST clients on one document converge, each edit is there once, whatever line or owner is lost',
  async () => {
    expect(await runSeeds({ seeds: range(1, 200), trouble: null })).toEqual({ failures: [], errors: [] });
  },
  TEST_MS_MAX,
);

test(
  '100 seeds: the same while somebody restores earlier revisions, which doubles nothing and gives the exact text of then',
  async () => {
    expect(await runSeeds({ seeds: range(1, 100), trouble: null, restores: true })).toEqual({
      failures: [],
      errors: [],
    });
  },
  TEST_MS_MAX,
);

test(
  '8 seeds: the same while the server stops and starts again in the middle',
  async () => {
    expect(await runSeeds({ seeds: range(1, 8), trouble: 'restart' })).toEqual({ failures: [], errors: [] });
  },
  TEST_MS_MAX,
);
