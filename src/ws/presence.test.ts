/** Who is here, on both wires at once: docs/PROTOCOL.md, "Presence" and "Awareness". */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient, StockClient, YjsClient } from '../../test/support/sockets.ts';
import { CLOSE } from '../protocol/close.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import { MESSAGE } from '../protocol/yjs-wire.ts';

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
  // Somebody edits, so that the text is live and positions can be resolved.
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

test('Y20: awareness reaches all others with state.user.id stamped, and a newcomer at once', async () => {
  const doc_id = await shared();
  const [one, two] = await Promise.all([YjsClient.join(server, doc_id, ada), YjsClient.join(server, doc_id, bob)]);
  one.show([7, 1, { user: { name: 'A', id: bob.user_id, color: 'red' } }]);
  await two.until('the state', () => two.awarenessOf(7) !== undefined);
  const stamped = { clock: 1, state: { user: { name: 'A', id: ada.user_id, color: 'red' } } };
  expect(two.awarenessOf(7)).toEqual(stamped);
  one.show([8, 1, {}], [9, 1, { user: 'nobody' }]);
  await two.until('the states', () => two.awarenessOf(9) !== undefined);
  expect(two.awarenessOf(8)?.state).toEqual({ user: { id: ada.user_id } });
  expect(two.awarenessOf(9)?.state).toEqual({ user: { id: ada.user_id } });
  const late = await YjsClient.join(server, doc_id, eve);
  expect(late.awarenessOf(7)).toEqual(stamped);
});

test('Y21: a client speaks only for clientIDs that its user introduced: anything else is ignored, echoes too', async () => {
  const doc_id = await shared();
  const [one, two] = await Promise.all([YjsClient.join(server, doc_id, ada), YjsClient.join(server, doc_id, bob)]);
  const json = await JsonClient.join(server, doc_id, ada);
  show(json, { here: true });
  one.show([7, 5, { true: 1 }]);
  const isJson = ({ state }: { state: string }) => state.includes('"here":true');
  await two.until(
    'both',
    () => two.awarenessOf(7) !== undefined && two.of('awareness').some((f) => f.entries.some(isJson)),
  );
  const of_json = two
    .of('awareness')
    .flatMap(({ entries }) => entries)
    .find(isJson);
  if (of_json === undefined) throw new Error('unreachable');
  two.show([7, 6, { forged: 1 }], [7, 5, { true: 1 }], [7, 9, null], [of_json.client, 99, { forged: 1 }], [8, 1, {}]);
  await one.until('what two may say', () => one.awarenessOf(8) !== undefined);
  expect(
    one
      .of('awareness')
      .flatMap(({ entries }) => entries)
      .filter(({ state }) => state.includes('forged')),
  ).toEqual([]);
  const late = await YjsClient.join(server, doc_id, eve);
  expect(late.awarenessOf(7)).toEqual({ clock: 5, state: { true: 1, user: { id: ada.user_id } } });
  expect(late.awarenessOf(of_json.client)?.state).toMatchObject({ here: true });
});

test('Y21: an older or equal clock changes nothing', async () => {
  const doc_id = await shared();
  const [one, two] = await Promise.all([YjsClient.join(server, doc_id, ada), YjsClient.join(server, doc_id, bob)]);
  one.show([7, 5, { v: 5 }]);
  one.show([7, 4, { v: 4 }]);
  one.show([7, 5, { v: 'again' }]);
  one.show([8, 1, {}]);
  await two.until('the last', () => two.awarenessOf(8) !== undefined);
  expect(two.awarenessOf(7)).toMatchObject({ clock: 5, state: { v: 5 } });
});

test('Y22: the same user may take a clientID along to a new socket; the late close of the old one does not end it', async () => {
  const doc_id = await shared();
  const watcher = await YjsClient.join(server, doc_id, bob);
  const old = await YjsClient.join(server, doc_id, ada);
  old.show([7, 1, { at: 'old' }]);
  await watcher.until('the old', () => watcher.awarenessOf(7) !== undefined);
  const fresh = await YjsClient.join(server, doc_id, ada);
  fresh.show([7, 2, { at: 'new' }]);
  await watcher.until('the new', () => watcher.awarenessOf(7)?.clock === 2);
  await old.leave();
  fresh.show([8, 1, {}]);
  await watcher.until('what came after', () => watcher.awarenessOf(8) !== undefined);
  expect(watcher.awarenessOf(7)).toEqual({ clock: 2, state: { at: 'new', user: { id: ada.user_id } } });
});

test('Y23: a null state, at an equal clock too, takes a clientID away; so does the end of its socket', async () => {
  const doc_id = await shared();
  const json = await JsonClient.join(server, doc_id, ada);
  const [one, two] = await Promise.all([YjsClient.join(server, doc_id, ada), YjsClient.join(server, doc_id, bob)]);
  one.show([7, 3, { v: 1 }], [8, 1, { v: 2 }]);
  await two.until('both', () => two.awarenessOf(8) !== undefined);
  one.show([7, 3, null]);
  await two.until('that 7 is gone', () => two.awarenessOf(7)?.state === null);
  expect(two.awarenessOf(7)?.clock).toBe(3);
  await one.leave();
  await two.until('that 8 is gone', () => two.awarenessOf(8)?.state === null);
  // A clock beyond the last one, or stock clients would take no notice.
  expect(two.awarenessOf(8)?.clock).toBe(2);
  await json.take('presence', byUser(ada, 'left'));
});

test('Y24: query awareness is answered with everybody, on whichever wire', async () => {
  const doc_id = await shared();
  const [one, two] = await Promise.all([YjsClient.join(server, doc_id, ada), YjsClient.join(server, doc_id, bob)]);
  const json = await JsonClient.join(server, doc_id, eve);
  show(json, { here: true });
  one.show([7, 1, { v: 1 }]);
  await two.until(
    'both',
    () =>
      two.awarenessOf(7) !== undefined &&
      two.of('awareness').some((f) => f.entries.some(({ state }) => state.includes('here'))),
  );
  const before = two.of('awareness').length;
  two.send(Uint8Array.of(MESSAGE.QUERY_AWARENESS));
  await two.until('the answer', () => two.of('awareness').length > before);
  const states = two
    .of('awareness')
    .at(-1)
    ?.entries.map(({ state }) => JSON.parse(state));
  expect(states).toHaveLength(2);
  expect(states).toEqual(
    expect.arrayContaining([
      { v: 1, user: { id: ada.user_id } },
      { here: true, user: { name: 'eve', id: eve.user_id }, cursor: null },
    ]),
  );
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

test(`Y27: a socket may introduce awareness_clients_per_socket_max (${LIMITS.awareness_clients_per_socket_max}) clientIDs; with one more it is closed with 4400`, async () => {
  const doc_id = await shared();
  const yjs = await YjsClient.join(server, doc_id, ada);
  const ids = Array.from({ length: LIMITS.awareness_clients_per_socket_max }, (_, i) => i + 1);
  yjs.show(...ids.map((id) => [id, 1, {}] as const));
  yjs.show([1, 2, null], [100, 1, {}]);
  await yjs.settled();
  yjs.show([101, 1, {}]);
  expect((await yjs.closed).code).toBe(CLOSE.MALFORMED);
});

test(`Y27: an awareness state may have presence_state_bytes_max (${LIMITS.presence_state_bytes_max}) bytes; one more is closed with 4400`, async () => {
  const doc_id = await shared();
  const other = await YjsClient.join(server, doc_id, bob);
  const yjs = await YjsClient.join(server, doc_id, ada);
  const room = LIMITS.presence_state_bytes_max - 8;
  yjs.show([7, 1, { t: 'é'.repeat(room / 2) }]);
  await other.until('the state', () => other.awarenessOf(7) !== undefined);
  yjs.show([7, 2, { t: `${'é'.repeat(room / 2)}e` }]);
  expect((await yjs.closed).code).toBe(CLOSE.MALFORMED);
});

test(`Y27: an awareness message may have awareness_clients_per_frame_max (${LIMITS.awareness_clients_per_frame_max}) entries; one more is closed with 4400`, async () => {
  const doc_id = await shared();
  const one = await YjsClient.join(server, doc_id, ada);
  const two = await YjsClient.join(server, doc_id, bob);
  one.show([1, 1, {}]);
  await two.until('the state', () => two.awarenessOf(1) !== undefined);
  // As a stock client echoes what it heard of others.
  const echo = Array.from({ length: LIMITS.awareness_clients_per_frame_max }, () => [1, 1, {}] as const);
  two.show(...echo);
  await two.settled();
  two.show(...echo, [1, 1, {}]);
  expect((await two.closed).code).toBe(CLOSE.MALFORMED);
});

test('Y27: a stock provider that echoes the largest states of others is not sent off', async () => {
  const doc_id = await shared();
  const stock = new StockClient(server, doc_id, bob);
  await stock.synced();
  const json = await JsonClient.join(server, doc_id, ada);
  const yjs = await YjsClient.join(server, doc_id, ada);
  const t = 'x'.repeat(LIMITS.presence_state_bytes_max - 8);
  show(json, { t });
  yjs.show([7, 1, { t }]);
  const large = () => [...stock.awareness.getStates().values()].filter((state) => state.t === t).length;
  await stock.until('both states', () => large() === 2);
  // Its echo was sent when the states came in, before this.
  stock.text.insert(0, 'still here');
  await yjs.reads('still here');
  expect(stock.provider.wsconnected).toBe(true);
  stock.destroy();
});

test('Y28: what is no JSON object is no awareness state: closed with 4400', async () => {
  const doc_id = await shared();
  for (const state of ['nonsense', 7, true, [1]]) {
    const yjs = await YjsClient.join(server, doc_id, ada);
    yjs.show([7, 1, state]);
    expect((await yjs.closed).code).toBe(CLOSE.MALFORMED);
  }
});

test('Y29: a viewer may show presence', async () => {
  const doc_id = await shared();
  const [one, two] = await Promise.all([YjsClient.join(server, doc_id, ada), YjsClient.join(server, doc_id, eve)]);
  two.show([7, 1, { v: 1 }]);
  await one.until('the state', () => one.awarenessOf(7) !== undefined);
  expect(one.awarenessOf(7)?.state).toEqual({ v: 1, user: { id: eve.user_id } });
  expect(two.of('denied')).toEqual([]);
});

test('Y30: stock providers see each other come, move and go, and come back after a broken connection', async () => {
  const doc_id = await shared();
  const [one, two] = [new StockClient(server, doc_id, ada), new StockClient(server, doc_id, bob)];
  await Promise.all([one.synced(), two.synced()]);
  const seen = () => two.awareness.getStates().get(one.doc.clientID);
  one.awareness.setLocalStateField('cursor', { at: 1 });
  await two.until('the cursor', () => seen()?.cursor?.at === 1);
  expect(seen()?.user).toEqual({ id: ada.user_id });
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
