/** What goes over the Hocuspocus door, frame by frame: docs/PROTOCOL.md, "The Hocuspocus door". */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { messageFrame, type RawHocuspocus, RawSockets, syncFrame, tokenFrame } from '../../test/support/hocuspocus.ts';
import { holdRights } from '../../test/support/hold-rights.ts';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient } from '../../test/support/sockets.ts';
import { updateOfWords } from '../../test/support/yjs.ts';
import { CLOSE } from '../protocol/close.ts';
import { HOCUSPOCUS } from '../protocol/hocuspocus-wire.ts';
import { LIMITS } from '../protocol/limits.ts';
import { SYNC } from '../protocol/yjs-wire.ts';

const UNKNOWN = 'aaaaaaaa-0000-4000-8000-000000000001';

let server: TestServer;
let ada: TestUser;
let bob: TestUser;
let doc_id: string;
let release: () => Promise<void> = async () => {};
const sockets = new RawSockets(() => server);

beforeAll(async () => {
  server = await openTestServer();
  [ada, bob] = await Promise.all([server.register('ada'), server.register('bob')]);
  doc_id = await server.createDocument(ada, 'text');
});

afterEach(async () => {
  await release();
  release = async () => {};
  sockets.close();
});

afterAll(async () => {
  await server.stop();
  expect(server.errors()).toEqual([]);
});

const step1 = (name: string, doc = new Y.Doc()) => syncFrame(name, Y.encodeStateVector(doc), SYNC.STEP1);

describe('coming in', () => {
  test('H1: a token under the name of a document opens it; first comes what the user may do, then a step 1', async () => {
    const shared = await server.createDocument(ada, 'text');
    await server.share(ada, shared, bob, 'viewer');
    const [owner, viewer] = [await sockets.join(ada, shared), await sockets.join(bob, shared)];
    expect(owner.frames[0]).toEqual({ name: shared, kind: 'authenticated', text: 'read-write' });
    expect(viewer.frames[0]).toEqual({ name: shared, kind: 'authenticated', text: 'readonly' });
    expect(owner.frames[1]?.kind).toBe('step1');
  });

  test('H1: the name comes back as it was written', async () => {
    const client = await sockets.join(ada, doc_id.toUpperCase());
    client.send(syncFrame(doc_id.toUpperCase(), updateOfWords('x')));
    expect((await client.take('status')).name).toBe(doc_id.toUpperCase());
  });

  test('H2: whoever may not come in gets PermissionDenied with the close code of the other doors; the socket stays', async () => {
    const deleted = await server.createDocument(ada);
    await server.call('DELETE', `/v1/documents/${deleted}`, ada.token);
    const foreign = await server.createDocument(bob);
    const gone = await server.signIn(ada);
    await server.call('POST', '/v1/auth/logout', gone.token, { refresh_token: gone.refresh_token });
    const client = await sockets.join(ada, doc_id);
    const refused = async (name: string, token: string): Promise<string> => {
      client.send(tokenFrame(name, token), step1(name));
      return (await client.take('denied', (frame) => frame.name === name)).text;
    };
    for (const name of ['nonsense', '', UNKNOWN, foreign, deleted, `${doc_id}x`])
      expect(await refused(name, ada.token)).toStartWith(`${CLOSE.NOT_FOUND}: `);
    const session = `${doc_id}\0session`;
    for (const token of ['', 'garbage', gone.token])
      expect(await refused(session, token)).toStartWith(`${CLOSE.UNAUTHENTICATED}: `);
    await client.settled(doc_id);
    // A refused name may try again.
    client.send(tokenFrame(session, ada.token));
    await client.take('step1', ({ name }) => name === session);
    expect(client.of('close')).toEqual([]);
  });

  test('H3: an edit under one name reaches all others, those on the same socket included, each under its own name', async () => {
    const shared = await server.createDocument(ada);
    const names = [shared, `${shared}\0one`, `${shared}\0two`];
    const client = await sockets.join(ada, ...names);
    const other = await sockets.join(ada, shared);
    client.send(syncFrame(shared, updateOfWords('hello')));
    for (const name of names.slice(1)) await client.take('update', (frame) => frame.name === name);
    await other.take('update', ({ name }) => name === shared);
    await client.settled(`${shared}\0one`);
    expect(client.of('update').map(({ name }) => name)).not.toContain(shared);
  });

  test('H4: the state is sent once, whatever else a socket is on', async () => {
    const words = 'x'.repeat(100_000);
    const large = await server.createDocument(ada, words);
    const client = sockets.open(
      tokenFrame(large, ada.token),
      step1(large),
      messageFrame(large, HOCUSPOCUS.QUERY_AWARENESS),
    );
    const state = await client.take('step2');
    await client.take('awareness');
    const doc = new Y.Doc();
    Y.applyUpdate(doc, state.payload);
    expect(doc.getText('content').toString()).toBe(words);
    client.send(syncFrame(large, Y.encodeStateAsUpdate(doc), SYNC.STEP2));
    await client.take('status');
    expect(client.received).toBeLessThan(words.length + 2_000);
    expect(client.of('step1')).toHaveLength(1);
  });

  test('H5: what is sent before the document is open waits and is handled in order', async () => {
    const shared = await server.createDocument(ada);
    const client = sockets.open(tokenFrame(shared, ada.token), syncFrame(shared, updateOfWords('a')), step1(shared));
    await client.take('step2');
    expect(client.frames.map(({ kind }) => kind).slice(0, 2)).toEqual(['authenticated', 'step1']);
    expect(await server.text(ada, shared)).toBe('a');
  });

  test(`H5: queued_frames_before_open_max (${LIMITS.queued_frames_before_open_max}) messages may wait for a document; one more closes the socket with 1013`, async () => {
    const queries = (count: number) =>
      Array.from({ length: count }, () => messageFrame(doc_id, HOCUSPOCUS.QUERY_AWARENESS));
    release = await holdRights(server);
    const allowed = sockets.open(tokenFrame(doc_id, ada.token), ...queries(LIMITS.queued_frames_before_open_max));
    const refused = sockets.open(tokenFrame(doc_id, ada.token), ...queries(LIMITS.queued_frames_before_open_max + 1));
    expect((await refused.closed).code).toBe(CLOSE.OVERLOADED);
    await release();
    await allowed.take('step1');
    await allowed.settled(doc_id);
  });

  test(`H5: queued_bytes_before_open_max (${LIMITS.queued_bytes_before_open_max}) bytes may wait on a socket, tokens included; more close it with 1013`, async () => {
    const bytes = (name: string, count: number) =>
      messageFrame(name, HOCUSPOCUS.QUERY_AWARENESS, new Uint8Array(count - 1));
    const tokens = ada.token.length * 2;
    const names = [doc_id, `${doc_id}\0session`] as const;
    const both = names.map((name) => tokenFrame(name, ada.token));
    const half = (LIMITS.queued_bytes_before_open_max - tokens) / 2;
    release = await holdRights(server);
    const allowed = sockets.open(...both, bytes(names[0], Math.floor(half)), bytes(names[1], Math.floor(half)));
    const refused = sockets.open(...both, bytes(names[0], Math.floor(half)), bytes(names[1], Math.ceil(half) + 1));
    expect((await refused.closed).code).toBe(CLOSE.OVERLOADED);
    const token = 'x'.repeat(LIMITS.queued_bytes_before_open_max + 1);
    expect((await sockets.open(tokenFrame(doc_id, token)).closed).code).toBe(CLOSE.OVERLOADED);
    await release();
    await allowed.take('step1');
    await allowed.settled(names[0]);
  });

  test('H5: what comes under a name that is not open is dropped, and nothing of it is kept', async () => {
    const shared = await server.createDocument(ada);
    const client = sockets.open();
    await client.open();
    for (let i = 0; i < LIMITS.queued_frames_before_open_max * 2; i++)
      client.send(syncFrame(shared, updateOfWords('lost')));
    client.send(tokenFrame(shared, ada.token));
    await client.take('step1');
    await client.settled(shared);
    expect(await server.text(ada, shared)).toBe('');
    expect(await server.metric('concord_frames_refused_total{door="hocuspocus",reason="not_signed_in"}')).toBeDefined();
  });

  test(`H12: documents_per_socket_max (${LIMITS.documents_per_socket_max}) documents and sessions fit on a socket; one more is refused, and the others stay`, async () => {
    const client = sockets.open();
    await client.open();
    const name = (i: number) => `${doc_id}\0${i}`;
    for (let i = 0; i < LIMITS.documents_per_socket_max; i++) {
      client.send(tokenFrame(name(i), ada.token));
      await client.take('authenticated');
    }
    client.send(tokenFrame(doc_id, ada.token));
    const refusal = await client.take('denied');
    expect([refusal.name, refusal.text.slice(0, 4)]).toEqual([doc_id, `${CLOSE.OVERLOADED}`]);
    client.send(messageFrame(name(0), HOCUSPOCUS.CLOSE), tokenFrame(doc_id, ada.token));
    await client.take('authenticated', (frame) => frame.name === doc_id);
    await client.settled(name(1));
  });
});

describe('SyncStatus', () => {
  const saved = (client: RawHocuspocus) => client.of('status').map((frame) => frame.saved);

  test('H8: comes once for each change, and only after the commit', async () => {
    const shared = await server.createDocument(ada);
    // A step 1 begins a new count, so another session tells when the document has handled everything.
    const session = `${shared}\0session`;
    const client = await sockets.join(ada, shared, session);
    const watcher = await JsonClient.join(server, shared, ada);
    const edits = (await server.metric('concord_edits_total{door="hocuspocus"}')) ?? 0;
    release = await server.holdJournal(shared);
    for (const words of ['a', 'b']) {
      client.send(syncFrame(shared, updateOfWords(words)));
      await watcher.take('edit');
    }
    await client.settled(session);
    expect(saved(client)).toEqual([]);
    await release();
    await client.take('status');
    await client.take('status');
    const [row] = await server.sql`SELECT count(*)::int AS rows FROM document_updates WHERE doc_id = ${shared}`;
    expect(row?.rows).toBe(2);
    expect(saved(client)).toEqual([true, true]);
    expect(await server.metric('concord_edits_total{door="hocuspocus"}')).toBe(edits + 2);
    await watcher.leave();
  });

  test('H8: a change that brought nothing new counts as well', async () => {
    const shared = await server.createDocument(ada);
    const client = await sockets.join(ada, shared);
    const same = updateOfWords('a');
    client.send(syncFrame(shared, same));
    await client.take('status');
    client.send(syncFrame(shared, same), syncFrame(shared, Y.encodeStateAsUpdate(new Y.Doc()), SYNC.STEP2));
    await client.take('status');
    await client.take('status');
    expect(saved(client)).toEqual([true, true, true]);
  });

  test('H8: a change that builds on something missing waits for it, and the step 2 that brings it is not counted', async () => {
    const shared = await server.createDocument(ada);
    const client = await sockets.join(ada, shared);
    client.send(step1(shared), syncFrame(shared, Y.encodeStateAsUpdate(new Y.Doc()), SYNC.STEP2));
    await client.take('status');
    const doc = new Y.Doc();
    doc.getText('content').insert(0, 'a');
    const before = Y.encodeStateVector(doc);
    doc.getText('content').insert(1, 'b');
    client.send(syncFrame(shared, Y.encodeStateAsUpdate(doc, before)));
    await client.take('step1');
    expect(client.of('status')).toHaveLength(1);
    client.send(syncFrame(shared, Y.encodeStateAsUpdate(doc), SYNC.STEP2));
    await client.take('status');
    client.send(syncFrame(shared, updateOfWords('c')));
    await client.take('status');
    expect(client.of('status')).toHaveLength(3);
  });

  test('H9: a later step 1 is answered with a step 2 and a step 1', async () => {
    const client = await sockets.join(ada, doc_id);
    client.send(step1(doc_id));
    await client.take('step2');
    client.send(step1(doc_id));
    await client.take('step1');
    const kinds = client.frames.map(({ kind }) => kind).filter((kind) => kind.startsWith('step'));
    expect(kinds).toEqual(['step1', 'step2', 'step2', 'step1']);
  });

  test('H10: a viewer is told SyncStatus(false) for what it writes, and true for what holds nothing new', async () => {
    const shared = await server.createDocument(ada, 'text');
    await server.share(ada, shared, bob, 'viewer');
    const client = await sockets.join(bob, shared);
    client.send(syncFrame(shared, Y.encodeStateAsUpdate(new Y.Doc()), SYNC.STEP2));
    expect((await client.take('status')).saved).toBe(true);
    client.send(syncFrame(shared, updateOfWords('mine')));
    expect((await client.take('status')).saved).toBe(false);
    expect(await server.text(ada, shared)).toBe('text');
  });
});
