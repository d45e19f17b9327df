/**
 * A server for one replay: `bun src/main.ts` on DATABASE_URL and REDIS_URL where these are set, otherwise on a PostgreSQL
 * and a Redis as bin/start brings them up, in a folder that is removed in the end. PostgreSQL flushes every commit to the
 * disk here, as it would for users, so that the figures are those of real durability.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, randomKey, STATE } from '../bin/lib/paths.ts';
import { freePort } from '../bin/lib/ports.ts';
import {
  clusterFolder,
  createCluster,
  locatePostgres,
  postgresUrl,
  scratchFolder,
  startPostgresServer,
} from '../bin/lib/postgres.ts';
import { type Daemon, killTree, startDaemon, stopRecorded } from '../bin/lib/processes.ts';
import { locateRedis, redisUrl, startRedisServer } from '../bin/lib/redis.ts';
import { tail } from '../bin/lib/say.ts';
import { stopAtEnd } from './ending.ts';
import { type Place, register } from './place.ts';

const READY_MS_MAX = 60_000;

/** See the head of this file. */
export interface OwnServer extends Place {
  /** The server's process, which changes with every restart. */
  readonly pid: number;
  /** Where its output goes. */
  readonly log: string;
  /** PostgreSQL and Redis, if they were started for it. */
  readonly store_pids: readonly number[];
  readonly database_url: string;
  /**
   * Ends the server and starts it again on the same data. `kill`: with -9, so that whatever it had not written is gone;
   * `drain`: with SIGTERM, at which it finishes what it has.
   */
  restart(how: 'kill' | 'drain'): Promise<void>;
  /** Ends all that was started and removes it. */
  stop(): Promise<void>;
}

export interface OwnServerOptions {
  /** What runs the server, in the root of the checkout. */
  readonly command?: readonly string[];
  /** Where to keep things instead of in a folder of `.concord/`; `records` is for bin/lib/processes.ts. */
  readonly workshop?: { readonly folder: string; readonly records: string } | undefined;
}

/** Starts a server and makes an account on it. */
export async function startOwnServer({
  command = [process.execPath, 'src/main.ts'],
  workshop,
}: OwnServerOptions = {}): Promise<OwnServer> {
  const install = locatePostgres();
  const folder = scratchFolder(install, workshop?.folder ?? STATE, 'replay-');
  const records = workshop?.records ?? join(folder, 'processes');
  const started: Daemon[] = [];
  const stop = async (): Promise<void> => {
    forget();
    await server?.stop();
    await Promise.all(started.map((daemon) => daemon.stop()));
    // What was only just being started is known from its record alone.
    if (workshop === undefined) await stopRecorded(records);
    rmSync(folder, { recursive: true, force: true });
  };
  const forget = stopAtEnd(stop);
  let server: Daemon | null = null;
  try {
    const [database_url, redis_url, port] = await Promise.all([
      process.env.DATABASE_URL || startPostgres(folder, records, started),
      process.env.REDIS_URL || startRedis(folder, records, started),
      freePort(),
    ]);
    const env = {
      ...process.env,
      HOST: '127.0.0.1',
      PORT: String(port),
      DATABASE_URL: database_url,
      REDIS_URL: redis_url,
      JWT_SECRET: randomKey(),
      ACCESS_TOKEN_TTL: '86400',
      RATE_LIMITS: 'off',
      LOG_LEVEL: 'warn',
    };
    const url = `http://127.0.0.1:${port}`;
    const log = join(folder, 'server.log');
    const start = async (): Promise<Daemon> => {
      const daemon = startServer(command, env, log, records, `server-${port}`);
      server = daemon;
      await ready(daemon, url, log);
      return daemon;
    };
    let running = await start();
    const token = await register(url, `replay-${randomKey().slice(0, 8)}@example.org`, randomKey());
    return {
      url,
      token,
      log,
      database_url,
      store_pids: started.map(({ pid }) => pid),
      stop,
      get pid() {
        return running.pid;
      },
      async restart(how) {
        await (how === 'kill' ? killTree(running) : running.stop());
        running = await start();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startPostgres(folder: string, records: string, started: Daemon[]): Promise<string> {
  const install = locatePostgres();
  const password = randomKey();
  const data = clusterFolder(install, join(folder, 'postgres'));
  createCluster(install, data, { password, throwAway: false });
  const port = await freePort();
  const log = join(folder, 'postgres.log');
  started.push(await startPostgresServer(install, { data, port, log, records, name: `postgres-${port}` }));
  return postgresUrl(port, password);
}

async function startRedis(folder: string, records: string, started: Daemon[]): Promise<string> {
  const [install, port, password] = [await locateRedis(), await freePort(), randomKey()];
  const options = { port, password, folder: join(folder, 'redis'), persist: false, records, name: `redis-${port}` };
  started.push(await startRedisServer(install, { ...options, log: join(folder, 'redis.log') }));
  return redisUrl(port, password);
}

function startServer(
  command: readonly string[],
  env: Record<string, string | undefined>,
  log: string,
  records: string,
  name: string,
): Daemon {
  return startDaemon({ name, cmd: command, cwd: ROOT, env, log, records, stopSignal: 'SIGTERM', graceMs: 30_000 });
}

async function ready(server: Daemon, url: string, log: string): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX;
  while (!server.hasExited() && performance.now() < deadline) {
    const { ok } = await fetch(`${url}/readyz`).catch(() => ({ ok: false }));
    if (ok) return;
    await Bun.sleep(20);
  }
  throw new Error(`the server did not start; the end of its log is:\n${tail(log, 15)}`);
}
