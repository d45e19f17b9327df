/** What makes Yjs slow, in numbers that stay bounded: docs/PROTOCOL.md, Y16 and Y17. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { YjsClient } from '../../test/support/sockets.ts';
import { CLOSE } from '../protocol/close.ts';
import { LIMITS } from '../protocol/limits.ts';
import { updateFrame } from '../protocol/yjs-wire.ts';

let server: TestServer;
let ada: TestUser;

beforeAll(async () => {
  server = await openTestServer();
  ada = await server.register('ada');
});

afterAll(async () => {
  await server.stop();
  expect(server.errors()).toEqual([]);
});

test(`Y16: a document may have yjs_roots_max (${LIMITS.yjs_roots_max}) roots, in one update or in many; one more is closed with 4400, and nothing of it is taken`, async () => {
  for (const at_once of [true, false]) {
    const doc_id = await server.createDocument(ada, 'text');
    const author = await YjsClient.join(server, doc_id, ada);
    const names = Array.from({ length: LIMITS.yjs_roots_max - 1 }, (_, i) => `root ${i}`);
    const add = (some: readonly string[]) =>
      author.write((_, doc) => {
        for (const name of some) doc.getMap(name).set('a', 1);
      });
    if (at_once) add(names);
    else for (const name of names) add([name]);
    await author.settled();
    // Those that are there go on.
    add(names);
    await author.settled();
    author.write((text, doc) => {
      doc.getMap('one more').set('a', 1);
      text.insert(0, 'more ');
    });
    expect((await author.closed).code).toBe(CLOSE.MALFORMED);
    const reader = await YjsClient.join(server, doc_id, ada);
    expect(reader.doc.share.size).toBe(LIMITS.yjs_roots_max);
    expect(reader.text.toString()).toBe('text');
    await reader.leave();
  }
});

test(`Y17: an update that waits for others may be of yjs_waiting_clients_max (${LIMITS.yjs_waiting_clients_max}) clients; one more is closed with 4400, and one that waits for nothing may be of more`, async () => {
  const doc_id = await server.createDocument(ada);
  const client = await YjsClient.join(server, doc_id, ada);
  /** What these many clients wrote, each a letter behind the one before; the second half of it when `second`. */
  const written = (clients: number, second: boolean): Uint8Array => {
    const doc = new Y.Doc();
    const write = (text: string): void => {
      for (let i = 1; i <= clients; i++) {
        doc.clientID = 1_000 + i;
        doc.getText('content').insert(doc.getText('content').length, text);
      }
    };
    write('a');
    const first = Y.encodeStateVector(doc);
    if (!second) return Y.encodeStateAsUpdate(doc);
    write('b');
    return Y.encodeStateAsUpdate(doc, first);
  };
  const max = LIMITS.yjs_waiting_clients_max;
  client.send(updateFrame(written(max, true)));
  await client.take('step1');
  expect(await server.text(ada, doc_id)).toBe('');
  client.send(updateFrame(written(max + 1, false)));
  await client.settled();
  expect(await server.text(ada, doc_id)).toBe('a'.repeat(max + 1));
  const other_id = await server.createDocument(ada);
  const crowd = await YjsClient.join(server, other_id, ada);
  crowd.send(updateFrame(written(max + 1, true)));
  expect((await crowd.closed).code).toBe(CLOSE.MALFORMED);
  await client.leave();
});
