/** What changes while somebody is on a document from another node: rights, places, connections, owners. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { Redis } from 'ioredis';
import * as Y from 'yjs';
import { CLOSE } from '../src/protocol/close.ts';
import { LIMITS } from '../src/protocol/limits.ts';
import { openTestServer, type TestServer, type TestUser } from './support/server.ts';
import { JsonClient, YjsClient } from './support/sockets.ts';
import { until } from './support/until.ts';

let owner: TestServer;
let gateway: TestServer;
let redis: Redis;
let ada: TestUser;
let bob: TestUser;

beforeAll(async () => {
  owner = await openTestServer({ NODE_ID: 'one' });
  gateway = await openTestServer({ NODE_ID: 'two' }, owner);
  redis = new Redis(owner.redis_url);
  [ada, bob] = [await owner.register('ada'), await owner.register('bob')];
});

afterAll(async () => {
  redis.disconnect();
  await gateway.stop();
  await owner.stop();
  expect(owner.errors()).toEqual([]);
  expect(gateway.errors()).toEqual([]);
});

/** A document that node one owns; bob is on it from node two. */
async function shared(text?: string, role: 'editor' | 'viewer' = 'editor') {
  const doc_id = await owner.createDocument(ada, text);
  await owner.share(ada, doc_id, bob, role);
  const home = await JsonClient.join(owner, doc_id, ada);
  return { doc_id, home, away: await JsonClient.join(gateway, doc_id, bob) };
}

test('a role that changes is told, and counts at once; whoever loses it is closed with 4403', async () => {
  const { doc_id, away } = await shared('text');
  await owner.share(ada, doc_id, bob, 'viewer');
  expect((await away.take('role')).role).toBe('viewer');
  expect(await away.refused([{ insert: 'x' }])).toMatchObject({ code: 'FORBIDDEN' });
  await gateway.call('DELETE', `/v1/documents/${doc_id}/permissions/${bob.user_id}`, ada.token);
  expect((await away.closed).code).toBe(CLOSE.FORBIDDEN);
});

test('a deleted document closes the sockets of all nodes with 4404', async () => {
  const { doc_id, home, away } = await shared();
  await gateway.call('DELETE', `/v1/documents/${doc_id}`, ada.token);
  expect([(await home.closed).code, (await away.closed).code]).toEqual([CLOSE.NOT_FOUND, CLOSE.NOT_FOUND]);
  const late = JsonClient.open(gateway, doc_id, bob);
  expect((await late.closed).code).toBe(CLOSE.NOT_FOUND);
});

test('a client_id has one connection, whichever nodes it came through', async () => {
  const { doc_id, away } = await shared();
  const query = { client_id: away.ready.client_id };
  const again = await JsonClient.join(owner, doc_id, bob, { query });
  expect((await away.closed).code).toBe(CLOSE.REPLACED);
  const back = await JsonClient.join(gateway, doc_id, bob, { query });
  expect((await again.closed).code).toBe(CLOSE.REPLACED);
  await back.edit([{ insert: 'x' }]);
});

test('a client that comes back through another node gets what it missed, and its resend is known', async () => {
  const { doc_id, home, away } = await shared('a');
  const mine = await away.edit([{ insert: 'b' }]);
  await away.acked(mine.changes.rev);
  await away.leave();
  await home.edit([{ insert: 'c' }]);
  const { client_id, epoch } = away.ready;
  const query = { client_id, epoch: String(epoch), rev: String(mine.changes.rev) };
  const back = await JsonClient.join(gateway, doc_id, bob, { query });
  expect([back.ready.content, back.ready.last_seq]).toEqual([undefined, 1]);
  expect((await back.take('edit')).changes).toEqual({ rev: 3, delta: [{ insert: 'c' }] });
  back.sendEdit([{ insert: 'b' }], 1, 1);
  expect(await back.take('edit', ({ seq }) => seq === 1)).toEqual(mine);
  await back.settled();
  expect(await gateway.text(ada, doc_id)).toBe('cba');
});

test('a client that is too far behind starts over, and misses nothing after', async () => {
  const { doc_id, home, away } = await shared('a');
  expect(await away.refused([{ insert: 'x' }], 99)).toMatchObject({ code: 'STALE_REVISION' });
  await until('a second ready', () => away.of('ready').length === 2);
  await home.edit([{ insert: 'b' }]);
  expect((await away.take('edit')).changes).toEqual({ rev: 2, delta: [{ insert: 'b' }] });
  expect(await gateway.text(bob, doc_id)).toBe('ba');
});

test('a Yjs viewer is refused and still sees everything; one that asked for acks is told how far the disk is', async () => {
  const { doc_id, home, away } = await shared('a', 'viewer');
  await away.leave();
  const viewer = await YjsClient.join(gateway, doc_id, bob);
  viewer.write((text) => text.insert(0, 'no'));
  await viewer.until('the refusal', () => viewer.of('denied').length === 1);
  const author = await YjsClient.join(gateway, doc_id, ada, { query: { acks: '2' } });
  author.write((text) => text.insert(1, 'b'));
  await author.until('the ack', () => author.of('ack').some(({ frames }) => frames === 1));
  await home.edit([{ retain: 2 }, { insert: 'c' }]);
  await author.until('an ack for all', () => author.of('ack').some(({ rev }) => rev === 3));
  await viewer.until('the text', () => viewer.text.toString().endsWith('abc'));
});

test('a state larger than many packets reaches a Yjs client of another node whole', async () => {
  const { doc_id, away } = await shared();
  const writer = await YjsClient.join(gateway, doc_id, bob);
  const large = 'x'.repeat(LIMITS.link_packet_bytes_max * 12);
  writer.write((text) => text.insert(0, large));
  await away.acked(1);
  const reader = await YjsClient.join(gateway, doc_id, ada);
  await reader.until('all of it', () => reader.text.length === large.length);
  expect(Y.encodeStateVector(reader.doc)).toEqual(Y.encodeStateVector(writer.doc));
});

test('a subscription that is cut loses nothing: what was missed is asked for', async () => {
  const { doc_id, home, away } = await shared();
  const yjs = await YjsClient.join(gateway, doc_id, bob);
  for (let i = 0; i < 30; i++) {
    if (i % 10 === 5) await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await home.edit([{ insert: String(i % 10) }]);
  }
  await away.acked(30);
  expect(away.of('edit').map(({ changes }) => changes.rev)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
  await yjs.until('all of it', () => yjs.text.length === 30);
  expect(yjs.text.toString()).toBe(await owner.text(ada, doc_id));
});

test('an unknown document is 4404 through every node', async () => {
  const client = JsonClient.open(gateway, crypto.randomUUID(), bob);
  expect((await client.closed).code).toBe(CLOSE.NOT_FOUND);
});

test('an owner that leaves hands its documents over: sockets are closed with 1012 and come back to another owner', async () => {
  const { doc_id, away } = await shared('a');
  const mine = await away.edit([{ insert: 'b' }]);
  await away.acked(mine.changes.rev);
  const { epoch } = away.ready;
  await owner.restart();
  expect((await away.closed).code).toBe(CLOSE.RESTART);
  const back = await JsonClient.join(gateway, doc_id, bob);
  expect([back.ready.content, back.ready.epoch]).toEqual([[{ insert: 'ba' }], epoch + 1]);
  const home = await JsonClient.join(owner, doc_id, ada);
  await home.edit([{ insert: 'c' }]);
  expect((await back.take('edit')).changes.delta).toEqual([{ insert: 'c' }]);
});
