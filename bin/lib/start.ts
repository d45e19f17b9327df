/**
 * bin/start, once Bun and the packages are there: PostgreSQL and Redis first, both at once, then the server; and on
 * Ctrl-C, SIGTERM or a closed terminal the other way round, so that the server can drain into a database that still runs.
 *
 * This process owns what it starts and restarts a database or Redis that dies. When the server ends by itself, all ends,
 * with the server's exit code. What an earlier bin/start left running because it was killed is stopped before we begin.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { ENDPOINTS, haveSecrets, LOGS, ROOT, RUNNING, type Secrets, STATE, secrets, writePrivately } from './paths.ts';
import { freePort, tryPort } from './ports.ts';
import {
  clusterFolder,
  createCluster,
  locatePostgres,
  postgresUrl,
  resetPassword,
  startPostgresServer,
} from './postgres.ts';
import { type Daemon, startDaemon, stopRecorded } from './processes.ts';
import { locateRedis, redisUrl, startRedisServer } from './redis.ts';
import { Problem, print, say, sayFailure, tail } from './say.ts';

const READY_MS_MAX = 60_000;
/** A draining server hands over every document first. */
const DRAIN_MS_MAX = 30_000;
const DISK_BYTES_MIN = 64 * 1024 * 1024;
/** A new database cluster, Redis and room to work. */
const DISK_BYTES_MIN_FIRST = 256 * 1024 * 1024;
const RESTARTS_PER_MINUTE_MAX = 5;

const HOST = process.env.HOST || '127.0.0.1';
const PORT = Number(process.env.PORT || 3000);
const SERVER_LOG = join(LOGS, 'server.log');

/** What runs now, in the order it was started. */
const running = new Map<string, Daemon>();
let stopping = false;

interface Backend {
  readonly url: string;
  start(): Promise<Daemon>;
}

process.on('SIGINT', () => stopOnSignal('SIGINT'));
process.on('SIGTERM', () => stopOnSignal('SIGTERM'));
// Under nohup the hang-up is meant to be ignored.
if (!isIgnored(1)) process.on('SIGHUP', () => stopOnSignal('SIGHUP'));

try {
  await main();
} catch (error) {
  // A start that a signal cut short fails for that reason only, and the signal's handler ends this process.
  if (!stopping) {
    sayFailure(error);
    await stopAll();
    process.exit(1);
  }
}

async function main(): Promise<void> {
  await recover();
  checkDisk();
  await checkPort();
  const lostSecrets = !haveSecrets();
  const keys = secrets();
  const [database, redis] = await Promise.all([
    bringUp('postgres', 'PostgreSQL', process.env.DATABASE_URL, () => embeddedPostgres(keys, lostSecrets)),
    bringUp('redis', 'Redis', process.env.REDIS_URL, () => embeddedRedis(keys)),
  ]);
  if (stopping) return;
  writePrivately(ENDPOINTS, { database_url: database, redis_url: redis });
  const server = startServer(database, redis, keys);
  await untilReady(server);
  if (stopping) return;
  announce();
  const code = await server.exited;
  if (stopping) return;
  say(`the server ended by itself (exit code ${code}); the end of ${SERVER_LOG} is:\n${tail(SERVER_LOG, 15)}`);
  await stopAll();
  process.exit(code || 1);
}

async function recover(): Promise<void> {
  const left = await stopRecorded(RUNNING, ['server']);
  if (left.length > 0) say(`stopped what an earlier start had left running: ${left.join(', ')}.`);
  rmSync(ENDPOINTS, { force: true });
}

function checkDisk(): void {
  const disk = statfsSync(STATE);
  const free = disk.bavail * disk.bsize;
  const first = !existsSync(join(STATE, 'postgres')) && !process.env.DATABASE_URL;
  const need = first ? DISK_BYTES_MIN_FIRST : DISK_BYTES_MIN;
  if (free >= need) return;
  throw new Problem(
    `the disk of ${STATE} has ${mib(free)} MiB left, and Concord needs ${mib(need)} to start: free some space and try again.`,
  );
}

function mib(bytes: number): number {
  return Math.floor(bytes / 1024 / 1024);
}

async function checkPort(): Promise<void> {
  if (!Number.isInteger(PORT) || PORT < 1 || PORT > 65_535) {
    throw new Problem(`PORT is "${process.env.PORT}", and must be a number from 1 to 65535.`);
  }
  const trouble = await tryPort(HOST, PORT);
  if (trouble === null) return;
  if (trouble === 'EADDRINUSE') {
    throw new Problem(
      `port ${PORT} of ${HOST} is in use by another program: stop that one, or choose a port with PORT=${PORT + 1} bin/start.`,
    );
  }
  if (trouble === 'EACCES')
    throw new Problem(`you may not use port ${PORT}: choose one above 1023, such as PORT=3000 bin/start.`);
  throw new Problem(
    `cannot listen on HOST=${HOST}, PORT=${PORT} (${trouble}): HOST must be an address of this machine, such as 127.0.0.1 or 0.0.0.0.`,
  );
}

/** The user's own URL if there is one; otherwise starts the embedded one and keeps it running. Returns the URL. */
async function bringUp(
  name: string,
  title: string,
  own: string | undefined,
  prepare: () => Promise<Backend>,
): Promise<string> {
  if (own) return own;
  const backend = await prepare();
  if (!stopping) await keepRunning(name, title, backend);
  return backend.url;
}

async function keepRunning(name: string, title: string, backend: Backend): Promise<void> {
  const daemon = await backend.start();
  running.set(name, daemon);
  // A stop that came while it started did not see it.
  if (stopping) return daemon.stop();
  void restartWhenItEnds(name, title, daemon, backend);
}

/** The server lives through the loss of either, so that bringing it back on the same port heals all. */
async function restartWhenItEnds(name: string, title: string, first: Daemon, backend: Backend): Promise<void> {
  let daemon = first;
  let restarts: number[] = [];
  for (;;) {
    const code = await daemon.exited;
    if (stopping) return;
    const now = performance.now();
    restarts = [...restarts.filter((at) => now - at < 60_000), now];
    if (restarts.length > RESTARTS_PER_MINUTE_MAX) {
      say(`${title} ended ${restarts.length} times within a minute; its log is ${join(LOGS, `${name}.log`)}.`);
      return stopAndExit(1);
    }
    say(`${title} ended unexpectedly (exit code ${code}); starting it again ...`);
    await Bun.sleep(200 * restarts.length);
    if (stopping) return;
    try {
      daemon = await backend.start();
    } catch (error) {
      if (stopping) return;
      sayFailure(error);
      return stopAndExit(1);
    }
    running.set(name, daemon);
    if (stopping) return daemon.stop();
    say(`${title} runs again.`);
  }
}

async function embeddedPostgres(keys: Secrets, lostSecrets: boolean): Promise<Backend> {
  const install = locatePostgres();
  const data = clusterFolder(install, join(STATE, 'postgres'));
  if (!existsSync(data)) {
    say('making a new PostgreSQL database in .concord/postgres ...');
    createCluster(install, data, { password: keys.postgres_password, throwAway: false });
  } else if (lostSecrets) {
    say('.concord/secrets.json was gone: the database gets a new password, and everybody must sign in again.');
    resetPassword(install, data, keys.postgres_password);
  }
  const port = await freePort();
  const log = newLog('postgres');
  const settings = { max_connections: '200', timezone: 'UTC' };
  return {
    url: postgresUrl(port, keys.postgres_password),
    start: () => startPostgresServer(install, { data, port, log, records: RUNNING, name: 'postgres', settings }),
  };
}

async function embeddedRedis(keys: Secrets): Promise<Backend> {
  const install = await locateRedis();
  const port = await freePort();
  const options = { port, password: keys.redis_password, folder: join(STATE, 'redis-data'), persist: true };
  const log = newLog('redis');
  return {
    url: redisUrl(port, keys.redis_password),
    start: () => startRedisServer(install, { ...options, log, records: RUNNING, name: 'redis' }),
  };
}

function startServer(database: string, redis: string, keys: Secrets): Daemon {
  newLog('server');
  const server = startDaemon({
    name: 'server',
    cmd: [process.execPath, 'src/main.ts'],
    cwd: ROOT,
    env: {
      JWT_SECRET: keys.jwt_secret,
      NODE_ID: 'local',
      ...process.env,
      HOST,
      PORT: String(PORT),
      DATABASE_URL: database,
      REDIS_URL: redis,
    },
    // A file, not our terminal: the server must be able to log while it drains after the terminal closed.
    log: SERVER_LOG,
    records: RUNNING,
    stopSignal: 'SIGTERM',
    graceMs: DRAIN_MS_MAX,
  });
  running.set('server', server);
  return server;
}

async function untilReady(server: Daemon): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX;
  while (!server.hasExited() && !stopping) {
    if (
      await fetch(`${origin()}/readyz`, { signal: AbortSignal.timeout(2000) }).then(
        (r) => r.ok,
        () => false,
      )
    )
      return;
    if (performance.now() > deadline) {
      throw new Problem(
        `the server was not ready within ${READY_MS_MAX / 1000} s; the end of ${SERVER_LOG} is:\n${tail(SERVER_LOG, 15)}`,
      );
    }
    await Bun.sleep(20);
  }
  if (!stopping) throw new Problem(`the server did not start; the end of ${SERVER_LOG} is:\n${tail(SERVER_LOG, 15)}`);
}

/** Where a browser on this machine finds the server. */
function origin(): string {
  const everywhere = HOST === '0.0.0.0' || HOST === '::';
  const name = everywhere || HOST === '127.0.0.1' ? 'localhost' : HOST;
  return `http://${name.includes(':') ? `[${name}]` : name}:${PORT}`;
}

function announce(): void {
  print(
    [
      '',
      `Concord is running (process ${process.pid}). Ctrl-C stops it; its data stays in .concord/.`,
      '',
      `  Editor           ${origin()}/`,
      `  API docs         ${origin()}/docs`,
      `  Queue dashboard  ${origin()}/admin/queues  (for admins: bin/admin promote <email>)`,
      `  Server log       ${SERVER_LOG}`,
      '',
    ].join('\n'),
  );
}

/** True when whoever started us had this signal number ignored. */
function isIgnored(signal: number): boolean {
  const mask = /^SigIgn:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
}

function stopOnSignal(signal: NodeJS.Signals): void {
  if (stopping) {
    // Asked twice: the server shall not finish its work. The databases still end cleanly.
    const server = running.get('server');
    if (server && !server.hasExited()) process.kill(server.pid, 'SIGKILL');
    return;
  }
  say(`${signal === 'SIGINT' ? 'Ctrl-C' : signal}: stopping ...`);
  void stopAndExit(0);
}

async function stopAndExit(code: number): Promise<void> {
  await stopAll();
  process.exit(code);
}

async function stopAll(): Promise<void> {
  stopping = true;
  await running.get('server')?.stop();
  await Promise.all([...running.values()].map((daemon) => daemon.stop()));
  // What was still starting when the signal came is not in the map yet, but it is on record.
  const starting = await stopRecorded(RUNNING);
  rmSync(ENDPOINTS, { force: true });
  if (running.size + starting.length > 0) say('stopped.');
}

/** The log of this run; that of the run before is kept beside it. */
function newLog(name: string): string {
  const path = join(LOGS, `${name}.log`);
  mkdirSync(LOGS, { recursive: true });
  if (existsSync(path)) renameSync(path, `${path}.1`);
  return path;
}
