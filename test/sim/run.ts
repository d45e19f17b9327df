/**
 * The simulation by hand, and what sim.test.ts calls:
 *
 *   bun test/sim/run.ts --seeds=10000 --from=1    that many seeds, beginning with this one
 *   bun test/sim/run.ts --seed=17                 one seed, with everything that happens in it
 *
 * Each seed that fails is printed with the hash of its trace: the same seed has the same one, every time.
 */
import { type Played, play } from './world.ts';

/** What many seeds came to. */
export interface Summary {
  readonly seeds: number;
  readonly events: number;
  readonly duration_ms: number;
  readonly failed: readonly Played[];
}

/** Errors that nobody caught, since the last seed. */
const uncaught: string[] = [];

/** Plays seeds one after the other. */
export async function playSeeds(from: number, count: number, failed: (played: Played) => void): Promise<Summary> {
  let [events, duration_ms] = [0, 0];
  const failures: Played[] = [];
  for (let seed = from; seed < from + count; seed++) {
    const played = play(seed);
    events += played.events;
    duration_ms += played.duration_ms;
    // What nobody caught is told in a turn of its own.
    if (seed % 10 === 0) await Bun.sleep(0);
    const faults = [...played.faults, ...uncaught.splice(0)];
    if (faults.length === 0) continue;
    const with_all = { ...played, faults };
    failures.push(with_all);
    failed(with_all);
  }
  return { seeds: count, events, duration_ms, failed: failures };
}

function option(name: string): number | null {
  const prefix = `--${name}=`;
  const text = process.argv.find((argument) => argument.startsWith(prefix))?.slice(prefix.length);
  if (text === undefined) return null;
  if (!/^\d+$/.test(text)) throw new Error(`--${name} takes a whole number, not ${text}`);
  return Number(text);
}

function tell({ seed, hash, faults }: Played): void {
  const replay = `bun test/sim/run.ts --seed=${seed}`;
  console.log(`seed ${seed} failed (trace ${hash}, replay it with ${replay}): ${faults.join('; ')}`);
}

async function main(): Promise<number> {
  const one = option('seed');
  if (one !== null) {
    const played = play(one, true);
    await Bun.sleep(1);
    console.log(played.lines.join('\n'));
    for (const fault of [...played.faults, ...uncaught]) console.log(`FAULT: ${fault}`);
    console.log(`seed ${one}: trace ${played.hash}, ${played.events} events, ${played.duration_ms / 1000} s played`);
    return played.faults.length + uncaught.length === 0 ? 0 : 1;
  }
  const began = performance.now();
  const { seeds, events, duration_ms, failed } = await playSeeds(option('from') ?? 1, option('seeds') ?? 1_000, tell);
  const seconds = (performance.now() - began) / 1000;
  const rates = `${(seeds / seconds).toFixed(0)} seeds and ${(events / seconds).toFixed(0)} events a second`;
  const figures = `${(duration_ms / 3_600_000).toFixed(1)} h played, ${rates}`;
  console.log(`${seeds} seeds in ${seconds.toFixed(1)} s, ${failed.length} failed; ${figures}`);
  return failed.length === 0 ? 0 : 1;
}

if (import.meta.main) {
  for (const event of ['unhandledRejection', 'uncaughtException'])
    process.on(event, (error: unknown) => {
      uncaught.push(`nobody caught: ${error instanceof Error ? error.stack : String(error)}`);
    });
  process.exit(await main());
}
