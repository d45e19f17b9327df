/** What a client is told of the safety of its text: docs/PROTOCOL.md, "Acknowledgement and status". */
import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient, YjsClient } from '../../test/support/sockets.ts';
import { CLOSE } from '../protocol/close.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';

let server: TestServer;
let ada: TestUser;
let release: () => Promise<void> = async () => {};

beforeAll(async () => {
  // More than may wait for the disk.
  server = await openTestServer({ DOCUMENT_BYTES_MAX: String(LIMITS.document_bytes_max) });
  ada = await server.register('ada');
});

afterEach(async () => {
  await release();
  release = async () => {};
});

afterAll(async () => {
  await server.stop();
  // One test lets PostgreSQL be silent for too long, which operators are told.
  for (const error of server.errors()) expect(error).toContain('PostgreSQL does not answer');
});

/** A client on a new document whose edits do not reach the disk until `release` is called. */
async function joinedHeld(): Promise<JsonClient> {
  const client = await JsonClient.join(server, await server.createDocument(ada), ada);
  release = await server.holdJournal(client.ready.doc_id);
  return client;
}

async function written(doc_id: string): Promise<number> {
  const [row] = await server.sql`SELECT count(*)::int AS rows FROM document_updates WHERE doc_id = ${doc_id}`;
  return row?.rows;
}

test('J30: an edit is shown to everybody at once and acknowledged only when PostgreSQL has it', async () => {
  const client = await joinedHeld();
  const { doc_id } = client.ready;
  const other = await JsonClient.join(server, doc_id, ada);
  await client.edit([{ insert: 'a' }]);
  await other.take('edit');
  await client.settled();
  expect(client.of('ack')).toEqual([]);
  expect(await written(doc_id)).toBe(0);
  await release();
  const ack = await client.take('ack');
  expect(ack).toEqual({ type: 'ack', doc_id, epoch: 1, rev: 1 });
  expect(await written(doc_id)).toBe(1);
  expect(await other.take('ack')).toEqual(ack);
});

test('J30: an ack covers everything up to its revision, whoever made it', async () => {
  const client = await joinedHeld();
  const other = await JsonClient.join(server, client.ready.doc_id, ada);
  for (const word of ['a', 'b', 'c']) {
    await client.edit([{ insert: word }]);
    await other.edit([{ insert: word }]);
  }
  await release();
  await client.acked(6);
  const revs = client.of('ack').map(({ rev }) => rev);
  expect(revs.length).toBeLessThanOrEqual(3);
  expect(revs).toEqual([...revs].sort((a, b) => a - b));
});

test("J31: an ack's epoch replaces the client's: with it, not with that of ready, it resumes", async () => {
  const client = await joinedHeld();
  const { doc_id } = client.ready;
  await client.edit([{ insert: 'a' }]);
  // The flush is given up and its outcome resolved under the next epoch.
  server.clock.advance(TIMES.flush_timeout_ms);
  await release();
  await client.acked(1);
  const { epoch, rev } = client.of('ack').at(-1) ?? { epoch: 0, rev: 0 };
  expect({ epoch, rev }).toEqual({ epoch: 2, rev: 1 });
  const back = await JsonClient.join(server, doc_id, ada, { query: { epoch, rev } });
  expect(back.ready).toMatchObject({ epoch: 2, rev: 1 });
  expect(back.ready).not.toHaveProperty('content');
});

test('J32: status goes from saved to saving with the first unconfirmed edit and back when all is on disk', async () => {
  const client = await joinedHeld();
  const { doc_id } = client.ready;
  expect((await client.take('status')).state).toBe('saved');
  await client.edit([{ insert: 'a' }]);
  const saving = await client.take('status');
  expect(saving).toMatchObject({ type: 'status', doc_id, state: 'saving' });
  await release();
  await client.acked(1);
  server.clock.advance(TIMES.saved_settle_ms);
  const saved = await client.take('status');
  expect(saved.state).toBe('saved');
  expect(saved.since > saving.since).toBe(true);
});

test(`J33: storage that has not confirmed for ${TIMES.unsaved_after_ms} ms is shown as unsaved, and editing goes on`, async () => {
  const client = await joinedHeld();
  await client.edit([{ insert: 'a' }]);
  await client.take('status', ({ state }) => state === 'saving');
  server.clock.advance(TIMES.unsaved_after_ms - 500);
  await client.settled();
  expect(client.of('status').at(-1)?.state).toBe('saving');
  server.clock.advance(500);
  expect((await client.take('status', ({ state }) => state === 'unsaved')).state).toBe('unsaved');
  await client.edit([{ insert: 'b' }]);
  const late = await JsonClient.join(server, client.ready.doc_id, ada);
  expect((await late.take('status')).state).toBe('unsaved');
  expect(late.ready.content).toEqual([{ insert: 'ba' }]);
  await release();
  await client.acked(2);
  server.clock.advance(TIMES.saved_settle_ms);
  await client.take('status', ({ state }) => state === 'saved');
});

test(`J34: at backlog_bytes_max (${LIMITS.backlog_bytes_max}) unwritten bytes the document is read_only, on both doors, until half is written`, async () => {
  const client = await joinedHeld();
  const { doc_id } = client.ready;
  const yjs = await YjsClient.join(server, doc_id, ada);
  // Fills the backlog to 200 bytes below its bound: the update, and the `[]` that is its effect on the text.
  let room = LIMITS.backlog_bytes_max - 200;
  for (const key of ['a', 'b', 'c', 'd', 'e']) {
    const part = 'x'.repeat(Math.min(room - 64, LIMITS.yjs_frame_bytes_max - 1_024));
    room -= yjs.write((_text, doc) => doc.getMap('parts').set(key, part)).length + 2;
    await client.take('edit');
  }
  expect((await client.edit([{ insert: 'fits' }])).seq).toBe(1);
  expect(client.of('status').map(({ state }) => state)).not.toContain('read_only');
  await client.edit([{ insert: 'x'.repeat(100) }]);
  expect((await client.take('status', ({ state }) => state === 'read_only')).state).toBe('read_only');
  expect(await client.refused([{ insert: 'x' }])).toMatchObject({ code: 'UNAVAILABLE', seq: 3 });
  yjs.write((text) => text.insert(0, 'mine'));
  expect((await yjs.closed).code).toBe(CLOSE.OVERLOADED);
  await release();
  await client.acked(client.rev);
  server.clock.advance(TIMES.saved_settle_ms);
  await client.take('status', ({ state }) => state === 'saved');
  expect((await client.edit([{ insert: 'again ' }])).seq).toBe(3);
  // What was refused is still the Yjs client's own, and comes with its next connection.
  const back = await YjsClient.join(server, doc_id, ada, { doc: yjs.doc });
  back.answer();
  await client.take('edit', ({ changes }) => changes.delta.some(({ insert }) => insert === 'mine'));
});
