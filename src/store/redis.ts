/**
 * The one way to Redis, which is fast memory here and never the truth: so a command must fail at once rather than keep
 * somebody waiting, and its caller goes on with PostgreSQL. Three kinds of connection follow from that.
 *
 * - `commands`: nothing is queued while the connection is down and nothing is sent again after it broke; a command that
 *   is not answered within {@link COMMAND_TIMEOUT_MS} is given up. Its effect is then unknown.
 * - `standing`: for subscriptions and job queues, which want to wait until Redis is back.
 * - `shard`: for the subscriptions of shard-bus.ts, which looks after them itself, since a channel may move elsewhere.
 *
 * Replies keep their RESP2 shapes although the connection speaks RESP3 (ioredis's `legacy` mapping, its default).
 */
import { type Cluster, Redis, type RedisOptions } from 'ioredis';
import type { Log } from '../base/log.ts';

/** How long connecting to a server may take. */
export const CONNECT_WITHIN_MS = 5_000;

/** How long one command may take. Redis answers within a millisecond or it is in trouble. */
export const COMMAND_TIMEOUT_MS = 1_000;

/** The commands that are asked of Redis, be it one server or a cluster: each touches the keys of one slot. */
export type RedisCommands = Pick<Redis, 'get' | 'set' | 'eval' | 'exists' | 'hset' | 'hdel' | 'hgetall'>;

/** How a connection behaves: see the head of this file. */
export type RedisKind = 'commands' | 'standing' | 'shard';

/** Whose connection it is. */
export interface RedisFacts {
  /** Seen in `CLIENT LIST` and in our log. */
  readonly name: string;
  readonly kind: RedisKind;
  readonly log: Log;
}

/** What each kind asks of a connection to a server. */
export const KINDS = {
  commands: {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: COMMAND_TIMEOUT_MS,
    // What is sent in one turn leaves in one write: a document publishes at every edit.
    enableAutoPipelining: true,
  },
  standing: { maxRetriesPerRequest: null },
  shard: {
    enableOfflineQueue: false,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: COMMAND_TIMEOUT_MS,
    // A server that hangs does not say goodbye either.
    disconnectTimeout: 250,
  },
} as const satisfies Record<RedisKind, RedisOptions>;

/** How long to wait before an attempt to connect, in milliseconds. */
export function retryDelay(attempt: number): number {
  return Math.min(50 * 2 ** attempt, 1_000);
}

/**
 * Begins to connect, and to reconnect whenever the connection breaks: soon at first, then every second. Trouble is
 * logged when it begins and when it ends, not at every attempt. Close it with `disconnect()` or `quit()`.
 */
export function connectRedis(url: string, facts: RedisFacts): Redis {
  const redis = new Redis(url, {
    ...KINDS[facts.kind],
    connectionName: facts.name,
    connectTimeout: CONNECT_WITHIN_MS,
    retryStrategy: retryDelay,
  });
  let in_trouble = false;
  const trouble = (error?: unknown): void => {
    if (in_trouble) return;
    in_trouble = true;
    facts.log.warn({ error, connection: facts.name }, 'Redis is away; trying again until it is back');
  };
  redis.on('error', trouble);
  redis.on('reconnecting', () => trouble());
  redis.on('ready', () => {
    if (in_trouble) facts.log.info({ connection: facts.name }, 'Redis is back');
    in_trouble = false;
  });
  return redis;
}

/** Resolves once the connection can take commands; rejects when it was closed for good. */
export function redisReady(redis: Redis | Cluster): Promise<void> {
  if (redis.status === 'ready') return Promise.resolve();
  return new Promise((resolve, reject) => {
    const done = (): void => {
      redis.off('end', failed);
      resolve();
    };
    const failed = (): void => {
      redis.off('ready', done);
      reject(new Error('the Redis connection was closed before it was ready'));
    };
    redis.once('ready', done);
    redis.once('end', failed);
  });
}
