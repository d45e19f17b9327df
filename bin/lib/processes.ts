/**
 * Processes that outlive a mistake of ours are found again, and only those.
 *
 * Every server we start is written down in a folder of records: its pid together with the boot of the machine and the
 * moment the process began, since a pid alone may belong to somebody else by the time we read it. A command that was
 * killed with kill -9 leaves its records behind; the next one reads them and stops what still runs.
 *
 * Each server runs in a session of its own. Ctrl-C goes to every process of the terminal's foreground group, and a
 * database that stopped at once would leave the server that drains into it with nowhere to write.
 */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

const REPEAT_MS = 300;

/** A process for certain: the pid, the boot it belongs to and its start in clock ticks since then. */
export interface ProcessMark {
  readonly pid: number;
  readonly boot: string;
  readonly started: string;
}

/** The user that a server runs as, when it is not our own. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

interface Recorded extends ProcessMark {
  readonly name: string;
  readonly stopSignal: NodeJS.Signals;
  readonly graceMs: number;
}

export interface DaemonOptions {
  /** What it is called in messages; also the name of its record, so unique within `records`. */
  readonly name: string;
  readonly cmd: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly account?: Account | undefined;
  /** The file that stdout and stderr are appended to. */
  readonly log: string;
  /** Written to the process's stdin, which is then closed: for what must not be seen in a process list. */
  readonly input?: string;
  /** The folder that holds the record of this process while it runs. */
  readonly records: string;
  readonly stopSignal: NodeJS.Signals;
  /** How long a stop may take before it becomes kill -9. */
  readonly graceMs: number;
}

/** A server that we started. */
export interface Daemon {
  readonly name: string;
  readonly pid: number;
  /** Resolves when it ends, for whatever reason: its exit code, or 128 + the signal's number. */
  readonly exited: Promise<number>;
  /** True once it ended. */
  hasExited(): boolean;
  /** Asks it to stop, and kills it when it takes longer than `graceMs`. Resolves when it is gone. */
  stop(): Promise<void>;
}

export function startDaemon(options: DaemonOptions): Daemon {
  mkdirSync(dirname(options.log), { recursive: true });
  const log = openSync(options.log, 'a', 0o600);
  let child: Bun.Subprocess;
  try {
    child = Bun.spawn([...options.cmd], {
      cwd: options.cwd,
      env: { ...options.env },
      detached: true,
      stdio: [options.input === undefined ? 'ignore' : new Blob([options.input]), log, log],
      ...options.account,
    });
  } finally {
    closeSync(log);
  }
  const record = recordProcess(options.records, options.name, child.pid, options.stopSignal, options.graceMs);
  let exited = false;
  const ended = child.exited.then((code) => {
    exited = true;
    rmSync(record, { force: true });
    return code;
  });
  return {
    name: options.name,
    pid: child.pid,
    exited: ended,
    hasExited: () => exited,
    async stop() {
      if (exited) return;
      signalTree(child.pid, 'SIGCONT');
      child.kill(options.stopSignal);
      const again = setInterval(() => repeats(options.stopSignal) && child.kill(options.stopSignal), REPEAT_MS);
      const timer = setTimeout(() => child.kill('SIGKILL'), options.graceMs);
      await ended;
      clearInterval(again);
      clearTimeout(timer);
    },
  };
}

/** Writes a process down in `records` and returns the path of the record; the caller removes it when the process ended. */
export function recordProcess(
  records: string,
  name: string,
  pid: number,
  stopSignal: NodeJS.Signals,
  graceMs: number,
): string {
  mkdirSync(records, { recursive: true });
  const path = join(records, `${name}.json`);
  const mark = markOf(pid);
  // It may be gone already; then there is nothing to find again.
  if (mark) writeFileSync(path, JSON.stringify({ ...mark, name, stopSignal, graceMs } satisfies Recorded));
  return path;
}

/**
 * Stops every process that is still running from an earlier command, in the order of `first` and then all others at once.
 * @returns the names of those that were running.
 */
export async function stopRecorded(records: string, first: readonly string[] = []): Promise<string[]> {
  const left = readRecords(records).filter((record) => isAlive(record));
  for (const name of first) {
    for (const record of left.filter((r) => r.name === name)) await stopProcess(record);
  }
  await Promise.all(left.filter((r) => !first.includes(r.name)).map(stopProcess));
  rmSync(records, { recursive: true, force: true });
  return left.map((record) => record.name);
}

/** Stops a process that is known to be ours although nothing was written down. */
export async function stopUnrecorded(pid: number, stopSignal: NodeJS.Signals, graceMs: number): Promise<void> {
  const mark = markOf(pid);
  if (mark) await stopProcess({ ...mark, name: String(pid), stopSignal, graceMs });
}

/** The mark of a running process, or null when there is none (a zombie is none). */
export function markOf(pid: number): ProcessMark | null {
  try {
    // The second field is the name in brackets and may hold anything, brackets and spaces included.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    const [state, started] = [fields[0], fields[19]];
    if (state === 'Z' || state === 'X' || started === undefined) return null;
    return { pid, started, boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() };
  } catch {
    return null;
  }
}

export function isAlive(mark: ProcessMark): boolean {
  const now = markOf(mark.pid);
  return now !== null && now.started === mark.started && now.boot === mark.boot;
}

/** The folder a process stands in, or null when it is gone or not ours to look at. */
export function cwdOf(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return null;
  }
}

/**
 * Sends a signal to a process and to all that it started, whatever group that is in; PostgreSQL puts its children in groups of
 * their own. A stopped process would not see the signal that ends it: SIGCONT goes before.
 */
export function signalTree(pid: number, name: NodeJS.Signals): void {
  for (const member of processTree(pid)) sendSignal(member, name);
}

/** Kills a server and all that it started with no warning, and resolves when it is gone. */
export async function killTree(daemon: Daemon): Promise<void> {
  if (!daemon.hasExited()) signalTree(daemon.pid, 'SIGKILL');
  await daemon.exited;
}

function processTree(pid: number): number[] {
  let children: number[] = [];
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    children = text.trim().split(/\s+/).filter(Boolean).map(Number);
  } catch {
    // Gone in between.
  }
  return [pid, ...children.flatMap(processTree)];
}

// PostgreSQL, whose signal this is, takes it any number of times, and misses it in its first milliseconds when whoever
// started us had it ignored, as a shell does for what it runs in the background.
function repeats(stopSignal: NodeJS.Signals): boolean {
  return stopSignal === 'SIGINT';
}

async function stopProcess(record: Recorded): Promise<void> {
  const deadline = performance.now() + record.graceMs;
  if (isAlive(record)) signalTree(record.pid, 'SIGCONT');
  signal(record, record.stopSignal);
  while (performance.now() < deadline) {
    if (await goneWithin(record, Math.min(REPEAT_MS, deadline - performance.now()))) return;
    if (repeats(record.stopSignal)) signal(record, record.stopSignal);
  }
  if (isAlive(record)) signalTree(record.pid, 'SIGKILL');
  await goneWithin(record, 10_000);
}

function signal(mark: ProcessMark, name: NodeJS.Signals): void {
  if (isAlive(mark)) sendSignal(mark.pid, name);
}

function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // It may have ended in between.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

// Not a child of ours, so the kernel tells nobody when it ends: look again and again.
async function goneWithin(mark: ProcessMark, ms: number): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (isAlive(mark)) {
    if (performance.now() > deadline) return false;
    await Bun.sleep(20);
  }
  return true;
}

function readRecords(records: string): Recorded[] {
  let files: string[];
  try {
    files = readdirSync(records).filter((file) => file.endsWith('.json'));
  } catch {
    return [];
  }
  return files.flatMap((file) => {
    try {
      return [JSON.parse(readFileSync(join(records, file), 'utf8')) as Recorded];
    } catch {
      return []; // Half written when its writer died.
    }
  });
}
