/** Who may say what of whom on the Yjs wire, and how much: docs/PROTOCOL.md, "Awareness". */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient, YjsClient } from '../../test/support/sockets.ts';
import { StockClient } from '../../test/support/stock-client.ts';
import { CLOSE } from '../protocol/close.ts';
import { LIMITS } from '../protocol/limits.ts';
import { MESSAGE } from '../protocol/yjs-wire.ts';

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

test('Y20: awareness reaches all others with state.user.id stamped, and a newcomer at once', async () => {
  const doc_id = await shared();
  const [one, two] = await Promise.all([YjsClient.join(server, doc_id, ada), YjsClient.join(server, doc_id, bob)]);
  one.show([7, 1, { user: { name: 'A', id: bob.user_id, color: 'red' } }]);
  await two.until('the state', () => two.awarenessOf(7) !== undefined);
  const stamped = { clock: 1, state: { user: { name: 'A', id: ada.user_id, color: 'red' } } };
  expect(two.awarenessOf(7)).toEqual(stamped);
  one.show([8, 1, {}], [9, 1, { user: 'nobody' }]);
  await two.until('the states', () => two.awarenessOf(9) !== undefined);
  expect(two.awarenessOf(8)?.state).toEqual({ user: { id: ada.user_id, name: 'ada' } });
  expect(two.awarenessOf(9)?.state).toEqual({ user: { id: ada.user_id, name: 'ada' } });
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
  expect(late.awarenessOf(7)).toEqual({ clock: 5, state: { true: 1, user: { id: ada.user_id, name: 'ada' } } });
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
  expect(watcher.awarenessOf(7)).toEqual({ clock: 2, state: { at: 'new', user: { id: ada.user_id, name: 'ada' } } });
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
      { v: 1, user: { id: ada.user_id, name: 'ada' } },
      { here: true, user: { name: 'eve', id: eve.user_id }, cursor: null },
    ]),
  );
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
  expect(one.awarenessOf(7)?.state).toEqual({ v: 1, user: { id: eve.user_id, name: 'eve' } });
  expect(two.of('denied')).toEqual([]);
});
