/** Two nodes: what Redis forgets, misses or breaks off moves no document and loses nothing. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test';
import { seededRandom } from '../../src/base/random.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { Cluster } from './cluster.ts';
import type { Person } from './concord.ts';
import { Crowd } from './crowd.ts';
import { JsonClient } from './json-client.ts';
import { Ledger } from './ledger.ts';
import { Tap } from './tap.ts';

const DOCUMENTS = 4;
/** Longer than a node is believed in without a beat, so that nothing in Redis is true any more when it returns. */
const AWAY_MS = 10_000;
const REPAIRED_WITHIN_MS = 5_000;
const BETWEEN_BREAKS_MS = 400;

let database: TestDatabase;
let redis: TestRedis;
let cluster: Cluster;
let tap: Tap;
let people: [Person, Person, Person];

beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  cluster = await Cluster.start({ database_url: database.url, redis_url: redis.url, nodes: 2 });
  people = (await cluster.people('ada', 'ben', 'cleo')) as [Person, Person, Person];
  tap = await Tap.open(redis.url);
});

beforeEach(() => cluster.ready());

afterAll(async () => {
  tap.close();
  await cluster.stop();
  await Promise.all([database.drop(), redis.stop()]);
});

/** Documents, half of them on each node, with people and programs typing on all of them from both. */
async function company(name: string) {
  const [ledger, random] = [new Ledger(), seededRandom(1)];
  const crowds: Crowd[] = [];
  for (let i = 0; i < DOCUMENTS; i++) {
    const doc_id = await cluster.createDocument(people[0], people.slice(1));
    await cluster.openOn(cluster.node(i), people[0], [doc_id]);
    crowds.push(new Crowd({ cluster, ledger, random, people, doc_id, name: `${name}${i}`, home: i, think_ms: 20 }));
  }
  await Promise.all(crowds.map((crowd) => crowd.arrive()));
  for (const crowd of crowds) crowd.type();
  await ledger.after(200, 'acked');
  const doc_ids = crowds.map(({ doc_id }) => doc_id);
  return { ledger, crowds, doc_ids, epochs: await cluster.epochs(doc_ids) };
}
type Company = Awaited<ReturnType<typeof company>>;

/** Everybody rests, has everything, nothing is wrong, and every document is where it was. */
async function expectNothingMoved({ ledger, crowds, doc_ids, epochs }: Company, complete: boolean): Promise<void> {
  for (const crowd of crowds) crowd.hush();
  const wrongs = await Promise.all(crowds.map((crowd) => crowd.wrongs({ tap, complete })));
  expect([...wrongs.flat(), ...ledger.faults, ...tap.faults]).toEqual([]);
  expect(await cluster.epochs(doc_ids)).toEqual(epochs);
  for (const crowd of crowds) crowd.leave();
}

/** Sends Redis a command of its own. */
async function tell(command: string, ...words: string[]): Promise<unknown> {
  const client = new Bun.RedisClient(redis.url);
  const answer = await client.send(command, words);
  client.close();
  return answer;
}

/** How many nodes listen on channels of their own. */
async function listeners(): Promise<number> {
  return ((await tell('PUBSUB', 'CHANNELS', 'node:*')) as string[]).length;
}

test('Redis flushed under load: no document changes hands, nobody is sent away, nothing is missed', async () => {
  const all = await company('flushed');
  for (let flush = 0; flush < 3; flush++) {
    await tell('FLUSHALL');
    await all.ledger.after(200, 'acked');
  }
  const closes = all.crowds.flatMap(({ json, yjs }) => [...json, ...yjs].map(({ closed_with }) => closed_with));
  expect(new Set(closes)).toEqual(new Set([null]));
  await expectNothingMoved(all, true);
}, 120_000);

test('Redis restarted under load: all heals by itself, and no document changes hands', async () => {
  const all = await company('restarted');
  await redis.restart();
  await all.ledger.after(500, 'acked');
  await expectNothingMoved(all, false);
}, 120_000);

test('Redis away until nobody beats any more: editing on the owner goes on, everybody recovers, and no document changes hands', async () => {
  const all = await company('away');
  const near = await Promise.all(
    all.doc_ids.map(async (doc_id, i) => {
      const parts = { ledger: all.ledger, random: seededRandom(2), person: people[0], doc_id, name: `near${i}` };
      const client = new JsonClient({ ...parts, concord: cluster.node(i).concord });
      await client.connect();
      await until('a client on the owner to have arrived', () => client.is_ready);
      return client;
    }),
  );
  await redis.kill9();
  const over = performance.now() + AWAY_MS;
  while (performance.now() < over) {
    for (const client of near) client.type();
    await until('edits on the owners to be acknowledged', () => near.every(({ is_settled }) => is_settled));
    await Bun.sleep(100);
  }
  await redis.start();
  await cluster.ready();
  await all.ledger.after(500, 'acked');
  expect(near.map(({ closed_with }) => closed_with)).toEqual(near.map(() => null));
  for (const client of near) client.leave();
  await expectNothingMoved(all, false);
}, 150_000);

test('every subscription of every node broken off, again and again: what was missed is there within 5 s, though nothing follows it', async () => {
  const ledger = new Ledger();
  const doc_id = await cluster.createDocument(people[0]);
  await cluster.openOn(cluster.node(0), people[0], [doc_id]);
  const client = async (i: number, name: string): Promise<JsonClient> => {
    const parts = { ledger, random: seededRandom(i), person: people[0], doc_id, name };
    const made = new JsonClient({ ...parts, concord: cluster.node(i).concord });
    await made.connect();
    await until(`${name} to have arrived`, () => made.is_ready);
    return made;
  };
  const both = await Promise.all([client(0, 'near'), client(1, 'far')]);
  for (let round = 0; round < 10; round++) {
    const author = both[round % 2] as JsonClient;
    const broken = Number(await tell('CLIENT', 'KILL', 'TYPE', 'pubsub'));
    expect(broken).toBeGreaterThan(0);
    const marker = author.type() ?? 'an edit that could not be made';
    await until('both to show the edit', () => both.every(({ text }) => text.includes(marker)), REPAIRED_WITHIN_MS);
    await until('it to be acknowledged', () => author.is_settled, REPAIRED_WITHIN_MS);
    // A node that nobody hears at two looks in a row counts as dead: each is heard again before the next break.
    await until('every node to listen again', async () => (await listeners()) === 2);
    await Bun.sleep(BETWEEN_BREAKS_MS);
  }
  expect(both.map(({ closed_with }) => closed_with)).toEqual([null, null]);
  const { value } = await cluster.node(1).concord.text(people[0], doc_id);
  expect(both.map(({ text }) => text)).toEqual([value, value]);
  expect([...ledger.wrongs(doc_id, value, true), ...ledger.faults]).toEqual([]);
  for (const each of both) each.leave();
}, 150_000);
