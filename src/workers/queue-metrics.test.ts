import { afterAll, beforeAll, expect, test } from 'bun:test';
import { Queue } from 'bullmq';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import { WarpClock } from '../../test/support/warp-clock.ts';
import { createLog } from '../base/log.ts';
import { createMetrics } from '../base/metrics.ts';
import { connectRedis } from '../store/redis.ts';
import { MEASURED_FOR_MS, measureQueues } from './queue-metrics.ts';
import { bullConnection, QUEUE_PREFIX } from './queues.ts';

let redis: TestRedis;
let connection: ReturnType<typeof connectRedis>;
let queue: Queue;
const clock = new WarpClock();
const metrics = createMetrics();

beforeAll(async () => {
  redis = await startRedis();
  const log = createLog({ level: 'silent', service: 'test', node_id: 'test' });
  connection = connectRedis(redis.url, { name: 'test', kind: 'standing', log });
  queue = new Queue('snapshots', { connection: bullConnection(connection), prefix: QUEUE_PREFIX });
  queue.on('error', () => {});
  measureQueues([queue], clock, metrics);
});
afterAll(async () => {
  connection.disconnect();
  clock.stop();
  await redis.stop();
});

/** The figures of queues, as a scrape shows them. */
const scrape = async (): Promise<Record<string, number>> => {
  const text = await metrics.registry.metrics();
  return Object.fromEntries(
    [...text.matchAll(/^(concord_queue_\w+\{[^}]*\}) (\S+)$/gm)].map(([, name, value]) => [name, Number(value)]),
  );
};

test('a scrape shows how many jobs are in which state and how old the oldest waiting one is', async () => {
  const now = clock.now();
  await queue.add('old', {}, { timestamp: now - 60_000 });
  await queue.add('young', {}, { timestamp: now });
  await queue.add('later', {}, { delay: 3_600_000 });
  const shown = await scrape();
  expect(shown).toMatchObject({
    'concord_queue_jobs{queue="snapshots",state="waiting"}': 2,
    'concord_queue_jobs{queue="snapshots",state="active"}': 0,
    'concord_queue_jobs{queue="snapshots",state="delayed"}': 1,
    'concord_queue_jobs{queue="snapshots",state="failed"}': 0,
  });
  const oldest_s = shown['concord_queue_oldest_seconds{queue="snapshots"}'] ?? 0;
  expect(oldest_s).toBeGreaterThanOrEqual(60);
  expect(oldest_s).toBeLessThan(90);
});

test('what was measured is good for some seconds, and not longer', async () => {
  const waiting = async () => (await scrape())['concord_queue_jobs{queue="snapshots",state="waiting"}'];
  clock.advance(MEASURED_FOR_MS);
  expect(await waiting()).toBe(2);
  await queue.add('one more', {});
  expect(await waiting()).toBe(2);
  clock.advance(MEASURED_FOR_MS);
  expect(await waiting()).toBe(3);
});

test('while Redis does not answer a scrape comes all the same, without figures of queues', async () => {
  redis.pause();
  clock.advance(MEASURED_FOR_MS);
  const scraped = scrape();
  clock.advance(1_000);
  expect(await scraped).toEqual({});
  redis.resume();
  clock.advance(MEASURED_FOR_MS);
  expect(await scrape()).not.toEqual({});
});
