/**
 * A Redis Cluster of its own, for a test file: three masters on this machine, with a third of the slots each. There is no replica
 * unless one is asked for: what a master had is gone when it is killed, and nobody takes its place until it is back.
 */
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { randomKey } from '../../bin/lib/paths.ts';
import { freePort } from '../../bin/lib/ports.ts';
import { type Daemon, killTree, signalTree } from '../../bin/lib/processes.ts';
import { redisUrl, startRedisServer } from '../../bin/lib/redis.ts';
import { recordsFolder, redisInstall, runFolder, uniqueName } from './environment.ts';
import { until } from './until.ts';

/** One master. */
export interface TestMaster {
  readonly port: number;
  /** Where the others reach it. */
  readonly bus_port: number;
  readonly url: string;
  /** A connection of the test's own. */
  readonly client: Redis;
  kill9(): Promise<void>;
  /** Hangs it, with its connections open, until `resume`. */
  pause(): void;
  resume(): void;
  /** Starts it again with the slots that it had, and without its keys. */
  start(): Promise<void>;
}

/** See the head of this file. */
export interface TestRedisCluster {
  /** Two of the three addresses: the third is found by asking. */
  readonly url: string;
  readonly masters: readonly [TestMaster, TestMaster, TestMaster];
  /** Resolves once every master says that all slots are served. */
  whole(): Promise<void>;
  /** Starts a replica of a master, which takes its place when that is killed. */
  addReplica(of: 0 | 1 | 2): Promise<TestMaster>;
  stop(): Promise<void>;
}

/** What each master has, first and last. */
const SLOTS = [
  [0, 5_460],
  [5_461, 10_922],
  [10_923, 16_383],
] as const;

/** After this long without an answer the others take a master for dead. */
const DEAD_AFTER_MS = 1_000;

/** Starts one; resolves when it is whole. */
export async function startRedisCluster(): Promise<TestRedisCluster> {
  const password = randomKey();
  const [one, two, three] = await Promise.all(SLOTS.map(() => startMaster(password)));
  if (one === undefined || two === undefined || three === undefined) throw new Error('three masters were asked for');
  const masters = [one, two, three] as const;
  for (const [i, slots] of SLOTS.entries()) {
    await masters[i]?.client.cluster('ADDSLOTSRANGE', ...slots);
    // Each needs a number of its own from the start: they would agree on it in time, by giving one another the slots.
    await masters[i]?.client.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
  }
  for (const { port, bus_port } of [two, three]) await one.client.call('CLUSTER', 'MEET', '127.0.0.1', port, bus_port);
  const replicas: TestMaster[] = [];
  const whole = async (): Promise<void> => {
    await until('the cluster to be whole', async () => {
      const states = await Promise.all(masters.map(({ client }) => client.cluster('INFO').catch(() => '')));
      return states.every((state) => /cluster_state:ok.*cluster_known_nodes:3/s.test(String(state)));
    });
  };
  await whole();
  return {
    url: `${one.url},${two.url}`,
    masters,
    whole,
    async addReplica(of) {
      const replica = await startMaster(password);
      replicas.push(replica);
      await replica.client.call('CLUSTER', 'MEET', '127.0.0.1', one.port, one.bus_port);
      const id = await masters[of].client.cluster('MYID');
      await until('it to follow', async () => (await replica.client.cluster('REPLICATE', String(id))) === 'OK');
      await until('it to be level', async () => /master_link_status:up/.test(await replica.client.info('replication')));
      // Those who have not heard of it do not vote for it.
      await until('all to know it', async () => {
        const known = await Promise.all(masters.map(({ client }) => client.cluster('REPLICAS', String(id))));
        return known.every((replicas) => (replicas as unknown[]).length > 0);
      });
      return replica;
    },
    async stop() {
      const all = [...masters, ...replicas];
      for (const { client } of all) client.disconnect();
      await Promise.all(all.map((server) => server.kill9()));
    },
  };
}

async function startMaster(password: string): Promise<TestMaster> {
  const [install, port, bus_port] = [await redisInstall(), await freePort(), await freePort()];
  const name = uniqueName('redis-cluster');
  const folder = runFolder(name);
  const settings = [
    'cluster-enabled yes',
    `cluster-port ${bus_port}`,
    `cluster-node-timeout ${DEAD_AFTER_MS}`,
    `masterauth ${password}`,
    'repl-diskless-sync-delay 0',
  ];
  const log = join(folder, 'log');
  const options = { port, password, folder, persist: false, name, log, records: recordsFolder(), settings };
  const begin = (): Promise<Daemon> => startRedisServer(install, options);
  let daemon = await begin();
  const url = redisUrl(port, password);
  const client = new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: null });
  client.on('error', () => {});
  return {
    port,
    bus_port,
    url,
    client,
    kill9: () => killTree(daemon),
    pause: () => signalTree(daemon.pid, 'SIGSTOP'),
    resume: () => signalTree(daemon.pid, 'SIGCONT'),
    async start() {
      if (daemon.hasExited()) daemon = await begin();
    },
  };
}
