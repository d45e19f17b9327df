/** The Yjs door, frame by frame: docs/PROTOCOL.md, "Synchronising" and "Frames that are refused". */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient, YjsClient } from '../../test/support/sockets.ts';
import { CLOSE } from '../protocol/close.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import { awarenessFrame, MESSAGE, SYNC, step1Frame, step2Frame, updateFrame } from '../protocol/yjs-wire.ts';

let server: TestServer;
let ada: TestUser;
let bob: TestUser;
let eve: TestUser;

beforeAll(async () => {
  server = await openTestServer();
  ada = await server.register('ada');
  bob = await server.register('bob');
  eve = await server.register('eve');
});

afterAll(async () => {
  await server.stop();
  expect(server.errors()).toEqual([]);
});

/** A document that bob may edit and eve may see. */
async function shared(text?: string): Promise<string> {
  const doc_id = await server.createDocument(ada, text);
  await server.share(ada, doc_id, bob, 'editor');
  await server.share(ada, doc_id, eve, 'viewer');
  return doc_id;
}

/** The head revision, edits that are not on disk yet included. */
async function head(doc_id: string): Promise<number> {
  return (await server.call('GET', `/v1/documents/${doc_id}`, ada.token)).body.data.rev;
}

/** Who wrote what the journal holds, one for each revision. */
async function journal(doc_id: string): Promise<string[]> {
  const rows = await server.sql`SELECT user_id FROM document_updates WHERE doc_id = ${doc_id} ORDER BY rev`;
  return rows.map((row) => row.user_id);
}

test('Y1: the server asks first, with a sync step 1, and shows who is there', async () => {
  const doc_id = await shared('text');
  const first = await YjsClient.join(server, doc_id, ada);
  expect(first.frames[0]?.kind).toBe('step1');
  first.show([7, 1, { v: 1 }]);
  await first.until('the state', () => first.awarenessOf(7) !== undefined);
  const second = YjsClient.open(server, doc_id, bob);
  await second.take('awareness');
  expect(second.frames.map(({ kind }) => kind)).toEqual(['step1', 'awareness']);
  // Its state vector is what the server has: what it has already need not be sent.
  const asked = first.frames[0]?.kind === 'step1' ? first.frames[0].payload : new Uint8Array();
  expect(Y.encodeStateAsUpdate(first.doc, asked)).toEqual(Uint8Array.of(0, 0));
});

test('Y2: a step 1 is answered with what the client lacks, and a step 2 comes last', async () => {
  const doc_id = await shared('text');
  const author = await YjsClient.join(server, doc_id, ada);
  author.write((text) => text.insert(4, ' and more', { bold: true }));
  const reader = await YjsClient.join(server, doc_id, bob);
  expect(reader.text.toDelta()).toEqual(author.text.toDelta());
  // Whoever has everything is sent nothing new, and is told so.
  const before = Y.encodeStateVector(reader.doc);
  const answers = reader.of('step2').length;
  await reader.sync();
  expect(reader.of('step2')).toHaveLength(answers + 1);
  expect(Y.encodeStateVector(reader.doc)).toEqual(before);
  expect(reader.frames.at(-1)?.kind).toBe('step2');
  // After edits by others, the difference.
  await reader.leave();
  author.write((text) => text.delete(0, 4));
  await author.settled();
  const back = await YjsClient.join(server, doc_id, bob, { doc: reader.doc });
  expect(back.text.toString()).toBe(' and more');
});

test('Y3: an update reaches all others and the disk, and is not sent back to its author', async () => {
  const doc_id = await shared('text');
  const [author, reader] = [await YjsClient.join(server, doc_id, ada), await YjsClient.join(server, doc_id, bob)];
  const json = await JsonClient.join(server, doc_id, eve);
  author.write((text) => text.insert(0, '>'));
  await reader.reads('>text');
  await json.take('edit');
  await author.settled();
  expect(author.of('update')).toHaveLength(0);
  await json.acked(2);
  expect(await journal(doc_id)).toEqual([ada.user_id, ada.user_id]);
});

test('Y3: what Yjs adds of its own, such as cleaned-up formatting, reaches the author too', async () => {
  const doc_id = await shared();
  const [one, two] = [await YjsClient.join(server, doc_id, ada), await YjsClient.join(server, doc_id, bob)];
  one.write((text) => text.insert(0, 'abcdefgh'));
  await two.reads('abcdefgh');
  // Formatting made apart from each other overlaps; whoever merges it finds redundant marks.
  const [ours, theirs] = [
    one.prepare((text) => text.format(0, 8, { bold: true })),
    two.prepare((text) => text.format(2, 4, { bold: true })),
  ];
  one.send(updateFrame(ours));
  two.send(updateFrame(theirs));
  await Promise.all([one.settled(), two.settled()]);
  await Promise.all([one.settled(), two.settled()]);
  const fresh = await YjsClient.join(server, doc_id, eve);
  for (const { doc } of [one, two]) expect(Y.encodeStateAsUpdate(doc)).toEqual(Y.encodeStateAsUpdate(fresh.doc));
});

test('Y3: a step 2 is an update like any other: that is how edits made offline arrive', async () => {
  const doc_id = await shared('text');
  const reader = await YjsClient.join(server, doc_id, bob);
  const doc = new Y.Doc();
  doc.getText('content').insert(0, 'offline ');
  const author = await YjsClient.join(server, doc_id, ada, { doc });
  author.answer();
  await reader.until('the edit', () => reader.text.length === 12);
  expect(reader.text.toString()).toBe(author.text.toString());
});

test('Y4: what one connection sends within a turn is one revision, one frame, one journal row', async () => {
  const doc_id = await shared();
  const [author, reader] = [await YjsClient.join(server, doc_id, ada), await YjsClient.join(server, doc_id, bob)];
  const updates = Array.from({ length: 50 }, (_, i) => author.prepare((text) => text.insert(i, 'x')));
  // Sent before the connection is open, they are handled together.
  const first = updates.map(updateFrame);
  const sender = YjsClient.open(server, doc_id, ada, { first });
  await reader.reads('x'.repeat(50));
  await sender.settled();
  expect(await head(doc_id)).toBeLessThan(25);
  expect(reader.of('update').length).toBeLessThan(25);
});

test('Y5: an update that brings nothing new makes no revision', async () => {
  const doc_id = await shared('text');
  const client = await YjsClient.join(server, doc_id, ada);
  const update = client.write((text) => text.insert(0, '>'));
  client.send(updateFrame(update));
  client.answer();
  client.send(updateFrame(Uint8Array.of(0, 0)));
  await client.settled();
  expect(await head(doc_id)).toBe(2);
});

test('Y6: roots other than content are merged, kept over a restart and given to whoever joins', async () => {
  const doc_id = await shared('text');
  const one = await YjsClient.join(server, doc_id, ada);
  one.write((_text, doc) => {
    doc.getMap('settings').set('font', 'serif');
    doc.getArray('list').push([1, { deep: [null, true] }, new Uint8Array([1, 2])]);
    doc.getXmlFragment('xml').insert(0, [new Y.XmlElement('p')]);
    doc.getText('title').insert(0, 'A title', { bold: true });
  });
  await one.settled();
  await server.restart();
  const two = await YjsClient.join(server, doc_id, bob);
  expect(two.doc.getMap('settings').toJSON()).toEqual({ font: 'serif' });
  expect(two.doc.getArray('list').toArray()).toEqual([1, { deep: [null, true] }, new Uint8Array([1, 2])]);
  expect(two.doc.getXmlFragment('xml').toString()).toBe('<p></p>');
  expect(two.doc.getText('title').toDelta()).toEqual([{ insert: 'A title', attributes: { bold: true } }]);
  expect(two.text.toString()).toBe('text');
});

describe('a viewer', () => {
  test('Y7: gets everything; its updates are refused with "permission denied" and reach nobody', async () => {
    const doc_id = await shared('text');
    const [author, viewer] = [await YjsClient.join(server, doc_id, ada), await YjsClient.join(server, doc_id, eve)];
    expect(viewer.text.toString()).toBe('text');
    viewer.write((text) => text.insert(0, 'no '));
    expect(await viewer.take('denied')).toEqual({ kind: 'denied', reason: 'permission denied' });
    author.write((text) => text.insert(4, '!'));
    await viewer.until('the edit', () => viewer.text.toString().endsWith('text!'));
    await author.settled();
    expect(author.text.toString()).toBe('text!');
    expect(await head(doc_id)).toBe(2);
  });

  test('Y7: is not refused for joining: its answer to the step 1 holds nothing new', async () => {
    const doc_id = await shared('text');
    const author = await YjsClient.join(server, doc_id, ada);
    author.write((text) => text.delete(0, 2));
    await author.settled();
    for (const doc of [new Y.Doc(), author.doc]) {
      const viewer = YjsClient.open(server, doc_id, eve, { doc });
      await viewer.take('step1');
      viewer.answer();
      await viewer.sync();
      viewer.answer();
      viewer.send(step2Frame(Y.encodeStateAsUpdate(viewer.doc)));
      await viewer.settled();
      expect(viewer.of('denied')).toEqual([]);
    }
  });
});

test('Y8: an update that builds on one the server has not is put aside, and its sender asked for all that is missing', async () => {
  const doc_id = await shared();
  const [author, reader] = [await YjsClient.join(server, doc_id, ada), await YjsClient.join(server, doc_id, bob)];
  author.prepare((text) => text.insert(0, 'lost '));
  author.write((text) => text.insert(5, 'found'));
  await author.take('step1');
  const asked = author.of('step1').at(-1)?.payload;
  expect(asked).toEqual(Uint8Array.of(0));
  expect(await head(doc_id)).toBe(0);
  author.answer();
  await reader.reads('lost found');
  expect(await head(doc_id)).toBe(1);
});

test('Y8: a deletion of what the server has not is put aside likewise', async () => {
  const doc_id = await shared('text');
  const author = await YjsClient.join(server, doc_id, ada);
  author.prepare((text) => text.insert(0, 'lost '));
  author.write((text) => text.delete(0, 2));
  await author.take('step1', ({ payload }) => payload.length > 1);
  author.answer();
  await author.settled();
  expect(await server.text(ada, doc_id)).toBe('st text');
});

describe('with ?acks=2', () => {
  const acks = { query: { acks: 2 } };

  test('Y9: the server says what is on disk when a client joins and after each commit', async () => {
    const doc_id = await shared('text');
    const client = await YjsClient.join(server, doc_id, ada, acks);
    expect(await client.take('ack')).toEqual({ kind: 'ack', epoch: 1, rev: 1, frames: 0 });
    const release = await server.holdJournal(doc_id);
    client.write((text) => text.insert(0, '>'));
    await client.settled();
    expect(client.of('ack')).toHaveLength(1);
    await release();
    expect(await client.take('ack', ({ frames }) => frames === 1)).toMatchObject({ epoch: 1, rev: 2 });
    expect(await journal(doc_id)).toHaveLength(2);
  });

  test("Y9: other people's commits are acknowledged without a count, one's own with how many of one's frames are on disk", async () => {
    const doc_id = await shared();
    const [one, two] = [
      await YjsClient.join(server, doc_id, ada, acks),
      await YjsClient.join(server, doc_id, bob, acks),
    ];
    for (let sent = 1; sent <= 3; sent++) {
      one.write((text) => text.insert(0, 'x'));
      await one.take('ack', ({ frames }) => frames === sent);
    }
    await two.take('ack', ({ rev }) => rev === 3);
    expect(two.of('ack').filter(({ frames }) => frames !== null)).toEqual([
      { kind: 'ack', epoch: 1, rev: 0, frames: 0 },
    ]);
  });

  test('Y9: a frame that brought nothing new counts as well', async () => {
    const doc_id = await shared('text');
    const client = await YjsClient.join(server, doc_id, ada, acks);
    client.answer();
    expect(await client.take('ack', ({ frames }) => frames === 1)).toMatchObject({ rev: 1 });
  });

  test('Y9: a frame that was put aside is not acknowledged before what it builds on has come', async () => {
    const doc_id = await shared();
    const client = await YjsClient.join(server, doc_id, ada, acks);
    client.prepare((text) => text.insert(0, 'lost '));
    client.write((text) => text.insert(5, 'found'));
    await client.take('step1');
    await client.settled();
    expect(client.of('ack').filter(({ frames }) => frames !== 0 && frames !== null)).toEqual([]);
    client.answer();
    expect(await client.take('ack', ({ frames }) => frames === 2)).toMatchObject({ rev: 1 });
  });

  test('Y9: with ?acks=1 all acks are an epoch and a revision; without it none comes: stock clients would complain', async () => {
    const doc_id = await shared('text');
    const asked = await YjsClient.join(server, doc_id, ada, { query: { acks: 1 } });
    const stock = await YjsClient.join(server, doc_id, bob);
    for (const [i, author] of [asked, stock].entries()) {
      author.write((text) => text.insert(0, '>'));
      await asked.take('ack', ({ rev }) => rev === i + 2);
    }
    expect(asked.of('ack').map(({ frames }) => frames)).toEqual([null, null, null]);
    await stock.settled();
    expect(stock.of('ack')).toEqual([]);
  });
});

test(`Y10: a connection that is still hears an empty awareness message every ${TIMES.keep_alive_ms} ms`, async () => {
  const doc_id = await shared();
  const client = await YjsClient.join(server, doc_id, ada);
  expect(TIMES.keep_alive_ms).toBeLessThan(30_000);
  await server.later(TIMES.keep_alive_ms);
  await client.take('awareness', ({ entries }) => entries.length === 0);
});

describe('a malformed frame', () => {
  const garbage = Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 255, 255);
  const malformed: [what: string, frame: Uint8Array | string][] = [
    ['text', 'text'],
    ['nothing at all', new Uint8Array()],
    ['a type that never ends', garbage],
    ['a sync message without a step', Uint8Array.of(MESSAGE.SYNC)],
    ['a sync message of an unknown step', Uint8Array.of(MESSAGE.SYNC, 3, 0)],
    ['a step 1 that ends too soon', Uint8Array.of(MESSAGE.SYNC, SYNC.STEP1, 5, 1)],
    ['a state vector that does not decode', step1Frame(garbage)],
    ['a state vector of clients that are not there', step1Frame(Uint8Array.of(5))],
    ['an update that does not decode', updateFrame(garbage)],
    ['a step 2 that does not decode', step2Frame(Uint8Array.of(1, 1, 1))],
    ['an update with more behind it', updateFrame(Uint8Array.of(0, 0, 7))],
    ['an update that says it is huge', updateFrame(Uint8Array.of(1, 0xff, 0xff, 0xff, 0x7f, 7, 0))],
    ['awareness that ends too soon', Uint8Array.of(MESSAGE.AWARENESS, 2, 1, 7)],
    ['awareness that is not JSON', awarenessFrame([{ client: 7, clock: 1, state: '{' }])],
  ];
  for (const [what, frame] of malformed)
    test(`Y11: ${what} is closed with 4400, and nobody else notices`, async () => {
      const doc_id = await shared('text');
      const [author, other] = [await YjsClient.join(server, doc_id, ada), await YjsClient.join(server, doc_id, bob)];
      author.send(frame);
      expect((await author.closed).code).toBe(CLOSE.MALFORMED);
      await other.settled();
      expect(await head(doc_id)).toBe(1);
    });

  test('Y11: an update that does not decode is refused as a whole, and those before it are kept', async () => {
    const doc_id = await shared('text');
    const author = await YjsClient.join(server, doc_id, ada);
    const other = await YjsClient.join(server, doc_id, bob);
    author.write((text) => text.insert(0, '>'));
    const update = author.prepare((text) => text.insert(1, '>'));
    author.send(updateFrame(update.subarray(0, -1)));
    expect((await author.closed).code).toBe(CLOSE.MALFORMED);
    await other.settled();
    expect(other.text.toString()).toBe('>text');
  });
});

test('Y12: a message of a type that the server does not know is ignored, auth messages too', async () => {
  const doc_id = await shared('text');
  const client = await YjsClient.join(server, doc_id, ada);
  for (const type of [MESSAGE.AUTH, 4, 99, MESSAGE.ACK, 127]) client.send(Uint8Array.of(type, 0, 1, 2, 3));
  await client.settled();
});

test(`Y13: a frame may have yjs_frame_bytes_max (${LIMITS.yjs_frame_bytes_max}) bytes; one more is closed with 1009`, async () => {
  const doc_id = await shared();
  const client = await YjsClient.join(server, doc_id, ada);
  const update = (bytes: number): Uint8Array => {
    const source = new Y.Doc();
    source.getText('content').insert(0, 'x'.repeat(bytes));
    return updateFrame(Y.encodeStateAsUpdate(source));
  };
  const overhead = update(LIMITS.yjs_frame_bytes_max - 100).length - (LIMITS.yjs_frame_bytes_max - 100);
  // A clientID takes one to five bytes, so the length may have to be tried for.
  let frame = update(LIMITS.yjs_frame_bytes_max - overhead);
  while (frame.length !== LIMITS.yjs_frame_bytes_max) frame = update(LIMITS.yjs_frame_bytes_max - overhead);
  client.send(frame);
  await client.settled();
  expect(await head(doc_id)).toBe(1);
  client.send(new Uint8Array(LIMITS.yjs_frame_bytes_max + 1).fill(MESSAGE.QUERY_AWARENESS));
  expect((await client.closed).code).toBe(1009);
});

test(`Y14: values may be nested yjs_value_depth_max (${LIMITS.yjs_value_depth_max}) deep; one more is closed with 4400`, async () => {
  const doc_id = await shared();
  const nested = (depth: number): unknown => {
    let value: unknown = 1;
    for (let i = 0; i < depth; i++) value = { a: value };
    return value;
  };
  const [author, other] = [await YjsClient.join(server, doc_id, ada), await YjsClient.join(server, doc_id, bob)];
  author.write((text) => text.insertEmbed(0, nested(LIMITS.yjs_value_depth_max) as object));
  await other.until('the embed', () => other.text.length === 1);
  const json = await JsonClient.join(server, doc_id, eve);
  expect(json.ready.content).toEqual(other.text.toDelta());
  author.write((text) => text.insertEmbed(0, nested(LIMITS.yjs_value_depth_max + 1) as object));
  expect((await author.closed).code).toBe(CLOSE.MALFORMED);
  await other.settled();
  expect(other.text.length).toBe(1);
});

test(`Y14: shared types may be nested yjs_type_depth_max (${LIMITS.yjs_type_depth_max}) deep; one more is closed with 4400`, async () => {
  const doc_id = await shared();
  const [author, other] = [await YjsClient.join(server, doc_id, ada), await YjsClient.join(server, doc_id, bob)];
  const nest = (doc: Y.Doc, root: string, depth: number): void => {
    let inner = doc.getMap(root);
    for (let i = 0; i < depth; i++) inner = inner.set('in', new Y.Map());
    inner.set('value', 1);
  };
  author.write((_text, doc) => doc.transact(() => nest(doc, 'deep', LIMITS.yjs_type_depth_max)));
  await other.until('the types', () => other.doc.getMap('deep').size === 1);
  author.write((_text, doc) => doc.transact(() => nest(doc, 'deeper', LIMITS.yjs_type_depth_max + 1)));
  expect((await author.closed).code).toBe(CLOSE.MALFORMED);
  const third = await YjsClient.join(server, doc_id, eve);
  expect([third.doc.getMap('deep').size, third.doc.getMap('deeper').size]).toEqual([1, 0]);
  await other.settled();
  expect(other.doc.getMap('deeper').size).toBe(0);
});
