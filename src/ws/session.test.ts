/** How any socket begins and ends, whichever wire it speaks: docs/PROTOCOL.md, "Connections". */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient, YjsClient } from '../../test/support/sockets.ts';
import { CLOSE } from '../protocol/close.ts';
import { LIMITS } from '../protocol/limits.ts';
import { MESSAGE } from '../protocol/yjs-wire.ts';

const CLIENT = 'aaaaaaaa-0000-4000-8000-000000000001';
const NOBODY = { token: null };
const TTL_S = 60;

let server: TestServer;
let ada: TestUser;
let bob: TestUser;
let doc_id: string;

beforeAll(async () => {
  server = await openTestServer({ ACCESS_TOKEN_TTL: String(TTL_S) });
  [ada, bob] = await Promise.all([server.register('ada'), server.register('bob')]);
  doc_id = await server.createDocument(ada, 'text');
});

afterAll(async () => {
  await server.stop();
  expect(server.errors()).toEqual([]);
});

const doors = [
  { door: 'collab', open: JsonClient.open, join: JsonClient.join },
  { door: 'yjs', open: YjsClient.open, join: YjsClient.join },
] as const;

for (const { door, open, join } of doors)
  describe(`/v1/${door}`, () => {
    const refused = async (id: string, who: TestUser | { token: string | null }, code: number) => {
      const client = open(server, id, who);
      expect((await client.closed).code).toBe(code);
      return client;
    };

    test('C1: the token stands in the query or in the Authorization header', async () => {
      await (await join(server, doc_id, ada, { token_in: 'query' })).leave();
      await (await join(server, doc_id, ada, { token_in: 'header' })).leave();
    });

    test('C2: a request without Upgrade gets 426 UPGRADE_REQUIRED', async () => {
      const response = await fetch(`${server.url}/v1/${door}/${doc_id}?token=${ada.token}`);
      expect(response.status).toBe(426);
      expect(response.headers.get('upgrade')).toBe('websocket');
      expect(response.headers.get('x-request-id')).not.toBeNull();
      expect(await response.json()).toMatchObject({ success: false, error: { code: 'UPGRADE_REQUIRED' } });
    });

    test('C4: without a token of ours the socket is closed with 4401', async () => {
      await refused(doc_id, NOBODY, CLOSE.UNAUTHENTICATED);
      await refused(doc_id, { token: 'garbage' }, CLOSE.UNAUTHENTICATED);
      await refused(doc_id, { token: `${ada.token}x` }, CLOSE.UNAUTHENTICATED);
      await refused(doc_id, { token: ada.refresh_token }, CLOSE.UNAUTHENTICATED);
      const gone = await server.signIn(ada);
      await server.call('POST', '/v1/auth/logout', gone.token, { refresh_token: gone.refresh_token });
      await refused(doc_id, gone, CLOSE.UNAUTHENTICATED);
    });

    test('C5: a malformed or unknown document, one without a role and a deleted one are closed with 4404', async () => {
      const deleted = await server.createDocument(ada);
      await server.call('DELETE', `/v1/documents/${deleted}`, ada.token);
      await refused('nonsense', ada, CLOSE.NOT_FOUND);
      await refused('', ada, CLOSE.NOT_FOUND);
      await refused(CLIENT, ada, CLOSE.NOT_FOUND);
      await refused(doc_id, bob, CLOSE.NOT_FOUND);
      await refused(deleted, ada, CLOSE.NOT_FOUND);
    });

    test('C6: a client_id that is no UUID is closed with 4400', async () => {
      const client = open(server, doc_id, ada, { query: { client_id: 'me' } });
      expect((await client.closed).code).toBe(CLOSE.MALFORMED);
    });

    test('C8: the end of a session closes its sockets with 4401 and leaves those of other sessions', async () => {
      const [one, two] = await Promise.all([server.signIn(ada), server.signIn(ada)]);
      const [mine, other] = await Promise.all([join(server, doc_id, one), join(server, doc_id, two)]);
      await server.call('POST', '/v1/auth/logout', one.token, { refresh_token: one.refresh_token });
      expect((await mine.closed).code).toBe(CLOSE.UNAUTHENTICATED);
      await other.settled();
      const { items } = (await server.call('GET', '/v1/auth/sessions', two.token)).body.data;
      const session_id = items.find((session: { current: boolean }) => session.current).id;
      await server.call('DELETE', `/v1/auth/sessions/${session_id}`, ada.token);
      expect((await other.closed).code).toBe(CLOSE.UNAUTHENTICATED);
    });

    test('C10: who loses the last role is closed with 4403, and nobody else', async () => {
      const shared = await server.createDocument(ada);
      await server.share(ada, shared, bob, 'editor');
      const [stays, goes] = await Promise.all([join(server, shared, ada), join(server, shared, bob)]);
      await server.call('DELETE', `/v1/documents/${shared}/permissions/${bob.user_id}`, ada.token);
      expect((await goes.closed).code).toBe(CLOSE.FORBIDDEN);
      await stays.settled();
    });

    test('C11: when the document is deleted all its sockets are closed with 4404', async () => {
      const shared = await server.createDocument(ada, 'text');
      await server.share(ada, shared, bob, 'viewer');
      const clients = await Promise.all([join(server, shared, ada), join(server, shared, bob)]);
      await server.call('DELETE', `/v1/documents/${shared}`, ada.token);
      for (const client of clients) expect((await client.closed).code).toBe(CLOSE.NOT_FOUND);
      await server.call('POST', `/v1/documents/${shared}/undelete`, ada.token);
      await (await join(server, shared, ada)).leave();
    });

    test(`C13: a frame over yjs_frame_bytes_max (${LIMITS.yjs_frame_bytes_max}) is closed with 1009`, async () => {
      const client = await join(server, doc_id, ada);
      client.socket.send(new Uint8Array(LIMITS.yjs_frame_bytes_max + 1).fill(MESSAGE.QUERY_AWARENESS));
      expect((await client.closed).code).toBe(1009);
    });
  });

test('C3: on the JSON door an error event that says why comes before the close', async () => {
  const why = async (id: string, who: TestUser | { token: string | null }, query = {}) => {
    const client = JsonClient.open(server, id, who, { query });
    const { code } = await client.closed;
    expect(client.events).toHaveLength(1);
    return { close: code, code: client.of('error')[0]?.code };
  };
  expect(await why(doc_id, NOBODY)).toEqual({ close: CLOSE.UNAUTHENTICATED, code: 'UNAUTHENTICATED' });
  expect(await why(CLIENT, ada)).toEqual({ close: CLOSE.NOT_FOUND, code: 'NOT_FOUND' });
  expect(await why('nonsense', NOBODY)).toEqual({ close: CLOSE.NOT_FOUND, code: 'NOT_FOUND' });
  const malformed = { close: CLOSE.MALFORMED, code: 'VALIDATION_ERROR' };
  expect(await why(doc_id, ada, { client_id: 'me' })).toEqual(malformed);
  expect(await why(doc_id, ada, { epoch: '1', rev: '-1' })).toEqual(malformed);
  expect(await why(doc_id, ada, { epoch: 'x', rev: '1' })).toEqual(malformed);
  const gone = await server.signIn(ada);
  await server.call('POST', '/v1/auth/logout', gone.token, { refresh_token: gone.refresh_token });
  expect(await why(doc_id, gone)).toEqual({ close: CLOSE.UNAUTHENTICATED, code: 'TOKEN_REVOKED' });
});

test('J60: auth with a token of another user, an old one or none of ours is an error, and the socket stays as it was', async () => {
  const client = await JsonClient.join(server, doc_id, ada);
  client.send({ type: 'auth', token: bob.token });
  expect(await client.take('error')).toMatchObject({ code: 'FORBIDDEN' });
  client.send({ type: 'auth', token: 'garbage' });
  expect(await client.take('error')).toMatchObject({ code: 'UNAUTHENTICATED' });
  const gone = await server.signIn(ada);
  await server.call('POST', '/v1/auth/logout', gone.token, { refresh_token: gone.refresh_token });
  client.send({ type: 'auth', token: gone.token });
  expect(await client.take('error')).toMatchObject({ code: 'TOKEN_REVOKED' });
  await client.ping();
});

test(`J60: auth_messages_waiting_max (${LIMITS.auth_messages_waiting_max}) tokens may wait to be looked at; one more is RATE_LIMITED`, async () => {
  // Sent before the connection is open, they are handled in one go.
  const auth = JSON.stringify({ type: 'auth', token: 'garbage' });
  const answers = async (count: number) => {
    const client = JsonClient.open(server, doc_id, ada, { first: Array.from({ length: count }, () => auth) });
    for (let i = 0; i < count; i++) await client.take('error');
    await client.leave();
    return client.of('error').map(({ code }) => code);
  };
  const taken = Array.from({ length: LIMITS.auth_messages_waiting_max }, () => 'UNAUTHENTICATED');
  expect(await answers(LIMITS.auth_messages_waiting_max)).toEqual(taken);
  expect(await answers(LIMITS.auth_messages_waiting_max + 1)).toEqual(['RATE_LIMITED', ...taken]);
});

test('C8: a new password ends all other sessions, and an erased account all of them', async () => {
  const password = 'open sesame, says the test';
  const zoe = await server.register('zoe');
  const shared = await server.createDocument(zoe);
  await server.share(zoe, shared, bob, 'viewer');
  const elsewhere = await server.signIn(zoe);
  const [mine, other, guest] = await Promise.all([
    JsonClient.join(server, shared, zoe),
    JsonClient.join(server, shared, elsewhere),
    YjsClient.join(server, shared, bob),
  ]);
  const passwords = { current_password: password, new_password: `${password}!` };
  await server.call('POST', '/v1/users/me/password', zoe.token, passwords);
  expect((await other.closed).code).toBe(CLOSE.UNAUTHENTICATED);
  await mine.ping();
  await server.call('DELETE', '/v1/users/me', zoe.token, { password: passwords.new_password });
  expect([CLOSE.UNAUTHENTICATED, CLOSE.NOT_FOUND] as number[]).toContain((await mine.closed).code);
  // The document was hers alone, so it is deleted.
  expect((await guest.closed).code).toBe(CLOSE.NOT_FOUND);
});

test('J60: after auth the socket belongs to the session of the fresh token', async () => {
  const [one, two] = await Promise.all([server.signIn(ada), server.signIn(ada)]);
  const client = await JsonClient.join(server, doc_id, one);
  client.send({ type: 'auth', token: two.token });
  client.send({ type: 'auth', token: 'garbage' });
  await client.take('error');
  await server.call('POST', '/v1/auth/logout', one.token, { refresh_token: one.refresh_token });
  await client.settled();
  await server.call('POST', '/v1/auth/logout', two.token, { refresh_token: two.refresh_token });
  expect((await client.closed).code).toBe(CLOSE.UNAUTHENTICATED);
});

test('J61: a change of role is told at once, and what follows is judged by it', async () => {
  const shared = await server.createDocument(ada, 'text');
  await server.share(ada, shared, bob, 'viewer');
  const client = await JsonClient.join(server, shared, bob);
  const yjs = await YjsClient.join(server, shared, bob);
  expect(await client.refused([{ insert: 'x' }])).toMatchObject({ code: 'FORBIDDEN' });
  await server.share(ada, shared, bob, 'editor');
  expect(await client.take('role')).toEqual({ type: 'role', doc_id: shared, role: 'editor' });
  expect((await client.edit([{ insert: 'x' }])).changes.rev).toBe(2);
  yjs.write((text) => text.insert(0, 'y'));
  await client.take('edit');
  await server.share(ada, shared, bob, 'viewer');
  expect((await client.take('role')).role).toBe('viewer');
  expect(await client.refused([{ insert: 'x' }])).toMatchObject({ code: 'FORBIDDEN' });
  yjs.write((text) => text.insert(0, 'z'));
  expect((await yjs.take('denied')).reason).toBe('permission denied');
  expect(await server.text(ada, shared)).toBe('yxtext');
});

test('C12: a newer JSON connection of the same user and client_id replaces the older one, which is closed with 4409', async () => {
  const shared = await server.createDocument(ada, 'text');
  await server.share(ada, shared, bob, 'editor');
  const query = { client_id: CLIENT };
  const older = await JsonClient.join(server, shared, ada, { query });
  await older.edit([{ insert: 'x' }]);
  const [others, elsewhere, yjs] = await Promise.all([
    JsonClient.join(server, shared, bob, { query }),
    JsonClient.join(server, doc_id, ada, { query }),
    YjsClient.join(server, shared, ada, { query }),
  ]);
  const newer = await JsonClient.join(server, shared, ada, { query });
  expect((await older.closed).code).toBe(CLOSE.REPLACED);
  expect(newer.ready.last_seq).toBe(1);
  expect((await newer.edit([{ insert: 'y' }])).seq).toBe(2);
  expect(
    newer.ready.presence.filter(({ client_id, user_id }) => client_id === CLIENT && user_id === ada.user_id),
  ).toHaveLength(2);
  await Promise.all([others.settled(), elsewhere.settled(), yjs.settled()]);
});

test('C15: a node that stops writes everything, then closes its sockets with 1012', async () => {
  const shared = await server.createDocument(ada);
  const [json, yjs] = await Promise.all([JsonClient.join(server, shared, ada), YjsClient.join(server, shared, ada)]);
  json.sendEdit([{ insert: 'last words' }]);
  await json.take('edit');
  const down = server.restart();
  expect((await json.closed).code).toBe(CLOSE.RESTART);
  expect((await yjs.closed).code).toBe(CLOSE.RESTART);
  await down;
  expect(json.of('ack').at(-1)?.rev).toBe(1);
  expect(await server.text(ada, shared)).toBe('last words');
});

describe('as time goes by', () => {
  test('C9: a token that expires closes its sockets with 4401, and opens no more', async () => {
    const short = await server.signIn(ada);
    const [json, yjs] = await Promise.all([
      JsonClient.join(server, doc_id, short),
      YjsClient.join(server, doc_id, short),
    ]);
    await server.later((TTL_S - 10) * 1_000);
    await Promise.all([json.ping(), yjs.settled()]);
    await server.later(11_000);
    expect((await json.closed).code).toBe(CLOSE.UNAUTHENTICATED);
    expect((await yjs.closed).code).toBe(CLOSE.UNAUTHENTICATED);
    const late = JsonClient.open(server, doc_id, short);
    expect((await late.closed).code).toBe(CLOSE.UNAUTHENTICATED);
    expect(late.of('error')).toMatchObject([{ code: 'TOKEN_EXPIRED' }]);
  });

  test('J60: auth with a fresh token of the same user keeps the socket open beyond the life of the first', async () => {
    const first = await server.signIn(ada);
    const client = await JsonClient.join(server, doc_id, first);
    await server.later((TTL_S - 10) * 1_000);
    const refresh = await server.call('POST', '/v1/auth/refresh', undefined, { refresh_token: first.refresh_token });
    client.send({ type: 'auth', token: refresh.body.data.access_token });
    // Taking a token is answered by silence; the refusal of the next one tells that it is done.
    client.send({ type: 'auth', token: 'garbage' });
    await client.take('error');
    await server.later(11_000);
    await client.settled();
    await server.later(TTL_S * 1_000);
    expect((await client.closed).code).toBe(CLOSE.UNAUTHENTICATED);
  });
});
