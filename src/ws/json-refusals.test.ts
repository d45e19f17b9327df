/** What the JSON door refuses, how, and what stays open: docs/PROTOCOL.md, "Editing" and "Other messages". */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient } from '../../test/support/sockets.ts';
import { CLOSE } from '../protocol/close.ts';
import { CONTENT_LIMITS } from '../protocol/content/limits.ts';
import { LIMITS } from '../protocol/limits.ts';

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

async function joined(text?: string): Promise<JsonClient> {
  return JsonClient.join(server, await server.createDocument(ada, text), ada);
}

const insert = { insert: 'x' };

test('J21: a delta that is not one, changes nothing or does not fit its base_rev is refused, and the socket stays', async () => {
  const client = await joined('a😀b');
  const refused: [delta: unknown, path: string][] = [
    [[], ''],
    [[{ retain: 2 }], ''],
    [[{ retain: 1, attributes: {} }], ''],
    ['text', ''],
    [{ ops: [insert] }, ''],
    [[null], '/0'],
    [[{}], '/0'],
    [[{ insert: 'x', delete: 1 }], '/0'],
    [[{ insert: '' }], '/0/insert'],
    [[{ insert: { a: 1, b: 2 } }], '/0/insert'],
    [[insert, { retain: 0 }], '/1/retain'],
    [[insert, { delete: 1.5 }], '/1/delete'],
    [[{ delete: 1, attributes: { bold: true } }], '/0/attributes'],
    [[insert, { size: 1 }], '/1/size'],
    // What PostgreSQL or UTF-8 cannot hold.
    [[{ insert: 'a\0b' }], '/0/insert'],
    [[{ insert: '\ud83d' }], '/0/insert'],
    [[{ insert: 'x', attributes: { note: '\ude00' } }], '/0/attributes/note'],
    // Past the end, at the revision that it names.
    [[{ retain: 5 }, insert], ''],
    [[{ delete: 5 }], ''],
    [[{ retain: 5, attributes: { bold: true } }], ''],
    // Inside the emoji.
    [[{ retain: 2 }, insert], ''],
    [[{ delete: 2 }], ''],
    [[{ retain: 2, attributes: { bold: true } }], ''],
  ];
  for (const [delta, path] of refused) {
    const { code, details } = await client.refused(delta);
    expect({ delta, code, details }).toMatchObject({
      delta,
      code: 'VALIDATION_ERROR',
      details: [{ path: `/changes/delta${path}` }],
    });
  }
  expect((await client.edit([{ retain: 4 }, insert])).changes.rev).toBe(2);
});

test('J21: the end that a delta must not pass is that of its base_rev', async () => {
  const client = await joined('abcdef');
  await client.edit([{ delete: 5 }]);
  expect((await client.edit([{ retain: 6 }, insert], 1)).changes.delta).toEqual([{ retain: 1 }, insert]);
  await client.edit([{ insert: 'longer' }]);
  expect(await client.refused([{ retain: 7 }, insert], 1)).toMatchObject({ code: 'VALIDATION_ERROR' });
});

test(`J22: a delta may have delta_ops_max (${CONTENT_LIMITS.delta_ops_max}) operations and not one more`, async () => {
  const client = await joined('x'.repeat(CONTENT_LIMITS.delta_ops_max));
  const ops = (count: number) =>
    Array.from({ length: count }, (_, i) => (i % 2 === 0 ? { retain: 1 } : { retain: 1, attributes: { b: i } }));
  expect(await client.refused(ops(CONTENT_LIMITS.delta_ops_max + 1))).toMatchObject({
    code: 'VALIDATION_ERROR',
    details: [{ path: '/changes/delta', message: `must have at most ${CONTENT_LIMITS.delta_ops_max} operations` }],
  });
  expect((await client.edit(ops(CONTENT_LIMITS.delta_ops_max))).changes.rev).toBe(2);
});

test(`J22: an operation may have attributes_per_op_max (${CONTENT_LIMITS.attributes_per_op_max}) attributes and not one more`, async () => {
  const client = await joined();
  const op = (count: number) => ({
    insert: 'x',
    attributes: Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${i}`, i])),
  });
  expect(await client.refused([op(CONTENT_LIMITS.attributes_per_op_max + 1)])).toMatchObject({
    code: 'VALIDATION_ERROR',
    details: [{ path: '/changes/delta/0/attributes' }],
  });
  const allowed = op(CONTENT_LIMITS.attributes_per_op_max);
  expect((await client.edit([allowed])).changes.delta).toEqual([allowed]);
});

test(`J23: an edit may be window_revs_max (${LIMITS.window_revs_max}) behind; one more is STALE_REVISION and a fresh ready`, async () => {
  const client = await joined();
  for (let rev = 0; rev < LIMITS.window_revs_max; rev++) client.sendEdit([insert], rev);
  await client.acked(LIMITS.window_revs_max);
  expect((await client.edit([{ insert: 'last' }], 0)).changes.rev).toBe(LIMITS.window_revs_max + 1);
  const { rev, seq } = { rev: LIMITS.window_revs_max + 1, seq: LIMITS.window_revs_max + 2 };
  expect(await client.refused([{ insert: 'late' }], 0)).toMatchObject({ code: 'STALE_REVISION', seq });
  const fresh = await client.take('ready', (event) => event.rev === rev);
  expect(fresh).toMatchObject({ last_seq: seq - 1, content: [{ insert: `${'x'.repeat(rev - 1)}last` }] });
  expect((await client.edit([{ insert: 'on time' }], rev)).changes.rev).toBe(rev + 1);
});

test('J23: base_rev beyond the head is STALE_REVISION and a fresh ready, and nobody else hears of it', async () => {
  const client = await joined('text');
  const other = await JsonClient.join(server, client.ready.doc_id, ada);
  expect(await client.refused([insert], 2)).toMatchObject({ code: 'STALE_REVISION', seq: 1 });
  expect((await client.take('ready')).content).toEqual([{ insert: 'text' }]);
  await other.settled();
  expect(other.of('ready')).toHaveLength(1);
});

test(`J23: edits of more than window_bytes_max (${LIMITS.window_bytes_max}) together leave the window, the oldest first`, async () => {
  const client = await joined();
  const long = 'x'.repeat(LIMITS.window_bytes_max / 8);
  for (let i = 0; i < 4; i++) await client.edit([{ insert: long }]);
  // Two bytes for each unit of text: the fourth edit pushed the first one out.
  expect(await client.refused([insert], 0)).toMatchObject({ code: 'STALE_REVISION' });
  expect((await client.edit([insert], 1)).changes.rev).toBe(5);
});

test('J24: an edit of a viewer is FORBIDDEN, and the viewer still gets everything', async () => {
  const doc_id = await server.createDocument(ada, 'text');
  await server.share(ada, doc_id, bob, 'viewer');
  const viewer = await JsonClient.join(server, doc_id, bob);
  const author = await JsonClient.join(server, doc_id, ada);
  expect(await viewer.refused([insert])).toMatchObject({ code: 'FORBIDDEN', seq: 1 });
  const event = await author.edit([insert]);
  expect(event.changes.rev).toBe(2);
  expect(await viewer.take('edit')).toEqual(event);
  await viewer.acked(2);
});

test(`J25: a frame may have json_frame_bytes_max (${LIMITS.json_frame_bytes_max}) bytes; one more is closed with 4413`, async () => {
  const client = await joined();
  // Two bytes each in UTF-8: what counts is bytes, not characters.
  const frame = (bytes: number): string => {
    const around = JSON.stringify({ type: 'edit', changes: { base_rev: 0, delta: [{ insert: '' }] }, seq: 1 });
    const room = bytes - around.length;
    return around.replace('""', `"${'é'.repeat(Math.floor(room / 2))}${'e'.repeat(room % 2)}"`);
  };
  expect(Buffer.byteLength(frame(LIMITS.json_frame_bytes_max))).toBe(LIMITS.json_frame_bytes_max);
  client.sendRaw(frame(LIMITS.json_frame_bytes_max));
  expect((await client.take('edit')).changes.rev).toBe(1);
  client.sendRaw(frame(LIMITS.json_frame_bytes_max + 1));
  expect((await client.closed).code).toBe(CLOSE.TOO_LARGE);
  expect(client.of('error')).toMatchObject([{ code: 'PAYLOAD_TOO_LARGE' }]);
});

test('J50: a message of unknown type or shape gets an error that names the field, and the socket stays', async () => {
  const client = await joined('text');
  const changes = { base_rev: 1, delta: [insert] };
  const refused: [message: unknown, path: string][] = [
    [null, '/type'],
    [[], '/type'],
    ['edit', '/type'],
    [{}, '/type'],
    [{ type: 'shout' }, '/type'],
    [{ type: 'toString' }, '/type'],
    [{ type: 'edit' }, '/changes'],
    [{ type: 'edit', changes, seq: '1' }, '/seq'],
    [{ type: 'edit', changes, seq: 0 }, '/seq'],
    [{ type: 'edit', changes, seq: 1.5 }, '/seq'],
    [{ type: 'edit', changes, seq: 2 ** 53 }, '/seq'],
    [{ type: 'edit', changes }, '/seq'],
    [{ type: 'edit', changes, seq: 1, extra: true }, '/extra'],
    [{ type: 'edit', changes: { ...changes, rev: 1 }, seq: 1 }, '/changes/rev'],
    [{ type: 'edit', changes: { delta: [insert] }, seq: 1 }, '/changes/base_rev'],
    [{ type: 'edit', changes: { ...changes, base_rev: -1 }, seq: 1 }, '/changes/base_rev'],
    [{ type: 'edit', changes, seq: 1, doc_id: 'a' }, '/doc_id'],
    [{ type: 'presence', state: {} }, '/status'],
    [{ type: 'presence', status: 'joined', state: {} }, '/status'],
    [{ type: 'presence', status: 'active' }, '/state'],
    [{ type: 'presence', status: 'active', state: { cursor: { index: 1 } } }, '/state/cursor'],
    [{ type: 'presence', status: 'active', state: { cursor: { index: -1, length: 0 } } }, '/state/cursor/index'],
    [{ type: 'auth' }, '/token'],
    [{ type: 'auth', token: 7 }, '/token'],
    [{ type: 'ping', at: 1 }, '/at'],
  ];
  for (const [message, path] of refused) {
    client.send(message);
    const { code, details } = await client.take('error');
    const paths = (details as { path: string }[]).map((issue) => issue.path);
    expect({ message, code, paths }).toEqual({
      message,
      code: 'VALIDATION_ERROR',
      paths: expect.arrayContaining([expect.stringMatching(new RegExp(`^${path}`))]),
    });
  }
  client.send({ type: 'edit', changes: 'no', seq: 5 });
  expect(await client.take('error')).toMatchObject({ code: 'VALIDATION_ERROR', seq: 5 });
  expect((await client.edit([insert])).seq).toBe(1);
});

test('J51: a frame that is not JSON gets an error and 4400', async () => {
  for (const frame of ['', '{', 'hello', "{'type':'ping'}", '{"type":"ping"}}']) {
    const client = await joined();
    client.sendRaw(frame);
    expect((await client.closed).code).toBe(CLOSE.MALFORMED);
    expect(client.of('error')).toMatchObject([{ code: 'VALIDATION_ERROR' }]);
  }
});

test('J51: a binary frame gets an error and 4400, even when its bytes are JSON', async () => {
  const client = await joined();
  client.sendRaw(new TextEncoder().encode('{"type":"ping"}'));
  expect((await client.closed).code).toBe(CLOSE.MALFORMED);
  expect(client.of('error')).toMatchObject([{ code: 'VALIDATION_ERROR' }]);
});

test('J51: JSON nested beyond all measure is refused like any other misfit', async () => {
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
  for (const frame of [
    deep,
    `{"type":"presence","status":"active","state":{"a":${deep}}}`,
    `{"type":"edit","changes":{"base_rev":0,"delta":${deep}},"seq":1}`,
    `{"type":"edit","changes":{"base_rev":0,"delta":[{"insert":{"a":${deep}}}]},"seq":1}`,
  ]) {
    const client = await joined();
    client.sendRaw(frame);
    await client.take('error');
    expect(client.of('error')).toMatchObject([{ code: 'VALIDATION_ERROR' }]);
    await client.leave();
  }
});

test('J52: ping is answered with pong', async () => {
  const client = await joined();
  client.send({ type: 'ping' });
  expect(await client.take('pong')).toEqual({ type: 'pong' });
});
