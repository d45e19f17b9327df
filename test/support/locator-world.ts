/** Nodes as a locator sees them, on a real PostgreSQL and Redis: what the tests of the locator are played in. */
import { afterEach, beforeEach } from 'bun:test';
import type { Redis } from 'ioredis';
import { type Claim, type Located, Locator } from '../../src/actors/locator.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Log } from '../../src/base/log.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { ServerChannels } from '../../src/store/channels.ts';
import { nodeChannel, RedisDirectory } from '../../src/store/directory.ts';
import { sqlDocumentStore } from '../../src/store/document-store.ts';
import type { NodeIdentity } from '../../src/store/heads.ts';
import { connectRedis } from '../../src/store/redis.ts';
import { quietLog } from './core.ts';
import { brisk } from './locator-clocks.ts';
import { StoresWorld } from './stores-world.ts';

/** A node as far as others can see it: it beats, listens on its channel, and claims. */
export class LocatorNode {
  readonly identity: NodeIdentity;
  readonly directory: RedisDirectory;
  readonly locator: Locator;
  readonly outcomes: string[] = [];
  readonly #world: LocatorWorld;
  #listener: Redis | null = null;

  constructor(world: LocatorWorld, node_id: string, log: Log, connection: Redis, clock: Clock) {
    this.#world = world;
    this.identity = { node_id, boot_id: world.random.id() };
    this.directory = new RedisDirectory(connection, new ServerChannels(connection));
    this.locator = new Locator({
      node: this.identity,
      store: sqlDocumentStore(world.db.sql),
      directory: this.directory,
      clock,
      random: world.random,
      log,
      claimed: (outcome) => void this.outcomes.push(outcome),
    });
  }

  /** Beats and listens. */
  async live(): Promise<this> {
    await this.directory.beat(this.identity, 600_000);
    this.#listener = connectRedis(this.#world.server.url, { name: 'listener', kind: 'standing', log: quietLog });
    await this.#listener.subscribe(nodeChannel(this.identity));
    return this;
  }

  /** Is killed: nobody listens any more, while its key still stands. */
  die(): void {
    this.#listener?.disconnect();
    this.#listener = null;
  }

  claim(doc_id: string): Promise<Located> {
    return this.locator.claim(doc_id);
  }

  async own(doc_id: string): Promise<Claim> {
    const located = await this.claim(doc_id);
    if (located.kind !== 'claimed') throw new Error(`the document is ${located.kind}`);
    return located.claim;
  }
}

/** A database and a Redis for the tests of one file; each test begins with an empty Redis and nobody alive. */
export class LocatorWorld extends StoresWorld {
  random!: Random;
  #nodes: LocatorNode[] = [];

  constructor(private seed: number) {
    super();
    beforeEach(async () => {
      this.random = seededRandom(this.seed++);
      await this.redis.flushall();
    });
    afterEach(() => {
      for (const node of this.#nodes.splice(0)) node.die();
    });
  }

  /** A node that does not live yet. */
  node(node_id: string, log: Log = quietLog, connection: Redis = this.redis, clock: Clock = brisk): LocatorNode {
    const made = new LocatorNode(this, node_id, log, connection, clock);
    this.#nodes.push(made);
    return made;
  }
}
