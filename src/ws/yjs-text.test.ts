/**
 * What Yjs clients may put into the text that no JSON client could, and how everybody else sees it: docs/PROTOCOL.md,
 * "Text of Yjs clients". The measure is always the same: who followed the events has what a newcomer is given.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import Delta from 'quill-delta';
import * as Y from 'yjs';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient, YjsClient } from '../../test/support/sockets.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';

let server: TestServer;
let ada: TestUser;
/** What was found in each document, to be compared with what is read back. */
const seen: { readonly doc_id: string; readonly text: DeltaOps }[] = [];

beforeAll(async () => {
  server = await openTestServer();
  ada = await server.register('ada');
});

afterAll(async () => {
  await server.stop();
  expect(server.errors()).toEqual([]);
});

/** A JSON client follows while a Yjs client writes; returns the text, which a newcomer has too. */
async function followed(start: string, ...writes: ((text: Y.Text, doc: Y.Doc) => void)[]): Promise<DeltaOps> {
  const doc_id = await server.createDocument(ada, start);
  const json = await JsonClient.join(server, doc_id, ada);
  const yjs = await YjsClient.join(server, doc_id, ada);
  for (const write of writes) {
    yjs.write(write);
    await yjs.settled();
  }
  // Positions mean the same on both wires: what JSON puts at the end is at the end.
  await json.settled();
  const length = textOf(json).reduce((sum, { insert }) => sum + (typeof insert === 'string' ? insert.length : 1), 0);
  await json.edit(length === 0 ? [{ insert: '$' }] : [{ retain: length }, { insert: '$' }]);
  await json.acked(json.rev);
  const fresh = await JsonClient.join(server, doc_id, ada);
  expect(fresh.ready.content).toEqual(textOf(json));
  for (const format of ['delta', 'text', 'markdown', 'html', 'yjs']) {
    const answer = await server.call('GET', `/v1/documents/${doc_id}/content?format=${format}`, ada.token);
    expect(answer.status).toBe(200);
  }
  const past = await server.call('GET', `/v1/documents/${doc_id}/content?rev=${json.rev - 1}`, ada.token);
  expect(
    new Delta(past.body.data.value).compose(new Delta(json.of('edit').at(-1)?.changes.delta)).ops as DeltaOps,
  ).toEqual(textOf(json));
  seen.push({ doc_id, text: textOf(json) });
  return textOf(json);
}

function textOf(client: JsonClient): DeltaOps {
  let text = new Delta(client.ready.content ?? []);
  for (const { changes } of client.of('edit')) text = text.compose(new Delta(changes.delta));
  return text.ops as DeltaOps;
}

test('Y50: NUL comes through as text', async () => {
  expect(await followed('b', (text) => text.insert(0, 'a\0'))).toEqual([{ insert: 'a\0b$' }]);
});

test('Y50: half of a surrogate pair becomes U+FFFD on the way, as UTF-8 has no other word for it', async () => {
  expect(await followed('b', (text) => text.insert(0, 'a\ud83d'))).toEqual([{ insert: 'a\ufffdb$' }]);
});

test('Y51: text put inside an emoji makes two U+FFFD of it, for those who follow as well', async () => {
  expect(await followed('a😀b', (text) => text.insert(2, 'X'))).toEqual([{ insert: 'a\ufffdX\ufffdb$' }]);
});

test('Y51: half an emoji deleted leaves U+FFFD, for those who follow as well', async () => {
  expect(await followed('a😀b', (text) => text.delete(1, 1))).toEqual([{ insert: 'a\ufffdb$' }]);
  expect(await followed('a😀b', (text) => text.delete(2, 1))).toEqual([{ insert: 'a\ufffdb$' }]);
});

test('Y51: formatting that begins inside an emoji makes two U+FFFD of it, for those who follow as well', async () => {
  expect(await followed('a😀b', (text) => text.format(0, 2, { bold: true }))).toEqual([
    { insert: 'a\ufffd', attributes: { bold: true } },
    { insert: '\ufffdb$' },
  ]);
});

test('Y52: a Yjs type within the text is an embed that names the type, one unit long', async () => {
  expect(await followed('ab', (text) => text.insertEmbed(1, new Y.Text('nested')))).toEqual([
    { insert: 'a' },
    { insert: { yjs: { type: 'YText' } } },
    { insert: 'b$' },
  ]);
  // What changes inside it changes nothing in the text.
  const inside = (text: Y.Text) => (text.toDelta()[0].insert as Y.Map<string>).set('k', 'v');
  expect(await followed('', (text) => text.insertEmbed(0, new Y.Map()), inside)).toEqual([
    { insert: { yjs: { type: 'YMap' } } },
    { insert: '$' },
  ]);
});

test('Y53: whoever takes the root for another type does no harm', async () => {
  const as = (change: (doc: Y.Doc) => void) => (_text: Y.Text, doc: Y.Doc) => {
    const other = new Y.Doc();
    change(other);
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(other));
  };
  expect(
    await followed(
      '',
      as((doc) => void doc.getArray('content').push([1, 'x'])),
    ),
  ).toEqual([{ insert: { yjs: 1 } }, { insert: { yjs: 'x' } }, { insert: '$' }]);
  expect(
    await followed(
      'a',
      as((doc) => void doc.getMap('content').set('k', 'v')),
    ),
  ).toEqual([{ insert: 'a$' }]);
  expect(
    await followed(
      '',
      as((doc) => void doc.getXmlFragment('content').insert(0, [new Y.XmlElement('p')])),
    ),
  ).toHaveLength(2);
});

test('Y54: attributes and embeds of any JSON value come through', async () => {
  const ops = await followed('', (text) => {
    text.insert(0, 'x', { deep: { a: [1, null, 'é'] }, zero: 0, no: false, empty: '' });
    text.insertEmbed(1, { widget: { n: 1.5 } }, { id: 7 });
  });
  expect(ops.slice(0, 2)).toEqual([
    { insert: 'x', attributes: { deep: { a: [1, null, 'é'] }, zero: 0, no: false, empty: '' } },
    { insert: { widget: { n: 1.5 } }, attributes: { id: 7 } },
  ]);
});

test('Y54: all of this is read back from disk as it was', async () => {
  await server.restart();
  expect(seen.length).toBeGreaterThan(10);
  for (const { doc_id, text } of seen) {
    const client = await JsonClient.join(server, doc_id, ada);
    expect(client.ready.content).toEqual(text);
    await client.leave();
  }
});
