/**
 * `bun test` in a process of its own, and what came of it. It writes to stdout and stderr; here both become our stderr, in
 * the order in which they were written: as they come from a process that runs by itself, and file by file from one that
 * runs beside another, so that what belongs together is read together.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from './paths.ts';
import { recordProcess } from './processes.ts';
import { passOn, say } from './say.ts';

const TEST_MS_MAX = 30_000;
/** The line that `bun test` writes before the tests of a file. */
const FILE_HEAD = /^\S+\.[jt]sx?:$/;
const FAILURE_LINES_MAX = 60;

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export interface BunTestOptions {
  /** Unique within the run. */
  readonly name: string;
  /** Files, patterns and options of `bun test`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The run's folder. */
  readonly folder: string;
  /** Whether another one runs at the same time. */
  readonly has_company: boolean;
}

/** See the head of this file; starts when it is made. */
export class BunTest {
  /** Resolves when it ended and all that it wrote is read; never rejects. */
  readonly counts: Promise<Counts>;
  /** What was written about each test that failed, its `(fail)` line last; complete when `counts` has resolved. */
  readonly failures: string[] = [];
  readonly #child: Bun.Subprocess<'ignore', 'pipe', 'inherit'>;
  readonly #coverage: string;

  constructor({ name, args, env, folder, has_company }: BunTestOptions) {
    this.#coverage = join(folder, `coverage-${name}`);
    const coverage = ['--coverage', '--coverage-reporter=lcov', `--coverage-dir=${this.#coverage}`];
    const cmd = [process.execPath, 'test', `--timeout=${TEST_MS_MAX}`, ...coverage, ...args];
    this.#child = Bun.spawn(['/bin/sh', '-c', 'exec "$@" 2>&1', 'sh', ...cmd], {
      cwd: ROOT,
      // Tests that start a command by name find the same Bun.
      env: { ...process.env, ...env, PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}` },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const record = recordProcess(join(folder, 'processes'), name, this.#child.pid, 'SIGKILL', 5_000);
    this.counts = this.#read(name, has_company).finally(() => rmSync(record, { force: true }));
  }

  /** Its lcov report; null when it wrote none. */
  coverage(): string | null {
    const path = join(this.#coverage, 'lcov.info');
    return existsSync(path) ? readFileSync(path, 'utf8') : null;
  }

  /** Kills it; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#child.exited;
  }

  async #read(name: string, has_company: boolean): Promise<Counts> {
    const [tally, output, failures] = [new Tally(), new Output(has_company), new Failures(this.failures)];
    const decoder = new TextDecoder();
    let rest = '';
    for await (const chunk of this.#child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const plain = Bun.stripANSI(line);
        tally.read(plain);
        failures.read(plain);
        output.write(line);
      }
    }
    if (rest !== '') output.write(rest);
    output.end();
    const code = await this.#child.exited;
    if (!tally.complete()) say(`bun test (${name}) ended without a summary (exit code ${code}).`);
    // A test process that dies, or fails in between two tests, failed even when every test that it counted passed.
    if (code !== 0 && tally.counts.failed === 0) tally.counts.failed = 1;
    return tally.counts;
  }
}

/** Finds what belongs to the tests that failed: all that was written since the test before them ended. */
class Failures {
  #file = '';
  #lines: string[] = [];

  constructor(private readonly found: string[]) {}

  read(line: string): void {
    if (FILE_HEAD.test(line)) [this.#file, this.#lines] = [line, []];
    else this.#lines.push(line);
    const [, outcome] = /^\((pass|fail|skip|todo)\) /.exec(line) ?? [];
    if (outcome === 'fail') this.found.push([this.#file, ...this.#lines.slice(-FAILURE_LINES_MAX)].join('\n'));
    if (outcome !== undefined) this.#lines = [];
  }
}

/** Shows lines at once, or those of a file of tests together once the next one begins. */
class Output {
  #held: string[] = [];

  constructor(private readonly holds: boolean) {}

  write(line: string): void {
    if (this.holds && FILE_HEAD.test(Bun.stripANSI(line))) this.end();
    this.#held.push(line);
    if (!this.holds) this.end();
  }

  end(): void {
    if (this.#held.length > 0) passOn(`${this.#held.join('\n')}\n`);
    this.#held = [];
  }
}

/** Reads the summary that `bun test` ends with: lines like ` 12 pass`, ` 0 fail` and ` 1 skip`. */
class Tally {
  readonly counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  readonly #seen = new Map<string, number>();

  read(line: string): void {
    const [, count, kind] = /^ (\d+) (pass|fail|skip|todo)$/.exec(line) ?? [];
    if (kind === undefined) return;
    // A summary is the last word: a test that prints such a line is overruled by it.
    this.#seen.set(kind, Number(count));
    const [skip = 0, todo = 0] = [this.#seen.get('skip'), this.#seen.get('todo')];
    if (kind === 'pass') this.counts.passed = Number(count);
    if (kind === 'fail') this.counts.failed = Number(count);
    this.counts.skipped = skip + todo;
  }

  complete(): boolean {
    return this.#seen.has('pass') && this.#seen.has('fail');
  }
}
