/** How documents on the Hocuspocus door end, and their sockets: docs/PROTOCOL.md, "The Hocuspocus door". */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { messageFrame, type RawHocuspocus, RawSockets, syncFrame, tokenFrame } from '../../test/support/hocuspocus.ts';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { until } from '../../test/support/until.ts';
import { updateOfWords } from '../../test/support/yjs.ts';
import { CLOSE } from '../protocol/close.ts';
import { HOCUSPOCUS, HOCUSPOCUS_AUTH } from '../protocol/hocuspocus-wire.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import { awarenessFrame, SYNC } from '../protocol/yjs-wire.ts';

let server: TestServer;
let ada: TestUser;
let bob: TestUser;
let doc_id: string;
const sockets = new RawSockets(() => server);

beforeAll(async () => {
  server = await openTestServer();
  [ada, bob] = await Promise.all([server.register('ada'), server.register('bob')]);
  doc_id = await server.createDocument(ada, 'text');
});

afterEach(() => {
  sockets.close();
});

afterAll(async () => {
  await server.stop();
  expect(server.errors()).toEqual([]);
});

describe('an open document', () => {
  /** Waits for the end of a document, while another one on the same socket goes on. */
  async function ended(client: RawHocuspocus, name: string, code: number, stays: string): Promise<void> {
    const [denied, closed] = [await client.take('denied'), await client.take('close')];
    expect([denied.name, closed.name, closed.text]).toEqual([name, name, denied.text]);
    expect(denied.text).toStartWith(`${code}: `);
    await client.settled(stays);
  }

  test('H11: is closed when its user’s last role or itself is taken away, and leaves the others alone', async () => {
    const [first, second, third] = [
      await server.createDocument(ada),
      await server.createDocument(ada),
      await server.createDocument(ada),
    ];
    for (const id of [first, second, third]) await server.share(ada, id, bob, 'editor');
    const client = await sockets.join(bob, first, second, third);
    await server.call('DELETE', `/v1/documents/${first}/permissions/${bob.user_id}`, ada.token);
    await ended(client, first, CLOSE.FORBIDDEN, third);
    await server.call('DELETE', `/v1/documents/${second}`, ada.token);
    await ended(client, second, CLOSE.NOT_FOUND, third);
    client.send(syncFrame(first, updateOfWords('late')), tokenFrame(first, bob.token));
    expect((await client.take('denied')).text).toStartWith(`${CLOSE.NOT_FOUND}: `);
    expect(await server.text(ada, first)).toBe('');
  });

  test('H11: is closed when its session ends or its token expires, each by itself', async () => {
    const short = await server.signIn(ada);
    const client = await sockets.join(ada, doc_id);
    const session = `${doc_id}\0session`;
    client.send(tokenFrame(session, short.token));
    await client.take('step1', ({ name }) => name === session);
    await server.call('POST', '/v1/auth/logout', short.token, { refresh_token: short.refresh_token });
    await ended(client, session, CLOSE.UNAUTHENTICATED, doc_id);
  });

  test('H11: a change of role is told as what the user may do now', async () => {
    const shared = await server.createDocument(ada);
    await server.share(ada, shared, bob, 'viewer');
    const client = await sockets.join(bob, shared);
    await server.share(ada, shared, bob, 'editor');
    await until('the news', () => client.of('authenticated').at(-1)?.text === 'read-write');
    client.send(syncFrame(shared, updateOfWords('mine')));
    expect((await client.take('status')).saved).toBe(true);
  });

  test('H13: a message that closes ends it; the name may be opened again at once', async () => {
    const shared = await server.createDocument(ada);
    const client = await sockets.join(ada, shared);
    client.send(
      syncFrame(shared, updateOfWords('last words')),
      messageFrame(shared, HOCUSPOCUS.CLOSE),
      syncFrame(shared, updateOfWords('too late')),
      tokenFrame(shared, ada.token),
    );
    await client.take('step1');
    expect(await server.text(ada, shared)).toBe('last words');
    const { items } = (await server.call('GET', `/v1/documents/${shared}/presence`, ada.token)).body.data;
    expect(items).toHaveLength(1);
  });

  test('H7: a fresh token of the same user takes the place of the old one', async () => {
    const [one, two] = [await server.signIn(ada), await server.signIn(ada)];
    const client = await sockets.join(one, doc_id);
    client.send(tokenFrame(doc_id, two.token));
    await until('the answer', () => client.of('authenticated').length === 2);
    await server.call('POST', '/v1/auth/logout', one.token, { refresh_token: one.refresh_token });
    await client.settled(doc_id);
    await server.call('POST', '/v1/auth/logout', two.token, { refresh_token: two.refresh_token });
    expect((await client.take('denied')).text).toStartWith(`${CLOSE.UNAUTHENTICATED}: `);
  });

  test('H7: a fresh token that is none, or another user’s, closes the document', async () => {
    const shared = await server.createDocument(ada);
    await server.share(ada, shared, bob, 'editor');
    const client = await sockets.join(ada, shared, doc_id);
    client.send(tokenFrame(shared, bob.token));
    await ended(client, shared, CLOSE.FORBIDDEN, doc_id);
    client.send(tokenFrame(doc_id, 'garbage'));
    expect((await client.take('denied')).text).toStartWith(`${CLOSE.UNAUTHENTICATED}: `);
  });
});

describe('the socket', () => {
  test(`H14: hears a ping every ${TIMES.keep_alive_ms} ms, whatever its documents do, and may answer it`, async () => {
    const [client, bare] = [await sockets.join(ada, doc_id), await sockets.join(ada, doc_id)];
    // Its document is gone, the socket stays.
    bare.send(messageFrame(doc_id, HOCUSPOCUS.CLOSE));
    await server.later(TIMES.keep_alive_ms);
    await client.take('ping');
    await bare.take('ping');
    client.send(Uint8Array.of(HOCUSPOCUS.PONG));
    await client.settled(doc_id);
  });

  test('H15: what does not decode closes it with 4400, and nobody else notices', async () => {
    const other = await sockets.join(ada, doc_id);
    const bad: (string | Uint8Array)[] = [
      'text',
      Uint8Array.of(),
      Uint8Array.of(36, 1, 2),
      Uint8Array.of(0xff, 0xff, 0xff),
      Uint8Array.of(2, 0xc3, 0x28, 0),
      messageFrame(doc_id, HOCUSPOCUS.AUTH, Uint8Array.of(HOCUSPOCUS_AUTH.TOKEN, 90)),
    ];
    for (const frame of bad) expect((await sockets.open(frame).closed).code).toBe(CLOSE.MALFORMED);
    const messages = [
      messageFrame(doc_id, HOCUSPOCUS.SYNC),
      messageFrame(doc_id, HOCUSPOCUS.SYNC, Uint8Array.of(9, 0)),
      messageFrame(doc_id, HOCUSPOCUS.SYNC, Uint8Array.of(SYNC.UPDATE, 90, 1)),
      messageFrame(doc_id, HOCUSPOCUS.AWARENESS, Uint8Array.of(3, 1)),
      messageFrame(doc_id, HOCUSPOCUS.AUTH, Uint8Array.of(HOCUSPOCUS_AUTH.TOKEN, 90)),
      syncFrame(doc_id, Uint8Array.of(9, 9, 9)),
      syncFrame(doc_id, Uint8Array.of(9, 9, 9), SYNC.STEP1),
      syncFrame(doc_id, Uint8Array.of(9, 9, 9), SYNC.STEP2),
    ];
    for (const message of messages) {
      const client = await sockets.join(ada, doc_id);
      client.send(message);
      expect((await client.closed).code).toBe(CLOSE.MALFORMED);
    }
    await other.settled(doc_id);
  });

  test(`H15: so does a name of more than document_name_bytes_max (${LIMITS.document_name_bytes_max}) bytes`, async () => {
    const name = (bytes: number) => `${doc_id}\0`.padEnd(bytes, 'x');
    await sockets.join(ada, name(LIMITS.document_name_bytes_max));
    const refused = sockets.open(tokenFrame(name(LIMITS.document_name_bytes_max + 1), ada.token));
    expect((await refused.closed).code).toBe(CLOSE.MALFORMED);
  });

  test('H15: and awareness that is no object', async () => {
    const client = await sockets.join(ada, doc_id);
    const awareness = awarenessFrame([{ client: 7, clock: 1, state: '"happy"' }]);
    client.send(messageFrame(doc_id, HOCUSPOCUS.AWARENESS, awareness.subarray(1)));
    expect((await client.closed).code).toBe(CLOSE.MALFORMED);
  });

  test(`H15: a frame over yjs_frame_bytes_max (${LIMITS.yjs_frame_bytes_max}) is closed with 1009`, async () => {
    const client = await sockets.join(ada, doc_id);
    const room = LIMITS.yjs_frame_bytes_max - messageFrame(doc_id, 5).length;
    client.send(messageFrame(doc_id, 5, new Uint8Array(room)));
    await client.settled(doc_id);
    client.send(messageFrame(doc_id, 5, new Uint8Array(room + 1)));
    expect((await client.closed).code).toBe(1009);
  });

  test('H17: messages of other types are ignored, stateless ones among them', async () => {
    const client = await sockets.join(ada, doc_id);
    for (const type of [4, 5, 6, 8, 11, 100]) client.send(messageFrame(doc_id, type, Uint8Array.of(1, 65)));
    client.send(messageFrame(doc_id, HOCUSPOCUS.AUTH, Uint8Array.of(HOCUSPOCUS_AUTH.AUTHENTICATED, 0)));
    await client.settled(doc_id);
  });

  test('H16: is closed with 1012 when a document moves, since a provider comes back for nothing less', async () => {
    const client = await sockets.join(ada, doc_id);
    const down = server.restart();
    expect((await client.closed).code).toBe(CLOSE.RESTART);
    await down;
  });

  test('H18: on which nobody was let in for 10 s is closed with 4401; one on which somebody was stays', async () => {
    const [client, bare] = [await sockets.join(ada, doc_id), sockets.open()];
    client.send(messageFrame(doc_id, HOCUSPOCUS.CLOSE));
    await bare.open();
    await server.later(TIMES.sign_in_ms - 1_000);
    bare.send(tokenFrame(doc_id, 'garbage'));
    await bare.take('denied');
    await server.later(2_000);
    expect((await bare.closed).code).toBe(CLOSE.UNAUTHENTICATED);
    client.send(tokenFrame(doc_id, ada.token));
    await client.take('step1');
    expect(await server.metric('concord_sockets{door="hocuspocus"}')).toBe(1);
  });

  test('H11: a document whose token expires is closed, the others stay', async () => {
    const old = await server.signIn(ada);
    const client = await sockets.join(old, doc_id);
    await server.later(500_000);
    const session = `${doc_id}\0session`;
    const fresh = await server.signIn(ada);
    client.send(tokenFrame(session, fresh.token));
    await client.take('step1', ({ name }) => name === session);
    await server.later(401_000);
    const [denied, closed] = [await client.take('denied'), await client.take('close')];
    expect([denied.name, closed.name]).toEqual([doc_id, doc_id]);
    expect(denied.text).toStartWith(`${CLOSE.UNAUTHENTICATED}: `);
    await client.settled(session);
  });
});
