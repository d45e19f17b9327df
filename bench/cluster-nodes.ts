/**
 * Nodes for `bun bench/cluster.ts`: several `bun src/main.ts` on one PostgreSQL and one Redis, as bin/start would bring them
 * up, in a folder that is removed in the end. PostgreSQL flushes every commit to the disk.
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

/** A node. */
export interface Node {
  readonly name: string;
  readonly url: string;
  /** Kills it with -9; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again after a kill; resolves when it is ready. */
  start(): Promise<void>;
}

/** See the head of this file. */
export interface Nodes {
  readonly nodes: readonly Node[];
  readonly redis_url: string;
  /** An account on all of them. */
  place(node: Node): Place;
  /** Ends all that was started and removes it. */
  stop(): Promise<void>;
}

/** Starts them. */
export async function startNodes(count: number): Promise<Nodes> {
  const install = locatePostgres();
  const folder = scratchFolder(install, STATE, 'cluster-bench-');
  const records = join(folder, 'processes');
  const stop = async (): Promise<void> => {
    forget();
    await stopRecorded(records);
    rmSync(folder, { recursive: true, force: true });
  };
  const forget = stopAtEnd(stop);
  try {
    const [postgres_password, redis_password] = [randomKey(), randomKey()];
    const data = clusterFolder(install, join(folder, 'postgres'));
    createCluster(install, data, { password: postgres_password, throwAway: false });
    const [postgres_port, redis_port] = [await freePort(), await freePort()];
    await Promise.all([
      startPostgresServer(install, {
        data,
        port: postgres_port,
        log: join(folder, 'postgres.log'),
        records,
        name: 'postgres',
      }),
      startRedisServer(await locateRedis(), {
        ...{ port: redis_port, password: redis_password, folder: join(folder, 'redis'), persist: false },
        ...{ records, name: 'redis', log: join(folder, 'redis.log') },
      }),
    ]);
    const redis_url = redisUrl(redis_port, redis_password);
    const env = {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      HOST: '127.0.0.1',
      DATABASE_URL: postgresUrl(postgres_port, postgres_password),
      REDIS_URL: redis_url,
      JWT_SECRET: randomKey(),
      ACCESS_TOKEN_TTL: '86400',
      RATE_LIMITS: 'off',
      LOG_LEVEL: 'warn',
    };
    const nodes: Node[] = [];
    for (let i = 1; i <= count; i++) nodes.push(await startNode(`n${i}`, env, folder, records));
    const [first] = nodes;
    const token = await register(first?.url ?? '', 'cluster@example.org', randomKey());
    return { nodes, redis_url, stop, place: ({ url }) => ({ url, token }) };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startNode(
  name: string,
  env: Readonly<Record<string, string | undefined>>,
  folder: string,
  records: string,
): Promise<Node> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const log = join(folder, `${name}.log`);
  let running: Daemon;
  const start = async (): Promise<void> => {
    running = startDaemon({
      ...{
        name,
        cmd: [process.execPath, 'src/main.ts'],
        cwd: ROOT,
        log,
        records,
        stopSignal: 'SIGTERM',
        graceMs: 30_000,
      },
      env: { ...env, PORT: String(port), NODE_ID: name },
    });
    const deadline = performance.now() + READY_MS_MAX;
    while (!running.hasExited() && performance.now() < deadline) {
      const { ok } = await fetch(`${url}/readyz`).catch(() => ({ ok: false }));
      if (ok) return;
      await Bun.sleep(20);
    }
    throw new Error(`${name} did not start; the end of its log is:\n${tail(log, 15)}`);
  };
  await start();
  return { name, url, start, kill: () => killTree(running) };
}
