/**
 * The convergence fuzz by hand, and what convergence.test.ts calls:
 *
 *   bun test/fuzz/convergence.ts --seeds=1000 --from=1          that many seeds, beginning with this one
 *   bun test/fuzz/convergence.ts --seed=17 --verbose            one seed, with everything that happens in it
 *   bun test/fuzz/convergence.ts --seed=17 --repeat=50          the same again and again, since timing differs
 *   bun test/fuzz/convergence.ts --seeds=20 --trouble=restart   the server restarts in the middle
 *   bun test/fuzz/convergence.ts --seeds=100 --restores         somebody restores earlier revisions in between
 *
 * `--trouble` is what befalls the server: `none`, `owner_lost` or `restart`. Without it, every fourth seed loses owners.
 */
import { openTestServer, type TestServer } from '../support/server.ts';
import { type Cast, Scenario, type Trouble } from './scenario.ts';
import { bringUpStores } from './stores.ts';

/** What is to be run. */
export interface Run {
  readonly seeds: readonly number[];
  /** Null: by the seed. */
  readonly trouble: Trouble | null;
  /** Whether somebody restores earlier revisions in between. */
  readonly restores?: boolean;
  /** Told the whole log of each seed that passed. */
  readonly passed?: (log: readonly string[]) => void;
}

/** How a run ended. */
export interface Outcome {
  /** A report for each seed that failed. */
  readonly failures: string[];
  /** What the server logged as an error or reported as a bug. */
  readonly errors: unknown[];
}

/** Documents that are edited at the same time on one server. */
const LANES = 4;

/** Plays seeds on one server, several at a time. */
export async function runSeeds(run: Run): Promise<Outcome> {
  const server = await openTestServer();
  try {
    const cast = await signUp(server);
    const failures =
      run.trouble === 'restart' ? await withRestarts(server, cast, run) : await inLanes(server, cast, run);
    return { failures, errors: server.errors() };
  } finally {
    await server.stop();
  }
}

async function signUp(server: TestServer): Promise<Cast> {
  const [owner, editor, viewer] = await Promise.all([
    server.register('owner'),
    server.register('editor'),
    server.register('viewer'),
  ]);
  return { owner, editor, viewer };
}

async function inLanes(server: TestServer, cast: Cast, run: Run): Promise<string[]> {
  const failures: string[] = [];
  const waiting = [...run.seeds];
  const lane = async (): Promise<void> => {
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
      const scenario = new Scenario(
        seed,
        server,
        run.trouble ?? (seed % 4 === 0 ? 'owner_lost' : 'none'),
        run.restores,
      );
      const failure = await scenario.play(cast);
      if (failure === null) run.passed?.(scenario.log);
      else failures.push(failure);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return failures;
}

/** All seeds of a group are at their middle when the server stops, and go on while it is away. */
async function withRestarts(server: TestServer, cast: Cast, run: Run): Promise<string[]> {
  const failures: string[] = [];
  for (let from = 0; from < run.seeds.length; from += LANES) {
    const group = run.seeds
      .slice(from, from + LANES)
      .map((seed) => new Scenario(seed, server, 'restart', run.restores));
    let missing = group.length;
    let restarted: Promise<void> | null = null;
    const { promise: allAreHalfway, resolve: meet } = Promise.withResolvers<void>();
    const interlude = async (): Promise<void> => {
      missing -= 1;
      if (missing === 0) {
        restarted = server.restart();
        meet();
      }
      await allAreHalfway;
    };
    const played = await Promise.all(group.map((scenario) => scenario.play(cast, interlude, () => restarted)));
    for (const [index, failure] of played.entries()) {
      if (failure === null) run.passed?.(group[index]?.log ?? []);
      else failures.push(failure);
    }
  }
  return failures;
}

function option(name: string): string | null {
  const prefix = `--${name}=`;
  return process.argv.find((argument) => argument.startsWith(prefix))?.slice(prefix.length) ?? null;
}

function numberOption(name: string, fallback: number): number {
  const text = option(name);
  if (text === null) return fallback;
  if (!/^\d+$/.test(text)) throw new Error(`--${name} takes a whole number, not ${text}`);
  return Number(text);
}

function troubleOption(): Trouble | null {
  const text = option('trouble');
  if (text === null || text === 'none' || text === 'owner_lost' || text === 'restart') return text;
  throw new Error(`--trouble is none, owner_lost or restart, not ${text}`);
}

async function main(): Promise<number> {
  const one = option('seed') === null ? null : numberOption('seed', 0);
  const from = numberOption('from', 1);
  const count = one === null ? numberOption('seeds', 200) : numberOption('repeat', 1);
  const seeds = Array.from({ length: count }, (_, index) => one ?? from + index);
  const verbose = process.argv.includes('--verbose');
  const takeDown = await bringUpStores();
  try {
    const began = performance.now();
    const passed = verbose ? (log: readonly string[]) => console.log(log.join('\n')) : () => {};
    const { failures, errors } = await runSeeds({
      seeds,
      trouble: troubleOption(),
      restores: process.argv.includes('--restores'),
      passed,
    });
    for (const failure of failures) console.log(`${failure}\n`);
    for (const error of errors) console.log('the server says:', error);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(`${seeds.length} seeds in ${seconds} s: ${failures.length} failed, ${errors.length} errors logged`);
    return failures.length + errors.length === 0 ? 0 : 1;
  } finally {
    await takeDown();
  }
}

if (import.meta.main) process.exit(await main());
