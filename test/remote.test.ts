/** Documents whose actor is on another node: every door, one document. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import Delta from 'quill-delta';
import * as Y from 'yjs';
import { openTestServer, type TestServer, type TestUser } from './support/server.ts';
import { JsonClient, YjsClient } from './support/sockets.ts';
import { StockClient } from './support/stock-client.ts';

let owner: TestServer;
let gateway: TestServer;
let ada: TestUser;
let bob: TestUser;

beforeAll(async () => {
  owner = await openTestServer({ NODE_ID: 'one' });
  gateway = await openTestServer({ NODE_ID: 'two' }, owner);
  [ada, bob] = [await owner.register('ada'), await owner.register('bob')];
});

afterAll(async () => {
  await gateway.stop();
  await owner.stop();
  expect(owner.errors()).toEqual([]);
  expect(gateway.errors()).toEqual([]);
});

/** A document that node one owns, with ada's JSON connection there. */
async function shared(text?: string): Promise<{ doc_id: string; home: JsonClient }> {
  const doc_id = await owner.createDocument(ada, text);
  await owner.share(ada, doc_id, bob, 'editor');
  const home = await JsonClient.join(owner, doc_id, ada);
  return { doc_id, home };
}

test('a JSON client on another node joins, edits, is acked, and sees the edits of all', async () => {
  const { doc_id, home } = await shared('hello');
  const away = await JsonClient.join(gateway, doc_id, bob);
  expect(away.ready.content).toEqual([{ insert: 'hello' }]);
  await away.edit([{ retain: 5 }, { insert: ' world' }]);
  await away.acked(2);
  await home.acked(2);
  await home.edit([{ insert: '> ' }]);
  await away.acked(3);
  expect(await owner.text(ada, doc_id)).toBe('> hello world');
  expect(await gateway.text(ada, doc_id)).toBe('> hello world');
  expect(away.of('edit').map(({ changes }) => changes.rev)).toEqual([2, 3]);
});

test('a stock Yjs provider on another node converges with all others', async () => {
  const { doc_id, home } = await shared('x');
  const stock = new StockClient(gateway, doc_id, bob);
  await stock.synced();
  expect(stock.text.toString()).toBe('x');
  stock.text.insert(1, 'yz');
  await home.acked(2);
  await home.edit([{ insert: 'w' }]);
  await stock.until('both', () => stock.text.toString() === 'wxyz');
  const near = await YjsClient.join(owner, doc_id, ada);
  near.write((text) => text.insert(0, 'v'));
  await stock.until('all', () => stock.text.toString() === 'vwxyz');
  stock.destroy();
});

test('REST on any node edits and reads the one document', async () => {
  const { doc_id, home } = await shared('a');
  const answer = await gateway.call('POST', `/v1/documents/${doc_id}/edits`, bob.token, {
    changes: { delta: [{ retain: 1 }, { insert: 'b' }] },
  });
  expect(answer.body).toMatchObject({ success: true, data: { rev: 2 } });
  await home.acked(2);
  const present = await gateway.call('GET', `/v1/documents/${doc_id}/presence`, ada.token);
  expect(present.body.data.items).toMatchObject([{ user_id: ada.user_id }]);
});

test('presence of one node is seen on the other, on both wires', async () => {
  const { doc_id, home } = await shared('abc');
  const away = await JsonClient.join(gateway, doc_id, bob);
  home.send({ type: 'presence', status: 'active', state: { cursor: { index: 1, length: 0 } } });
  await away.take('presence', (event) => event.user_id === ada.user_id && event.status === 'active');
  away.send({ type: 'presence', status: 'active', state: { cursor: { index: 2, length: 0 } } });
  await home.take('presence', (event) => event.user_id === bob.user_id && event.status === 'active');
  const yjs = await YjsClient.join(gateway, doc_id, bob);
  yjs.show([7, 1, { v: 1 }]);
  await home.take('presence', (event) => event.status === 'active' && 'v' in (event.state as object));
  await away.leave();
  await home.take('presence', (event) => event.user_id === bob.user_id && event.status === 'left');
});

test('J44, J45, Y25: cursors cross nodes and doors on a text that nobody has edited since it was opened', async () => {
  const { doc_id, home } = await shared('hello');
  const yjs = await YjsClient.join(gateway, doc_id, bob);
  await yjs.reads('hello');
  const at = (index: number) => Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(yjs.text, index));
  const [cursor, relative] = [
    { index: 1, length: 3 },
    { anchor: at(1), head: at(4) },
  ];
  home.send({ type: 'presence', status: 'active', state: { cursor } });
  await yjs.until('the cursor', () => {
    const entries = yjs.of('awareness').flatMap((frame) => frame.entries);
    return entries.some(({ state }) => Bun.deepEquals(JSON.parse(state)?.cursor, relative));
  });
  yjs.show([7, 1, { cursor: relative, v: 1 }]);
  const { state } = await home.take('presence', (event) => 'v' in event.state);
  expect(state.cursor).toEqual(cursor);
  const present = await gateway.call('GET', `/v1/documents/${doc_id}/presence`, ada.token);
  expect(present.body.data.items).toMatchObject([{ state: { cursor } }, { state: { cursor } }]);
  await home.edit([{ insert: '12345' }]);
  const late = await JsonClient.join(gateway, doc_id, bob);
  const moved = { state: { cursor: { index: 6, length: 3 } } };
  expect(late.ready.presence).toMatchObject([moved, moved, { state: {} }]);
});

test('many edits from both nodes at once: one order, every replica equal', async () => {
  const { doc_id, home } = await shared('');
  const away = await JsonClient.join(gateway, doc_id, bob);
  const stock = new StockClient(gateway, doc_id, bob);
  await stock.synced();
  const type = async (client: JsonClient, mark: string): Promise<void> => {
    for (let i = 0; i < 40; i++) await client.edit([{ insert: mark }]);
  };
  const yjs = (async () => {
    for (let i = 0; i < 40; i++) {
      stock.text.insert(0, 'y');
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  await Promise.all([type(home, 'h'), type(away, 'a'), yjs]);
  await stock.until('all of it', () => stock.text.length === 120);
  const text = await owner.text(ada, doc_id);
  expect(text).toHaveLength(120);
  for (const client of [home, away]) {
    await client.settled();
    expect(seen(client)).toBe(text);
  }
  expect(stock.text.toString()).toBe(text);
  stock.destroy();
});

function seen(client: JsonClient): string {
  let content = new Delta(client.ready.content ?? []);
  for (const { changes } of client.of('edit')) content = content.compose(new Delta(changes.delta));
  return content.ops.map(({ insert }) => insert).join('');
}
