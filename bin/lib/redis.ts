/**
 * A Redis server (or Valkey, which speaks the same) of our own.
 *
 * No npm package carries a Redis binary. One on the PATH is used when it is new enough; otherwise the system's own package
 * of redis-server is unpacked into `.concord/redis`, as apt.ts tells.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { unpackedProgram, unpackPackage, versionText } from './apt.ts';
import { STATE } from './paths.ts';
import { type Daemon, startDaemon } from './processes.ts';
import { explain, Problem, say, tail } from './say.ts';

const UNPACKED = join(STATE, 'redis');
const START_MS_MAX = 60_000;
const STOP_MS_MAX = 15_000;
const YOUR_OWN =
  'Install Redis 6.2 or newer, or Valkey, so that redis-server or valkey-server is on the PATH ' +
  '(Debian, Ubuntu: apt-get install redis-server; Fedora, Arch: the package valkey), or set REDIS_URL to one of yours.';

/** A server binary that runs here. */
export interface RedisInstall {
  readonly server: string;
  /** Folders with the libraries it needs beside the system's, as for LD_LIBRARY_PATH; empty if none. */
  readonly libraries: string;
}

/** Finds a Redis, or fetches one, once. */
export async function locateRedis(): Promise<RedisInstall> {
  for (const name of ['redis-server', 'valkey-server']) {
    const server = Bun.which(name);
    if (server && (await fits({ server, libraries: '' }))) return { server, libraries: '' };
  }
  const fetched = unpackedInstall();
  if (existsSync(fetched.server) && (await fits(fetched))) return fetched;
  say('no Redis 6.2 or newer on the PATH: fetching one with apt into .concord, once ...');
  await unpackPackage({ name: 'redis-server', title: 'Redis', folder: UNPACKED, instead: YOUR_OWN });
  const now = unpackedInstall();
  if (await fits(now)) return now;
  const version = await versionOf(now);
  throw new Problem(
    version
      ? `apt offers Redis ${version} here, which is too old. ${YOUR_OWN}`
      : `the Redis that apt offers, fetched to ${UNPACKED}, does not run here. ${YOUR_OWN}`,
  );
}

export interface RedisOptions {
  readonly port: number;
  readonly password: string;
  /** Its working folder; with `persist` its data lies there. */
  readonly folder: string;
  /** Keeps an append-only file, so that a restart finds the queues again. */
  readonly persist: boolean;
  readonly log: string;
  /** Where its process is written down; see processes.ts. */
  readonly records: string;
  readonly name: string;
  /** More lines of its settings. */
  readonly settings?: readonly string[];
}

/** Starts a server on 127.0.0.1 and resolves when it answers. */
export async function startRedisServer(install: RedisInstall, options: RedisOptions): Promise<Daemon> {
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  const daemon = startDaemon({
    name: options.name,
    // The settings go in through stdin, since any user of the machine can read the arguments of a process.
    cmd: [install.server, '-'],
    input: settings(options),
    cwd: options.folder,
    env: { PATH: process.env.PATH, LC_ALL: 'C', LD_LIBRARY_PATH: install.libraries || undefined },
    log: options.log,
    records: options.records,
    stopSignal: 'SIGTERM',
    graceMs: STOP_MS_MAX,
  });
  const deadline = performance.now() + START_MS_MAX;
  while (!daemon.hasExited() && performance.now() < deadline) {
    if (await answers(redisUrl(options.port, options.password))) return daemon;
    await Bun.sleep(10);
  }
  await daemon.stop();
  const why = tail(options.log, 12);
  const remedy = options.persist
    ? `Redis holds nothing that cannot be made again: if its data is damaged, remove ${options.folder} and try again.`
    : '';
  throw new Problem(explain(`Redis did not start; the end of ${options.log} is:\n${why}\n${remedy}`, why));
}

export function redisUrl(port: number, password: string): string {
  return `redis://:${password}@127.0.0.1:${port}`;
}

function settings(options: RedisOptions): string {
  return [
    'bind 127.0.0.1',
    `port ${options.port}`,
    `requirepass ${options.password}`,
    `dir "${options.folder}"`,
    'save ""',
    `appendonly ${options.persist ? 'yes' : 'no'}`,
    // Queues must not lose jobs to make room.
    'maxmemory-policy noeviction',
    ...(options.settings ?? []),
    '',
  ].join('\n');
}

/** True once the server answers a ping, which it does not while it loads its data. */
async function answers(url: string): Promise<boolean> {
  const client = new Bun.RedisClient(url, { autoReconnect: false, connectionTimeout: 2000, enableOfflineQueue: false });
  try {
    await client.connect();
    return (await client.send('PING', [])) === 'PONG';
  } catch {
    return false;
  } finally {
    client.close();
  }
}

async function fits(install: RedisInstall): Promise<boolean> {
  const [major, minor] = (await versionOf(install)).split('.').map(Number);
  return major !== undefined && minor !== undefined && (major > 6 || (major === 6 && minor >= 2));
}

/** Such as `7.0.15`; empty when it does not run. */
async function versionOf({ server, libraries }: RedisInstall): Promise<string> {
  const text = await versionText({ path: server, libraries }, '--version');
  return /v=(\d+\.\d+\.\d+)/.exec(text)?.[1] ?? '';
}

function unpackedInstall(): RedisInstall {
  const { path, libraries } = unpackedProgram(UNPACKED, 'usr/bin/redis-server');
  return { server: path, libraries };
}
