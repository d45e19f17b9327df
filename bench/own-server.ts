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
import { type Place, register } from './place.ts';

const READY_MS_MAX = 60_000;

/** See the head of this file. */
export interface OwnServer extends Place {
  /** Kills the server with -9 and starts it again on the same data: whatever it had not written is gone. */
  restart(): Promise<void>;
  /** Ends all that was started and removes it. */
  stop(): Promise<void>;
}

/** Starts a server and makes an account on it. */
export async function startOwnServer(): Promise<OwnServer> {
  const install = locatePostgres();
  const folder = scratchFolder(install, STATE, 'replay-');
  const records = join(folder, 'processes');
  const stop = async (): Promise<void> => {
    await stopRecorded(records, ['server']);
    rmSync(folder, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stop().then(() => process.exit(1)));
  try {
    const [database_url, redis_url, port] = await Promise.all([
      process.env.DATABASE_URL || startPostgres(folder, records),
      process.env.REDIS_URL || startRedis(folder, records),
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
    const start = (): Promise<Daemon> => startServer(env, url, log, records);
    let server = await start();
    const token = await register(url, `replay-${randomKey().slice(0, 8)}@example.org`, randomKey());
    return {
      url,
      token,
      stop,
      async restart() {
        await killTree(server);
        server = await start();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startPostgres(folder: string, records: string): Promise<string> {
  const install = locatePostgres();
  const password = randomKey();
  const data = clusterFolder(install, join(folder, 'postgres'));
  createCluster(install, data, { password, throwAway: false });
  const port = await freePort();
  await startPostgresServer(install, { data, port, log: join(folder, 'postgres.log'), records, name: 'postgres' });
  return postgresUrl(port, password);
}

async function startRedis(folder: string, records: string): Promise<string> {
  const [install, port, password] = [await locateRedis(), await freePort(), randomKey()];
  const options = { port, password, folder: join(folder, 'redis'), persist: false, records, name: 'redis' };
  await startRedisServer(install, { ...options, log: join(folder, 'redis.log') });
  return redisUrl(port, password);
}

async function startServer(
  env: Record<string, string | undefined>,
  url: string,
  log: string,
  records: string,
): Promise<Daemon> {
  const server = startDaemon({
    name: 'server',
    cmd: [process.execPath, 'src/main.ts'],
    cwd: ROOT,
    env,
    log,
    records,
    stopSignal: 'SIGTERM',
    graceMs: 30_000,
  });
  const deadline = performance.now() + READY_MS_MAX;
  while (!server.hasExited() && performance.now() < deadline) {
    const ready = await fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (ready) return server;
    await Bun.sleep(20);
  }
  throw new Error(`the server did not start; the end of its log is:\n${tail(log, 15)}`);
}
