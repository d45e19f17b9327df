/** The client against a whole server, real sockets and real storage. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import Delta from 'quill-delta';
import { holdUp } from '../test/fuzz/usurper.ts';
import { openTestServer, type TestServer, type TestUser } from '../test/support/server.ts';
import { until } from '../test/support/until.ts';
import { type ClientEvents, ClosedError, ConcordClient } from './client.ts';
import { platform, type Socket } from './environment.ts';

let server: TestServer;
let owner: TestUser;
let guest: TestUser;
const clients: ConcordClient[] = [];

beforeAll(async () => {
  server = await openTestServer();
  [owner, guest] = await Promise.all([server.register('owner'), server.register('guest')]);
});

afterAll(async () => {
  for (const client of clients) client.close();
  expect(server.errors()).toEqual([]);
  await server.stop();
});

/** A client that is connecting. `more` replaces options. */
function join(
  doc_id: string,
  user: TestUser,
  more: Partial<ConstructorParameters<typeof ConcordClient>[0]> = {},
): ConcordClient {
  const client = new ConcordClient({
    url: server.url,
    doc_id,
    token: () => user.token,
    // Reconnects without the wait that real clients owe the server.
    environment: { ...platform, random: () => 0 },
    ...more,
  });
  clients.push(client);
  client.connect();
  return client;
}

/** Resolves with the next event of this name that `fits`. */
function next<Name extends keyof ClientEvents>(
  client: ConcordClient,
  name: Name,
  fits: (event: ClientEvents[Name]) => boolean = () => true,
): Promise<ClientEvents[Name]> {
  return new Promise((resolve) => {
    const stop = client.on(name, (event) => {
      if (!fits(event)) return;
      stop();
      resolve(event);
    });
  });
}

const opened = (client: ConcordClient) => next(client, 'connection', ({ kind }) => kind === 'open');
const closed = (client: ConcordClient) => next(client, 'connection', ({ kind }) => kind === 'closed');
const shows = (client: ConcordClient, text: string) =>
  until(`the text to be ${text}`, () => client.content.ops.length === 1 && client.content.ops[0]?.insert === text);
const type = (client: ConcordClient, at: number, text: string) => client.apply(new Delta().retain(at).insert(text));

describe('two clients of one document', () => {
  test('see each other type, come to the same text, and are told when it is on disk', async () => {
    const doc_id = await server.createDocument(owner, 'Hello\n');
    await server.share(owner, doc_id, guest, 'editor');
    const [one, two] = [join(doc_id, owner), join(doc_id, guest)];
    await Promise.all([opened(one), opened(two)]);
    const heard = next(two, 'change', ({ author }) => author !== null);
    for (const [i, letter] of [...', world'].entries()) type(one, 5 + i, letter);
    expect(one.unacked).toBeGreaterThan(0);
    expect((await heard).author).toEqual({ user_id: owner.user_id, client_id: one.client_id });
    await one.settled();
    expect(one.unacked).toBe(0);
    await shows(two, 'Hello, world\n');
    two.apply([{ delete: 5 }, { insert: 'Goodbye', attributes: { bold: true } }]);
    await two.settled();
    await until('both to be the same', () => Bun.deepEquals(one.content.ops, two.content.ops));
    expect(one.content.ops).toEqual([{ insert: 'Goodbye', attributes: { bold: true } }, { insert: ', world\n' }]);
    expect(await server.text(owner, doc_id)).toBe('Goodbye, world\n');
  });

  test('see who is there and where', async () => {
    const doc_id = await server.createDocument(owner, 'Hello\n');
    await server.share(owner, doc_id, guest, 'viewer');
    const one = join(doc_id, owner);
    await opened(one);
    const two = join(doc_id, guest);
    const moved = next(one, 'presence', ({ client_id, status }) => client_id === two.client_id && status === 'active');
    two.show({ cursor: { index: 2, length: 1 } });
    expect((await moved).state).toMatchObject({ cursor: { index: 2, length: 1 } });
    expect(one.presence.get(two.client_id)).toMatchObject({ user_id: guest.user_id, display_name: 'guest' });
    const gone = next(one, 'presence', ({ status }) => status === 'left');
    two.close();
    await gone;
    expect([...one.presence.keys()]).toEqual([one.client_id]);
  });
});

describe('what a user may do', () => {
  test('is known from the beginning and followed when it changes; a viewer cannot type', async () => {
    const doc_id = await server.createDocument(owner, 'Hello\n');
    await server.share(owner, doc_id, guest, 'viewer');
    const client = join(doc_id, guest);
    expect((await next(client, 'role')).role).toBe('viewer');
    expect(() => type(client, 0, 'x')).toThrow('a viewer cannot edit this document');
    const promoted = next(client, 'role');
    await server.share(owner, doc_id, guest, 'editor');
    expect((await promoted).role).toBe('editor');
    type(client, 0, 'x');
    await client.settled();
    expect(await server.text(owner, doc_id)).toBe('xHello\n');
  });

  test('ends the connection for good when it is nothing any more, and edits that wait are told so', async () => {
    const doc_id = await server.createDocument(owner);
    await server.share(owner, doc_id, guest, 'editor');
    const client = join(doc_id, guest);
    await opened(client);
    const end = closed(client);
    await server.call('DELETE', `/v1/documents/${doc_id}/permissions/${guest.user_id}`, owner.token);
    expect(await end).toMatchObject({ kind: 'closed', code: 4403 });
    type(client, 0, 'too late');
    expect(client.settled()).rejects.toBeInstanceOf(ClosedError);
  });

  test('includes nothing on a document that is not there', async () => {
    const client = join(crypto.randomUUID(), owner);
    const [refusal, end] = await Promise.all([next(client, 'error'), closed(client)]);
    expect(refusal.code).toBe('NOT_FOUND');
    expect(end).toMatchObject({ code: 4404 });
  });

  test('an edit that the server will not take is taken out of the text again, and handed to the application', async () => {
    const doc_id = await server.createDocument(owner, 'ab');
    const client = join(doc_id, owner);
    await opened(client);
    const refused = next(client, 'refused');
    let deep: unknown = 1;
    for (let i = 0; i < 40; i += 1) deep = [deep];
    client.apply(new Delta().retain(1).insert('X', { deep }));
    type(client, 3, 'c');
    expect(await refused).toMatchObject({ code: 'VALIDATION_ERROR' });
    await client.settled();
    expect(client.content.ops).toEqual([{ insert: 'abc' }]);
    expect(await server.text(owner, doc_id)).toBe('abc');
  });
});

describe('a client whose connection ends', () => {
  test('keeps what is typed meanwhile and sends it when it is back', async () => {
    const doc_id = await server.createDocument(owner, 'Hello\n');
    const [one, two] = [join(doc_id, owner), join(doc_id, owner)];
    await Promise.all([opened(one), opened(two)]);
    one.close();
    type(one, 5, ' there');
    type(two, 0, '> ');
    await two.settled();
    expect(one.unconfirmed).toBe(1);
    one.connect();
    await one.settled();
    await shows(one, '> Hello there\n');
    await shows(two, '> Hello there\n');
  });

  test('types before it was ever connected, and the text comes before that', async () => {
    const doc_id = await server.createDocument(owner, 'Hello');
    const client = join(doc_id, owner);
    type(client, 0, '!');
    await client.settled();
    await shows(client, 'Hello!');
  });

  test('gets a new token when the old one was turned away', async () => {
    const doc_id = await server.createDocument(owner, 'Hello\n');
    const session = await server.signIn(owner);
    const refreshes: boolean[] = [];
    const client = join(doc_id, owner, {
      token: (refresh) => {
        refreshes.push(refresh);
        return refresh ? owner.token : session.token;
      },
    });
    await opened(client);
    const again = opened(client);
    await server.call('POST', '/v1/auth/logout', session.token, { refresh_token: session.refresh_token });
    await again;
    expect(refreshes).toEqual([false, true]);
    type(client, 0, 'x');
    await client.settled();
  });

  test('because another has its client_id stays away', async () => {
    const doc_id = await server.createDocument(owner);
    const client_id = crypto.randomUUID();
    const first = join(doc_id, owner, { client_id });
    await opened(first);
    const end = closed(first);
    await opened(join(doc_id, owner, { client_id }));
    expect(await end).toMatchObject({ code: 4409 });
  });

  test('goes on counting where the document stopped when it comes back with the same client_id and no memory', async () => {
    const doc_id = await server.createDocument(owner);
    const client_id = crypto.randomUUID();
    for (const letter of ['a', 'b', 'c']) {
      const client = join(doc_id, owner, { client_id });
      await opened(client);
      type(client, 0, letter);
      await client.settled();
      client.close();
    }
    expect(await server.text(owner, doc_id)).toBe('cba');
  });

  test('because the server restarts is back without being asked, with everything', async () => {
    const doc_id = await server.createDocument(owner);
    const client = join(doc_id, owner);
    await opened(client);
    type(client, 0, 'before ');
    const restarted = server.restart();
    type(client, 7, 'during ');
    await restarted;
    type(client, 14, 'after');
    await client.settled();
    expect(await server.text(owner, doc_id)).toBe('before during after');
  });
});

describe('edits that were confirmed and lost with their owner', () => {
  test('are sent again in order under their old seqs, and none that was acked', async () => {
    const doc_id = await server.createDocument(owner, '.');
    const [client, other] = [join(doc_id, owner), join(doc_id, owner)];
    await Promise.all([opened(client), opened(other)]);
    type(client, 0, 'acked ');
    await client.settled();
    await shows(other, 'acked .');
    const usurper = await holdUp(server.sql, doc_id);
    for (const word of ['one ', 'two ', 'three ']) {
      type(client, client.content.length() - 1, word);
      await until('it to be confirmed', () => client.unconfirmed === 0);
    }
    await shows(other, 'acked one two three .');
    type(other, 0, 'the other: ');
    await until('it to be confirmed', () => client.content.length() > 'acked one two three .'.length);
    expect(client.unacked).toBe(3);
    await usurper.take();
    await Promise.all([client.settled(), other.settled()]);
    await shows(client, 'the other: acked one two three .');
    await shows(other, 'the other: acked one two three .');
    const rows = await server.sql<{ seq: number; epoch: number; delta: string }[]>`
      SELECT seq, epoch, delta FROM document_updates
      WHERE doc_id = ${doc_id} AND client_id = ${client.client_id} ORDER BY rev`;
    expect(rows.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(rows.map(({ delta }) => /"insert":"(.*?)"/.exec(delta)?.[1])).toEqual(['acked ', 'one ', 'two ', 'three ']);
    expect(rows[1]?.epoch).toBeGreaterThan(rows[0]?.epoch ?? 0);
  });
});

describe('an edit made on a text that is long out of date', () => {
  test('is made again on the content that the server sends, over the same connection', async () => {
    const doc_id = await server.createDocument(owner, 'Hello\n');
    const held: string[] = [];
    let holding = false;
    let release = (): void => {};
    const openSocket = (url: string): Socket => {
      const socket = platform.openSocket(url);
      const send = socket.send.bind(socket);
      socket.send = (text) => void (holding ? held.push(text) : send(text));
      release = () => held.splice(0).forEach(send);
      return socket;
    };
    const client = join(doc_id, owner, { environment: { ...platform, openSocket } });
    await opened(client);
    holding = true;
    type(client, 5, '!');
    // More edits than the server remembers.
    const edits = 2_100;
    const others = new WebSocket(`${server.ws_url}/v1/collab/${doc_id}?token=${owner.token}`);
    await new Promise((resolve) => {
      others.onmessage = resolve;
    });
    for (let seq = 1; seq <= edits; seq += 1)
      others.send(JSON.stringify({ type: 'edit', seq, changes: { base_rev: seq, delta: [{ insert: 'x' }] } }));
    await until('them to be heard', () => client.rev === edits + 1);
    others.close();
    const states: string[] = [];
    client.on('connection', ({ kind }) => states.push(kind));
    holding = false;
    release();
    await client.settled();
    expect(await server.text(owner, doc_id)).toBe(`${'x'.repeat(edits)}Hello!\n`);
    expect(states).toEqual([]);
  });
});
