/**
 * bin/test, once Bun and the packages are there: the types, the lint rules, and all tests against a PostgreSQL and a Redis
 * that exist for this run only; then the line coverage of src/, which must reach its floor. The last line of the output
 * is `N passed, N failed`, with `, N skipped` when some were; a check that fails counts as one failure.
 *
 * Arguments go to `bun test` and choose a part of the tests; then the checks are left out and the coverage is not held to the floor.
 */
import { existsSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Chromium, locateChromium } from './chromium.ts';
import { formatCoverage, measureCoverage } from './coverage.ts';
import { locateNginx, type Nginx } from './nginx.ts';
import { makePassable, ROOT, randomKey, STATE } from './paths.ts';
import { freePort } from './ports.ts';
import * as postgres from './postgres.ts';
import { isAlive, markOf, type ProcessMark, recordProcess, stopRecorded } from './processes.ts';
import { locateRedis, redisUrl, startRedisServer } from './redis.ts';
import { print, say, sayFailure } from './say.ts';
import { locateSchemas, type Schemas } from './schemas.ts';

const COVERAGE_PERCENT_MIN = 90;
const TEST_MS_MAX = 30_000;
const FOLDER_PREFIX = 'concord-test-';
const OWNER_FILE = 'owner.json';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const chosen = process.argv.slice(2);
let folder: string | null = null;
let testing: Bun.Subprocess | null = null;
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
  const env = await bringUp();
  await tellWhatIsMissing(chromium, nginx, schemas);
  const result = await runTests(env, await chromium);
  const coverageFile = join(coverageFolder(env.CONCORD_TEST_DIR), 'lcov.info');
  if (existsSync(coverageFile)) {
    const coverage = measureCoverage(ROOT, readFileSync(coverageFile, 'utf8'));
    print(`\n${formatCoverage(coverage, chosen.length > 0)}`);
    if (chosen.length === 0 && coverage.percent < COVERAGE_PERCENT_MIN) {
      say(`the line coverage of src/ must be at least ${COVERAGE_PERCENT_MIN} %.`);
      failedChecks += 1;
    }
  } else if (chosen.length === 0) {
    say('bun test wrote no coverage report.');
    failedChecks += 1;
  }
  return { ...result, failed: result.failed + failedChecks };
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

async function bringUp() {
  const begin = performance.now();
  const install = postgres.locatePostgres();
  folder = postgres.scratchFolder(install, STATE, FOLDER_PREFIX);
  writeFileSync(join(folder, OWNER_FILE), JSON.stringify(markOf(process.pid)));
  const records = join(folder, 'processes');
  const password = randomKey();
  const template = join(folder, 'template-cluster');
  postgres.createCluster(install, template, { password, throwAway: true });
  const data = join(folder, 'cluster');
  postgres.copyCluster(template, data);
  const redisFolder = join(folder, 'redis');
  const [postgresPort, redisPort, redisInstall] = await Promise.all([freePort(), freePort(), locateRedis()]);
  await Promise.all([
    postgres.startPostgresServer(install, {
      ...{ data, records, port: postgresPort, log: join(folder, 'postgres.log'), name: 'postgres' },
      settings: postgres.THROW_AWAY_SETTINGS,
    }),
    startRedisServer(redisInstall, {
      ...{ records, port: redisPort, log: join(folder, 'redis.log'), name: 'redis' },
      ...{ password, folder: redisFolder, persist: false },
    }),
  ]);
  makePassable(records);
  say(`PostgreSQL and Redis for this run: ready (${seconds(begin)})`);
  return {
    CONCORD_TEST_DIR: folder,
    CONCORD_TEST_DATABASE_URL: postgres.postgresUrl(postgresPort, password),
    CONCORD_TEST_REDIS_URL: redisUrl(redisPort, password),
  };
}

async function runTests(env: Awaited<ReturnType<typeof bringUp>>, chromium: Chromium): Promise<Counts> {
  const coverage = ['--coverage', '--coverage-reporter=lcov', `--coverage-dir=${coverageFolder(env.CONCORD_TEST_DIR)}`];
  const child = Bun.spawn([process.execPath, 'test', `--timeout=${TEST_MS_MAX}`, ...coverage, ...chosen], {
    cwd: ROOT,
    // Tests that start a command by name find the same Bun.
    env: {
      ...process.env,
      ...env,
      CONCORD_TEST_CHROMIUM: chromium.path ?? '',
      PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}`,
    },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  testing = child;
  const record = recordProcess(join(env.CONCORD_TEST_DIR, 'processes'), 'tests', child.pid, 'SIGKILL', 5_000);
  const tally = new Tally();
  for await (const chunk of child.stderr) {
    process.stderr.write(chunk);
    tally.read(chunk);
  }
  const code = await child.exited;
  testing = null;
  rmSync(record, { force: true });
  if (!tally.complete()) say(`bun test ended without a summary (exit code ${code}).`);
  // A test process that dies, or fails in between two tests, failed even when every test that it counted passed.
  if (code !== 0 && tally.counts.failed === 0) tally.counts.failed = 1;
  return tally.counts;
}

/** Reads the summary that `bun test` ends with: lines like ` 12 pass`, ` 0 fail` and ` 1 skip`. */
class Tally {
  readonly counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  #seen = new Set<string>();
  #rest = '';
  #decoder = new TextDecoder();

  read(chunk: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#readLine(Bun.stripANSI(line));
  }

  complete(): boolean {
    return this.#seen.has('pass') && this.#seen.has('fail');
  }

  #readLine(line: string): void {
    const [, count, kind] = /^ (\d+) (pass|fail|skip|todo)$/.exec(line) ?? [];
    if (kind === undefined) return;
    // A summary is the last word: a test that prints such a line is overruled by it.
    if (kind === 'pass') this.counts.passed = Number(count);
    if (kind === 'fail') this.counts.failed = Number(count);
    if (kind === 'skip' || kind === 'todo') this.counts.skipped += Number(count);
    this.#seen.add(kind);
  }
}

function coverageFolder(run: string): string {
  return join(run, 'coverage');
}

/** Ends everything of this run and removes its folder; once, however often it is asked for. */
function cleanUp(): Promise<void> {
  ending ??= end();
  return ending;
}

async function end(): Promise<void> {
  testing?.kill('SIGKILL');
  await testing?.exited;
  if (!folder) return;
  const left = await stopRecorded(join(folder, 'processes'));
  const ours = ['postgres', 'redis', 'tests'];
  const forgotten = left.filter((name) => !ours.includes(name));
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
