/** Who asks for the whole document over and over, through every door: docs/PROTOCOL.md, C17. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { RawHocuspocus, syncFrame, tokenFrame } from '../../test/support/hocuspocus.ts';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient, YjsClient } from '../../test/support/sockets.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import { SYNC, step1Frame } from '../protocol/yjs-wire.ts';

const { answer_bytes_at_once_max: AT_ONCE, answer_bytes_per_second_max: PER_SECOND } = LIMITS;
const TEXT_BYTES = 1024 * 1024;
const QUESTIONS = 200;
/** The state vector of somebody who has nothing. */
const EVERYTHING = Uint8Array.of(0);

let server: TestServer;
let ada: TestUser;
let doc_id: string;

beforeAll(async () => {
  server = await openTestServer();
  ada = await server.register('ada');
  doc_id = await server.createDocument(ada, 'x'.repeat(TEXT_BYTES));
});

afterAll(async () => {
  await server.stop();
  expect(server.errors()).toEqual([]);
});

/**
 * How many answers may have come since `began`, of a document of this size: those at once, what time allowed since, the first
 * that was owed beyond it, and half of one for the document's own form.
 */
function allowed(began: number): number {
  const passed_s = (server.clock.monotonic() - began) / 1000;
  return (AT_ONCE + PER_SECOND * passed_s) / TEXT_BYTES + 1.5;
}

test(`C17: a Yjs client that asks over and over gets answer_bytes_at_once_max (${AT_ONCE}), then answer_bytes_per_second_max (${PER_SECOND})`, async () => {
  const client = await YjsClient.join(server, doc_id, ada, { query: { acks: 1 } });
  const answers = (): number => client.of('step2').length;
  const [began, before] = [server.clock.monotonic(), answers()];
  for (let i = 0; i < QUESTIONS; i++) client.send(step1Frame(EVERYTHING));
  client.write((text) => text.insert(0, 'asked '));
  // What was sent before the update has been handled before it.
  await client.take('ack', ({ rev }) => rev > 1);
  const at_once = answers() - before;
  expect(at_once).toBeGreaterThanOrEqual(AT_ONCE / TEXT_BYTES);
  expect(at_once).toBeLessThanOrEqual(allowed(began));
  server.clock.advance(TIMES.answer_wait_ms);
  await client.until('the newest question to be answered', () => answers() - before > at_once);
  await client.leave();
});

test('C17: on the Hocuspocus door each document of a socket counts by itself', async () => {
  const small = await server.createDocument(ada, 'small');
  const client = await RawHocuspocus.join(server, doc_id, ada);
  const answers = (name: string): number => client.of('step2').filter((frame) => frame.name === name).length;
  const began = server.clock.monotonic();
  for (let i = 0; i < QUESTIONS; i++) client.send(syncFrame(doc_id, EVERYTHING, SYNC.STEP1));
  client.send(tokenFrame(small, ada.token));
  await client.take('step1', ({ name }) => name === small);
  for (let i = 0; i < QUESTIONS; i++) client.send(syncFrame(small, EVERYTHING, SYNC.STEP1));
  while (answers(small) < QUESTIONS) await client.take('step2', ({ name }) => name === small);
  expect(answers(doc_id)).toBeGreaterThanOrEqual(AT_ONCE / TEXT_BYTES);
  expect(answers(doc_id)).toBeLessThanOrEqual(allowed(began));
  await client.leave();
});

test('C17: a JSON client whose edits are all stale is told so of each, and gets the text as often as that', async () => {
  const client = await JsonClient.join(server, doc_id, ada);
  const texts = (): number => client.of('ready').length - 1;
  const began = server.clock.monotonic();
  for (let i = 0; i < QUESTIONS; i++) client.sendEdit([{ insert: 'late' }], 1_000, 1);
  await client.settled();
  const refused = client.of('error').filter(({ seq }) => seq === 1);
  expect(refused).toHaveLength(QUESTIONS);
  expect(refused.every(({ code }) => code === 'STALE_REVISION')).toBe(true);
  const at_once = texts();
  expect(at_once).toBeGreaterThanOrEqual(1);
  expect(at_once).toBeLessThanOrEqual(allowed(began));
  for (let waited_ms = 0; waited_ms < 2 * TIMES.answer_wait_ms; waited_ms += 100) server.clock.advance(100);
  const { rev } = client.of('ready').at(-1) ?? client.ready;
  client.sendEdit([{ insert: 'in time ' }], rev, 1);
  const next = await client.take('edit', ({ client_id }) => client_id === client.ready.client_id);
  expect(next.changes.rev).toBeGreaterThan(1);
  await client.leave();
});
