/** Two nodes whose PostgreSQL goes away: people on both go on together, and everything is written when it is back. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { seededRandom } from '../../src/base/random.ts';
import { startPostgres, type TestPostgres } from '../support/postgres-server.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { Cluster } from './cluster.ts';
import type { Person } from './concord.ts';
import { Crowd } from './crowd.ts';
import type { JsonClient } from './json-client.ts';
import { Ledger } from './ledger.ts';
import { Tap } from './tap.ts';

const DOCUMENTS = 2;
const UNSAVED_WITHIN_MS = 5_000;

let postgres: TestPostgres;
let redis: TestRedis;
let cluster: Cluster;
let tap: Tap;
let people: [Person, Person, Person];

beforeAll(async () => {
  [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  cluster = await Cluster.start({ database_url: postgres.url, redis_url: redis.url, nodes: 2 });
  people = (await cluster.people('ada', 'ben', 'cleo')) as [Person, Person, Person];
  tap = await Tap.open(redis.url);
});

afterAll(async () => {
  tap.close();
  await cluster.stop();
  await Promise.all([postgres.destroy(), redis.stop()]);
});

test.each([
  ['stopped and started again', { leave: () => postgres.stop(), back: () => postgres.start() }],
  ['hung with its connections open', { leave: async () => postgres.pause(), back: async () => postgres.resume() }],
])(
  'PostgreSQL %s: people on both nodes go on together and see that nothing is saved, then all is written once',
  async (name, { leave, back }) => {
    const [ledger, random] = [new Ledger(), seededRandom(1)];
    const crowds: Crowd[] = [];
    for (let i = 0; i < DOCUMENTS; i++) {
      const doc_id = await cluster.createDocument(people[0], people.slice(1));
      await cluster.openOn(cluster.node(i), people[0], [doc_id]);
      crowds.push(
        new Crowd({ cluster, ledger, random, people, doc_id, name: `${name.slice(0, 4)}${i}`, home: i, think_ms: 20 }),
      );
    }
    await Promise.all(crowds.map((crowd) => crowd.arrive()));
    for (const crowd of crowds) crowd.type();
    await ledger.after(200, 'acked');
    await leave();
    try {
      const writers = crowds.flatMap(({ json }) => json);
      await until('everybody to be told', () => writers.every(({ status }) => status === 'unsaved'), UNSAVED_WITHIN_MS);
      await ledger.after(200, 'seen');
      // An edit of each is shown to the other, on the other node.
      for (const { json } of crowds) {
        const [one, two] = json as [JsonClient, JsonClient];
        const rev = Math.max(one.rev, two.rev);
        await until('both to see what follows', () => one.rev > rev + 10 && two.rev > rev + 10);
      }
    } finally {
      await back();
    }
    await ledger.after(200, 'acked');
    for (const crowd of crowds) crowd.hush();
    const wrongs = await Promise.all(crowds.map((crowd) => crowd.wrongs({ tap, complete: true })));
    expect([...wrongs.flat(), ...ledger.faults, ...tap.faults]).toEqual([]);
    await until('everybody to be told', () =>
      crowds.every(({ json }) => json.every(({ status }) => status === 'saved')),
    );
    for (const crowd of crowds) crowd.leave();
  },
  90_000,
);
