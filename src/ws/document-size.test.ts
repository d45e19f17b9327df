/** A document that is full, on every door: docs/PROTOCOL.md, J26, J35, Y15 and H20. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { StockHocuspocus } from '../../test/support/hocuspocus.ts';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient, YjsClient } from '../../test/support/sockets.ts';
import { LIMITS } from '../protocol/limits.ts';
import { DOCUMENT_FULL } from '../protocol/yjs-wire.ts';

const MAX = LIMITS.document_bytes_min;
let server: TestServer;
let ada: TestUser;

beforeAll(async () => {
  server = await openTestServer({ DOCUMENT_BYTES_MAX: String(MAX) });
  ada = await server.register('ada');
});

afterAll(async () => {
  await server.stop();
  expect(server.errors()).toEqual([]);
});

const text = (bytes: number): string => 'x'.repeat(bytes);

/** A document with so little room left that a line of text fits and a page does not. */
const nearlyFull = (): Promise<string> => server.createDocument(ada, text(MAX - 1_000));

test('J26: an edit that would make the document too large is refused with its numbers; what deletes is taken, and everything can be read', async () => {
  const doc_id = await nearlyFull();
  const client = await JsonClient.join(server, doc_id, ada);
  const error = await client.refused([{ insert: text(2_000) }]);
  expect(error).toMatchObject({ code: 'DOCUMENT_TOO_LARGE', details: { bytes: expect.any(Number), bytes_max: MAX } });
  expect((await client.edit([{ insert: text(500) }])).seq).toBe(1);
  const posted = await server.call('POST', `/v1/documents/${doc_id}/edits`, ada.token, {
    changes: { delta: [{ insert: text(2_000) }] },
  });
  expect([posted.status, posted.body.error.code]).toEqual([413, 'DOCUMENT_TOO_LARGE']);
  expect(await server.text(ada, doc_id)).toHaveLength(MAX - 500);
  await client.edit([{ delete: 10_000 }]);
  await client.edit([{ insert: text(2_000) }]);
  await client.leave();
});

test('J26: a document is not created larger than documents may be', async () => {
  const create = (bytes: number) =>
    server.call('POST', '/v1/documents', ada.token, {
      title: 'Large',
      content: { format: 'text', value: text(bytes) },
    });
  const state = new Y.Doc();
  state.getText('content').insert(0, text(MAX));
  const overhead = Y.encodeStateAsUpdate(state).length - MAX;
  // The clientID that the server draws may take up to four bytes less.
  expect((await create(MAX - overhead - LIMITS.document_item_bytes_min - 8)).status).toBe(201);
  const refused = await create(MAX);
  expect([refused.status, refused.body.error.code]).toEqual([413, 'DOCUMENT_TOO_LARGE']);
});

test('J35: at four fifths of the size everybody on the JSON door is warned once, and whoever joins later is', async () => {
  const doc_id = await server.createDocument(ada, text(MAX * 0.8 - 500));
  const client = await JsonClient.join(server, doc_id, ada);
  await client.edit([{ insert: text(300) }]);
  await client.settled();
  expect(client.events.filter(({ type }) => type === 'warning')).toEqual([]);
  await client.edit([{ insert: text(300) }]);
  await client.edit([{ insert: 'more' }]);
  await client.settled();
  const warnings = (of: JsonClient) => of.events.filter(({ type }) => type === 'warning');
  expect(warnings(client)).toEqual([
    expect.objectContaining({
      doc_id,
      code: 'DOCUMENT_TOO_LARGE',
      details: expect.objectContaining({ bytes_max: MAX }),
    }),
  ]);
  const later = await JsonClient.join(server, doc_id, ada);
  await later.settled();
  expect(warnings(later)).toHaveLength(1);
  expect(await server.metric('concord_documents_sized_total{news="warned"}')).toBe(1);
  await Promise.all([client.leave(), later.leave()]);
});

test('Y15: an update that would make the document too large is answered with an auth message, document too large, and reaches nobody; it gets in by itself once there is room', async () => {
  const doc_id = await nearlyFull();
  const [author, reader] = [await YjsClient.join(server, doc_id, ada), await YjsClient.join(server, doc_id, ada)];
  author.write((content) => content.insert(0, text(2_000)));
  expect((await author.take('denied')).reason).toBe(DOCUMENT_FULL);
  // The line stays, in both directions.
  reader.write((content) => content.insert(0, 'A'));
  await author.until('the edit of the reader', () => author.text.toString().includes('A'));
  await reader.settled();
  expect(reader.text.length).toBe(MAX - 999);
  reader.write((content) => content.delete(0, 20_000));
  await reader.settled();
  // Its next edit builds on the refused one, so it is asked for all that it has.
  author.write((content) => content.insert(0, 'B'));
  await author.take('step1', () => author.of('step1').length > 1);
  author.answer();
  await reader.until('what was refused', () => reader.text.length === author.text.length);
  await Promise.all([author.settled(), reader.settled()]);
  expect(reader.text.toString()).toBe(author.text.toString());
  await Promise.all([author.leave(), reader.leave()]);
});

test('H20: a provider whose edits found no room does not call them saved, until they are in the document', async () => {
  const doc_id = await nearlyFull();
  const client = new StockHocuspocus(server, doc_id, ada);
  await client.until('the beginning to be saved', () => client.saved);
  const json = await JsonClient.join(server, doc_id, ada);
  client.text.insert(0, text(2_000));
  client.text.insert(0, '!');
  await client.until('both edits to be counted', () => client.provider.unsyncedChanges === 2);
  await json.edit([{ delete: 10_000 }]);
  await client.until('the deletion', () => client.text.length < MAX);
  expect([client.saved, await server.text(ada, doc_id)]).toEqual([false, text(MAX - 11_000)]);
  client.provider.forceSync();
  await client.until('everything to be saved', () => client.saved);
  expect(await server.text(ada, doc_id)).toBe(client.text.toString());
  client.destroy();
  await json.leave();
});
