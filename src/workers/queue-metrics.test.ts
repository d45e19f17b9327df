import { afterAll, beforeAll, expect, test } from 'bun:test';
import { Queue } from 'bullmq';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import { until } from '../../test/support/until.ts';
import { WarpClock } from '../../test/support/warp-clock.ts';
import { createLog } from '../base/log.ts';
import { createMetrics } from '../base/metrics.ts';
import { systemRandom } from '../base/random.ts';
import { recordEvent } from '../store/outbox.ts';
import { connectRedis } from '../store/redis.ts';
import { MEASURED_FOR_MS, measureWhenRead } from './queue-metrics.ts';
import { bullConnection, QUEUE_PREFIX } from './queues.ts';

let redis: TestRedis;
let database: TestDatabase;
let connection: ReturnType<typeof connectRedis>;
let queue: Queue;
const clock = new WarpClock();
const metrics = createMetrics();

beforeAll(async () => {
  [redis, database] = await Promise.all([startRedis(), createTestDatabase()]);
  const log = createLog({ level: 'silent', service: 'test', node_id: 'test' });
  connection = connectRedis(redis.url, { name: 'test', kind: 'standing', log });
  queue = new Queue('snapshots', { connection: bullConnection(connection), prefix: QUEUE_PREFIX });
  queue.on('error', () => {});
  measureWhenRead({ queues: [queue], sql: database.sql }, clock, metrics);
});
afterAll(async () => {
  connection.disconnect();
  clock.stop();
  await Promise.all([redis.stop(), database.drop()]);
});

/** The figures of queues and of the outbox, as a scrape shows them. */
const scrape = async (): Promise<Record<string, number>> => {
  const text = await metrics.registry.metrics();
  return Object.fromEntries(
    [...text.matchAll(/^(concord_(?:queue_\w+\{[^}]*\}|outbox_\w+)) (\S+)$/gm)].map(([, name, value]) => [
      name,
      Number(value),
    ]),
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

test('a scrape shows how many events are on their way to the audit log and how old the oldest is', async () => {
  clock.advance(MEASURED_FOR_MS);
  expect(await scrape()).toMatchObject({ concord_outbox_rows: 0, concord_outbox_oldest_seconds: 0 });
  for (const age_ms of [120_000, 0])
    await recordEvent(database.sql, {
      id: systemRandom.id(),
      at: new Date(clock.now() - age_ms),
      action: 'user.login',
      actor_id: null,
      document_id: null,
      target_id: null,
      ip: null,
      request_id: null,
      details: {},
    });
  clock.advance(MEASURED_FOR_MS);
  const shown = await scrape();
  expect(shown.concord_outbox_rows).toBe(2);
  expect(shown.concord_outbox_oldest_seconds).toBeGreaterThanOrEqual(120);
});

test('while Redis or PostgreSQL do not answer a scrape comes all the same, without their figures', async () => {
  const names = async (scraped: Promise<Record<string, number>>) => [
    ...new Set(Object.keys(await scraped).map((name) => name.replace(/\{.*/, ''))),
  ];
  redis.pause();
  clock.advance(MEASURED_FOR_MS);
  const without_redis = names(scrape());
  clock.advance(1_000);
  expect(await without_redis).not.toContain('concord_queue_jobs');
  redis.resume();
  const release = await holdOutbox();
  clock.advance(MEASURED_FOR_MS);
  const without_postgres = names(scrape());
  await until('the question to wait', async () => {
    const rows = await database.sql`SELECT FROM pg_locks WHERE NOT granted AND relation = 'outbox'::regclass`;
    return rows.length > 0;
  });
  clock.advance(1_000);
  expect(await without_postgres).not.toContain('concord_outbox_rows');
  await release();
  clock.advance(MEASURED_FOR_MS);
  expect((await names(scrape())).sort()).toEqual([
    'concord_outbox_oldest_seconds',
    'concord_outbox_rows',
    'concord_queue_jobs',
    'concord_queue_oldest_seconds',
  ]);
});

/** Lets nobody read the outbox; resolves to what lets them again. */
async function holdOutbox(): Promise<() => Promise<void>> {
  const { promise: held, resolve: tell } = Promise.withResolvers<void>();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const over = database.sql.begin(async (sql) => {
    await sql`LOCK TABLE outbox`;
    tell();
    await released;
  });
  await held;
  return async () => {
    release();
    await over;
  };
}
