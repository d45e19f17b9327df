/**
 * A Redis server (or Valkey, which speaks the same) of our own.
 *
 * No npm package carries a Redis binary. One on the PATH is used when it is new enough. Otherwise, where there is apt,
 * the system's own packages of redis-server are downloaded, checked by apt against its keys, and unpacked into `.concord/redis`
 * with the libraries that this machine lacks: nothing is installed, so no root is needed and the system stays as it is.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { STATE } from './paths.ts';
import { type Daemon, startDaemon } from './processes.ts';
import { explain, Problem, say, tail } from './say.ts';

const UNPACKED = join(STATE, 'redis');
const APT_LISTS = join(STATE, 'apt');
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
  await fetchRedis();
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
async function versionOf(install: RedisInstall): Promise<string> {
  const { out } = await run([install.server, '--version'], { LD_LIBRARY_PATH: install.libraries || undefined });
  return /v=(\d+\.\d+\.\d+)/.exec(out)?.[1] ?? '';
}

function unpackedInstall(): RedisInstall {
  const libraries = ['usr/lib', 'lib'].flatMap((top) => foldersWithLibraries(join(UNPACKED, top)));
  return { server: join(UNPACKED, 'usr/bin/redis-server'), libraries: libraries.join(':') };
}

function foldersWithLibraries(top: string): string[] {
  if (!existsSync(top)) return [];
  const files = readdirSync(top, { recursive: true, encoding: 'utf8' }).filter((file) => /\.so(\.|$)/.test(file));
  return [...new Set(files.map((file) => dirname(join(top, file))))];
}

async function fetchRedis(): Promise<void> {
  if (!Bun.which('apt-get') || !Bun.which('dpkg')) {
    throw new Problem(`there is no Redis on the PATH, and it can be fetched only where there is apt. ${YOUR_OWN}`);
  }
  say('no Redis 6.2 or newer on the PATH: fetching one with apt into .concord, once ...');
  const part = `${UNPACKED}.part`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(join(part, 'packages'), { recursive: true });
  const packages = (await missingPackages([])) ?? (await missingPackagesOfFreshLists());
  const downloaded = await download(packages, join(part, 'packages'));
  if (!downloaded.ok) {
    throw new Problem(explain(`apt could not download Redis:\n${downloaded.said}\n${YOUR_OWN}`, downloaded.said));
  }
  for (const file of readdirSync(join(part, 'packages'))) {
    const unpacked = await run(['dpkg', '-x', join(part, 'packages', file), part]);
    if (!unpacked.ok) throw new Problem(explain(`dpkg could not unpack ${file}: ${unpacked.said}`, unpacked.said));
  }
  rmSync(join(part, 'packages'), { recursive: true });
  rmSync(APT_LISTS, { recursive: true, force: true });
  rmSync(UNPACKED, { recursive: true, force: true });
  renameSync(part, UNPACKED);
}

interface Packages {
  readonly names: readonly string[];
  readonly aptOptions: readonly string[];
}

/** redis-server and those of its dependencies that are not installed here; null when apt's lists do not know it. */
async function missingPackages(aptOptions: readonly string[]): Promise<Packages | null> {
  const asked = await run([
    'apt-get',
    ...aptOptions,
    '--simulate',
    '--no-install-recommends',
    'install',
    'redis-server',
  ]);
  const names = [...asked.out.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? '');
  // Without redis-server among them it is installed already, in a version too old or not on the PATH.
  return asked.ok && names.includes('redis-server') ? { names, aptOptions } : null;
}

// The system's lists are empty (as in a container image) or old: fetch them into a place of our own, which needs no root.
async function missingPackagesOfFreshLists(): Promise<Packages> {
  mkdirSync(join(APT_LISTS, 'lists/partial'), { recursive: true });
  mkdirSync(join(APT_LISTS, 'cache/archives/partial'), { recursive: true });
  const aptOptions = Object.entries({
    'Dir::State::Lists': join(APT_LISTS, 'lists'),
    'Dir::Cache': join(APT_LISTS, 'cache'),
    // As root, apt would go on as a user that may not write here.
    'APT::Sandbox::User': 'root',
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  say("fetching apt's package lists into .concord, once ...");
  const updated = await run(['apt-get', ...aptOptions, '--error-on=any', 'update']);
  const packages = await missingPackages(aptOptions);
  if (packages) return packages;
  const said = updated.ok ? 'its lists hold no redis-server that can be had here.' : `\n${updated.said}\n`;
  throw new Problem(explain(`apt could not find Redis: ${said} ${YOUR_OWN}`, said));
}

async function download(packages: Packages, folder: string): Promise<Ran> {
  const once = (from: Packages) => run(['apt-get', ...from.aptOptions, 'download', ...from.names], {}, folder);
  const downloaded = await once(packages);
  if (downloaded.ok || packages.aptOptions.length > 0) return downloaded;
  // Lists that are older than the mirror name files that are gone from it.
  return once(await missingPackagesOfFreshLists());
}

interface Ran {
  readonly ok: boolean;
  readonly out: string;
  readonly said: string;
}

async function run(cmd: string[], env: Record<string, string | undefined> = {}, cwd = '/'): Promise<Ran> {
  try {
    const child = Bun.spawn(cmd, {
      cwd,
      env: { ...process.env, LC_ALL: 'C', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // apt would otherwise go on after a command that was told to stop.
    const kill = () => child.kill();
    process.once('exit', kill);
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    process.off('exit', kill);
    return { ok: code === 0, out, said: (err || out).trim() };
  } catch (error) {
    return { ok: false, out: '', said: (error as Error).message };
  }
}
