/** What subscribers of one's own hear on Redis: docs/PROTOCOL.md, "Redis". */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { Redis } from 'ioredis';
import * as Y from 'yjs';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient, YjsClient } from '../../test/support/sockets.ts';
import { until } from '../../test/support/until.ts';
import { TIMES } from '../protocol/limits.ts';
import type { EditEvent, ServerEvent } from '../protocol/messages.ts';

/** A message of the channel. */
interface Published {
  readonly from: string;
  readonly v: number;
  readonly epoch: number;
  readonly rev: number;
  readonly events: readonly (ServerEvent & { readonly update?: string })[];
}

let server: TestServer;
let ada: TestUser;
let redis: Redis;
const heard = new Map<string, Published[]>();

beforeAll(async () => {
  server = await openTestServer();
  ada = await server.register('ada');
  redis = new Redis(server.redis_url);
  redis.on('message', (channel, text) => void heard.get(channel)?.push(JSON.parse(text)));
});

afterAll(async () => {
  redis.disconnect();
  await server.stop();
  expect(server.errors()).toEqual([]);
});

/** Listens to a document's channel; returns what is heard from now on. */
async function listen(doc_id: string): Promise<Published[]> {
  const messages: Published[] = [];
  heard.set(`collab:${doc_id}`, messages);
  await redis.subscribe(`collab:${doc_id}`);
  return messages;
}

const editsOf = (messages: readonly Published[]) =>
  messages
    .flatMap(({ events }) => events)
    .filter((event): event is EditEvent & { update: string } => event.type === 'edit');

test('R1: each turn is one message {"v":1,"from","epoch","rev","events"}, its edits those of the JSON door with update', async () => {
  const doc_id = await server.createDocument(ada, 'text');
  const messages = await listen(doc_id);
  const json = await JsonClient.join(server, doc_id, ada);
  const event = await json.edit([{ insert: '>' }]);
  await until('the edit', () => editsOf(messages).length === 1);
  const [message] = messages.filter(({ events }) => events.some(({ type }) => type === 'edit'));
  const events = [{ ...event, update: expect.any(String) }];
  expect(message).toEqual({ v: 1, from: expect.any(String), epoch: 1, rev: 2, events });
});

test('R2: the updates, in base64, applied in rev order make the document', async () => {
  const doc_id = await server.createDocument(ada);
  const messages = await listen(doc_id);
  const json = await JsonClient.join(server, doc_id, ada);
  const yjs = await YjsClient.join(server, doc_id, ada);
  await json.edit([{ insert: 'bold', attributes: { bold: true } }, { insert: { image: 'data:,x' } }]);
  yjs.write((text, doc) => {
    text.insert(0, '😀');
    doc.getMap('settings').set('font', 'serif');
  });
  await json.take('edit', ({ seq }) => seq === null);
  await json.edit([{ delete: 2 }]);
  await until('all three', () => editsOf(messages).length === 3);
  expect(editsOf(messages).map(({ changes }) => changes.rev)).toEqual([1, 2, 3]);
  const doc = new Y.Doc();
  for (const { update } of editsOf(messages)) Y.applyUpdate(doc, Buffer.from(update, 'base64'));
  await yjs.settled();
  expect(Y.encodeStateAsUpdate(doc)).toEqual(Y.encodeStateAsUpdate(yjs.doc));
});

test('R3: an edit that came to nothing, or to nothing new in the text, is published like any other', async () => {
  const doc_id = await server.createDocument(ada, 'text');
  const messages = await listen(doc_id);
  const [one, two] = [await JsonClient.join(server, doc_id, ada), await JsonClient.join(server, doc_id, ada)];
  await one.edit([{ delete: 1 }], 1);
  await two.edit([{ delete: 1 }], 1);
  await until('both', () => editsOf(messages).length === 2);
  expect(editsOf(messages)[1]?.changes).toEqual({ rev: 3, delta: [] });
  const doc = new Y.Doc();
  Y.applyUpdate(doc, Buffer.from(editsOf(messages)[1]?.update ?? '', 'base64'));
  expect(Y.encodeStateVector(doc)).toEqual(Uint8Array.of(0));
});

test('R4: an edit of a Yjs client carries its delta too', async () => {
  const doc_id = await server.createDocument(ada, 'text');
  const yjs = await YjsClient.join(server, doc_id, ada);
  const messages = await listen(doc_id);
  yjs.write((text) => text.insert(0, 'a'));
  await until('the edit', () => editsOf(messages).length === 1);
  expect(editsOf(messages)[0]?.changes).toEqual({ rev: 2, delta: [{ insert: 'a' }] });
});

test('R5: acks, statuses and presence are published once the server knows of a subscriber', async () => {
  const doc_id = await server.createDocument(ada, 'text');
  const json = await JsonClient.join(server, doc_id, ada);
  const messages = await listen(doc_id);
  const events = () => messages.flatMap(({ events }) => events);
  server.clock.advance(TIMES.subscribers_look_ms);
  await until('the first ack', async () => {
    const { changes } = await json.edit([{ insert: '>' }]);
    await json.acked(changes.rev);
    return events().some(({ type }) => type === 'ack');
  });
  json.send({ type: 'presence', status: 'active', state: { mood: 'good' } });
  await until('the presence', () => events().some((event) => event.type === 'presence' && event.state.mood === 'good'));
  server.clock.advance(TIMES.saved_settle_ms);
  await until('the status', () => events().some((event) => event.type === 'status' && event.state === 'saved'));
  for (const message of messages) expect(message).toMatchObject({ v: 1, epoch: 1, rev: expect.any(Number) });
});
