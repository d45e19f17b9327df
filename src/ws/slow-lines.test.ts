/** A document that is large against a line that is slow, on every door: docs/PROTOCOL.md, C14. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { DeafClient } from '../../test/support/deaf-client.ts';
import { syncFrame, tokenFrame } from '../../test/support/hocuspocus.ts';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { YjsClient } from '../../test/support/sockets.ts';
import { until } from '../../test/support/until.ts';
import { TIMES } from '../protocol/limits.ts';
import { SYNC, step1Frame } from '../protocol/yjs-wire.ts';

const MIB = 1024 * 1024;
/** More than a socket may leave unread for long, and what kernels keep on the way. */
const TEXT_BYTES = 32 * MIB;
const LINE_BYTES_PER_S = 6 * MIB;
/** The state vector of somebody who has nothing. */
const EVERYTHING = Uint8Array.of(0);

const portOf = ({ url }: TestServer): number => Number(new URL(url).port);

let server: TestServer;
let ada: TestUser;
let doc_id: string;

beforeAll(async () => {
  server = await openTestServer({ DOCUMENT_BYTES_MAX: String(48 * MIB) });
  ada = await server.register('ada');
  doc_id = await server.createDocument(ada);
  const author = await YjsClient.join(server, doc_id, ada, { query: { acks: 1 } });
  const part = 'large '.repeat(MIB);
  while (author.text.length < TEXT_BYTES) {
    author.write((text) => text.insert(0, part));
    // More than that may not wait for the disk at once.
    const rev = author.text.length / part.length;
    await author.take('ack', (ack) => ack.rev === rev);
  }
  await author.leave();
}, 30_000);

afterAll(async () => {
  await server.stop();
  expect(server.errors()).toEqual([]);
});

/** Clients of the three doors who ask for the whole document and read nothing yet. */
const DOORS = {
  json: () => DeafClient.open(portOf(server), `/v1/collab/${doc_id}?token=${ada.token}`),
  yjs: () => DeafClient.open(portOf(server), `/v1/yjs/${doc_id}?token=${ada.token}`, step1Frame(EVERYTHING)),
  hocuspocus() {
    const question = syncFrame(doc_id, EVERYTHING, SYNC.STEP1);
    return DeafClient.open(portOf(server), '/v1/hocuspocus', tokenFrame(doc_id, ada.token), question);
  },
} as const;

async function connections(): Promise<number> {
  return (await server.call('GET', `/v1/documents/${doc_id}/presence`, ada.token)).body.data.items.length;
}

test('C14: joiners on a slow line get a document that is larger than socket_backlog_bytes_max, through every door', async () => {
  const joiners = await Promise.all(Object.values(DOORS).map((open) => open()));
  await Promise.all(joiners.map((joiner) => joiner.readSlowly(TEXT_BYTES, LINE_BYTES_PER_S)));
  expect(await connections()).toBe(joiners.length);
  for (const joiner of joiners) joiner.destroy();
  await until('them to be gone', async () => (await connections()) === 0);
});

for (const [door, open] of Object.entries(DOORS))
  test(`C14: who reads nothing of such a document is closed with 1013 after slow_reader_ms: ${door}`, async () => {
    const opened_at = server.clock.monotonic();
    const deaf = await open();
    await until('the deaf reader to join', async () => (await connections()) === 1);
    // When its time begins depends on when the document is sent and the buffers on the way are full, so that passes bit by bit.
    await until('the deaf reader to be gone', async () => {
      if ((await connections()) === 0) return true;
      server.clock.advance(1_000);
      return false;
    });
    // By the clock, which goes on by itself too.
    expect(server.clock.monotonic() - opened_at).toBeGreaterThanOrEqual(TIMES.slow_reader_ms);
    // A close frame: final, close, its length, 1013 as two bytes, the reason.
    expect(await deaf.readOn()).toMatch(/88..03f5/);
  });
