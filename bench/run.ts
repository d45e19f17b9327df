/**
 * Measures Concord and the servers that one might take instead, and prints how they stand to each other.
 *
 *   bun bench/run.ts [--only=hot-50,fanout] [--against=hocuspocus-on-bun,floor] [--runs=3] [--quick]
 *                    [--trace=FILE] [--json=FILE] [--markdown=FILE]
 *
 * `--only` and `--against` choose scenarios and contenders, by name or by what a name starts with; `--runs` is how often
 * each is run. `--quick` makes everything small: it shows that things work, and measures nothing. `--trace` names the
 * trace for cold-open, which is left out without one. `--json` keeps every figure of every run; `--markdown` fills the
 * places for results in a page such as docs/BENCHMARKS.md. See that page for what is measured and how to read it.
 *
 * A run is a scenario against a contender, on a server that is started for it. Contenders take turns (A B C, A B C, …), so
 * that a machine that gets slower or faster meanwhile does so for all. A run whose replicas differ, or which does not come
 * to its end, has failed: it has no figures, and the exit code is 1.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import type { JsonContender, Scenario, YjsContender } from './contender.ts';
import { JSON_CONTENDERS, YJS_CONTENDERS } from './contenders/all.ts';
import { installPeers } from './install.ts';
import { machineFacts } from './machine.ts';
import { type Options, readOptions, slugOf, USAGE } from './options.ts';
import { fillPage } from './page.ts';
import { pinDriver } from './pin.ts';
import { allScenarios, type Entry } from './scenarios/all.ts';
import { keepsDocuments, OURS } from './scenarios/support/visit.ts';
import { formatNumber, formatScenario, type Run } from './table.ts';
import { readTrace } from './trace.ts';

const SHOWN_WHILE_RUNNING = 4;

/** A scenario that was run, as `--json` keeps it. */
interface Result {
  readonly name: string;
  readonly what: string;
  readonly runs: readonly Run[];
}

/** One run that is to be made. */
interface Start {
  readonly contender: string;
  run(): ReturnType<Scenario['run']>;
}

function startsOf(entry: Entry, { wantsContender, size }: Options): Start[] {
  const wanted = ({ name }: YjsContender | JsonContender): boolean => name === OURS || wantsContender(slugOf(name));
  if (entry.wire === 'json')
    return JSON_CONTENDERS.filter(wanted).map((contender) => ({
      contender: contender.name,
      run: () => entry.scenario.run(contender, size),
    }));
  return YJS_CONTENDERS.filter(wanted)
    .filter((each) => entry.who === 'all' || (entry.who === 'ours' ? each.name === OURS : keepsDocuments(each)))
    .map((contender) => ({ contender: contender.name, run: () => entry.scenario.run(contender, size) }));
}

async function runOnce({ contender, run }: Start, round: number): Promise<Run> {
  try {
    return { contender, round, outcome: { figures: await run() } };
  } catch (error) {
    return { contender, round, outcome: { failure: (error as Error).message } };
  }
}

async function runAll(entries: readonly Entry[], options: Options): Promise<Result[]> {
  const results: Result[] = [];
  for (const entry of entries) {
    const { name, what } = entry.scenario;
    const runs: Run[] = [];
    for (let round = 1; round <= options.runs; round++)
      for (const start of startsOf(entry, options)) {
        const run = await runOnce(start, round);
        runs.push(run);
        console.error(`${name}, run ${round} of ${options.runs}, ${start.contender}: ${tell(run)}`);
      }
    results.push({ name, what, runs });
  }
  return results;
}

function tell({ outcome }: Run): string {
  if ('failure' in outcome) return `FAILED: ${outcome.failure}`;
  return outcome.figures
    .slice(0, SHOWN_WHILE_RUNNING)
    .map(({ name, unit, value }) => `${name} ${formatNumber(value)} ${unit}`)
    .join(', ');
}

async function main(): Promise<boolean> {
  const trace = { file: null as string | null };
  const entries = allScenarios(() => readTrace(trace.file ?? ''));
  const contenders = [...new Set([...YJS_CONTENDERS, ...JSON_CONTENDERS].map(({ name }) => name))];
  const options = readOptions(process.argv.slice(2), {
    scenarios: entries.map(({ scenario }) => scenario.name),
    contenders: contenders.filter((name) => name !== OURS).map(slugOf),
  });
  trace.file = options.trace;
  const chosen = entries.filter(({ scenario }) => options.wantsScenario(scenario.name));
  const ready = chosen.filter(({ scenario }) => scenario.name !== 'cold-open' || options.trace !== null);
  if (ready.length < chosen.length) console.error('cold-open is left out: no --trace was given');
  const page = options.markdown === null ? null : readFileSync(options.markdown, 'utf8');
  installPeers();
  pinDriver();
  const facts = await machineFacts();
  const results = await runAll(ready, options);

  const tables = results.map(({ name, what, runs }) => ({ name, text: `${what}\n\n${formatScenario(runs, OURS)}` }));
  console.log(facts.map((fact) => `- ${fact}`).join('\n'));
  for (const { name, text } of tables) console.log(`\n### ${name}\n\n${text}`);
  if (options.json !== null) writeFileSync(options.json, `${JSON.stringify({ machine: facts, results }, null, 1)}\n`);
  if (options.markdown !== null && page !== null) {
    const places = new Map(tables.map(({ name, text }) => [name, `\n${text}\n`] as const));
    places.set('machine', `\n${facts.map((fact) => `- ${fact}`).join('\n')}\n`);
    writeFileSync(options.markdown, fillPage(page, places));
  }
  return results.every(({ runs }) => runs.every(({ outcome }) => 'figures' in outcome));
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  console.error(`bench: ${(error as Error).message}\n${USAGE}`);
  process.exitCode = 1;
}
