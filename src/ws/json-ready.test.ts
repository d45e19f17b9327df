/** How a client of the JSON door comes in and comes back: docs/PROTOCOL.md, "Coming in". */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient, YjsClient } from '../../test/support/sockets.ts';
import { LIMITS } from '../protocol/limits.ts';

const CLIENT = 'aaaaaaaa-0000-4000-8000-000000000001';
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

let server: TestServer;
let ada: TestUser;
let bob: TestUser;

beforeAll(async () => {
  server = await openTestServer();
  [ada, bob] = await Promise.all([server.register('ada'), server.register('bob')]);
});

afterAll(async () => {
  await server.stop();
  expect(server.errors()).toEqual([]);
});

test('J1: the first event is ready, with these fields and no others', async () => {
  const doc_id = await server.createDocument(ada, 'hello');
  await server.share(ada, doc_id, bob, 'viewer');
  const client = await JsonClient.join(server, doc_id.toUpperCase(), bob, {
    query: { client_id: CLIENT.toUpperCase() },
  });
  const [first] = client.events;
  expect(first).toEqual({
    type: 'ready',
    doc_id,
    user_id: bob.user_id,
    client_id: CLIENT,
    role: 'viewer',
    epoch: 1,
    rev: 1,
    content: [{ insert: 'hello' }],
    presence: [
      {
        user_id: bob.user_id,
        display_name: 'bob',
        client_id: CLIENT,
        status: 'joined',
        state: {},
        since: expect.stringMatching(ISO),
      },
    ],
    last_seq: 0,
    timestamp: expect.stringMatching(ISO),
  });
  await client.leave();
});

test('J1: without client_id the server makes one, another for each connection', async () => {
  const doc_id = await server.createDocument(ada);
  const [one, two] = await Promise.all([JsonClient.join(server, doc_id, ada), JsonClient.join(server, doc_id, ada)]);
  expect(one.ready.client_id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect(two.ready.client_id).not.toBe(one.ready.client_id);
});

test('J2: a client that says not where it stopped gets the whole text: attributes, embeds and emoji', async () => {
  const doc_id = await server.createDocument(ada);
  const author = await JsonClient.join(server, doc_id, ada);
  expect(author.ready).toMatchObject({ rev: 0, content: [] });
  const text = [
    { insert: 'a😀' },
    { insert: 'bold', attributes: { bold: true, link: 'https://example.org/' } },
    { insert: { image: 'https://example.org/i.png' }, attributes: { width: '10' } },
    { insert: '\n', attributes: { header: 1 } },
  ];
  await author.edit(text);
  const reader = await JsonClient.join(server, doc_id, ada);
  expect(reader.ready).toMatchObject({ rev: 1, content: text });
  // Half a point is none.
  const half = await JsonClient.join(server, doc_id, ada, { query: { rev: 1 } });
  expect(half.ready.content).toEqual(text);
});

test('J3: a client that says where it stopped gets no content, but the edits it missed, as they were sent', async () => {
  const doc_id = await server.createDocument(ada, 'one');
  const away = await JsonClient.join(server, doc_id, ada, { query: { client_id: CLIENT } });
  const { epoch, rev } = away.ready;
  await away.leave();
  const other = await JsonClient.join(server, doc_id, ada);
  await other.edit([{ retain: 3 }, { insert: ' two' }]);
  await other.edit([{ retain: 7 }, { insert: ' three' }]);
  const back = await JsonClient.join(server, doc_id, ada, { query: { client_id: CLIENT, epoch, rev } });
  await back.take('status');
  expect(back.ready).toMatchObject({ epoch, rev: 3 });
  expect(back.ready).not.toHaveProperty('content');
  expect(back.of('edit')).toEqual(other.of('edit'));
  expect(back.events.slice(0, 3).map(({ type }) => type)).toEqual(['ready', 'edit', 'edit']);
});

test('J3: who stopped at the head gets neither content nor edits', async () => {
  const doc_id = await server.createDocument(ada, 'one');
  const back = await JsonClient.join(server, doc_id, ada, { query: { epoch: 1, rev: 1 } });
  await back.take('status');
  expect(back.ready).not.toHaveProperty('content');
  expect(back.of('edit')).toEqual([]);
});

test('J3: missed edits come out of the journal when the server was restarted in between', async () => {
  const doc_id = await server.createDocument(ada);
  const author = await JsonClient.join(server, doc_id, ada);
  for (const word of ['a', 'b', 'c']) await author.edit([{ insert: word }]);
  const { epoch } = author.ready;
  await server.restart();
  const back = await JsonClient.join(server, doc_id, ada, { query: { epoch, rev: 1 } });
  await back.take('status');
  expect(back.ready).not.toHaveProperty('content');
  expect(back.ready).toMatchObject({ rev: 3, epoch: epoch + 1 });
  expect(back.of('edit')).toEqual(author.of('edit').slice(1));
});

test('J4: edits of the Yjs doors are among those missed, while anybody read deltas lately', async () => {
  const doc_id = await server.createDocument(ada, 'one');
  const away = await JsonClient.join(server, doc_id, ada);
  await away.leave();
  const yjs = await YjsClient.join(server, doc_id, ada);
  yjs.write((text) => text.insert(3, ' two', { bold: true }));
  await yjs.settled();
  const back = await JsonClient.join(server, doc_id, ada, { query: { epoch: 1, rev: 1 } });
  await back.take('status');
  expect(back.ready).not.toHaveProperty('content');
  expect(back.of('edit').map(({ changes }) => changes)).toEqual([
    { rev: 2, delta: [{ retain: 3 }, { insert: ' two', attributes: { bold: true } }] },
  ]);
});

test('J4: edits of Yjs clients are among them, also those that nobody read as deltas', async () => {
  const doc_id = await server.createDocument(ada, 'one');
  const away = await JsonClient.join(server, doc_id, ada);
  await away.leave();
  const yjs = await YjsClient.join(server, doc_id, ada);
  yjs.write((text) => text.insert(3, ' two'));
  await yjs.settled();
  yjs.write((text) => text.format(0, 3, { bold: true }));
  await yjs.settled();
  const back = await JsonClient.join(server, doc_id, ada, { query: { epoch: 1, rev: 1 } });
  expect(back.ready.content).toBeUndefined();
  expect((await back.take('edit')).changes).toEqual({ rev: 2, delta: [{ retain: 3 }, { insert: ' two' }] });
  expect((await back.take('edit')).changes).toEqual({ rev: 3, delta: [{ retain: 3, attributes: { bold: true } }] });
});

test('J5: a point beyond the head, of an unknown epoch, or lost with its owner brings the content whole', async () => {
  const doc_id = await server.createDocument(ada, 'one');
  const author = await JsonClient.join(server, doc_id, ada);
  await author.edit([{ insert: 'zero ' }]);
  await author.acked(2);
  const join = (epoch: number, rev: number) => JsonClient.join(server, doc_id, ada, { query: { epoch, rev } });
  const whole = { rev: 2, content: [{ insert: 'zero one' }] };
  expect((await join(1, 3)).ready).toMatchObject(whole);
  expect((await join(2, 2)).ready).toMatchObject(whole);
  // Revision 2 was made by the owner of epoch 1, so a client that says epoch 0 saw another revision 2.
  expect((await join(0, 2)).ready).toMatchObject(whole);
  expect((await join(1, 2)).ready).not.toHaveProperty('content');
});

test('J5: a point that a later owner passed with other edits brings the content whole', async () => {
  const doc_id = await server.createDocument(ada);
  const author = await JsonClient.join(server, doc_id, ada);
  await author.edit([{ insert: 'kept' }]);
  await author.acked(1);
  await server.restart();
  const later = await JsonClient.join(server, doc_id, ada);
  await later.edit([{ insert: 'other ' }]);
  // As if the first owner had broadcast a revision 2 that died with it.
  const back = await JsonClient.join(server, doc_id, ada, { query: { epoch: 1, rev: 2 } });
  expect(back.ready).toMatchObject({ epoch: 2, rev: 2, content: [{ insert: 'other kept' }] });
});

test(`J6: a client may have missed window_revs_max (${LIMITS.window_revs_max}) edits; after one more the content comes whole`, async () => {
  const doc_id = await server.createDocument(ada);
  const author = await JsonClient.join(server, doc_id, ada);
  const head = LIMITS.window_revs_max + 1;
  for (let rev = 0; rev < head; rev++) author.sendEdit([{ insert: 'x' }], rev);
  await author.acked(head);
  const resume = (rev: number) => JsonClient.join(server, doc_id, ada, { query: { epoch: 1, rev } });
  const near = await resume(1);
  await near.take('status');
  expect(near.ready).not.toHaveProperty('content');
  expect(near.of('edit')).toEqual(author.of('edit').slice(1));
  expect((await resume(0)).ready.content).toEqual([{ insert: 'x'.repeat(head) }]);
});

test(`J6: missed edits of more than window_bytes_max (${LIMITS.window_bytes_max}) together are not sent: the content comes whole`, async () => {
  const doc_id = await server.createDocument(ada);
  const author = await JsonClient.join(server, doc_id, ada);
  // Two bytes for each unit of text: three parts fit beside what else an edit takes, four do not.
  const part = 'x'.repeat(LIMITS.window_bytes_max / 8);
  for (let rev = 0; rev < 4; rev++) author.sendEdit([{ insert: part }], rev);
  await author.acked(4);
  const resume = (rev: number) => JsonClient.join(server, doc_id, ada, { query: { epoch: 1, rev } });
  expect((await resume(1)).ready).not.toHaveProperty('content');
  expect((await resume(0)).ready.content).toEqual([{ insert: part.repeat(4) }]);
});

test('J7: after ready and the missed edits come the ack of what is on disk and the status', async () => {
  const doc_id = await server.createDocument(ada, 'one');
  const client = await JsonClient.join(server, doc_id, ada);
  const status = await client.take('status');
  expect(client.events.map(({ type }) => type)).toEqual(['ready', 'ack', 'status']);
  expect(client.of('ack')).toEqual([{ type: 'ack', doc_id, epoch: 1, rev: 1 }]);
  expect(status).toEqual({ type: 'status', doc_id, state: 'saved', since: expect.stringMatching(ISO) });
  // Nothing is on disk of a document that was never edited, so there is nothing to acknowledge.
  const empty = await JsonClient.join(server, await server.createDocument(ada), ada);
  await empty.take('status');
  expect(empty.events.map(({ type }) => type)).toEqual(['ready', 'status']);
});

test('J8: last_seq is the last seq that the document holds of this user and client_id, also after a restart', async () => {
  const doc_id = await server.createDocument(ada);
  await server.share(ada, doc_id, bob, 'editor');
  const query = { client_id: CLIENT };
  const author = await JsonClient.join(server, doc_id, ada, { query });
  for (const word of ['a', 'b', 'c']) await author.edit([{ insert: word }]);
  await author.acked(3);
  await author.leave();
  const lastSeq = async (user: TestUser, client_id: string): Promise<number> => {
    const client = await JsonClient.join(server, doc_id, user, { query: { client_id } });
    await client.leave();
    return client.ready.last_seq;
  };
  expect(await lastSeq(ada, CLIENT)).toBe(3);
  expect(await lastSeq(bob, CLIENT)).toBe(0);
  expect(await lastSeq(ada, 'aaaaaaaa-0000-4000-8000-000000000002')).toBe(0);
  await server.restart();
  expect(await lastSeq(ada, CLIENT)).toBe(3);
  expect(await lastSeq(bob, CLIENT)).toBe(0);
});
