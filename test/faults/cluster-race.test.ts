/** Two nodes that are asked for the same documents at the same moment. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { Cluster, type ClusterNode } from './cluster.ts';
import type { Person } from './concord.ts';

const DOCUMENTS = 1_000;
const AT_ONCE = 50;

let database: TestDatabase;
let redis: TestRedis;
let cluster: Cluster;
let ada: Person;

beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  cluster = await Cluster.start({ database_url: database.url, redis_url: redis.url, nodes: 2 });
  [ada] = (await cluster.people('ada')) as [Person];
});

afterAll(async () => {
  await cluster.stop();
  await Promise.all([database.drop(), redis.stop()]);
});

/** Does this for all documents, some at once. */
async function forAll<T>(work: (i: number) => Promise<T>): Promise<T[]> {
  const results = new Array<T>(DOCUMENTS);
  let next = 0;
  const one = async (): Promise<void> => {
    for (let i = next++; i < DOCUMENTS; i = next++) results[i] = await work(i);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return results;
}

/** Writes a word through a node. */
function write({ concord, name }: ClusterNode, doc_id: string): Promise<unknown> {
  const edit = { changes: { delta: [{ insert: `<${name}>` }] }, client_id: crypto.randomUUID(), seq: 1 };
  return until(`${name} to take an edit`, async () => {
    const { status } = await concord.call('POST', `/v1/documents/${doc_id}/edits`, ada.token, edit);
    return status === 200;
  });
}

test('two nodes that race for 1,000 documents end with one owner each, and what was written through either is there once', async () => {
  const doc_ids = await forAll(() => cluster.createDocument(ada));
  const both = [cluster.node(0), cluster.node(1)];
  await forAll((i) => Promise.all(both.map((node) => write(node, doc_ids[i] ?? ''))));
  const owners = await cluster.owners(doc_ids);
  const names = [...owners.values()];
  expect(names.filter((name) => name === 'n1' || name === 'n2')).toHaveLength(DOCUMENTS);
  // Each node has open exactly what PostgreSQL says is its own: nobody is a second owner without knowing.
  for (const { concord, name } of both) {
    const own = names.filter((owner) => owner === name).length;
    await until(`${name} to have ${own} open`, async () => (await concord.metric('concord_open_actors')) === own);
  }
  const wrongs = await forAll(async (i) => {
    const { wrongs: found, head_rev, doc } = await cluster.history(doc_ids[i] ?? '');
    const text = doc.getText('content').toString();
    if (head_rev === 2 && ['<n1><n2>', '<n2><n1>'].includes(text)) return found;
    return [...found, `revision ${head_rev}: ${text}`];
  });
  expect(wrongs.flat()).toEqual([]);
  const epochs = await cluster.epochs(doc_ids);
  // Whoever lost a race claimed nothing: no document was taken from an owner that lived.
  expect(epochs.filter((epoch) => epoch > 1)).toEqual([]);
}, 120_000);
