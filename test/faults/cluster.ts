/**
 * Several nodes of Concord, each a real `bun src/main.ts`, on one PostgreSQL and one Redis, for tests that do to some of
 * them what happens to machines. A node may reach the stores through lines of its own (line.ts), so that it alone is cut off.
 */
import { connectDatabase, type Database } from '../../src/store/postgres.ts';
import { until } from '../support/until.ts';
import { Concord, type Person } from './concord.ts';
import { BalancedEntrance, type Entrance } from './entrance.ts';
import { type History, readHistory } from './history.ts';
import { Line } from './line.ts';

const ANSWER_MS_MAX = 20_000;

/** What a cluster stands on, and how large it is. */
export interface ClusterOptions {
  readonly database_url: string;
  readonly redis_url: string;
  readonly nodes: number;
  /** Settings of all nodes. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A node and the lines that it reaches the stores by. */
export interface ClusterNode {
  readonly name: string;
  readonly concord: Concord;
  readonly to_redis: Line;
  readonly to_database: Line;
}

/** See the head of this file. */
export class Cluster {
  private constructor(
    readonly nodes: readonly ClusterNode[],
    /** A way to PostgreSQL that no line is in. */
    readonly sql: Database,
  ) {}

  /** Starts nodes `n1`, `n2`, … and lets clients in. */
  static async start({ database_url, redis_url, nodes, env = {} }: ClusterOptions): Promise<Cluster> {
    const started: ClusterNode[] = [];
    for (let i = 1; i <= nodes; i++) {
      const name = `n${i}`;
      const [to_redis, to_database] = [new Line(redis_url), new Line(database_url)];
      const stores = { DATABASE_URL: to_database.url, REDIS_URL: to_redis.url };
      const concord = await Concord.start({ ACCESS_TOKEN_TTL: '86400', ...env, ...stores, NODE_ID: name });
      started.push({ name, concord, to_redis, to_database });
    }
    return new Cluster(started, connectDatabase(database_url, { connections_max: 2, application_name: 'test' }));
  }

  /** Where clients come in whom a load balancer gives node `home` as long as it is well. */
  entrance(home: number): Entrance {
    return new BalancedEntrance(
      this.nodes.map(({ concord }) => concord),
      home,
    );
  }

  /** The node of this place in the list. */
  node(i: number): ClusterNode {
    const node = this.nodes[i % this.nodes.length];
    if (node === undefined) throw new Error('a cluster has at least one node');
    return node;
  }

  /** Whoever runs and takes clients. */
  get open(): readonly ClusterNode[] {
    return this.nodes.filter(({ concord }) => concord.is_open);
  }

  /** Makes accounts; on the first node that is open. */
  people(...names: readonly string[]): Promise<Person[]> {
    return Promise.all(names.map((name) => this.#any().register(name)));
  }

  /** Makes a document that all of `editors` may edit. */
  createDocument(owner: Person, editors: readonly Person[] = []): Promise<string> {
    return this.#any().createDocument(owner, editors);
  }

  /** Which node has each of these documents, as PostgreSQL says; null for nobody. */
  async owners(doc_ids: readonly string[]): Promise<Map<string, string | null>> {
    const rows = await this.#answer(
      () => this.sql<{ doc_id: string; owner_node: string | null }[]>`
        SELECT doc_id, owner_node FROM document_heads WHERE doc_id = ANY(${doc_ids as string[]}::uuid[])`,
    );
    return new Map(rows.map(({ doc_id, owner_node }) => [doc_id, owner_node]));
  }

  /** How often each of these documents changed hands. */
  async epochs(doc_ids: readonly string[]): Promise<number[]> {
    const rows = await this.#answer(
      () => this.sql<{ epoch: number }[]>`
        SELECT epoch FROM document_heads WHERE doc_id = ANY(${doc_ids as string[]}::uuid[]) ORDER BY doc_id`,
    );
    return rows.map(({ epoch }) => Number(epoch));
  }

  /** What a document's journal says, and what is wrong with it. */
  history(doc_id: string): Promise<History> {
    return this.#answer(() => readHistory(this.sql, doc_id));
  }

  /** Has a node open these documents, so that it owns them. */
  async openOn({ concord, name }: ClusterNode, person: Person, doc_ids: readonly string[]): Promise<void> {
    for (const doc_id of doc_ids)
      await until(`${name} to open a document`, async () => {
        const body = { changes: { delta: [{ insert: '\n' }] } };
        const { status } = await concord.call('POST', `/v1/documents/${doc_id}/edits`, person.token, body);
        return status === 200;
      });
  }

  /** Resolves when every node that runs says that it is ready. */
  async ready(within_ms = 30_000): Promise<void> {
    for (const { name, concord } of this.nodes)
      if (concord.is_running)
        await until(
          `${name} to be ready`,
          async () => (await concord.call('GET', '/readyz')).status === 200,
          within_ms,
        );
  }

  /** Ends all nodes; returns their exit codes. */
  async stop(): Promise<number[]> {
    const running = this.nodes.filter(({ concord }) => concord.is_running);
    const codes = await Promise.all(running.map(({ concord }) => concord.terminate()));
    for (const { to_redis, to_database } of this.nodes) for (const line of [to_redis, to_database]) line.close();
    await this.sql.end({ timeout: 1 });
    return codes;
  }

  /** PostgreSQL's answer to the test itself, asked again where a connection did not live through what was done to it. */
  #answer<T extends object>(ask: () => PromiseLike<T>): Promise<T> {
    return until('PostgreSQL to answer', ask as () => Promise<T>, ANSWER_MS_MAX) as Promise<T>;
  }

  #any(): Concord {
    const [first] = this.open;
    if (first === undefined) throw new Error('no node takes clients');
    return first.concord;
  }
}
