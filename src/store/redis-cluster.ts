/**
 * Redis Cluster: many masters, each with the keys and the channels of some of 16,384 slots. The rules of redis.ts hold here
 * too, and one more: what somebody said of a document must not overtake what was said before. So commands follow a slot that
 * moved, but messages do not: a message goes to the master that has the channel as far as we know, once. If that was wrong it
 * is lost, as messages may be, the map of slots is read anew, and whoever listens finds the gap.
 *
 * Channels are sharded (`SPUBLISH`): an ordinary message goes to every server of a cluster, so that a cluster would carry no
 * more of them than one server does.
 */
import { Cluster, type ClusterOptions, type Redis, type RedisOptions } from 'ioredis';
import type { Channels, Message } from './channels.ts';
import { CONNECT_WITHIN_MS, KINDS, type RedisFacts, type RedisKind, retryDelay } from './redis.ts';

/** How often the map of slots is read when nothing says that it changed. */
const MAP_EVERY_MS = 5_000;
/** A command follows a slot that moved at most twice. */
const REDIRECTIONS_MAX = 3;
const SLOTS = 16_384;

/** What a connection to a whole cluster is for. */
type ClusterKind = Exclude<RedisKind, 'shard'>;

/** How a cluster's connection behaves, beside what its connections to servers do. */
const CLUSTER_KINDS = {
  commands: {
    // Written together would be what belongs to many slots: one that moved would fail the others, and before the cluster was
    // first reached commands would wait for it.
    enableOfflineQueue: false,
    enableAutoPipelining: false,
    maxRedirections: REDIRECTIONS_MAX,
    // Nothing is sent again to a server that broke off: it may have done it.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    retryDelayOnTryAgain: 0,
  },
  standing: {},
} as const satisfies Record<ClusterKind, ClusterOptions>;

/** Begins to connect to the cluster that these servers belong to, as `connectRedis` does to a server. */
export function connectCluster(urls: readonly string[], facts: RedisFacts & { readonly kind: ClusterKind }): Cluster {
  const cluster = new Cluster([...urls], {
    ...CLUSTER_KINDS[facts.kind],
    slotsRefreshInterval: MAP_EVERY_MS,
    clusterRetryStrategy: retryDelay,
    redisOptions: {
      ...KINDS[facts.kind],
      ...credentials(urls),
      connectionName: facts.name,
      connectTimeout: CONNECT_WITHIN_MS,
    },
  });
  logTrouble(cluster, facts);
  return cluster;
}

/** What the first address says of how to sign in holds for all servers: most of them are found by asking. */
function credentials(urls: readonly string[]): Pick<RedisOptions, 'username' | 'password' | 'tls'> {
  const { protocol, username, password } = new URL(urls[0] ?? '');
  return {
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
  };
}

/** Says once when a server goes away and when it is back; the same for the cluster as a whole. */
function logTrouble(cluster: Cluster, { log, name: connection }: RedisFacts): void {
  const away = new Set<string>();
  const trouble = (server: string, error?: unknown): void => {
    if (away.has(server)) return;
    away.add(server);
    log.warn({ error, connection, server }, 'Redis is away; trying again until it is back');
  };
  const back = (server: string): void => {
    if (away.delete(server)) log.info({ connection, server }, 'Redis is back');
  };
  cluster.on('+node', (redis: Redis) => redis.on('ready', () => back(addressOf(redis))));
  cluster.on('node error', (error: unknown, server: string) => trouble(server, error));
  cluster.on('error', (error: unknown) => trouble('all', error));
  cluster.on('reconnecting', () => trouble('all'));
  cluster.on('ready', () => back('all'));
}

function addressOf({ options }: Redis): string {
  return `${options.host}:${options.port}`;
}

/** Where the slots of a cluster are, as far as its connection for commands knows. */
export class SlotMap {
  #servers: Map<string, Redis> | null = null;

  constructor(private readonly cluster: Cluster) {
    const changed = (): void => {
      this.#servers = null;
    };
    for (const event of ['+node', '-node', 'refresh']) cluster.on(event, changed);
  }

  /** Calls `listener` whenever the map was read anew. */
  listen(listener: () => void): void {
    this.cluster.on('refresh', listener);
  }

  /** Has the map read anew; harmless while it is being read. */
  refresh(): void {
    if (this.cluster.status === 'ready') this.cluster.refreshSlotsCache();
  }

  /** The master of a slot, as `host:port`; null while nobody knows. */
  address(slot: number): string | null {
    return this.cluster.slots[slot]?.[0] ?? null;
  }

  /** The connection to that master; null while there is none. */
  server(slot: number): Redis | null {
    const address = this.address(slot);
    if (address === null || this.cluster.status !== 'ready') return null;
    this.#servers ??= new Map(this.cluster.nodes('all').map((redis) => [addressOf(redis), redis]));
    return this.#servers.get(address) ?? null;
  }

  /** The connections to all masters; null where there is none. */
  masters(): (Redis | null)[] {
    const found = new Map<string, Redis | null>();
    for (let slot = 0; slot < SLOTS; slot++) {
      const address = this.address(slot) ?? '';
      if (!found.has(address)) found.set(address, this.server(slot));
    }
    return [...found.values()];
  }
}

/** {@link Channels} of a cluster. */
export class ShardChannels implements Channels {
  constructor(
    private readonly cluster: Cluster,
    private readonly map: SlotMap,
  ) {}

  async send(channel: string, message: string | Buffer): Promise<boolean> {
    return (await this.#send(channel, message)) !== null;
  }

  /** What goes to one server in one turn leaves in one write. */
  sendAll(messages: readonly Message[]): Promise<readonly (number | null)[]> {
    return Promise.all(messages.map(({ channel, message }) => this.#send(channel, message)));
  }

  /** A server counts its own subscribers only, and they all are where the channel is; a script with a key gets there. */
  async listening(channel: string): Promise<number> {
    const script = `return redis.call('PUBSUB', 'SHARDNUMSUB', KEYS[1])`;
    const [, count] = (await this.cluster.eval(script, 1, channel)) as [string, number];
    return count;
  }

  async listeners(channels: readonly string[]): Promise<number[]> {
    const places = new Map<Redis, number[]>();
    for (const [i, channel] of channels.entries()) {
      const server = this.map.server(slotOf(channel));
      if (server === null) continue;
      const place = places.get(server);
      if (place === undefined) places.set(server, [i]);
      else place.push(i);
    }
    const counts = channels.map(() => 0);
    const asked = [...places].map(async ([server, place]) => {
      const reply = await server.call('PUBSUB', 'SHARDNUMSUB', ...place.map((i) => channels[i] ?? ''));
      for (const [n, i] of place.entries()) counts[i] = Number((reply as (string | number)[])[n * 2 + 1] ?? 0);
    });
    const answers = await Promise.allSettled(asked);
    if (answers.every(({ status }) => status === 'rejected')) throw new Error('no part of the Redis cluster answers');
    return counts;
  }

  /** How many received it; null when it was not taken. */
  #send(channel: string, message: string | Buffer): Promise<number | null> {
    const server = this.map.server(slotOf(channel));
    if (server === null) {
      this.map.refresh();
      return Promise.resolve(null);
    }
    return server.spublish(channel, message).then(
      (receivers) => Number(receivers),
      () => {
        this.map.refresh();
        return null;
      },
    );
  }
}

/** Resolves once every master says that the cluster works; rejects when one does not. */
export async function clusterAnswers(map: SlotMap): Promise<void> {
  const states = await Promise.all(map.masters().map((server) => server?.cluster('INFO')));
  if (states.every((state) => state?.includes('cluster_state:ok'))) return;
  map.refresh();
  throw new Error('a part of the Redis cluster is away');
}

/** The slot of a key or a channel: CRC-16/XMODEM of it, or of what stands in its first braces. Redis Cluster's specification. */
export function slotOf(key: string): number {
  const open = key.indexOf('{');
  const end = open < 0 ? -1 : key.indexOf('}', open + 1);
  const hashed = end > open + 1 ? key.slice(open + 1, end) : key;
  let crc = 0;
  for (const byte of new TextEncoder().encode(hashed)) crc = ((crc << 8) & 0xff00) ^ (CRC[(crc >> 8) ^ byte] ?? 0);
  return crc % SLOTS;
}

const CRC = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  return crc;
});
