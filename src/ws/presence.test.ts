/** Who is here, on both wires at once: docs/PROTOCOL.md, "Presence" and "Awareness". */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { StockHocuspocus } from '../../test/support/hocuspocus.ts';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient, YjsClient } from '../../test/support/sockets.ts';
import { StockClient } from '../../test/support/stock-client.ts';
import { until } from '../../test/support/until.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';

const CLIENT = 'aaaaaaaa-0000-4000-8000-000000000001';
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

let server: TestServer;
let ada: TestUser;
let bob: TestUser;
let eve: TestUser;

beforeAll(async () => {
  server = await openTestServer();
  [ada, bob, eve] = (await Promise.all(['ada', 'bob', 'eve'].map((name) => server.register(name)))) as [
    TestUser,
    TestUser,
    TestUser,
  ];
});

afterAll(async () => {
  await server.stop();
  expect(server.errors()).toEqual([]);
});

/** A document that bob may edit and eve may see. */
async function shared(text?: string): Promise<string> {
  const doc_id = await server.createDocument(ada, text);
  await Promise.all([server.share(ada, doc_id, bob, 'editor'), server.share(ada, doc_id, eve, 'viewer')]);
  return doc_id;
}

/** Shows a state on the JSON door. */
function show(client: JsonClient, state: object): void {
  client.send({ type: 'presence', status: 'active', state });
}

const byUser = (user: TestUser, status: string) => (event: { user_id: string; status: string }) =>
  event.user_id === user.user_id && event.status === status;

test('J40: everybody hears who comes, shows something of themselves and goes; ready lists who is there', async () => {
  const doc_id = await shared();
  const one = await JsonClient.join(server, doc_id, ada);
  const two = await JsonClient.join(server, doc_id, bob, { query: { client_id: CLIENT } });
  const about = {
    type: 'presence',
    user_id: bob.user_id,
    doc_id,
    client_id: CLIENT,
    display_name: 'bob',
    timestamp: expect.stringMatching(ISO),
  };
  const joined = byUser(bob, 'joined');
  expect(await one.take('presence', joined)).toEqual({ ...about, status: 'joined', state: {} } as never);
  await two.take('presence', joined);
  const state = { cursor: { index: 0, length: 0 }, color: '#c00', nested: { deep: [1, null] } };
  show(two, state);
  expect(await one.take('presence', byUser(bob, 'active'))).toEqual({ ...about, status: 'active', state } as never);
  expect((await JsonClient.join(server, doc_id, ada)).ready.presence).toMatchObject([
    { user_id: ada.user_id, status: 'joined', state: {} },
    { user_id: bob.user_id, client_id: CLIENT, status: 'active', state },
    { user_id: ada.user_id, status: 'joined' },
  ]);
  await two.leave();
  expect(await one.take('presence', byUser(bob, 'left'))).toMatchObject({ client_id: CLIENT });
  expect((await JsonClient.join(server, doc_id, bob)).ready.presence).toHaveLength(3);
});

test('J40: a user object within the state gets the id of whoever shows it', async () => {
  const doc_id = await shared();
  const [one, two] = await Promise.all([JsonClient.join(server, doc_id, ada), JsonClient.join(server, doc_id, bob)]);
  show(two, { user: { id: ada.user_id, name: 'Ada', color: 'red' } });
  const { state } = await one.take('presence', byUser(bob, 'active'));
  expect(state).toEqual({ user: { id: bob.user_id, name: 'Ada', color: 'red' } });
});

test('J41: what one shows within a tick reaches the others as one event, the last', async () => {
  const doc_id = await shared();
  const [one, two] = await Promise.all([JsonClient.join(server, doc_id, ada), JsonClient.join(server, doc_id, bob)]);
  await one.take('presence', byUser(bob, 'joined'));
  for (let index = 0; index < 200; index++) show(two, { index });
  await one.take('presence', ({ state }) => state.index === 199);
  // As many as there were ticks of 40 ms while the messages came in; here that is one or two.
  expect(one.of('presence').filter(byUser(bob, 'active')).length).toBeLessThan(20);
});

test(`J42: a state may have presence_state_bytes_max (${LIMITS.presence_state_bytes_max}) bytes and not one more, and the socket stays`, async () => {
  const doc_id = await shared();
  const [one, two] = await Promise.all([JsonClient.join(server, doc_id, ada), JsonClient.join(server, doc_id, bob)]);
  // {"t":""} is 8 bytes; é is two.
  const room = LIMITS.presence_state_bytes_max - 8;
  show(two, { t: 'é'.repeat(room / 2) });
  expect((await one.take('presence', byUser(bob, 'active'))).state.t).toHaveLength(room / 2);
  show(two, { t: `${'é'.repeat(room / 2)}e` });
  expect(await two.take('error')).toMatchObject({ code: 'VALIDATION_ERROR', details: [{ path: '/state' }] });
  await two.ping();
});

test('J43: a viewer may show presence', async () => {
  const doc_id = await shared('text');
  const [one, two] = await Promise.all([JsonClient.join(server, doc_id, ada), JsonClient.join(server, doc_id, eve)]);
  show(two, { cursor: null });
  expect((await one.take('presence', byUser(eve, 'active'))).state).toEqual({ cursor: null });
  expect(two.of('error')).toEqual([]);
});

test('J44: JSON clients see a Yjs user under its connection, with the cursor in text positions', async () => {
  const doc_id = await shared('hello world');
  const json = await JsonClient.join(server, doc_id, ada);
  const yjs = await YjsClient.join(server, doc_id, bob, { query: { client_id: CLIENT } });
  expect(await json.take('presence', byUser(bob, 'joined'))).toMatchObject({ client_id: CLIENT, state: {} });
  await json.edit([{ insert: '>' }]);
  await yjs.reads('>hello world');
  const at = (index: number) => JSON.parse(JSON.stringify(Y.createRelativePositionFromTypeIndex(yjs.text, index)));
  yjs.show([7, 1, { user: { name: 'B' }, cursor: { anchor: at(6), head: at(1) }, mood: 'good' }]);
  expect((await json.take('presence', byUser(bob, 'active'))).state).toEqual({
    user: { name: 'B', id: bob.user_id },
    cursor: { index: 1, length: 5 },
    mood: 'good',
  });
  // What is no position of this text cannot be resolved.
  for (const [clock, anchor] of [
    [2, { type: { client: 1, clock: 1 }, tname: null, item: null, assoc: 0 }],
    [3, { tname: 'other', item: null, assoc: 0 }],
    [4, 'nonsense'],
  ] as const) {
    yjs.show([7, clock, { cursor: { anchor, head: at(1) }, clock }]);
    const { state } = await json.take('presence', (event) => event.state.clock === clock);
    expect(state.cursor).toBeNull();
  }
  await yjs.leave();
  expect(await json.take('presence', byUser(bob, 'left'))).toMatchObject({ client_id: CLIENT });
});

test('Y25: Yjs clients see a JSON user as awareness, with name, id and the cursor as relative positions', async () => {
  const doc_id = await shared('hello world');
  const json = await JsonClient.join(server, doc_id, ada);
  const yjs = await YjsClient.join(server, doc_id, bob);
  await json.edit([{ insert: '>' }]);
  await yjs.reads('>hello world');
  show(json, { cursor: { index: 1, length: 5 }, color: 'red', user: { name: 'Mallory', id: bob.user_id } });
  const shown = () =>
    yjs
      .of('awareness')
      .flatMap(({ entries }) => entries)
      .findLast(({ state }) => state.includes('anchor'));
  await yjs.until('the cursor', () => shown() !== undefined);
  const state = JSON.parse(shown()?.state ?? '');
  expect(state).toMatchObject({ color: 'red', user: { name: 'ada', id: ada.user_id } });
  const index = (position: unknown) =>
    Y.createAbsolutePositionFromRelativePosition(Y.createRelativePositionFromJSON(position), yjs.doc)?.index;
  expect([index(state.cursor.anchor), index(state.cursor.head)]).toEqual([1, 6]);
  // Relative positions move with the text.
  yjs.write((text) => text.insert(0, '>>'));
  expect([index(state.cursor.anchor), index(state.cursor.head)]).toEqual([3, 8]);
  const client = shown()?.client ?? 0;
  show(json, { cursor: { index: 1, length: 500 } });
  await yjs.until(
    'the cursor to go',
    () => (yjs.awarenessOf(client)?.state as { cursor: unknown } | null)?.cursor === null,
  );
  await json.leave();
  await yjs.until('that it left', () => yjs.awarenessOf(client)?.state === null);
});

test('J44, Y25: on a text that nobody has edited since it was opened, all see the cursors of all, whoever came first', async () => {
  const doc_id = await shared('hello world');
  const yjs = await YjsClient.join(server, doc_id, eve);
  await yjs.reads('hello world');
  const at = (index: number) => Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(yjs.text, index));
  const cursor = { index: 2, length: 5 };
  yjs.show([7, 1, { cursor: { anchor: at(2), head: at(7) } }]);
  const json = await JsonClient.join(server, doc_id, eve);
  expect(json.ready.presence).toMatchObject([{ state: { cursor } }, { state: {} }]);
  yjs.show([7, 2, { cursor: { anchor: at(3), head: at(3) } }]);
  await json.take('presence', ({ state }) => Bun.deepEquals(state.cursor, { index: 3, length: 0 }));
  show(json, { cursor });
  for (const reader of [yjs, await YjsClient.join(server, doc_id, bob)]) {
    const seen = () =>
      reader
        .of('awareness')
        .flatMap(({ entries }) => entries)
        .findLast(({ client, state }) => client !== 7 && state.includes('anchor'));
    await reader.until('the cursor', () => seen() !== undefined);
    expect(JSON.parse(seen()?.state ?? '').cursor).toEqual({ anchor: at(2), head: at(7) });
  }
});

test('J45: who comes later is told where cursors are by now, on every door', async () => {
  const doc_id = await shared('hello world');
  const yjs = await YjsClient.join(server, doc_id, bob);
  await yjs.reads('hello world');
  const at = (index: number) => Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(yjs.text, index));
  yjs.show([7, 1, { cursor: { anchor: at(1), head: at(4) } }]);
  const json = await JsonClient.join(server, doc_id, ada);
  const cursor = { index: 1, length: 3 };
  show(json, { cursor });
  await json.take('presence', byUser(ada, 'active'));
  await json.edit([{ insert: '12345' }]);
  const moved = [{ state: { cursor: { index: 6, length: 3 } } }, { state: { cursor: { index: 6, length: 3 } } }];
  expect((await server.call('GET', `/v1/documents/${doc_id}/presence`, ada.token)).body.data.items).toMatchObject(
    moved,
  );
  expect((await JsonClient.join(server, doc_id, eve)).ready.presence).toMatchObject([...moved, { state: {} }]);
});

test(`Y26: a JSON user's awareness is renewed every ${TIMES.awareness_renew_ms} ms, since stock clients drop what is not`, async () => {
  const doc_id = await shared();
  const json = await JsonClient.join(server, doc_id, ada);
  const yjs = await YjsClient.join(server, doc_id, bob);
  show(json, { here: true });
  const client = () =>
    yjs
      .of('awareness')
      .flatMap(({ entries }) => entries)
      .find(({ state }) => state.includes('here'))?.client ?? 0;
  await yjs.until('the state', () => client() !== 0);
  const before = yjs.awarenessOf(client())?.clock ?? 0;
  await server.later(TIMES.awareness_renew_ms);
  await yjs.until('a higher clock', () => (yjs.awarenessOf(client())?.clock ?? 0) > before);
  expect(yjs.awarenessOf(client())?.state).toMatchObject({ here: true });
});

test('Y30: stock providers see each other come, move and go, and come back after a broken connection', async () => {
  const doc_id = await shared();
  const [one, two] = [new StockClient(server, doc_id, ada), new StockClient(server, doc_id, bob)];
  await Promise.all([one.synced(), two.synced()]);
  const seen = () => two.awareness.getStates().get(one.doc.clientID);
  one.awareness.setLocalStateField('cursor', { at: 1 });
  await two.until('the cursor', () => seen()?.cursor?.at === 1);
  expect(seen()?.user).toEqual({ id: ada.user_id, name: 'ada' });
  // The connection breaks; the provider connects again by itself.
  one.provider.ws?.close();
  await two.until('that one left', () => seen() === undefined);
  await two.until('that one is back', () => seen()?.cursor?.at === 1);
  // The editor hangs up and connects again.
  one.provider.disconnect();
  await two.until('that one left', () => seen() === undefined);
  one.provider.connect();
  await two.until('that one is back', () => seen()?.cursor?.at === 1);
  one.destroy();
  await two.until('that one left', () => seen() === undefined);
  two.destroy();
});

test('Y30: after a restart idle stock providers see each other as soon as they are back', async () => {
  const doc_id = await shared();
  const all = [
    new StockClient(server, doc_id, ada),
    new StockClient(server, doc_id, bob),
    new StockHocuspocus(server, doc_id, ada),
    new StockHocuspocus(server, doc_id, bob),
  ];
  for (const { awareness } of all) awareness.setLocalStateField('here', true);
  await Promise.all(all.map((one) => one.synced()));
  const sees = (count: number) => all.every(({ awareness }) => awareness.getStates().size === count);
  await until('everybody', () => sees(all.length));
  await server.restart();
  await until('everybody again', () => sees(all.length));
  for (const one of all) one.destroy();
});
