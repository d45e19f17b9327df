/** Stock Hocuspocus providers, as they come out of the package: docs/PROTOCOL.md, "The Hocuspocus door". */
import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test';
import type { HocuspocusProviderWebsocket } from '@hocuspocus/provider';
import Delta from 'quill-delta';
import * as Y from 'yjs';
import { StockHocuspocus, type StockOptions, stockSocket } from '../../test/support/hocuspocus.ts';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient } from '../../test/support/sockets.ts';
import { StockClient } from '../../test/support/stock-client.ts';
import { until } from '../../test/support/until.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { TIMES } from '../protocol/limits.ts';

let server: TestServer;
let ada: TestUser;
let bob: TestUser;
let eve: TestUser;
let release: () => Promise<void> = async () => {};
const ending: { destroy(): void }[] = [];

beforeAll(async () => {
  server = await openTestServer();
  [ada, bob, eve] = await Promise.all([server.register('ada'), server.register('bob'), server.register('eve')]);
});

afterEach(async () => {
  await release();
  release = async () => {};
  for (const one of ending.splice(0).reverse()) one.destroy();
});

afterAll(async () => {
  await server.stop();
  // One test lets a document be out of reach, which operators are told.
  for (const error of server.errors()) expect(error).toContain('Storage is away');
});

/** A document that bob may edit and eve may see. */
async function shared(text?: string): Promise<string> {
  const doc_id = await server.createDocument(ada, text);
  await server.share(ada, doc_id, bob, 'editor');
  await server.share(ada, doc_id, eve, 'viewer');
  return doc_id;
}

function stock(doc_id: string, user: TestUser, options: StockOptions = {}): StockHocuspocus {
  const client = new StockHocuspocus(server, doc_id, user, options);
  ending.push(client);
  return client;
}

/** A provider that has synchronised. */
async function synced(doc_id: string, user: TestUser, options: StockOptions = {}): Promise<StockHocuspocus> {
  const client = stock(doc_id, user, options);
  await client.synced();
  return client;
}

function line(): HocuspocusProviderWebsocket {
  const socket = stockSocket(server);
  ending.push(socket);
  return socket;
}

/** Whether two documents hold the same; their encoding may differ. */
function same(one: Y.Doc, two: Y.Doc): boolean {
  const contents = (doc: Y.Doc) => [
    Y.encodeStateVector(doc),
    doc.getText('content').toDelta(),
    doc.getMap('settings').toJSON(),
    doc.getArray('list').toJSON(),
  ];
  return Bun.deepEquals(contents(one), contents(two));
}

test('H6: two providers, one of y-websocket and a JSON client on one document converge', async () => {
  const doc_id = await shared('start');
  const [one, two] = [await synced(doc_id, ada), await synced(doc_id, bob)];
  const other = new StockClient(server, doc_id, ada);
  ending.push(other);
  await other.synced();
  const json = await JsonClient.join(server, doc_id, bob);
  expect(one.text.toString()).toBe('start');
  for (let i = 0; i < 20; i++) {
    one.text.insert(i % (one.text.length + 1), `a${i}😀`, i % 3 === 0 ? { bold: true } : {});
    two.text.insertEmbed(two.text.length >> 1, { image: `data:,${i}` });
    two.doc.getMap('settings').set(`k${i % 5}`, i);
    other.doc.getArray('list').push([i]);
    other.text.format(0, other.text.length, { color: i % 2 === 0 ? 'red' : null });
    await json.edit([{ insert: `j${i}` }]);
  }
  await until('equality', () => same(one.doc, two.doc) && same(one.doc, other.doc));
  expect(other.doc.getArray('list').length).toBe(20);
  const fresh = await JsonClient.join(server, doc_id, eve);
  // Neighbours that look the same are one in a delta of ours.
  const content = new Delta();
  for (const op of one.text.toDelta()) content.push(op);
  expect(fresh.ready.content).toEqual(content.ops as DeltaOps);
  for (const client of [one, two]) await client.until('everything to be saved', () => client.saved);
  await json.leave();
  await fresh.leave();
});

test('H6: presence is shown across the doors', async () => {
  const doc_id = await shared('text');
  const one = await synced(doc_id, ada);
  const other = new StockClient(server, doc_id, bob);
  ending.push(other);
  await other.synced();
  const json = await JsonClient.join(server, doc_id, eve);
  one.provider.setAwarenessField('user', { name: 'Ada', color: 'red' });
  other.awareness.setLocalStateField('user', { name: 'Bob' });
  json.send({ type: 'presence', status: 'active', state: { cursor: null } });
  const users = () =>
    [...one.awareness.getStates()].flatMap(([id, { user }]) => (id === one.doc.clientID ? [] : [user?.id])).sort();
  const others = [bob.user_id, eve.user_id].sort();
  await one.until('the others', () => Bun.deepEquals(users(), others));
  await other.until('ada', () => other.awareness.getStates().get(one.doc.clientID)?.user.color === 'red');
  await json.take('presence', ({ user_id, state }) => user_id === ada.user_id && state.user !== undefined);
  one.destroy();
  await other.until('ada to be gone', () => !other.awareness.getStates().has(one.doc.clientID));
  await json.leave();
});

test('H3: several documents on one socket, each by itself; one that is refused leaves the others alone', async () => {
  const [first, second, secret] = [await shared('one'), await shared('two'), await server.createDocument(bob)];
  const socket = line();
  const [one, two] = [await synced(first, ada, { socket }), await synced(second, ada, { socket })];
  const refused = stock(secret, ada, { socket });
  await refused.until('the refusal', () => refused.refusals.length > 0);
  one.text.insert(0, '1 ');
  two.text.insert(0, '2 ');
  await one.until('both to be saved', () => one.saved);
  await two.until('both to be saved', () => two.saved);
  expect([await server.text(ada, first), await server.text(ada, second)]).toEqual(['1 one', '2 two']);
  expect([one.closes, two.closes, refused.provider.isAuthenticated]).toEqual([[], [], false]);
});

test('H3: sessions of one document on one socket are members of their own', async () => {
  const doc_id = await shared('text');
  const socket = line();
  const sessions = { socket, sessions: true };
  const [one, two] = [await synced(doc_id, ada, sessions), await synced(doc_id, bob, sessions)];
  const plain = await synced(doc_id, ada, { socket });
  one.text.insert(0, '1');
  for (const client of [two, plain]) await client.reads('1text');
  two.text.insert(0, '2');
  plain.text.insert(0, '0');
  for (const client of [one, two, plain])
    await client.until('all edits', () => client.text.length === 7 && same(client.doc, one.doc));
  const { items } = (await server.call('GET', `/v1/documents/${doc_id}/presence`, ada.token)).body.data;
  expect(items.map((item: { user_id: string }) => item.user_id).sort()).toEqual(
    [ada.user_id, ada.user_id, bob.user_id].sort(),
  );
  two.destroy();
  one.text.insert(0, '>');
  await plain.until('the edit', () => plain.text.toString().startsWith('>'));
});

test('H8: everything counts as saved only when PostgreSQL has it', async () => {
  const doc_id = await shared('text');
  const one = await synced(doc_id, ada);
  const two = await synced(doc_id, bob);
  await one.until('the beginning to be saved', () => one.saved);
  release = await server.holdJournal(doc_id);
  for (const letter of ['a', 'b', 'c']) one.text.insert(0, letter);
  await two.reads('cbatext');
  two.text.insert(0, 'd');
  await one.reads('dcbatext');
  expect([one.provider.unsyncedChanges, two.provider.unsyncedChanges]).toEqual([3, 1]);
  await release();
  for (const client of [one, two]) await client.until('its edits to be saved', () => client.saved);
  expect(await server.text(ada, doc_id)).toBe('dcbatext');
});

test('H9: a provider that synchronises by force is answered and asked, and is saved again', async () => {
  const doc_id = await shared('text');
  const one = await synced(doc_id, ada);
  await one.until('the beginning to be saved', () => one.saved);
  release = await server.holdJournal(doc_id);
  one.text.insert(0, 'a');
  one.provider.forceSync();
  one.text.insert(0, 'b');
  const other = await synced(doc_id, bob);
  await other.reads('batext');
  expect(one.saved).toBe(false);
  await release();
  await one.until('everything to be saved', () => one.saved);
});

test('H10: a viewer gets everything and may show presence; what it writes reaches nobody and never counts as saved', async () => {
  const doc_id = await shared('text');
  const [author, viewer] = [await synced(doc_id, ada), await synced(doc_id, eve)];
  expect([author.scopes, viewer.scopes]).toEqual([['read-write'], ['readonly']]);
  await viewer.until('nothing to be saved', () => viewer.saved);
  viewer.provider.setAwarenessField('mood', 'good');
  await author.until('the mood', () => author.awareness.getStates().get(viewer.doc.clientID)?.mood === 'good');
  viewer.text.insert(0, 'mine ');
  author.text.insert(4, '!');
  await viewer.until('what follows', () => viewer.text.toString().endsWith('text!'));
  expect([author.text.toString(), viewer.saved]).toEqual(['text!', false]);
});

test('H11: a change of role is told as a new scope, and what a viewer wrote comes in once it may', async () => {
  const doc_id = await shared('text');
  const viewer = await synced(doc_id, eve);
  viewer.text.insert(0, 'mine ');
  await server.share(ada, doc_id, eve, 'editor');
  await viewer.until('the scope', () => viewer.scopes.at(-1) === 'read-write');
  viewer.provider.forceSync();
  await viewer.until('everything to be saved', () => viewer.saved);
  expect(await server.text(ada, doc_id)).toBe('mine text');
  await server.share(ada, doc_id, eve, 'viewer');
  await viewer.until('the scope', () => viewer.scopes.at(-1) === 'readonly');
});

test('H16: after a restart of the server providers connect again by themselves, and nothing typed meanwhile is lost', async () => {
  const [first, second] = [await shared('one'), await shared('two')];
  const socket = line();
  const [one, two] = [await synced(first, ada, { socket }), await synced(second, ada, { socket })];
  const down = server.restart();
  await one.until('the break', () => !one.provider.synced);
  one.text.insert(0, 'offline ');
  await down;
  for (const client of [one, two]) await client.until('everything to be saved', () => client.saved);
  expect(await server.text(ada, first)).toBe('offline one');
});

test('H19: a document that cannot be had for the moment is waited for, and the others on the socket go on', async () => {
  const [first, second] = [await shared('text'), await shared()];
  const socket = line();
  const one = await synced(first, ada, { socket });
  await one.until('it to be saved', () => one.saved);
  release = await server.holdJournal(second);
  const late = stock(second, ada, { socket });
  await until('the claim to wait', async () => {
    const [row] = await server.sql`SELECT count(*)::int AS waiting FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    return row?.waiting > 0;
  });
  for (let i = 0; i < 3; i++) server.clock.advance(TIMES.claim_timeout_ms);
  one.text.insert(0, '> ');
  await one.until('it to be saved', () => one.saved);
  late.text.insert(0, 'early');
  expect([late.provider.synced, late.refusals]).toEqual([false, []]);
  await release();
  server.clock.advance(TIMES.reopen_max_ms);
  await late.until('everything to be saved', () => late.saved);
  expect([one.closes, late.closes]).toEqual([[], []]);
  expect(await server.text(ada, second)).toBe('early');
});

test('H13: a provider that is gone and another one of the same name at once do not disturb each other', async () => {
  const doc_id = await shared('text');
  const socket = line();
  const first = stock(doc_id, ada, { socket });
  await first.until('the line', () => first.provider.isAuthenticated);
  first.text.insert(0, 'last words ');
  first.destroy();
  const second = await synced(doc_id, ada, { socket });
  await second.until('the last words', () => second.text.toString().includes('last words'));
  await second.until('everything to be saved', () => second.saved);
  // Before the first was let in at all, too.
  const third = line();
  const early = stock(doc_id, bob, { socket: third });
  early.destroy();
  await synced(doc_id, bob, { socket: third });
});

test('H14: a provider whose document is quiet is kept alive by pings', async () => {
  const doc_id = await shared('text');
  const one = await synced(doc_id, ada);
  const pongs = spySend(one.socket);
  await server.later(TIMES.keep_alive_ms);
  await until('the pong', () => pongs.some((frame) => frame.length === 1));
  one.text.insert(0, 'a');
  await one.until('it to be saved', () => one.saved);
});

/** What the provider's socket sends from now on. */
function spySend(socket: HocuspocusProviderWebsocket): Uint8Array[] {
  const sent: Uint8Array[] = [];
  const send = socket.send.bind(socket);
  socket.send = (message: Uint8Array) => {
    sent.push(message);
    send(message);
  };
  return sent;
}
