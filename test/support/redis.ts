/**
 * A Redis server of its own, for a test file that stops, flushes or only uses one: it starts in some 20 ms, and neither
 * queues nor Pub/Sub channels are kept apart by anything less. It keeps nothing on disk, so a restart finds it empty.
 */
import { join } from 'node:path';
import { randomKey } from '../../bin/lib/paths.ts';
import { freePort } from '../../bin/lib/ports.ts';
import { type Daemon, killTree, signalTree } from '../../bin/lib/processes.ts';
import { redisUrl, startRedisServer } from '../../bin/lib/redis.ts';
import { recordsFolder, redisInstall, runFolder, uniqueName } from './environment.ts';

export interface TestRedis {
  /** Stays the same over restarts. */
  readonly url: string;
  pid(): number;
  /** Ends it; idempotent. */
  stop(): Promise<void>;
  /** Starts it again on the same port, empty; nothing when it runs. */
  start(): Promise<void>;
  restart(): Promise<void>;
  kill9(): Promise<void>;
  /** Hangs it, with its connections open, until `resume`. */
  pause(): void;
  resume(): void;
}

export async function startRedis(): Promise<TestRedis> {
  const [install, port, password] = [await redisInstall(), await freePort(), randomKey()];
  const name = uniqueName('redis');
  const folder = runFolder(name);
  const options = { port, password, folder, persist: false, name, log: join(folder, 'log'), records: recordsFolder() };
  let daemon: Daemon = await startRedisServer(install, options);
  // A start may be asked for while the end that was asked for before is still on its way.
  let ending: Promise<void> = Promise.resolve();
  const end = (work: Promise<void>) => {
    ending = work;
    return work;
  };
  const start = async () => {
    await ending;
    if (daemon.hasExited()) daemon = await startRedisServer(install, options);
  };
  return {
    url: redisUrl(port, password),
    pid: () => daemon.pid,
    stop: () => end(daemon.stop()),
    start,
    async restart() {
      await end(daemon.stop());
      await start();
    },
    kill9: () => end(killTree(daemon)),
    pause: () => signalTree(daemon.pid, 'SIGSTOP'),
    resume: () => signalTree(daemon.pid, 'SIGCONT'),
  };
}
