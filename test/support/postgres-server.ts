/**
 * A PostgreSQL server of its own, for tests that stop, kill or hang one. It is a copy of a cluster that bin/test made, so it
 * is there in well under a second. Its commits survive `kill9`, since the kernel has them by then.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../bin/lib/ports.ts';
import { copyCluster, postgresUrl, startPostgresServer, THROW_AWAY_SETTINGS } from '../../bin/lib/postgres.ts';
import { type Daemon, killTree, signalTree } from '../../bin/lib/processes.ts';
import { fromRun, postgresInstall, recordsFolder, runFolder, templateCluster, uniqueName } from './environment.ts';

export interface TestPostgres {
  /** An empty database of a superuser. Stays the same over restarts. */
  readonly url: string;
  pid(): number;
  /** Ends it in order, breaking off its connections; idempotent. */
  stop(): Promise<void>;
  /** Starts it again on the same port and data; nothing when it runs. */
  start(): Promise<void>;
  /** Kills it with all its backends, as a power cut would. */
  kill9(): Promise<void>;
  /** Hangs it, with its connections open, until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends it and removes its data. */
  destroy(): Promise<void>;
}

export async function startPostgres(): Promise<TestPostgres> {
  const install = postgresInstall();
  const name = uniqueName('postgres');
  const folder = runFolder(name);
  const data = join(folder, 'data');
  copyCluster(templateCluster(), data);
  const port = await freePort();
  const options = {
    data,
    port,
    name,
    log: join(folder, 'log'),
    records: recordsFolder(),
    settings: THROW_AWAY_SETTINGS,
  };
  let daemon: Daemon = await startPostgresServer(install, options);
  // A start may be asked for while the end that was asked for before is still on its way.
  let ending: Promise<void> = Promise.resolve();
  const end = (work: Promise<void>) => {
    ending = work;
    return work;
  };
  return {
    url: postgresUrl(port, new URL(fromRun('CONCORD_TEST_DATABASE_URL')).password),
    pid: () => daemon.pid,
    stop: () => end(daemon.stop()),
    async start() {
      await ending;
      if (daemon.hasExited()) daemon = await startPostgresServer(install, options);
    },
    kill9: () => end(killTree(daemon)),
    pause: () => signalTree(daemon.pid, 'SIGSTOP'),
    resume: () => signalTree(daemon.pid, 'SIGCONT'),
    async destroy() {
      await daemon.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
