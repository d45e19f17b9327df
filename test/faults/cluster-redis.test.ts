/** Two nodes: what Redis forgets, misses or breaks off moves no document and loses nothing. */
import { beforeEach, expect, test } from 'bun:test';
import { seededRandom } from '../../src/base/random.ts';
import { until } from '../support/until.ts';
import { ClusterWorld, type Company } from './cluster-world.ts';
import { JsonClient } from './json-client.ts';
import { Ledger } from './ledger.ts';

const DOCUMENTS = 4;
/** Longer than a node is believed in without a beat, so that nothing in Redis is true any more when it returns. */
const AWAY_MS = 10_000;
const REPAIRED_WITHIN_MS = 5_000;
const BETWEEN_BREAKS_MS = 400;

const world = new ClusterWorld(2);

beforeEach(() => world.cluster.ready());

/** Everybody on documents of both nodes, and how often each of these changed hands so far. */
async function company(name: string): Promise<Settled> {
  const all = await world.company(name, DOCUMENTS);
  return { ...all, epochs: await world.cluster.epochs(all.doc_ids) };
}

interface Settled extends Company {
  readonly epochs: readonly number[];
}

/** Everybody rests, has everything, nothing is wrong, and every document is where it was. */
async function expectNothingMoved(all: Settled, complete: boolean): Promise<void> {
  await world.expectOneTruth(all, complete);
  expect(await world.cluster.epochs(all.doc_ids)).toEqual([...all.epochs]);
  for (const crowd of all.crowds) crowd.leave();
}

/** Sends Redis a command of its own. */
async function tell(command: string, ...words: string[]): Promise<unknown> {
  const client = new Bun.RedisClient(world.redis.url);
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
  await world.redis.restart();
  await all.ledger.after(500, 'acked');
  await expectNothingMoved(all, false);
}, 120_000);

test('Redis away until nobody beats any more: editing on the owner goes on, everybody recovers, and no document changes hands', async () => {
  const { cluster, redis, people } = world;
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
  const { cluster, people } = world;
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
