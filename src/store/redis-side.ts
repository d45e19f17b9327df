/**
 * The way to Redis, whether it is one server or a cluster: that is a setting, and whoever uses what is made here does not know
 * it. What both have in common: commands touch one slot each, a channel is on its own, the keys of a queue are together.
 */
import { Cluster, type Redis } from 'ioredis';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { type Bus, RedisBus } from './bus.ts';
import { type Channels, ServerChannels } from './channels.ts';
import { connectRedis, type RedisCommands, type RedisFacts, redisReady } from './redis.ts';
import { clusterAnswers, connectCluster, ShardChannels, SlotMap } from './redis-cluster.ts';
import { ShardBus } from './shard-bus.ts';

/** Where Redis is. */
export interface RedisSettings {
  /** An address; of a cluster it may be several, between commas. */
  readonly redis_url: string;
  readonly redis_cluster: boolean;
}

/** A connection for job queues, which waits until Redis is back. */
export type StandingRedis = Redis | Cluster;

/** What a process has of Redis. */
export interface RedisSide {
  /** Fail at once while Redis is away. */
  readonly commands: RedisCommands;
  readonly channels: Channels;
  /** Makes what listens; nothing is connected before something is subscribed to. */
  openBus(clock: Clock, log: Log): Bus;
  /** Makes a standing connection; its owner closes it. */
  connectStanding(name: string): StandingRedis;
  /** Resolves once commands are taken; rejects when this was closed before. */
  ready(): Promise<void>;
  /** Resolves when Redis answers, all of it. */
  answers(): Promise<void>;
  close(): void;
}

/** Begins to connect. `name` is what connections are known by. */
export function openRedis(settings: RedisSettings, { name, log }: Omit<RedisFacts, 'kind'>): RedisSide {
  return settings.redis_cluster ? openCluster(settings, name, log) : openServer(settings, name, log);
}

/** A standing connection without the rest, for tools. */
export function connectStanding(settings: RedisSettings, facts: Omit<RedisFacts, 'kind'>): StandingRedis {
  const standing = { ...facts, kind: 'standing' } as const;
  if (settings.redis_cluster) return connectCluster(addresses(settings), standing);
  return connectRedis(settings.redis_url, standing);
}

/** Where the keys of a queue begin: in a cluster the queue's name in braces puts them all into one slot. */
export function queuePrefix(redis: StandingRedis, prefix: string, queue: string): string {
  return redis instanceof Cluster ? `${prefix}{${queue}}` : prefix;
}

function openServer(settings: RedisSettings, name: string, log: Log): RedisSide {
  const redis = connectRedis(settings.redis_url, { name, kind: 'commands', log });
  const channels = new ServerChannels(redis);
  return {
    commands: redis,
    channels,
    openBus(_clock, bus_log) {
      const facts = { name: `${name}:listen`, kind: 'standing', log: bus_log } as const;
      return new RedisBus(channels, () => connectRedis(settings.redis_url, facts), bus_log);
    },
    connectStanding: (use) => connectStanding(settings, { name: `${name}:${use}`, log }),
    ready: () => redisReady(redis),
    async answers() {
      await redis.ping();
    },
    close: () => redis.disconnect(),
  };
}

function openCluster(settings: RedisSettings, name: string, log: Log): RedisSide {
  const urls = addresses(settings);
  const cluster = connectCluster(urls, { name, kind: 'commands', log });
  const map = new SlotMap(cluster);
  const channels = new ShardChannels(cluster, map);
  return {
    commands: cluster,
    channels,
    openBus(clock, bus_log) {
      const facts = { name: `${name}:listen`, kind: 'shard', log: bus_log } as const;
      const connect = (address: string): Redis => connectRedis(urlOf(urls, address), facts);
      return new ShardBus({ channels, map, connect, clock, log: bus_log });
    },
    connectStanding: (use) => connectStanding(settings, { name: `${name}:${use}`, log }),
    ready: () => redisReady(cluster),
    answers: () => clusterAnswers(map),
    close: () => cluster.disconnect(),
  };
}

function addresses({ redis_url }: RedisSettings): readonly string[] {
  return redis_url.split(',').map((url) => url.trim());
}

/** The address of a server that was found by asking, with what the first address says of how to sign in. */
function urlOf(urls: readonly string[], address: string): string {
  const url = new URL(urls[0] ?? '');
  const port = address.lastIndexOf(':');
  const host = address.slice(0, port);
  url.hostname = host.includes(':') ? `[${host}]` : host;
  url.port = address.slice(port + 1);
  return url.href;
}
