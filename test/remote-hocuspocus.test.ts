/** Hocuspocus providers on a node that does not own their document: docs/PROTOCOL.md, "The Hocuspocus door". */
import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test';
import { StockHocuspocus, type StockOptions, stockSocket } from './support/hocuspocus.ts';
import { openTestServer, type TestServer, type TestUser } from './support/server.ts';
import { JsonClient } from './support/sockets.ts';

let owner: TestServer;
let gateway: TestServer;
let ada: TestUser;
let bob: TestUser;
let release: () => Promise<void> = async () => {};
const ending: { destroy(): void }[] = [];

beforeAll(async () => {
  owner = await openTestServer({ NODE_ID: 'one' });
  gateway = await openTestServer({ NODE_ID: 'two' }, owner);
  [ada, bob] = [await owner.register('ada'), await owner.register('bob')];
});

afterEach(async () => {
  await release();
  release = async () => {};
  for (const one of ending.splice(0).reverse()) one.destroy();
});

afterAll(async () => {
  await gateway.stop();
  await owner.stop();
  expect(owner.errors()).toEqual([]);
  expect(gateway.errors()).toEqual([]);
});

/** A document that node one owns, since ada is there. */
async function shared(text: string): Promise<{ doc_id: string; home: JsonClient }> {
  const doc_id = await owner.createDocument(ada, text);
  await owner.share(ada, doc_id, bob, 'editor');
  return { doc_id, home: await JsonClient.join(owner, doc_id, ada) };
}

async function synced(at: TestServer, doc_id: string, who: TestUser, options?: StockOptions): Promise<StockHocuspocus> {
  const client = new StockHocuspocus(at, doc_id, who, options);
  ending.push(client);
  await client.synced();
  return client;
}

test('providers of both nodes converge, sessions on one socket among them', async () => {
  const { doc_id, home } = await shared('x');
  const socket = stockSocket(gateway);
  ending.push(socket);
  const [one, two] = [
    await synced(gateway, doc_id, bob, { socket, sessions: true }),
    await synced(gateway, doc_id, ada, { socket, sessions: true }),
  ];
  const near = await synced(owner, doc_id, ada);
  one.text.insert(1, 'y');
  await two.reads('xy');
  near.text.insert(2, 'z');
  await home.edit([{ insert: 'w' }], home.ready.rev);
  for (const client of [one, two, near]) await client.reads('wxyz');
  for (const client of [one, two, near]) await client.until('everything to be saved', () => client.saved);
});

test('everything counts as saved only when PostgreSQL has it, after a synchronisation by force, too', async () => {
  const { doc_id } = await shared('x');
  const [away, near] = [await synced(gateway, doc_id, bob), await synced(owner, doc_id, ada)];
  await away.until('the beginning to be saved', () => away.saved);
  release = await owner.holdJournal(doc_id);
  away.text.insert(1, 'y');
  away.provider.forceSync();
  await near.reads('xy');
  near.text.insert(2, 'z');
  await away.reads('xyz');
  expect(away.saved).toBe(false);
  await release();
  await away.until('everything to be saved', () => away.saved);
  expect(await owner.text(ada, doc_id)).toBe('xyz');
});

test('a change of role and its end reach providers on another node', async () => {
  const { doc_id } = await shared('x');
  const away = await synced(gateway, doc_id, bob);
  await owner.share(ada, doc_id, bob, 'viewer');
  await away.until('the scope', () => away.scopes.at(-1) === 'readonly');
  await owner.call('DELETE', `/v1/documents/${doc_id}/permissions/${bob.user_id}`, ada.token);
  await away.until('the end', () => away.closes.length > 0);
  expect(away.refusals).toHaveLength(1);
});
