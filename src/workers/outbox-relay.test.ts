/** From the outbox to the audit log, each event once, whatever becomes of Redis, of a job or of whoever works it. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import type { Redis } from 'ioredis';
import { quietLog } from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import { until } from '../../test/support/until.ts';
import { ManualClock } from '../base/clock.ts';
import { createMetrics } from '../base/metrics.ts';
import { systemRandom } from '../base/random.ts';
import { moveEvent } from '../store/audit.ts';
import { recordEvents, takeTurns } from '../store/outbox.ts';
import { connectRedis } from '../store/redis.ts';
import { RELAY_EVERY_MS, relayOnce, startRelay } from './outbox-relay.ts';
import { closeQueues, createQueues, handler, type Queues, startWorkers } from './queues.ts';

const ASK_AGAIN_MS = 30_000;

let db: TestDatabase;
let server: TestRedis;
let clock: ManualClock;
let asking: Redis;
let working: Redis;
let queues: Queues;
let worker: { stop(): Promise<void> } | null;

beforeAll(async () => {
  [db, server] = await Promise.all([createTestDatabase(), startRedis()]);
});
afterAll(async () => {
  await server.stop();
  await db.drop();
});
beforeEach(async () => {
  await server.restart();
  const connect = (name: string) => connectRedis(server.url, { name, kind: 'standing', log: quietLog });
  [asking, working] = [connect('asking'), connect('working')];
  queues = createQueues(asking, quietLog);
  clock = new ManualClock();
  worker = null;
});
afterEach(async () => {
  await worker?.stop();
  await closeQueues(queues);
  asking.disconnect();
  working.disconnect();
  await db.sql`DELETE FROM outbox`;
});

/** Writes events of `at`; gives their ids. */
async function happen(count: number, at = clock.now()): Promise<string[]> {
  const events = Array.from({ length: count }, () => ({
    ...({ id: systemRandom.id(), at: new Date(at), action: 'document.created', ip: null, request_id: null } as const),
    ...{ actor_id: systemRandom.id(), document_id: systemRandom.id(), target_id: null, details: { title: 'T' } },
  }));
  await db.sql.begin((sql) => recordEvents(sql, events));
  return events.map(({ id }) => id);
}

/** How often each of these is in the log and in the outbox. */
async function whereabouts(ids: readonly string[]): Promise<{ logged: number; waiting: number }> {
  const [row] = await db.sql<{ logged: number; waiting: number }[]>`
    SELECT (SELECT count(*)::int FROM audit_log WHERE id = ANY(${[...ids]}::uuid[])) AS logged,
           (SELECT count(*)::int FROM outbox WHERE id = ANY(${[...ids]}::uuid[])) AS waiting`;
  return row ?? { logged: -1, waiting: -1 };
}

const relay = () => relayOnce({ sql: db.sql, clock, queues, ask_again_ms: ASK_AGAIN_MS });
const inQueue = () => queues.audit.bull.getJobCountByTypes('waiting', 'delayed', 'prioritized');
const work = (move: (event_id: string) => Promise<unknown> = (event_id) => moveEvent(db.sql, event_id)) => {
  worker = startWorkers(working, [handler('audit', 4, ({ event_id }) => move(event_id))], {
    ...{ clock, log: quietLog, metrics: createMetrics(), lost_ms: 15_000 },
  });
};
const allLogged = (ids: readonly string[]) =>
  until('all to be logged', async () => {
    const { logged, waiting } = await whereabouts(ids);
    return logged === ids.length && waiting === 0;
  });

describe('an event', () => {
  test('moves to the log, and leaves the outbox in the same statement', async () => {
    const ids = await happen(20);
    expect(await whereabouts(ids)).toEqual({ logged: 0, waiting: 20 });
    work();
    const timer = startRelay({ sql: db.sql, clock, log: quietLog, queues, ask_again_ms: ASK_AGAIN_MS });
    clock.advance(RELAY_EVERY_MS);
    await allLogged(ids);
    timer.cancel();
  });

  test('is asked for once in its turn, and again when it still waits half a minute later', async () => {
    await happen(3);
    expect([await relay(), await relay()]).toEqual([3, 0]);
    clock.advance(ASK_AGAIN_MS - 1);
    expect(await relay()).toBe(0);
    clock.advance(1);
    expect(await relay()).toBe(3);
    await until('the jobs to be there', async () => (await inQueue()) === 3);
  });

  test('that two relays look for at once is taken by one of them', async () => {
    const ids = await happen(200);
    const turn = { now: new Date(clock.now()), next_turn: new Date(clock.now() + 1), count: 150 };
    const taken = (await Promise.all([1, 2, 3].map(() => takeTurns(db.sql, turn)))).flat();
    expect(taken.toSorted()).toEqual(ids.toSorted());
  });

  test('that was asked for but not put in the queue, as by a relay that was killed in between, comes with its next turn', async () => {
    const ids = await happen(5);
    await takeTurns(db.sql, { now: new Date(clock.now()), next_turn: new Date(clock.now() + ASK_AGAIN_MS), count: 10 });
    work();
    expect(await relay()).toBe(0);
    clock.advance(ASK_AGAIN_MS);
    expect(await relay()).toBe(5);
    await allLogged(ids);
  });

  test('whose job was lost with all of Redis comes with its next turn', async () => {
    const ids = await happen(5);
    await relay();
    await until('the jobs to be there', async () => (await inQueue()) === 5);
    await asking.flushall();
    expect(await inQueue()).toBe(0);
    work();
    clock.advance(ASK_AGAIN_MS);
    await relay();
    await allLogged(ids);
  });

  test('that several jobs are on, at once and afterwards, is logged once', async () => {
    const ids = await happen(4);
    const moved = await Promise.all(ids.flatMap((id) => Array.from({ length: 5 }, () => moveEvent(db.sql, id))));
    expect(moved.filter(Boolean)).toHaveLength(4);
    expect(await moveEvent(db.sql, ids[0] ?? '')).toBe(false);
    expect(await whereabouts(ids)).toEqual({ logged: 4, waiting: 0 });
  });

  test('whose job fails for good is asked for again all the same', async () => {
    const ids = await happen(1);
    await relay();
    let broken = true;
    work((event_id) => (broken ? Promise.reject(new Error('broken')) : moveEvent(db.sql, event_id)));
    await until('it to fail', async () => {
      const [delayed] = await queues.audit.bull.getDelayed();
      await delayed?.promote();
      return (await queues.audit.bull.getFailedCount()) === 1;
    });
    expect(await whereabouts(ids)).toEqual({ logged: 0, waiting: 1 });
    broken = false;
    clock.advance(ASK_AGAIN_MS);
    await relay();
    await allLogged(ids);
  });

  test('of a month without a partition makes it', async () => {
    const ids = await happen(8, Date.UTC(2031, 6, 15));
    await Promise.all(ids.map((id) => moveEvent(db.sql, id)));
    expect(await whereabouts(ids)).toEqual({ logged: 8, waiting: 0 });
    const [row] = await db.sql`SELECT tableoid::regclass::text AS part FROM audit_log WHERE id = ${ids[0] ?? ''}`;
    expect(row?.part).toBe('audit_log_2031_07');
  });
});

test('while Redis is away no more is taken than it is owed, and all of it arrives when it returns', async () => {
  await server.stop();
  const ids = await happen(1_200);
  expect([await relay(), await relay()]).toEqual([500, 0]);
  clock.advance(ASK_AGAIN_MS);
  expect(await relay()).toBe(0);
  await server.start();
  work();
  await until('Redis to take what it is owed', () => queues.audit.unsent === 0);
  await until('all to be logged', async () => {
    clock.advance(ASK_AGAIN_MS);
    await relay();
    return (await whereabouts(ids)).logged === ids.length;
  });
  expect(await whereabouts(ids)).toEqual({ logged: 1_200, waiting: 0 });
});
