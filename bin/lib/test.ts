/**
 * bin/test, once Bun and the packages are there: the types, the lint rules, and all tests against PostgreSQL and Redis that
 * exist for this run only, in several processes (lanes.ts); then the line coverage of src/, which must reach its floor. The
 * last line of the output is `N passed, N failed`, with `, N skipped` when some were; a check that fails counts as one failure.
 *
 * Arguments go to `bun test` and choose a part of the tests, for one process; then the checks are left out and the coverage is
 * not held to the floor.
 */
import { readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BunTest, type Counts } from './bun-test.ts';
import { type Chromium, locateChromium } from './chromium.ts';
import { formatCoverage, measureCoverage } from './coverage.ts';
import { type Lanes, shareOut, testFiles } from './lanes.ts';
import { locateNginx, type Nginx } from './nginx.ts';
import { makePassable, ROOT, randomKey, STATE } from './paths.ts';
import { freePort, PORT_SHARE } from './ports.ts';
import * as postgres from './postgres.ts';
import { isAlive, markOf, type ProcessMark, stopRecorded } from './processes.ts';
import { locateRedis } from './redis.ts';
import { print, say, sayFailure } from './say.ts';
import { locateSchemas, type Schemas } from './schemas.ts';

const COVERAGE_PERCENT_MIN = 90;
const FOLDER_PREFIX = 'concord-test-';
const OWNER_FILE = 'owner.json';

const chosen = process.argv.slice(2);
let folder: string | null = null;
const testing: BunTest[] = [];
let ending: Promise<void> | null = null;
/** What this run had to do without, a sentence each. */
const left_out: string[] = [];

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    say(`${signal}: stopping the tests ...`);
    void cleanUp().then(() => process.exit(1));
  });
}

let counts: Counts;
try {
  counts = await main();
} catch (error) {
  sayFailure(error);
  counts = { passed: 0, failed: 1, skipped: 0 };
}
await cleanUp();
repeatFailures();
for (const sentence of left_out) say(sentence);
const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
print(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
process.exit(counts.failed === 0 ? 0 : 1);

async function main(): Promise<Counts> {
  await sweep();
  let failedChecks = 0;
  // An installation takes its time, which the checks can use.
  const chromium = locateChromium(wants('browser'));
  const nginx = locateNginx(wants('deploy'));
  const schemas = locateSchemas(wants('deploy'));
  if (chosen.length === 0) {
    if (!(await check('types', ['node_modules/typescript/bin/tsc', '--noEmit']))) failedChecks += 1;
    if (!(await check('lint and format', ['node_modules/@biomejs/biome/bin/biome', 'check', '.']))) failedChecks += 1;
  }
  await locateRedis();
  const is_part = chosen.length > 0;
  const files = is_part ? { beside: [], alone: chosen } : shareOut(testFiles(ROOT));
  const environments = await bringUp(Math.max(1, files.beside.length));
  await tellWhatIsMissing(chromium, nginx, schemas);
  const { path } = await chromium;
  const counted = await runTests(
    files,
    environments.map((env) => ({ ...env, CONCORD_TEST_CHROMIUM: path ?? '' })),
  );
  failedChecks += checkCoverage(is_part);
  const sum = (key: keyof Counts): number => counted.reduce((all, counts) => all + counts[key], 0);
  return { passed: sum('passed'), failed: sum('failed') + failedChecks, skipped: sum('skipped') };
}

/** What runs side by side, each in an environment of its own; then the rest. */
async function runTests({ beside, alone }: Lanes, environments: readonly TestEnvironment[]): Promise<Counts[]> {
  const run = (name: string, args: readonly string[], env: TestEnvironment, has_company: boolean): Promise<Counts> => {
    const test = new BunTest({ name, args, env, folder: env.CONCORD_TEST_DIR, has_company });
    testing.push(test);
    return test.counts;
  };
  const counted = await Promise.all(
    environments.slice(0, beside.length).map((env, i) => run(`tests-${i}`, beside[i] ?? [], env, true)),
  );
  const [first] = environments;
  if (first === undefined || ending !== null) return counted;
  return [...counted, await run('tests', alone, first, false)];
}

/** Says again what failed, at the end: among thousands of tests nobody finds it, and a log that is cut keeps its end. */
function repeatFailures(): void {
  for (const failure of testing.flatMap((test) => test.failures)) print(`\n${failure}`);
}

/** Shows the coverage of all that ran; returns how many checks failed. */
function checkCoverage(is_part: boolean): number {
  const reports = testing.map((test) => test.coverage()).filter((report) => report !== null);
  if (is_part && reports.length === 0) return 0;
  if (reports.length < testing.length) {
    say('bun test wrote no coverage report.');
    return 1;
  }
  const coverage = measureCoverage(ROOT, reports);
  print(`\n${formatCoverage(coverage, is_part)}`);
  if (is_part || coverage.percent >= COVERAGE_PERCENT_MIN) return 0;
  say(`the line coverage of src/ must be at least ${COVERAGE_PERCENT_MIN} %.`);
  return 1;
}

/** Whether tests of this folder of test/ are among those that were chosen. */
function wants(folder_name: string): boolean {
  return chosen.length === 0 || chosen.some((argument) => argument.includes(folder_name));
}

/** Notes what the chosen tests need and this machine does not have. */
async function tellWhatIsMissing(
  chromium: Promise<Chromium>,
  nginx: Promise<Nginx>,
  schemas: Promise<Schemas>,
): Promise<void> {
  const needed = [
    ['browser', 'the tests in a browser', chromium],
    ['deploy', 'the tests behind the load balancer', nginx],
    ['deploy', 'the checks of deployment files against schemas', schemas],
  ] as const;
  for (const [name, tests, located] of needed) {
    const found = await located;
    if (found.path === null && wants(name)) left_out.push(`${tests} were left out: ${found.why}.`);
  }
}

async function check(title: string, cmd: string[]): Promise<boolean> {
  const begin = performance.now();
  const code = await Bun.spawn([process.execPath, ...cmd], { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] })
    .exited;
  say(`${title}: ${code === 0 ? 'ok' : 'FAILED'} (${seconds(begin)})`);
  return code === 0;
}

/** What a process of tests needs to know; see test/support/environment.ts. */
interface TestEnvironment extends Readonly<Record<string, string>> {
  readonly CONCORD_TEST_DIR: string;
}

/** A folder for this run with a cluster of PostgreSQL to copy from; in it a server for each process that runs beside others. */
async function bringUp(count: number): Promise<TestEnvironment[]> {
  const begin = performance.now();
  const install = postgres.locatePostgres();
  folder = postgres.scratchFolder(install, STATE, FOLDER_PREFIX);
  writeFileSync(join(folder, OWNER_FILE), JSON.stringify(markOf(process.pid)));
  const place = folder;
  const records = join(place, 'processes');
  const password = randomKey();
  const template = join(place, 'template-cluster');
  postgres.createCluster(install, template, { password, throwAway: true });
  const environments = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const [name, data, port] = [`postgres-${i}`, join(place, `cluster-${i}`), await freePort()];
      postgres.copyCluster(template, data);
      await postgres.startPostgresServer(install, {
        ...{ data, records, port, name, log: join(place, `${name}.log`) },
        settings: postgres.THROW_AWAY_SETTINGS,
      });
      return {
        CONCORD_TEST_DIR: place,
        CONCORD_TEST_DATABASE_URL: postgres.postgresUrl(port, password),
        [PORT_SHARE]: `${i}/${count}`,
      };
    }),
  );
  makePassable(records);
  say(`PostgreSQL for this run: ready (${seconds(begin)})`);
  return environments;
}

/** Ends everything of this run and removes its folder; once, however often it is asked for. */
function cleanUp(): Promise<void> {
  ending ??= end();
  return ending;
}

async function end(): Promise<void> {
  await Promise.all(testing.map((test) => test.kill()));
  if (!folder) return;
  const left = await stopRecorded(join(folder, 'processes'));
  const forgotten = left.filter((name) => !/^(postgres|tests)(-\d+)?$/.test(name));
  if (forgotten.length > 0) say(`tests left behind, stopped now: ${forgotten.join(', ')}.`);
  removeFolder(folder);
}

/** Ends and removes what runs that were killed have left behind, in both places where a run may have its folder. */
async function sweep(): Promise<void> {
  for (const place of new Set([STATE, realpathSync(tmpdir())])) {
    for (const name of readdirSync(place).filter((entry) => entry.startsWith(FOLDER_PREFIX))) {
      const owner = readOwner(join(place, name, OWNER_FILE));
      if (!owner || isAlive(owner)) continue;
      await stopRecorded(join(place, name, 'processes'));
      removeFolder(join(place, name));
    }
  }
}

function readOwner(path: string): ProcessMark | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ProcessMark;
  } catch {
    return null; // Another user's, or one that is just being made.
  }
}

function removeFolder(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    say(`cannot remove ${path}: ${(error as Error).message}`);
  }
}

function seconds(begin: number): string {
  return `${((performance.now() - begin) / 1000).toFixed(1)} s`;
}
