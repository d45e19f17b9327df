/**
 * The server as its users run it: `bun src/main.ts` in a process of its own, which a test can stop, hang and kill.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../bin/lib/paths.ts';
import { freePort } from '../../bin/lib/ports.ts';
import { killTree, signalTree, startDaemon } from '../../bin/lib/processes.ts';
import { recordsFolder, runFolder, uniqueName } from './environment.ts';
import { until } from './until.ts';

const READY_MS_MAX = 30_000;
const STOP_MS_MAX = 30_000;
const THE_SERVER = [process.execPath, 'src/main.ts'];

/** The secret that `startServer` gives a server unless the test gives another. */
export const TEST_JWT_SECRET = 'a secret for tests, of at least 32 bytes';

/** A line of the server's JSON log. */
export type LogLine = Readonly<Record<string, unknown>>;

export interface ServerProcess {
  /** Such as `http://127.0.0.1:20000`. */
  readonly url: string;
  /** Give it to the next `startServer` as PORT to have clients find the server again. */
  readonly port: number;
  readonly pid: number;
  /** Its exit code, or 128 + the signal's number. */
  readonly exited: Promise<number>;
  /** All that it wrote to stdout and stderr so far. */
  output(): string;
  /** Those lines of the output that are JSON. */
  log(): LogLine[];
  /** SIGTERM; resolves with the exit code when it is gone. After 30 s it is killed, and the code is 137. */
  terminate(): Promise<number>;
  kill9(): Promise<void>;
  /** Hangs it, with its connections open, until `resume`. */
  pause(): void;
  resume(): void;
}

/**
 * Starts a server and resolves when it answers `/readyz` with 200. Throws with its output when it ends before that.
 * @param env its settings; DATABASE_URL and REDIS_URL are needed, HOST, PORT and JWT_SECRET have defaults.
 * @param command another command that becomes the server.
 * @param folder where it is started, if not in the root of the checkout.
 */
export async function startServer(
  env: Readonly<Record<string, string>>,
  command: readonly string[] = THE_SERVER,
  folder: string = ROOT,
): Promise<ServerProcess> {
  const server = await launchServer(env, command, folder);
  try {
    const port = await until(
      'the server to listen',
      () => {
        if (server.hasExited()) return -1;
        return server.log().find((line) => line.event === 'listening')?.port as number | undefined;
      },
      READY_MS_MAX,
    );
    const url = `http://127.0.0.1:${port}`;
    await until(
      'the server to be ready',
      async () => server.hasExited() || (await fetch(`${url}/readyz`)).ok,
      READY_MS_MAX,
    );
    if (server.hasExited()) throw new Error('the server ended before it was ready');
    return { ...server, url, port };
  } catch (error) {
    await server.kill9();
    throw new Error(`${(error as Error).message}; its output:\n${server.output()}`, { cause: error });
  }
}

/** Starts a server and does not wait for it: for settings that it must refuse. */
export async function launchServer(
  env: Readonly<Record<string, string>>,
  command: readonly string[] = THE_SERVER,
  folder: string = ROOT,
): Promise<Omit<ServerProcess, 'url' | 'port'> & { hasExited(): boolean }> {
  const name = uniqueName('server');
  const log = join(runFolder(name), 'log');
  const daemon = startDaemon({
    name,
    cmd: command,
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      HOST: '127.0.0.1',
      // Not 0: a port of the kernel's own choice could be taken by a client's retry while the server is down.
      PORT: String(await freePort()),
      JWT_SECRET: TEST_JWT_SECRET,
      ...env,
    },
    log,
    records: recordsFolder(),
    stopSignal: 'SIGTERM',
    graceMs: STOP_MS_MAX,
  });
  const output = () => readFileSync(log, 'utf8');
  return {
    pid: daemon.pid,
    exited: daemon.exited,
    hasExited: daemon.hasExited,
    output,
    log: () => output().split('\n').flatMap(parseLine),
    async terminate() {
      await daemon.stop();
      return daemon.exited;
    },
    kill9: () => killTree(daemon),
    pause: () => signalTree(daemon.pid, 'SIGSTOP'),
    resume: () => signalTree(daemon.pid, 'SIGCONT'),
  };
}

function parseLine(line: string): LogLine[] {
  if (!line.startsWith('{')) return [];
  try {
    return [JSON.parse(line) as LogLine];
  } catch {
    return []; // The line that is being written.
  }
}
