import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import type { Redis } from 'ioredis';
import { quietLog, readableLog } from '../../test/support/core.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import { until } from '../../test/support/until.ts';
import { type Clock, ManualClock, systemClock } from '../base/clock.ts';
import { LOCAL_KEYS_MAX, LocalCounts, PatientRedis, SharedCounts } from './rate-counts.ts';
import { connectRedis, redisReady } from './redis.ts';

const RATE = { count: 3, window_s: 60 };

/** Far more than a question to Redis takes, and far less than a command that is waited for: COMMAND_TIMEOUT_MS. */
const AT_ONCE_MS = 500;

let server: TestRedis;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, { name: 'test', kind: 'commands', log: quietLog });
  await redisReady(redis);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
afterEach(async () => {
  server.resume();
  await server.start();
  await until('Redis to answer', async () => (await redis.flushall().catch(() => null)) === 'OK');
});

const counts = (clock: Clock = systemClock, name = 'user', log = quietLog): SharedCounts =>
  new SharedCounts(new PatientRedis(redis, clock, log), name, RATE);

async function timed<T>(work: Promise<T>): Promise<{ value: T; took_ms: number }> {
  const before = systemClock.monotonic();
  const value = await work;
  return { value, took_ms: systemClock.monotonic() - before };
}

/** What this turn of the event loop has set off is done. */
const systemTurn = (): Promise<void> => new Promise((resolve) => systemClock.endOfTurn(resolve));

describe('while Redis answers', () => {
  test('points add up in one window, beyond the limit too, and are taken back', async () => {
    const user = counts();
    const used: number[] = [];
    for (const points of [1, 2, 5, -4]) used.push((await user.add('ada', points)).used);
    expect(used).toEqual([1, 3, 8, 4]);
    expect(await user.look('ada')).toMatchObject({ used: 4 });
    expect(await user.look('bob')).toBeNull();
  });

  test('nodes count together, and what is counted at once is counted', async () => {
    const [here, there] = [counts(), counts()];
    await Promise.all(Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? here : there).add('ada', 1)));
    expect(await here.look('ada')).toMatchObject({ used: 50 });
  });

  test('a key is rl:<limit>:<who> and lives as long as its window, which later points do not lengthen', async () => {
    const user = counts();
    await user.add('ada', 1);
    expect(await redis.keys('*')).toEqual(['rl:user:ada']);
    await redis.pexpire('rl:user:ada', 30_000);
    const { ends_in_ms } = await user.add('ada', 1);
    expect(ends_in_ms).toBeGreaterThan(25_000);
    expect(ends_in_ms).toBeLessThanOrEqual(30_000);
  });

  test('what is held stands for as long as it was said, whatever stood there', async () => {
    const user = counts();
    await user.add('ada', 1);
    await user.hold('ada', 7);
    const held = await user.look('ada');
    expect(held?.ends_in_ms).toBeGreaterThan(5_000);
    expect(held?.ends_in_ms).toBeLessThanOrEqual(7_000);
    await user.forget('ada');
    expect(await user.look('ada')).toBeNull();
  });

  test('a Redis that forgot its scripts is taught them again', async () => {
    const user = counts();
    await user.add('ada', 1);
    await redis.script('FLUSH');
    expect(await user.add('ada', 1)).toMatchObject({ used: 2 });
  });
});

describe('while Redis is away', () => {
  test('this node counts alone at once, and with Redis again when it is back, telling the log of both', async () => {
    const { log, lines } = readableLog();
    const clock = new ManualClock();
    const user = counts(clock, 'user', log);
    await user.add('ada', 2);
    await server.kill9();
    const used: number[] = [];
    for (let i = 0; i < 4; i++) {
      const { value, took_ms } = await timed(user.add('ada', 1));
      used.push(value.used);
      expect(took_ms).toBeLessThan(AT_ONCE_MS);
    }
    expect(used).toEqual([1, 2, 3, 4]);
    await user.hold('bob', 9);
    expect(await user.look('bob')).toEqual({ used: 1, ends_in_ms: 9_000 });
    await user.forget('bob');
    expect(await user.look('bob')).toBeNull();
    clock.advance(RATE.window_s * 1000);
    expect(await user.add('ada', 1)).toEqual({ used: 1, ends_in_ms: 60_000 });

    await server.start();
    await redisReady(redis);
    clock.advance(1_000);
    expect(await user.add('ada', 1)).toMatchObject({ used: 1 });
    expect(await redis.get('rl:user:ada')).toBe('1');
    expect(lines().map(({ message }) => message)).toEqual([
      'Redis does not answer in time; this node counts rate limits alone until it does',
      'rate limits are counted in Redis again',
    ]);
  });

  test('a Redis that hangs keeps one question waiting for 50 ms, and those that follow not at all', async () => {
    const clock = new ManualClock();
    const user = counts(clock);
    server.pause();
    let answered = false;
    const first = user.add('ada', 1).then(({ used }) => {
      answered = true;
      return used;
    });
    clock.advance(49);
    await systemTurn();
    expect(answered).toBe(false);
    clock.advance(1);
    expect(await first).toBe(1);
    const others = await Promise.all(Array.from({ length: 100 }, () => user.add('ada', 1)));
    expect(others.at(-1)?.used).toBe(101);
  });

  test('while it is away one question in a second finds out whether it is back', async () => {
    const clock = new ManualClock();
    const patient = new PatientRedis(redis, clock, quietLog);
    let asked = 0;
    const fail = (): Promise<never> => {
      asked += 1;
      return Promise.reject(new Error('away'));
    };
    for (let i = 0; i < 3; i++) await patient.ask(fail);
    expect(asked).toBe(1);
    clock.advance(1_000);
    await Promise.all([patient.ask(fail), patient.ask(fail), patient.ask(fail)]);
    expect(asked).toBe(2);
    clock.advance(1_000);
    expect(await patient.ask(() => Promise.resolve('back'))).toBe('back');
    expect(await patient.ask(() => Promise.resolve('still'))).toBe('still');
  });
});

describe('counting alone', () => {
  test('a window begins with the first point and ends for all of them', () => {
    const clock = new ManualClock();
    const local = new LocalCounts(clock, 1_000);
    expect(local.add('a', 2)).toEqual({ used: 2, ends_in_ms: 1_000 });
    clock.advance(999);
    expect(local.add('a', 1)).toEqual({ used: 3, ends_in_ms: 1 });
    expect(local.look('a')).toEqual({ used: 3, ends_in_ms: 1 });
    clock.advance(1);
    expect(local.look('a')).toBeNull();
    expect(local.add('a', 1)).toEqual({ used: 1, ends_in_ms: 1_000 });
  });

  test(`at most LOCAL_KEYS_MAX (${LOCAL_KEYS_MAX}) keys are remembered: one more makes the oldest be forgotten`, () => {
    const local = new LocalCounts(new ManualClock(), 1_000);
    for (let i = 0; i < LOCAL_KEYS_MAX; i++) local.add(`${i}`, 1);
    expect([local.size, local.look('0')?.used]).toEqual([LOCAL_KEYS_MAX, 1]);
    local.add('one more', 1);
    expect([local.size, local.look('0'), local.look('1')?.used]).toEqual([LOCAL_KEYS_MAX, null, 1]);
  });

  test('keys whose window is over make room first', () => {
    const clock = new ManualClock();
    const local = new LocalCounts(clock, 1_000, 3);
    local.add('a', 1);
    local.add('b', 1);
    clock.advance(1_000);
    local.add('c', 1);
    expect(local.size).toBe(1);
  });
});
