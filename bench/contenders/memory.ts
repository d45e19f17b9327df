/** Memory of a server at rest, the same way for every contender. */
import { readFileSync } from 'node:fs';
import { residentBytes } from '../processes.ts';

const ROUNDS = 2;
const COLLECTED_MS_MAX = 20_000;
/** Allocators give freed pages back in the background, a moment after they were freed. */
const RETURN_MS = 500;

/**
 * Has a server that was started with peers/collect.mjs collect its garbage, twice, and reads its resident memory once the
 * pages that became free have gone back. `log` is where its output goes.
 */
export async function settledResidentBytes(pid: number, log: string): Promise<number> {
  for (let round = 0; round < ROUNDS; round++) {
    const before = collections(log);
    const deadline = performance.now() + COLLECTED_MS_MAX;
    process.kill(pid, 'SIGUSR2');
    while (collections(log) === before) {
      if (performance.now() > deadline) throw new Error(`process ${pid} did not collect its garbage`);
      await Bun.sleep(10);
    }
    await Bun.sleep(RETURN_MS);
  }
  return residentBytes([pid]);
}

function collections(log: string): number {
  return readFileSync(log, 'utf8').split('collected\n').length;
}
