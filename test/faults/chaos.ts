/**
 * Faults to draw from: what happens to nodes, stores and lines, each with what puts it right again. Chance decides which
 * come, to whom and for how long, and comes from a seed, so that a run's schedule can be drawn again.
 */
import type { Random } from '../../src/base/random.ts';
import type { TestPostgres } from '../support/postgres-server.ts';
import type { TestRedis } from '../support/redis.ts';
import type { Cluster, ClusterNode } from './cluster.ts';

/** What faults are done to. */
export interface Scene {
  readonly cluster: Cluster;
  readonly postgres: TestPostgres;
  readonly redis: TestRedis;
}

/** A fault that was drawn. */
export interface Fault {
  readonly kind: string;
  /** For the log: whom it hits, and for how long. */
  readonly detail: string;
  /** The nodes whose documents others have to take over while it lasts. */
  readonly loses: readonly ClusterNode[];
  /** Whether it must leave every document with its owner. */
  readonly moves_nothing: boolean;
  /** Whether edits can be acknowledged on every document while it lasts, after a takeover if need be. */
  readonly flows: boolean;
  /** How long it lasts, milliseconds. */
  readonly lasts_ms: number;
  inject(): Promise<void>;
  heal(): Promise<void>;
}

/** A kind of fault: how likely it is, and how one of it is drawn. */
interface Kind {
  readonly weight: number;
  draw(scene: Scene, random: Random): Omit<Fault, 'kind'>;
}

const between = (random: Random, least: number, most: number): number =>
  Math.round(least + (most - least) * random.float());
const someNode = ({ cluster }: Scene, random: Random): ClusterNode =>
  cluster.node(Math.floor(random.float() * cluster.nodes.length));
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/** Starts nodes again and lets clients in. */
async function revive(nodes: readonly ClusterNode[]): Promise<void> {
  for (const { concord } of nodes) {
    await concord.startAgain();
    concord.letIn();
  }
}

/** A command to Redis. */
async function tell({ redis }: Scene, ...[command, ...words]: readonly [string, ...string[]]): Promise<void> {
  const client = new Bun.RedisClient(redis.url);
  await client.send(command, words);
  client.close();
}

/** Nodes are killed with -9 and stay away for a while. `besides`: what else happens at that moment. */
function nodesDie(
  weight: number,
  draw: (scene: Scene, random: Random) => readonly ClusterNode[],
  besides: (scene: Scene) => Promise<void> = async () => {},
): Kind {
  return {
    weight,
    draw(scene, random) {
      const victims = draw(scene, random);
      return {
        detail: victims.map(({ name }) => name).join(' and '),
        loses: victims,
        moves_nothing: false,
        flows: scene.cluster.nodes.length > victims.length,
        lasts_ms: between(random, 0, 6_000),
        inject: async () =>
          void (await Promise.all([...victims.map(({ concord }) => concord.kill9()), besides(scene)])),
        heal: () => revive(victims),
      };
    },
  };
}

const oneNode = (scene: Scene, random: Random): readonly ClusterNode[] => [someNode(scene, random)];

/** Neighbours; the only one, where there is one. */
function twoNodes({ cluster }: Scene, random: Random): readonly ClusterNode[] {
  const first = Math.floor(random.float() * cluster.nodes.length);
  return [...new Set([cluster.node(first), cluster.node(first + 1)])];
}

const nodeHangs: Kind = {
  weight: 3,
  draw(scene, random) {
    const victim = someNode(scene, random);
    const lasts_ms = between(random, 500, 20_000);
    return {
      detail: `${victim.name}, ${seconds(lasts_ms)}`,
      loses: [],
      moves_nothing: lasts_ms < 5_000,
      flows: false,
      lasts_ms,
      async inject() {
        victim.concord.shutOut();
        victim.concord.server.pause();
      },
      async heal() {
        victim.concord.server.resume();
        victim.concord.letIn();
      },
    };
  },
};

const nodeIsToldToEnd: Kind = {
  weight: 3,
  draw(scene, random) {
    const victim = someNode(scene, random);
    return {
      detail: victim.name,
      loses: [victim],
      moves_nothing: false,
      flows: scene.cluster.nodes.length > 1,
      lasts_ms: between(random, 0, 5_000),
      async inject() {
        const begun = performance.now();
        const code = await victim.concord.terminate();
        if (code !== 0) throw new Error(`${victim.name} ended with ${code} at SIGTERM`);
        if (performance.now() - begun > 10_000) throw new Error(`${victim.name} took over 10 s to end`);
      },
      heal: () => revive([victim]),
    };
  },
};

/**
 * Something happens to a store for some time, and every document stays with its owner: one that cannot know what became of a
 * statement takes the next epoch, and stays the owner.
 */
function storeFault<Name extends 'redis' | 'postgres'>(
  name: Name,
  weight: number,
  [least_ms, most_ms]: readonly [number, number],
  does: (store: Scene[Name]) => Pick<Fault, 'inject' | 'heal'>,
): Kind {
  return {
    weight,
    draw(scene, random) {
      const lasts_ms = between(random, least_ms, most_ms);
      return {
        detail: seconds(lasts_ms),
        loses: [],
        moves_nothing: true,
        flows: false,
        lasts_ms,
        ...does(scene[name]),
      };
    },
  };
}

/** Redis is told something, and that is all. */
function redisIsTold(weight: number, command: readonly [string, ...string[]], times_max: number): Kind {
  return {
    weight,
    draw(scene, random) {
      const times = between(random, 1, times_max);
      return {
        detail: `${times} times`,
        loses: [],
        moves_nothing: true,
        flows: true,
        lasts_ms: 0,
        async inject() {
          for (let i = 0; i < times; i++) {
            await tell(scene, ...command);
            await Bun.sleep(200);
          }
        },
        async heal() {},
      };
    },
  };
}

/** Something happens to one node's line to a store. */
function lineFault(
  weight: number,
  store: 'to_redis' | 'to_database',
  least_ms: number,
  most_ms: number,
  does: (node: ClusterNode, random: Random) => void,
): Kind {
  return {
    weight,
    draw(scene, random) {
      const victim = someNode(scene, random);
      const lasts_ms = between(random, least_ms, most_ms);
      return {
        detail: `${victim.name}, ${seconds(lasts_ms)}`,
        loses: [],
        moves_nothing: false,
        flows: false,
        lasts_ms,
        async inject() {
          // A node that cannot reach its stores says so at /readyz, and balancers send nobody there.
          victim.concord.shutOut();
          does(victim, random);
        },
        async heal() {
          victim[store].heal();
          victim.concord.letIn();
        },
      };
    },
  };
}

const KINDS: Readonly<Record<string, Kind>> = {
  'node killed (-9)': nodesDie(4, oneNode),
  'two nodes killed at once': nodesDie(1, twoNodes),
  'node killed and Redis flushed at once': nodesDie(2, oneNode, (scene) => tell(scene, 'FLUSHALL')),
  'node stopped (SIGSTOP) and continued': nodeHangs,
  'node drained (SIGTERM)': nodeIsToldToEnd,
  'Redis flushed': redisIsTold(3, ['FLUSHALL'], 3),
  'every subscription broken off': redisIsTold(3, ['CLIENT', 'KILL', 'TYPE', 'pubsub'], 10),
  'every command connection to Redis broken off': redisIsTold(2, ['CLIENT', 'KILL', 'TYPE', 'normal'], 10),
  'Redis restarted': storeFault('redis', 2, [0, 0], (redis) => ({
    inject: () => redis.restart(),
    heal: async () => {},
  })),
  'Redis down': storeFault('redis', 2, [1_000, 30_000], (redis) => ({
    inject: () => redis.kill9(),
    heal: () => redis.start(),
  })),
  'Redis hangs': storeFault('redis', 2, [500, 15_000], (redis) => ({
    inject: async () => redis.pause(),
    heal: async () => redis.resume(),
  })),
  'PostgreSQL stopped and started': storeFault('postgres', 2, [1_000, 30_000], (postgres) => ({
    inject: () => postgres.stop(),
    heal: () => postgres.start(),
  })),
  'PostgreSQL killed and started': storeFault('postgres', 2, [0, 3_000], (postgres) => ({
    inject: () => postgres.kill9(),
    heal: () => postgres.start(),
  })),
  'PostgreSQL hangs': storeFault('postgres', 2, [500, 20_000], (postgres) => ({
    inject: async () => postgres.pause(),
    heal: async () => postgres.resume(),
  })),
  'one node cut off from Redis': lineFault(2, 'to_redis', 1_000, 15_000, ({ to_redis }) => to_redis.cut()),
  "one node's line to Redis dead": lineFault(2, 'to_redis', 1_000, 15_000, ({ to_redis }) => to_redis.die()),
  "one node's line to Redis slow": lineFault(2, 'to_redis', 2_000, 8_000, ({ to_redis }, random) =>
    to_redis.slow(between(random, 20, 300)),
  ),
  'one node cut off from PostgreSQL': lineFault(2, 'to_database', 1_000, 15_000, ({ to_database }) =>
    to_database.cut(),
  ),
  "one node's line to PostgreSQL dead": lineFault(2, 'to_database', 1_000, 15_000, ({ to_database }) =>
    to_database.die(),
  ),
};

/** All kinds there are. */
export const FAULT_KINDS: readonly string[] = Object.keys(KINDS);

/** Draws a fault; `only`: of these kinds, whose names begin so. */
export function drawFault(scene: Scene, random: Random, only: readonly string[] = ['']): Fault {
  const kinds = Object.entries(KINDS).filter(([kind]) => only.some((wish) => kind.startsWith(wish)));
  let at = random.float() * kinds.reduce((sum, [, { weight }]) => sum + weight, 0);
  const drawn = kinds.find(([, { weight }]) => {
    at -= weight;
    return at < 0;
  });
  if (drawn === undefined) throw new Error(`there is no such fault; there are: ${FAULT_KINDS.join(', ')}`);
  const [kind, { draw }] = drawn;
  return { kind, ...draw(scene, random) };
}
