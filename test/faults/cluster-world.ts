/**
 * What the tests of one file about a cluster stand on: stores, nodes and three people, with somebody who listens on Redis all
 * the time; and the people and programs that work there while something happens to it.
 */
import { afterAll, beforeAll, expect } from 'bun:test';
import { seededRandom } from '../../src/base/random.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { Cluster } from './cluster.ts';
import type { Person } from './concord.ts';
import { Crowd } from './crowd.ts';
import { Ledger } from './ledger.ts';
import { Tap } from './tap.ts';

/** Everybody on some documents, and what they made. */
export interface Company {
  readonly ledger: Ledger;
  readonly crowds: readonly Crowd[];
  readonly doc_ids: readonly string[];
}

/** See the head of this file; made where a file of tests begins. */
export class ClusterWorld {
  redis!: TestRedis;
  cluster!: Cluster;
  tap!: Tap;
  people!: [Person, Person, Person];

  /** `openStore`: where the nodes write, if not into a database of the run's PostgreSQL. */
  constructor(nodes: number, openStore: () => Promise<Pick<TestDatabase, 'url' | 'drop'>> = createTestDatabase) {
    let store: Pick<TestDatabase, 'url' | 'drop'>;
    beforeAll(async () => {
      [store, this.redis] = await Promise.all([openStore(), startRedis()]);
      this.cluster = await Cluster.start({ database_url: store.url, redis_url: this.redis.url, nodes });
      this.people = (await this.cluster.people('ada', 'ben', 'cleo')) as [Person, Person, Person];
      this.tap = await Tap.open(this.redis.url);
    });
    afterAll(async () => {
      this.tap.close();
      await this.cluster.stop();
      await Promise.all([store.drop(), this.redis.stop()]);
    });
  }

  /** Documents, shared out evenly among the nodes, with people and programs typing on all of them from everywhere. */
  async company(name: string, documents: number): Promise<Company> {
    const { cluster, people } = this;
    const [ledger, random] = [new Ledger(), seededRandom(1)];
    const crowds: Crowd[] = [];
    for (let i = 0; i < documents; i++) {
      const doc_id = await cluster.createDocument(people[0], people.slice(1));
      await cluster.openOn(cluster.node(i), people[0], [doc_id]);
      crowds.push(new Crowd({ cluster, ledger, random, people, doc_id, name: `${name}${i}`, home: i, think_ms: 20 }));
    }
    await Promise.all(crowds.map((crowd) => crowd.arrive()));
    for (const crowd of crowds) crowd.type();
    await ledger.after(200, 'acked');
    return { ledger, crowds, doc_ids: crowds.map(({ doc_id }) => doc_id) };
  }

  /** Everybody rests, has everything, and nothing is wrong. `complete`: whoever listened on Redis was told everything. */
  async expectOneTruth({ ledger, crowds }: Omit<Company, 'doc_ids'>, complete = true): Promise<void> {
    for (const crowd of crowds) crowd.hush();
    const wrongs = await Promise.all(crowds.map((crowd) => crowd.wrongs({ tap: this.tap, complete })));
    expect([...wrongs.flat(), ...ledger.faults, ...this.tap.faults]).toEqual([]);
  }
}
