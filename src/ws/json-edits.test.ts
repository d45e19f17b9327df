/** What becomes of an edit on the JSON door: docs/PROTOCOL.md, "Editing". */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import Delta from 'quill-delta';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient, YjsClient } from '../../test/support/sockets.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';

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

/** A document that both may edit. */
async function shared(text?: string): Promise<string> {
  const doc_id = await server.createDocument(ada, text);
  await server.share(ada, doc_id, bob, 'editor');
  return doc_id;
}

/** The text that a client has when it applies all it was sent. */
function textOf(client: JsonClient): DeltaOps {
  let text = new Delta(client.ready.content ?? []);
  for (const { changes } of client.of('edit')) text = text.compose(new Delta(changes.delta));
  return text.ops as DeltaOps;
}

test('J10: an edit reaches everybody on the document, its author included, with these fields', async () => {
  const doc_id = await shared('hello');
  const author = await JsonClient.join(server, doc_id, ada, { query: { client_id: CLIENT } });
  const other = await JsonClient.join(server, doc_id, bob);
  const event = await author.edit([{ retain: 5 }, { insert: ' world' }]);
  expect(event).toEqual({
    type: 'edit',
    user_id: ada.user_id,
    doc_id,
    client_id: CLIENT,
    seq: 1,
    changes: { rev: 2, delta: [{ retain: 5 }, { insert: ' world' }] },
    timestamp: expect.stringMatching(ISO),
  });
  expect(await other.take('edit')).toEqual(event);
});

test('J10: edits of all doors come in rev order without gaps, and all clients end with the same text', async () => {
  const doc_id = await shared('text');
  const [one, two] = await Promise.all([JsonClient.join(server, doc_id, ada), JsonClient.join(server, doc_id, bob)]);
  const yjs = await YjsClient.join(server, doc_id, bob);
  const rest = (word: string) =>
    server.call('POST', `/v1/documents/${doc_id}/edits`, ada.token, { changes: { delta: [{ insert: word }] } });
  const edits: Promise<unknown>[] = [];
  for (let i = 0; i < 20; i++) {
    edits.push(one.edit([{ insert: `a${i}` }]), two.edit([{ insert: `b${i}` }]), rest(`r${i}`));
    yjs.write((text) => text.insert(0, `y${i}`));
  }
  await Promise.all(edits);
  await yjs.settled();
  await Promise.all([one.settled(), two.settled()]);
  for (const client of [one, two]) {
    const revs = client.of('edit').map(({ changes }) => changes.rev);
    expect(revs).toEqual(revs.map((_, i) => i + 2));
    expect(revs.length).toBeGreaterThanOrEqual(61);
    expect(textOf(client)).toEqual([{ insert: yjs.text.toString() }]);
  }
  expect(await server.text(ada, doc_id)).toBe(yjs.text.toString());
});

test('J11: of two edits at one place the earlier stays left: earlier.transform(later, true)', async () => {
  const doc_id = await shared('0123456789');
  const client = await JsonClient.join(server, doc_id, ada);
  const base = client.rev;
  const deltas: DeltaOps[] = [
    [{ retain: 5 }, { insert: 'first' }],
    [{ retain: 5 }, { insert: 'second' }],
    [{ retain: 3 }, { delete: 4 }],
    [{ retain: 4 }, { insert: 'third' }, { delete: 3 }, { insert: 'fourth' }],
    [
      { retain: 2, attributes: { bold: true } },
      { retain: 8, attributes: { bold: null, color: 'red' } },
    ],
    [{ retain: 10, attributes: { color: 'blue' } }, { insert: 'end' }],
  ];
  let text = new Delta([{ insert: '0123456789' }]);
  const before: Delta[] = [];
  for (const delta of deltas) {
    let expected = new Delta(delta);
    for (const earlier of before) expected = earlier.transform(expected, true);
    const { changes } = await client.edit(delta, base);
    text = text.compose(expected);
    before.push(new Delta(changes.delta));
    expect(textOf(client)).toEqual(text.ops as DeltaOps);
  }
});

test('J12: an edit that comes to nothing takes a revision and its seq, with an empty delta', async () => {
  const doc_id = await shared('abc');
  const [one, two] = await Promise.all([JsonClient.join(server, doc_id, ada), JsonClient.join(server, doc_id, bob)]);
  await one.edit([{ retain: 1 }, { delete: 1 }], 1);
  const event = await two.edit([{ retain: 1 }, { delete: 1 }], 1);
  expect(event.changes).toEqual({ rev: 3, delta: [] });
  expect((await one.take('edit', ({ changes }) => changes.rev === 3)).changes.delta).toEqual([]);
  await two.acked(3);
  expect((await two.edit([{ insert: '>' }])).seq).toBe(2);
  expect(await server.text(ada, doc_id)).toBe('>ac');
});

test('J13: attributes, embeds, emoji and line ends reach JSON and Yjs clients as they were sent', async () => {
  const doc_id = await shared();
  const [one, two] = await Promise.all([JsonClient.join(server, doc_id, ada), JsonClient.join(server, doc_id, bob)]);
  const yjs = await YjsClient.join(server, doc_id, bob);
  const text: DeltaOps = [
    { insert: '👩‍👩‍👧 é ' },
    { insert: 'both', attributes: { bold: true, link: 'https://example.org/?a=1&b=2' } },
    { insert: { image: 'data:,x' }, attributes: { alt: '"' } },
    { insert: { mention: { id: 7, tags: ['a', null, true] } } },
    { insert: '\r\n\u2028\n', attributes: { list: 'bullet' } },
  ];
  await one.edit(text);
  expect((await two.take('edit')).changes.delta).toEqual(text);
  await yjs.until('all five ops', () => yjs.text.toDelta().length === text.length);
  expect(yjs.text.toDelta()).toEqual(text);
  await one.edit([{ retain: 10 }, { retain: 4, attributes: { bold: null, italic: true } }]);
  await two.settled();
  await yjs.settled();
  expect(yjs.text.toDelta()).toEqual(textOf(two));
  expect(textOf(two)).toEqual(textOf(one));
});

test("J14: an edit of a Yjs client has its connection's client_id, seq null and its effect on the text", async () => {
  const doc_id = await shared('plain 😀');
  const json = await JsonClient.join(server, doc_id, ada);
  const yjs = await YjsClient.join(server, doc_id, bob, { query: { client_id: CLIENT } });
  yjs.write((text) => {
    text.delete(0, 6);
    text.insert(2, '!', { bold: true });
    text.insertEmbed(3, { image: 'data:,x' }, { width: 1 });
    text.format(0, 2, { italic: true });
  });
  const event = await json.take('edit');
  expect(event).toMatchObject({ user_id: bob.user_id, client_id: CLIENT, seq: null, changes: { rev: 2 } });
  await json.settled();
  expect(textOf(json)).toEqual(yjs.text.toDelta());
});

test('J14: a change of another root takes a revision with an empty delta', async () => {
  const doc_id = await shared('text');
  const json = await JsonClient.join(server, doc_id, ada);
  const yjs = await YjsClient.join(server, doc_id, bob);
  yjs.write((_text, doc) => doc.getMap('settings').set('font', 'serif'));
  expect((await json.take('edit')).changes).toEqual({ rev: 2, delta: [] });
  expect((await json.edit([{ insert: '>' }])).changes).toEqual({ rev: 3, delta: [{ insert: '>' }] });
});

test("J15: an edit over REST has the caller's client_id and seq, or a fresh id and null", async () => {
  const doc_id = await shared('text');
  const json = await JsonClient.join(server, doc_id, ada);
  const rest = (body: object) => server.call('POST', `/v1/documents/${doc_id}/edits`, bob.token, body);
  const delta = [{ insert: '>' }];
  expect((await rest({ changes: { delta } })).body.data).toEqual({ rev: 2 });
  const anonymous = await json.take('edit');
  expect(anonymous).toMatchObject({ user_id: bob.user_id, seq: null, changes: { rev: 2, delta } });
  expect(anonymous.client_id).toMatch(/^[0-9a-f-]{36}$/);
  expect((await rest({ changes: { delta, base_rev: 1 }, client_id: CLIENT, seq: 1 })).body.data).toEqual({ rev: 3 });
  expect(await json.take('edit')).toMatchObject({ client_id: CLIENT, seq: 1, changes: { rev: 3 } });
});

test('J16: user_id, doc_id and timestamp may be sent, and what is sent on is the server’s own', async () => {
  const doc_id = await shared('text');
  const json = await JsonClient.join(server, doc_id, ada);
  const changes = { base_rev: 1, delta: [{ insert: '>' }] };
  const timestamp = '1999-01-01T00:00:00.000Z';
  const named = { doc_id: doc_id.toUpperCase(), user_id: ada.user_id.toUpperCase(), timestamp };
  json.send({ type: 'edit', ...named, changes, seq: 1 });
  const event = await json.take('edit');
  expect(event).toMatchObject({ doc_id, user_id: ada.user_id });
  expect(event.timestamp).not.toBe(timestamp);
});

test("J16: another user's user_id is FORBIDDEN, another document's doc_id refused; neither uses up the seq", async () => {
  const doc_id = await shared('text');
  const json = await JsonClient.join(server, doc_id, ada);
  const changes = { base_rev: 1, delta: [{ insert: '>' }] };
  json.send({ type: 'edit', user_id: bob.user_id, changes, seq: 1 });
  expect(await json.take('error')).toMatchObject({ code: 'FORBIDDEN', seq: 1 });
  json.send({ type: 'edit', doc_id: CLIENT, changes, seq: 1 });
  expect(await json.take('error')).toMatchObject({ code: 'VALIDATION_ERROR', seq: 1, details: [{ path: '/doc_id' }] });
  json.send({ type: 'presence', user_id: bob.user_id, status: 'active', state: {} });
  const refused = await json.take('error');
  expect(refused).toMatchObject({ code: 'FORBIDDEN' });
  expect(refused).not.toHaveProperty('seq');
  expect((await json.edit([{ insert: '>' }])).seq).toBe(1);
});

test('J17: a seq that the document holds is answered to the sender alone with its first event, and not applied again', async () => {
  const doc_id = await shared();
  const one = await JsonClient.join(server, doc_id, ada, { query: { client_id: CLIENT } });
  const two = await JsonClient.join(server, doc_id, bob);
  const first = await one.edit([{ insert: 'a' }]);
  const second = await one.edit([{ insert: 'b' }]);
  // Whatever the resend says by now: what counts is its seq.
  one.sendEdit([{ insert: 'else' }], 0, 1);
  expect(await one.take('edit')).toEqual(first);
  one.sendEdit([{ insert: 'b' }], 77, 2);
  expect(await one.take('edit')).toEqual(second);
  await two.settled();
  expect(two.of('edit')).toEqual([first, second]);
  expect(await server.text(ada, doc_id)).toBe('ba');
});

test('J17: a resend is recognised after a restart of the server, from the journal', async () => {
  const doc_id = await shared();
  const query = { client_id: CLIENT };
  const before = await JsonClient.join(server, doc_id, ada, { query });
  const first = await before.edit([{ insert: 'a' }]);
  await before.acked(1);
  await server.restart();
  const after = await JsonClient.join(server, doc_id, ada, { query });
  after.sendEdit([{ insert: 'a' }], 0, 1);
  expect(await after.take('edit')).toEqual(first);
  expect((await after.edit([{ insert: 'b' }])).changes.rev).toBe(2);
  expect(await server.text(ada, doc_id)).toBe('ba');
});

test('J17: a resend that comes before its first answer is one edit all the same', async () => {
  const doc_id = await shared();
  const client = await JsonClient.join(server, doc_id, ada);
  client.sendEdit([{ insert: 'a' }], 0, 1);
  client.sendEdit([{ insert: 'a' }], 0, 1);
  await client.settled();
  const [event, again] = client.of('edit');
  expect(again).toEqual(event);
  expect(await server.text(ada, doc_id)).toBe('a');
});

test('J18: a seq that skips is refused, and names the next', async () => {
  const doc_id = await shared();
  const client = await JsonClient.join(server, doc_id, ada);
  client.sendEdit([{ insert: 'a' }], 0, 2);
  expect(await client.take('error')).toMatchObject({
    code: 'VALIDATION_ERROR',
    seq: 2,
    details: [{ path: '/seq', message: 'skips: the next is 1' }],
  });
  client.sendEdit([{ insert: 'a' }], 0, 1);
  expect((await client.take('edit')).seq).toBe(1);
});

test('J19: a refused edit uses up no seq and no revision, and the error names its seq', async () => {
  const doc_id = await shared('abc');
  const client = await JsonClient.join(server, doc_id, ada);
  expect(await client.refused([{ retain: 4 }, { insert: 'x' }])).toMatchObject({ code: 'VALIDATION_ERROR', seq: 1 });
  expect(await client.refused([])).toMatchObject({ code: 'VALIDATION_ERROR', seq: 1 });
  expect(await client.refused([{ insert: 'x' }], 9)).toMatchObject({ code: 'STALE_REVISION', seq: 1 });
  const event = await client.edit([{ insert: 'x' }], 1);
  expect(event).toMatchObject({ seq: 1, changes: { rev: 2 } });
});

test('J20: seqs count for each document, user and client_id by itself', async () => {
  const [doc_id, other_id] = await Promise.all([shared(), shared()]);
  const query = { client_id: CLIENT };
  const [one, two, three] = await Promise.all([
    JsonClient.join(server, doc_id, ada, { query }),
    JsonClient.join(server, doc_id, bob, { query }),
    JsonClient.join(server, other_id, ada, { query }),
  ]);
  const events = await Promise.all([one, two, three].map((client) => client.edit([{ insert: 'a' }])));
  expect(events.map(({ seq }) => seq)).toEqual([1, 1, 1]);
  expect((await one.edit([{ insert: 'b' }])).seq).toBe(2);
});
