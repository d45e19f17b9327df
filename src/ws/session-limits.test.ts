/** What bounds a socket before it is open, and when it does not read: docs/PROTOCOL.md, C7 and C14. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { DeafClient } from '../../test/support/deaf-client.ts';
import { syncFrame, tokenFrame } from '../../test/support/hocuspocus.ts';
import { holdRights } from '../../test/support/hold-rights.ts';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient, YjsClient } from '../../test/support/sockets.ts';
import { until } from '../../test/support/until.ts';
import { CLOSE } from '../protocol/close.ts';
import { LIMITS } from '../protocol/limits.ts';
import { MESSAGE, SYNC } from '../protocol/yjs-wire.ts';

let server: TestServer;
let ada: TestUser;
let bob: TestUser;
let doc_id: string;

beforeAll(async () => {
  server = await openTestServer();
  [ada, bob] = await Promise.all([server.register('ada'), server.register('bob')]);
  doc_id = await server.createDocument(ada, 'text');
});

afterAll(async () => {
  await server.stop();
  expect(server.errors()).toEqual([]);
});

describe('before the connection is open', () => {
  let go: () => Promise<void> = async () => {};
  afterEach(() => go());

  const pings = (count: number) => Array.from({ length: count }, () => '{"type":"ping"}');

  test(`C7: queued_frames_before_open_max (${LIMITS.queued_frames_before_open_max}) frames wait and are handled after ready, in order`, async () => {
    go = await holdRights(server);
    const edit = (seq: number) =>
      JSON.stringify({ type: 'edit', changes: { base_rev: 1, delta: [{ insert: `${seq}` }] }, seq });
    const first = [edit(1), edit(2), ...pings(LIMITS.queued_frames_before_open_max - 2)];
    const client = JsonClient.open(server, doc_id, ada, {
      first,
      query: { client_id: 'aaaaaaaa-0000-4000-8000-000000000001' },
    });
    await until(
      'the frames to be there',
      () => client.socket.readyState === WebSocket.OPEN && client.socket.bufferedAmount === 0,
    );
    await go();
    await client.take('edit', ({ seq }) => seq === 2);
    expect(client.events[0]?.type).toBe('ready');
    expect(client.of('edit').map(({ seq }) => seq)).toEqual([1, 2]);
    await client.settled();
    expect(client.of('pong')).toHaveLength(LIMITS.queued_frames_before_open_max - 2);
    await client.leave();
  });

  test(`C7: with one frame more than queued_frames_before_open_max it is closed with 1013`, async () => {
    go = await holdRights(server);
    const client = JsonClient.open(server, doc_id, ada, { first: pings(LIMITS.queued_frames_before_open_max + 1) });
    expect((await client.closed).code).toBe(CLOSE.OVERLOADED);
    await go();
    expect(client.events).toMatchObject([{ type: 'error', code: 'RATE_LIMITED' }]);
  });

  test(`C7: queued_bytes_before_open_max (${LIMITS.queued_bytes_before_open_max}) bytes may wait; one more is closed with 1013`, async () => {
    go = await holdRights(server);
    const bytes = (count: number) => new Uint8Array(count).fill(MESSAGE.QUERY_AWARENESS);
    const half = LIMITS.queued_bytes_before_open_max / 2;
    const allowed = YjsClient.open(server, doc_id, ada, { first: [bytes(half), bytes(half)] });
    const refused = YjsClient.open(server, doc_id, ada, { first: [bytes(half), bytes(half + 1)] });
    expect((await refused.closed).code).toBe(CLOSE.OVERLOADED);
    await go();
    await allowed.take('step1');
    await allowed.leave();
  });

  test('C7: rights that change meanwhile are looked up again before the socket joins', async () => {
    const shared = await server.createDocument(ada);
    await server.share(ada, shared, bob, 'editor');
    // The document opens slowly, so that the change falls between the look-up and the join.
    const release = await server.holdJournal(shared);
    const [json, yjs] = [JsonClient.open(server, shared, bob), YjsClient.open(server, shared, bob)];
    await until('both to wait for the document', async () => {
      const [row] = await server.sql`SELECT count(*)::int AS waiting FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      return row?.waiting > 0;
    });
    await server.call('DELETE', `/v1/documents/${shared}/permissions/${bob.user_id}`, ada.token);
    await release();
    expect((await json.closed).code).toBe(CLOSE.NOT_FOUND);
    expect((await yjs.closed).code).toBe(CLOSE.NOT_FOUND);
    expect(json.of('ready')).toEqual([]);
  });
});

describe('a reader that is too slow', () => {
  const part = 'x'.repeat(LIMITS.socket_backlog_bytes_max / 4);

  const port = (): number => Number(new URL(server.url).port);

  async function connections(id: string): Promise<number> {
    return (await server.call('GET', `/v1/documents/${id}/presence`, ada.token)).body.data.items.length;
  }

  test(`C14: when socket_backlog_bytes_max (${LIMITS.socket_backlog_bytes_max}) gather on top of as much it is closed with 1013 at once, and nobody else notices`, async () => {
    const shared = await server.createDocument(ada);
    const author = await YjsClient.join(server, shared, ada);
    const reader = await YjsClient.join(server, shared, ada);
    const deaf = await DeafClient.open(port(), `/v1/yjs/${shared}?token=${ada.token}`);
    await until('the deaf reader to join', async () => (await connections(shared)) === 3);
    let sent = 0;
    // What lies in the kernel's own buffers comes on top of what the server counts.
    while ((await connections(shared)) === 3 && sent < 12) {
      const value = `${sent++} ${part}`;
      author.write((_text, doc) => doc.getMap('parts').set('one', value));
      await reader.until('the part', () => reader.doc.getMap('parts').get('one') === value);
      server.clock.advance(1_000);
    }
    expect(sent).toBeGreaterThan(4);
    expect(await connections(shared)).toBe(2);
    // A close frame: final, close, its length, 1013 as two bytes, the reason.
    expect(await deaf.readOn()).toMatch(/88..03f5/);
    await Promise.all([author.settled(), reader.settled()]);
  });

  test(`C14: at more than socket_backlog_bytes_hard_max (${LIMITS.socket_backlog_bytes_hard_max}) the line is cut`, async () => {
    const shared = await server.createDocument(ada);
    const author = await YjsClient.join(server, shared, ada);
    author.write((_text, doc) => doc.getMap('parts').set('one', part));
    await author.settled();
    // It asks for everything under many names in one go, so that no sweep comes in between; the system's own buffers may take
    // some forty of the answers.
    const names = Array.from(
      { length: LIMITS.socket_backlog_bytes_hard_max / part.length + 48 },
      (_, session) => `${shared}\0${session}`,
    );
    const deaf = await DeafClient.open(
      port(),
      '/v1/hocuspocus',
      ...names.map((name) => tokenFrame(name, ada.token)),
      ...names.map((name) => syncFrame(name, Uint8Array.of(0), SYNC.STEP1)),
    );
    await until('the deaf reader to be gone', async () => (await connections(shared)) === 1);
    expect(await deaf.readOn()).not.toMatch(/88..03f5/);
    await author.settled();
  });
});
