/** Rate limits on a Redis of the test's own, small ones where the test says so. */
import type { Redis } from 'ioredis';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { createMetrics, type Metrics } from '../../src/base/metrics.ts';
import { RateLimits } from '../../src/domain/rate-limits.ts';
import { RATE_LIMITS, type Rate, type RateLimitName, type RateLimitSettings } from '../../src/protocol/rate-limits.ts';
import { PatientRedis } from '../../src/store/rate-counts.ts';
import { connectRedis, redisReady } from '../../src/store/redis.ts';
import { quietLog, readableLog } from './core.ts';
import { startRedis, type TestRedis } from './redis.ts';
import { until } from './until.ts';

/** How many in a minute, by limit. */
export type SmallLimits = Partial<Record<RateLimitName, number>>;

/** The settings with these counts in a minute, and the defaults for all else. */
export function smallSettings(
  small: SmallLimits,
  more: Partial<Omit<RateLimitSettings, 'rates'>> = {},
): RateLimitSettings {
  const defaults = Object.entries<Rate>(RATE_LIMITS).map(([name, { count, window_s }]) => [name, { count, window_s }]);
  const changed = Object.entries(small).map(([name, count]) => [name, { count, window_s: 60 }]);
  const rates = Object.fromEntries([...defaults, ...changed]) as RateLimitSettings['rates'];
  return { rates, sockets_unauthenticated_max: 1_000, block_s: 30, ...more };
}

/** A Redis, a connection to it, and limits on both. */
export class LimitWorld {
  readonly metrics: Metrics = createMetrics();
  readonly #log = readableLog();

  private constructor(
    readonly server: TestRedis,
    readonly redis: Redis,
  ) {}

  static async start(): Promise<LimitWorld> {
    const server = await startRedis();
    const redis = connectRedis(server.url, { name: 'test', kind: 'commands', log: quietLog });
    await redisReady(redis);
    return new LimitWorld(server, redis);
  }

  /** What the limits logged so far. */
  get lines(): readonly Record<string, unknown>[] {
    return this.#log.lines();
  }

  limits(settings: RateLimitSettings, clock: Clock = systemClock): RateLimits {
    const { log } = this.#log;
    const counts = new PatientRedis(this.redis, clock, log);
    return new RateLimits({ settings, counts, secret: 'a secret', clock, log, metrics: this.metrics });
  }

  /** Lets the time of blocks pass. */
  async unblock(): Promise<void> {
    const keys = await this.redis.keys('rl:block:*');
    if (keys.length > 0) await this.redis.del(...keys);
  }

  /** Has Redis answer again, with nothing in it. */
  async renew(): Promise<void> {
    this.server.resume();
    await this.server.start();
    await until('Redis to answer', async () => (await this.redis.flushall().catch(() => null)) === 'OK');
  }

  async close(): Promise<void> {
    this.redis.disconnect();
    await this.server.stop();
  }
}
