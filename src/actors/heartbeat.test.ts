import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'bun:test';
import type { Redis } from 'ioredis';
import { readableLog } from '../../test/support/core.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import { until } from '../../test/support/until.ts';
import { ManualClock } from '../base/clock.ts';
import { seededRandom } from '../base/random.ts';
import { TIMES } from '../protocol/limits.ts';
import { ServerChannels } from '../store/channels.ts';
import { RedisDirectory } from '../store/directory.ts';
import { connectRedis, redisReady } from '../store/redis.ts';
import { Heartbeat } from './heartbeat.ts';

const random = seededRandom(1_000);

let server: TestRedis;
let redis: Redis;
let clock: ManualClock;
let node: { node_id: string; boot_id: string };
let heartbeat: Heartbeat;
let directory: RedisDirectory;
let suspicions: boolean[];
let logged: ReturnType<typeof readableLog>;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());
beforeEach(async () => {
  await server.start();
  logged = readableLog();
  redis = connectRedis(server.url, { name: 'test', kind: 'commands', log: logged.log });
  await redisReady(redis);
  clock = new ManualClock();
  node = { node_id: random.id(), boot_id: random.id() };
  directory = new RedisDirectory(redis, new ServerChannels(redis));
  suspicions = [];
  heartbeat = new Heartbeat(node, directory, clock, logged.log, {
    suspect: (suspect) => void suspicions.push(suspect),
  });
});
afterEach(async () => {
  await heartbeat.stop();
  redis.disconnect();
});

const boot = async (): Promise<string | null> => (await directory.boots(node.node_id))[0] ?? null;
const told = (message: string): number =>
  logged.lines().filter((line) => String(line.message).includes(message)).length;

/** Lets one beat come and be answered, or refused. */
async function beat(): Promise<void> {
  clock.advance(TIMES.node_beat_ms);
  await redis.ping().catch(() => {});
  await Promise.resolve();
}

test(`beats at the start and every ${TIMES.node_beat_ms} ms, each for ${TIMES.node_life_ms} ms, until it is stopped`, async () => {
  await heartbeat.start();
  expect(await boot()).toBe(node.boot_id);
  expect(await redis.pttl(`node:${node.node_id}`)).toBeGreaterThan(TIMES.node_life_ms - 1_000);
  await redis.del(`node:${node.node_id}`);
  await beat();
  expect(await boot()).toBe(node.boot_id);
  await heartbeat.stop();
  expect(await boot()).toBeNull();
  await beat();
  expect([await boot(), suspicions]).toEqual([null, []]);
});

test('beats at once when it is told that the directory may have forgotten it, and not once it has stopped', async () => {
  await heartbeat.start();
  await redis.del(`node:${node.node_id}`);
  heartbeat.now();
  await redis.ping();
  expect(await boot()).toBe(node.boot_id);
  await heartbeat.stop();
  heartbeat.now();
  await redis.ping();
  expect(await boot()).toBeNull();
});

test('takes itself out of the directory when it stops, and nobody else', async () => {
  await heartbeat.start();
  await directory.beat({ ...node, boot_id: 'a later start' }, 60_000);
  await heartbeat.stop();
  expect(await boot()).toBe('a later start');
});

test('a node whose beats do not get through is suspect once its key has run out, at every beat, and is told when it is over', async () => {
  await heartbeat.start();
  await server.stop();
  await until('the connection to break', () => redis.status !== 'ready');
  const beats = TIMES.node_life_ms / TIMES.node_beat_ms;
  for (let n = 0; n < beats; n++) await beat();
  expect(suspicions).toEqual([]);
  await beat();
  await beat();
  expect(suspicions).toEqual([true, true]);
  expect(told('no beat got through')).toBe(1);
  await server.start();
  await until('the connection to be back', () => redis.status === 'ready');
  await beat();
  await until('the beat to get through', () => suspicions.length === 3);
  expect(suspicions).toEqual([true, true, false]);
  expect(told('beats get through again')).toBe(1);
  await beat();
  expect(suspicions).toHaveLength(3);
});

test('starts and stops without Redis', async () => {
  await server.stop();
  await until('the connection to break', () => redis.status !== 'ready');
  await heartbeat.start();
  await heartbeat.stop();
  expect(suspicions).toEqual([]);
});
