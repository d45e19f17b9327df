/**
 * Starts a peer: a script of bench/peers in a process of its own on the servers' core. It keeps nothing that is worth a
 * slow goodbye, so it is ended with SIGKILL.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomKey, STATE } from '../../bin/lib/paths.ts';
import { freePort } from '../../bin/lib/ports.ts';
import { type Daemon, startDaemon } from '../../bin/lib/processes.ts';
import { tail } from '../../bin/lib/say.ts';
import type { RunningServer } from '../contender.ts';
import { stopAtEnd } from '../ending.ts';
import { PEERS } from '../install.ts';
import { onServerCore } from '../pin.ts';
import { processorMs } from '../processes.ts';
import { settledResidentBytes } from './memory.ts';

const READY_MS_MAX = 30_000;
const COLLECT = join(PEERS, 'collect.mjs');

/** Options of Bun for a server under test. */
export const BUN = [process.execPath, '--preload', COLLECT] as const;
/** The same for Node. */
export const NODE = ['node', '--expose-gc', '--import', COLLECT] as const;

/** Where a contender keeps what it makes; tests have a folder of their own for that. */
export interface Workshop {
  readonly folder: string;
  /** Of the processes it started; see bin/lib/processes.ts. */
  readonly records: string;
}

export interface PeerOptions {
  /** {@link BUN} or {@link NODE}. */
  readonly runtime: readonly string[];
  /** A file of bench/peers. */
  readonly script: string;
  /** Tells the running server of a new document, where it has to know. */
  readonly prepare?: (url: string, name: string) => Promise<void>;
  readonly workshop?: Workshop | undefined;
}

/** See the head of this file. Throws with the end of its log when it does not come up. */
export async function startPeer({ runtime, script, prepare, workshop }: PeerOptions): Promise<RunningServer> {
  mkdirSync(STATE, { recursive: true });
  const folder = mkdtempSync(join(workshop?.folder ?? STATE, 'peer-'));
  const records = workshop?.records ?? join(folder, 'processes');
  const states = join(folder, 'states');
  mkdirSync(states);
  const port = await freePort();
  let starts = 0;
  let log = '';
  const start = async (): Promise<Daemon> => {
    starts += 1;
    log = join(folder, `server-${starts}.log`);
    const daemon = startDaemon({
      name: `peer-${port}`,
      cmd: onServerCore([...runtime, join(PEERS, script)]),
      cwd: PEERS,
      env: { PATH: process.env.PATH, PORT: String(port), STATE_DIR: states, NODE_ENV: 'production' },
      log,
      records,
      stopSignal: 'SIGKILL',
      graceMs: 0,
    });
    await listening(daemon, log);
    return daemon;
  };
  let daemon: Daemon | null = null;
  /** Time of processes that were ended. */
  let ended_ms = 0;
  const pids = (): number[] => (daemon === null || daemon.hasExited() ? [] : [daemon.pid]);
  const end = async (): Promise<void> => {
    ended_ms += processorMs(pids());
    await daemon?.stop();
  };
  const stop = async (): Promise<void> => {
    forget();
    await end();
    rmSync(folder, { recursive: true, force: true });
  };
  const forget = stopAtEnd(stop);
  try {
    daemon = await start();
  } catch (error) {
    await stop();
    throw error;
  }
  const url = `ws://127.0.0.1:${port}`;
  return {
    url,
    stop,
    cpu: () => ({ server_ms: ended_ms + processorMs(pids()), stores_ms: 0 }),
    rss: () => settledResidentBytes(pids()[0] ?? 0, log),
    async createDocument(state) {
      const name = `document-${randomKey().slice(0, 12)}`;
      if (state !== undefined) writeFileSync(join(states, name), state);
      await prepare?.(url, name);
      return name;
    },
    async restart() {
      await end();
      daemon = await start();
    },
  };
}

async function listening(daemon: Daemon, log: string): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX;
  while (!daemon.hasExited() && performance.now() < deadline) {
    if (readFileSync(log, 'utf8').includes('listening\n')) return;
    await Bun.sleep(10);
  }
  await daemon.stop();
  throw new Error(`${daemon.name} did not start; the end of its log is:\n${tail(log, 15)}`);
}
