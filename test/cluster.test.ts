/** What admins see of the nodes and of what is open on them: CONTRACT.md section 2. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { openTestServer, type TestServer, type TestUser } from './support/server.ts';
import { JsonClient } from './support/sockets.ts';

let one: TestServer;
let two: TestServer;
let ada: TestUser;
let root: TestUser;

beforeAll(async () => {
  one = await openTestServer({ NODE_ID: 'one', SERVICES: 'documents,collaboration' });
  two = await openTestServer({ NODE_ID: 'two' }, one);
  [ada, root] = [await two.register('ada'), await two.register('root')];
  await one.sql`UPDATE users SET role = 'admin' WHERE id = ${root.user_id}`;
  root = await two.signIn(root);
});

afterAll(async () => {
  await two.stop();
  await one.stop();
  expect(one.errors()).toEqual([]);
  expect(two.errors()).toEqual([]);
});

test('the nodes are listed by name, with what they run and how much is open there', async () => {
  const doc_id = await one.createDocument(ada, 'text');
  const client = await JsonClient.join(one, doc_id, ada);
  await one.later(2_000);
  const answer = await two.call('GET', '/v1/admin/nodes', root.token);
  expect(answer.status).toBe(200);
  expect(answer.body.data).toMatchObject({
    items: [
      { node_id: 'one', services: ['documents', 'collaboration'], actors: 1, sockets: 1 },
      { node_id: 'two', services: ['users', 'documents', 'collaboration', 'worker'], actors: 0, sockets: 0 },
    ],
    next_cursor: null,
  });
  for (const { boot_id, started_at, last_beat_at } of answer.body.data.items) {
    expect(boot_id).toMatch(/^[0-9a-f-]{36}$/);
    expect(Date.parse(last_beat_at)).toBeGreaterThanOrEqual(Date.parse(started_at));
  }
  await client.leave();
});

test('the actors of all nodes are listed by document, in pages', async () => {
  const docs = [await one.createDocument(ada, 'a'), await two.createDocument(ada, 'b'), await one.createDocument(ada)];
  const clients = await Promise.all(docs.map((doc_id, i) => JsonClient.join(i === 1 ? two : one, doc_id, ada)));
  await clients[0]?.edit([{ insert: 'x' }]);
  await clients[0]?.acked(2);
  const page = async (cursor: string | null, limit = 2) =>
    (await two.call('GET', `/v1/admin/actors?limit=${limit}${cursor === null ? '' : `&cursor=${cursor}`}`, root.token))
      .body.data;
  const first = await page(null);
  expect(first.items).toHaveLength(2);
  const all = (await page(null, 100)).items as { readonly doc_id: string; readonly node_id: string }[];
  expect([...first.items, ...(await page(first.next_cursor, 100)).items]).toEqual(all);
  const mine = docs.map((doc_id) => all.find((actor) => actor.doc_id === doc_id));
  expect(mine).toMatchObject([
    { node_id: 'one', epoch: 1, rev: 2, durable_rev: 2, connections: 1, backlog: 0 },
    { node_id: 'two', epoch: 1, rev: 1, durable_rev: 1, connections: 1, backlog: 0, state: 'owned active clean held' },
    { node_id: 'one', epoch: 1, rev: 0, durable_rev: 0, connections: 1, backlog: 0 },
  ]);
  expect(all.map(({ doc_id }) => doc_id)).toEqual(all.map(({ doc_id }) => doc_id).sort());
  await Promise.all(clients.map((client) => client.leave()));
});

test('only admins see them, and only nodes that run users answer', async () => {
  for (const path of ['/v1/admin/nodes', '/v1/admin/actors']) {
    expect((await two.call('GET', path)).status).toBe(401);
    expect((await two.call('GET', path, ada.token)).status).toBe(403);
    expect((await one.call('GET', path, root.token)).status).toBe(404);
    expect((await two.call('GET', `${path}?cursor=x`, root.token)).body.error.code).toBe('VALIDATION_ERROR');
  }
});
