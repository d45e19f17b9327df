/** Three nodes: what becomes of the documents of one that dies, or hangs for longer than the others believe in it. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { seededRandom } from '../../src/base/random.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { Cluster, type ClusterNode } from './cluster.ts';
import type { Person } from './concord.ts';
import { Crowd } from './crowd.ts';
import { Ledger } from './ledger.ts';
import { Tap } from './tap.ts';

const DOCUMENTS = 6;
const TAKEN_OVER_WITHIN_MS = 10_000;
/** A node that hangs is believed in for 8 s after its last beat. */
const MISSED_WITHIN_MS = 20_000;

let database: TestDatabase;
let redis: TestRedis;
let cluster: Cluster;
let tap: Tap;
let people: [Person, Person, Person];

beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  cluster = await Cluster.start({ database_url: database.url, redis_url: redis.url, nodes: 3 });
  people = (await cluster.people('ada', 'ben', 'cleo')) as [Person, Person, Person];
  tap = await Tap.open(redis.url);
});

afterAll(async () => {
  tap.close();
  await cluster.stop();
  await Promise.all([database.drop(), redis.stop()]);
});

/** Documents, every third on each node, with people and programs typing on all of them from everywhere. */
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
  return { ledger, crowds };
}
type Company = Awaited<ReturnType<typeof company>>;

/** The documents that this node has. */
async function ownedBy({ name }: ClusterNode, { crowds }: Company): Promise<string[]> {
  const owners = await cluster.owners(crowds.map(({ doc_id }) => doc_id));
  return [...owners].filter(([, owner]) => owner === name).map(([doc_id]) => doc_id);
}

/** Resolves once edits that were made after `since` are acknowledged on all of these documents. */
function flowing({ ledger }: Company, doc_ids: readonly string[], since: number, within_ms: number): Promise<unknown> {
  return until('edits to flow again', () => doc_ids.every((doc_id) => ledger.flowsSince(doc_id, since)), within_ms);
}

/** Everybody rests, has everything, and nothing is wrong. */
async function expectOneTruth({ ledger, crowds }: Company): Promise<void> {
  for (const crowd of crowds) crowd.hush();
  const wrongs = await Promise.all(crowds.map((crowd) => crowd.wrongs({ tap, complete: true })));
  expect([...wrongs.flat(), ...ledger.faults, ...tap.faults]).toEqual([]);
  for (const crowd of crowds) crowd.leave();
}

test('an owner killed with -9 under load: others take its documents over within 10 s, no other document moves, no acknowledged edit is lost', async () => {
  const all = await company('killed');
  const victim = cluster.node(0);
  const orphans = await ownedBy(victim, all);
  const others = all.crowds.map(({ doc_id }) => doc_id).filter((doc_id) => !orphans.includes(doc_id));
  expect(orphans.length).toBeGreaterThan(0);
  const before = await cluster.epochs(others);
  await victim.concord.kill9();
  const killed_at = performance.now();
  await flowing(all, orphans, killed_at, TAKEN_OVER_WITHIN_MS);
  const survivors = cluster.open.map(({ name }) => name);
  for (const [, owner] of await cluster.owners(orphans)) expect(survivors).toContain(owner ?? 'nobody');
  await victim.concord.startAgain();
  victim.concord.letIn();
  await all.ledger.after(200, 'acked');
  expect(await cluster.epochs(others)).toEqual(before);
  await expectOneTruth(all);
}, 120_000);

test('an owner that hangs until others have its documents: what it still writes is refused, nothing forks, its clients move', async () => {
  const all = await company('hung');
  const victim = cluster.node(1);
  const doc_ids = await ownedBy(victim, all);
  expect(doc_ids.length).toBeGreaterThan(0);
  victim.concord.shutOut();
  victim.concord.server.pause();
  const hung_at = performance.now();
  await flowing(all, doc_ids, hung_at, MISSED_WITHIN_MS).finally(() => victim.concord.server.resume());
  await until(
    'the node to find out',
    async () => (await victim.concord.metric('concord_fenced_total')) >= doc_ids.length,
  );
  await all.ledger.after(200, 'acked');
  expect(await ownedBy(victim, all)).toEqual([]);
  victim.concord.letIn();
  await expectOneTruth(all);
}, 120_000);
