/**
 * The long fault test: `bun test/faults.ts --minutes=30 --seed=7`. Brings up a PostgreSQL, a Redis and three nodes, has
 * people and programs type on documents of all of them through every door, and injects faults from a schedule that the seed
 * draws. Prints what it injected and what it found, as a table, and ends with 1 when anything that was promised did not hold.
 *
 *   --minutes=N   how long, 5 unless said
 *   --seed=S      the schedule; drawn unless said
 *   --nodes=N     1 to 5, 3 unless said
 *   --only=A,B    only faults whose names begin so
 */
import { parseArgs } from 'node:util';
import { Latencies } from '../bench/figures.ts';
import { seededRandom } from '../src/base/random.ts';
import { FAULT_KINDS } from './faults/chaos.ts';
import { Cluster } from './faults/cluster.ts';
import type { Person } from './faults/concord.ts';
import { playRound, type RoundResult } from './faults/round.ts';
import { Tap } from './faults/tap.ts';
import { standAlone } from './support/alone.ts';
import { startPostgres } from './support/postgres-server.ts';
import { startRedis } from './support/redis.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(crypto.getRandomValues(new Uint32Array(1))[0]) },
    nodes: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
  },
});
const [minutes, seed, node_count] = [Number(values.minutes), Number(values.seed), Number(values.nodes)];
if (!(minutes > 0)) throw new Error('--minutes is a number above 0');
if (!Number.isSafeInteger(seed)) throw new Error('--seed is a whole number');
if (!(Number.isInteger(node_count) && node_count >= 1 && node_count <= 5)) throw new Error('--nodes is from 1 to 5');

const begun = performance.now();
const say = (what: string): void =>
  console.log(`${((performance.now() - begun) / 1_000).toFixed(1).padStart(7)} ${what}`);
console.log(
  `seed ${seed}: bun test/faults.ts --minutes=${minutes} --seed=${seed} --nodes=${node_count} draws the same schedule again`,
);

const end = standAlone();
let results: readonly RoundResult[] = [];
try {
  results = await run();
} finally {
  await end();
}
const wrongs = results.flatMap(({ observed, wrongs: found }) => [...observed.flatMap((seen) => seen.wrongs), ...found]);
console.log(`\n${table(results)}`);
if (wrongs.length > 0)
  console.log(`\nFound:\n\n${[...new Set(wrongs)].map((wrong) => `- ${wrong.slice(0, 1_000)}`).join('\n')}`);
process.exit(wrongs.length === 0 ? 0 : 1);

async function run(): Promise<RoundResult[]> {
  const [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  const cluster = await Cluster.start({ database_url: postgres.url, redis_url: redis.url, nodes: node_count });
  const people = (await cluster.people('ada', 'ben', 'cleo')) as [Person, Person, Person];
  const tap = await Tap.open(redis.url);
  const scene = { cluster, postgres, redis };
  const done: RoundResult[] = [];
  const random = seededRandom(seed);
  for (let n = 1; performance.now() - begun < minutes * 60_000; n++) {
    // A round's own seed, so that how long one took does not change what the next draws.
    const round_random = seededRandom(random.uint32());
    const result = await playRound({
      scene,
      tap,
      people,
      random: round_random,
      name: `r${n}`,
      only: values.only.split(','),
      say,
    });
    done.push(result);
    say(
      `r${n}: ${result.edits} edits, ${result.wrongs.length === 0 ? 'nothing wrong' : `WRONG: ${result.wrongs.join('\n  ')}`}`,
    );
  }
  tap.close();
  const codes = await cluster.stop();
  if (codes.some((code) => code !== 0))
    done.push({ observed: [], edits: 0, wrongs: [`nodes ended with ${codes.join(', ')}`] });
  return done;
}

/** What was injected, how often, and what came of it. */
function table(all: readonly RoundResult[]): string {
  const observed = all.flatMap((result) => result.observed);
  const rows = FAULT_KINDS.flatMap((kind) => {
    const seen = observed.filter((each) => each.kind === kind);
    if (seen.length === 0) return [];
    const found = seen.flatMap((each) => each.wrongs).length;
    const [takeovers, recoveries] = [
      times(seen.map((each) => each.takeover_ms)),
      times(seen.map((each) => each.recovery_ms)),
    ];
    return [`| ${kind} | ${seen.length} | ${takeovers} | ${recoveries} | ${found === 0 ? 'nothing' : found} |`];
  });
  const edits = all.reduce((sum, result) => sum + result.edits, 0);
  const broken = all.filter((result) => result.wrongs.length > 0).length;
  return [
    `Seed ${seed}, ${minutes} minutes, ${node_count} nodes: ${observed.length} faults in ${all.length} rounds, ${edits} edits; rounds in which a promise was broken: ${broken}.`,
    '',
    '| fault | injected | edits flow elsewhere after, p50 / max | all well after the cure, p50 / max | found |',
    '|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

function times(all: readonly (number | null)[]): string {
  const measured = new Latencies();
  for (const ms of all) if (ms !== null) measured.add(ms);
  if (measured.count === 0) return '–';
  return `${(measured.quantile(0.5) / 1_000).toFixed(1)} s / ${(measured.quantile(1) / 1_000).toFixed(1)} s`;
}
