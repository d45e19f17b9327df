/** The routes of content, edits and presence, from outside: a whole server, real sockets beside it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { NOBODY, openRestWorld, type RestWorld } from './support/rest.ts';
import { JsonClient, YjsClient } from './support/sockets.ts';

let { server, owner, editor, viewer, done, refused } = {} as RestWorld;
let world: RestWorld;
/** A document that the first three have their roles on; made anew for each test. */
let doc_id = '';

beforeAll(async () => {
  world = await openRestWorld();
  ({ server, owner, editor, viewer, done, refused } = world);
});
afterAll(() => world.close());
beforeEach(async () => {
  doc_id = await world.sharedDocument();
});

const path = (rest = '') => `/v1/documents/${doc_id}${rest}`;
const edit = (delta: unknown, more: object = {}) => ({ changes: { delta }, ...more });
const HELLO = [{ insert: 'Hello' }];

describe('reading the text', () => {
  const OPS = [
    { insert: 'Plan' },
    { insert: '\n', attributes: { header: 1 } },
    { insert: 'go ' },
    { insert: 'now', attributes: { bold: true } },
    { insert: { image: 'https://example.org/a.png' } },
    { insert: '\n' },
  ];

  test.each([
    ['delta', OPS],
    ['text', 'Plan\ngo now\ufffc\n'],
    ['markdown', '# Plan\n\ngo **now**![](https://example.org/a.png)\n'],
    ['html', '<h1>Plan</h1><p>go <strong>now</strong><img src="https://example.org/a.png"></p>'],
  ])('as %s', async (format, value) => {
    await done(200, 'POST', path('/edits'), owner, edit(OPS));
    expect(await done(200, 'GET', path(`/content?format=${format}`), viewer)).toEqual({ rev: 1, format, value });
  });

  test('as Yjs gives the whole state in base64', async () => {
    await done(200, 'POST', path('/edits'), owner, edit(OPS));
    const { value } = await done(200, 'GET', path('/content?format=yjs'), viewer);
    const doc = new Y.Doc();
    Y.applyUpdate(doc, Buffer.from(value, 'base64'));
    expect(doc.getText('content').toDelta()).toEqual(OPS);
  });

  test('without a format is a delta', async () => {
    expect(await done(200, 'GET', path('/content'), viewer)).toEqual({ rev: 0, format: 'delta', value: [] });
  });

  test('gives any revision of the past in any format, and none beyond the head', async () => {
    for (const word of ['one ', 'two ', 'three '])
      await done(200, 'POST', path('/edits'), owner, edit([{ insert: word }]));
    const texts = await Promise.all(
      [0, 1, 2, 3].map((rev) => done(200, 'GET', path(`/content?format=text&rev=${rev}`), viewer)),
    );
    expect(texts.map(({ rev, value }) => `${rev} ${value}`)).toEqual([
      '0 ',
      '1 one ',
      '2 two one ',
      '3 three two one ',
    ]);
    const { rev, value } = await done(200, 'GET', path('/content?format=yjs&rev=1'), viewer);
    const doc = new Y.Doc();
    Y.applyUpdate(doc, Buffer.from(value, 'base64'));
    expect([rev, doc.getText('content').toString()]).toEqual([1, 'one ']);
    expect(await refused('GET', path('/content?rev=4'), viewer)).toBe('NOT_FOUND');
    expect(await refused('GET', path('/content?format=yjs&rev=4'), viewer)).toBe('NOT_FOUND');
  });

  test.each([
    ['format=docx', '/format'],
    ['rev=-1', '/rev'],
    ['rev=1.0', '/rev'],
    ['rev=', '/rev'],
    ['rev=9999999999999999999', '/rev'],
    ['revision=1', '/revision'],
  ])('?%s is refused', async (query, field) => {
    expect(await refused('GET', path(`/content?${query}`), viewer)).toBe(`VALIDATION_ERROR ${field}`);
  });

  test('shows what is being typed before it is on disk', async () => {
    const client = await JsonClient.join(server, doc_id, editor);
    const letGo = await server.holdJournal(doc_id);
    await client.edit(HELLO);
    expect(await done(200, 'GET', path('/content?format=text'), viewer)).toMatchObject({ rev: 1, value: 'Hello' });
    expect((await done(200, 'GET', path(), viewer)).rev).toBe(1);
    await letGo();
    await client.leave();
  });

  test('that is large comes out whole', async () => {
    const value = 'Otters **swim**.\n\n'.repeat(8_000);
    const { id } = await done(201, 'POST', '/v1/documents', owner, {
      title: 'Large',
      content: { format: 'markdown', value },
    });
    const read = await done(200, 'GET', `/v1/documents/${id}/content?format=markdown`, owner);
    expect(read.value.trim()).toBe(value.trim());
  });
});

describe('an edit', () => {
  test('reaches open editors as it was sent, under the name of its sender', async () => {
    const client = await JsonClient.join(server, doc_id, viewer);
    const client_id = crypto.randomUUID();
    expect(await done(200, 'POST', path('/edits'), editor, edit(HELLO, { client_id, seq: 1 }))).toEqual({ rev: 1 });
    expect(await client.take('edit')).toMatchObject({
      user_id: editor.user_id,
      client_id,
      seq: 1,
      changes: { rev: 1, delta: HELLO },
    });
    await done(200, 'POST', path('/edits'), editor, edit(HELLO));
    const nameless = await client.take('edit');
    expect([nameless.seq, nameless.client_id === client_id]).toEqual([null, false]);
    await client.leave();
  });

  test('is transformed from its base_rev to the present', async () => {
    await done(200, 'POST', path('/edits'), editor, edit(HELLO));
    await done(200, 'POST', path('/edits'), editor, edit([{ insert: 'Oh. ' }]));
    const late = { changes: { delta: [{ retain: 5 }, { insert: '!' }], base_rev: 1 } };
    expect(await done(200, 'POST', path('/edits'), editor, late)).toEqual({ rev: 3 });
    expect(await server.text(viewer, doc_id)).toBe('Oh. Hello!');
    const beyond = { changes: { delta: HELLO, base_rev: 9 } };
    expect(await refused('POST', path('/edits'), editor, beyond)).toBe('STALE_REVISION');
  });

  test('that is sent again is not applied again, also when its client_id comes in another case', async () => {
    const client_id = crypto.randomUUID();
    const first = edit(HELLO, { client_id, seq: 1 });
    expect(await done(200, 'POST', path('/edits'), editor, first)).toEqual({ rev: 1 });
    expect(await done(200, 'POST', path('/edits'), editor, edit([{ insert: '!' }], { client_id, seq: 2 }))).toEqual({
      rev: 2,
    });
    expect(await done(200, 'POST', path('/edits'), editor, first)).toEqual({ rev: 1 });
    expect(await done(200, 'POST', path('/edits'), editor, { ...first, client_id: client_id.toUpperCase() })).toEqual({
      rev: 1,
    });
    expect(await server.text(viewer, doc_id)).toBe('!Hello');
  });

  test.each([
    ['a seq that skips', edit(HELLO, { client_id: NOBODY, seq: 5 }), '/seq'],
    ['a seq without a client_id', edit(HELLO, { seq: 1 }), '/seq'],
    ['a seq of 0', edit(HELLO, { client_id: NOBODY, seq: 0 }), '/seq'],
    ['a seq in quotes', edit(HELLO, { client_id: NOBODY, seq: '1' }), '/seq'],
    ['a client_id that is no UUID', edit(HELLO, { client_id: 'me' }), '/client_id'],
    ['a base_rev in quotes', { changes: { delta: HELLO, base_rev: '0' } }, '/changes/base_rev'],
    ['no delta', { changes: {} }, '/changes/delta'],
    ['a delta that only retains', edit([{ retain: 1 }]), '/changes/delta'],
    ['an op of two kinds', edit([{ insert: 'a', delete: 1 }]), '/changes/delta/0'],
    ['a NUL', edit([{ insert: 'a\0' }]), '/changes/delta/0/insert'],
  ])('with %s is refused', async (_what, body, field) => {
    expect(await refused('POST', path('/edits'), editor, body)).toBe(`VALIDATION_ERROR ${field}`);
  });

  test('that reaches past the end is refused', async () => {
    expect(await refused('POST', path('/edits'), editor, edit([{ delete: 1 }]))).toStartWith('VALIDATION_ERROR');
  });

  test('takes an editor', async () => {
    expect(await refused('POST', path('/edits'), viewer, edit(HELLO))).toBe('FORBIDDEN');
  });

  test('makes the document younger', async () => {
    const before = await done(200, 'GET', path(), owner);
    await done(200, 'POST', path('/edits'), owner, edit(HELLO));
    const after = await done(200, 'GET', path(), owner);
    expect(after.rev).toBe(1);
    expect(after.created_at).toBe(before.created_at);
    expect(Date.parse(after.updated_at)).toBeGreaterThan(Date.parse(before.updated_at));
  });
});

describe('presence', () => {
  test('lists who is on the document, of whatever door, with what they show', async () => {
    const first = await JsonClient.join(server, doc_id, editor);
    first.send({ type: 'presence', status: 'active', state: { cursor: { index: 0, length: 0 }, color: 'red' } });
    await first.settled();
    const second = await YjsClient.join(server, doc_id, viewer);
    const { items, next_cursor } = await done(200, 'GET', path('/presence'), viewer);
    expect(next_cursor).toBeNull();
    expect(items.map(({ user_id }: { user_id: string }) => user_id)).toContain(editor.user_id);
    expect(items.find(({ user_id }: { user_id: string }) => user_id === editor.user_id)).toMatchObject({
      display_name: 'editor',
      client_id: first.ready.client_id,
      status: 'active',
      state: { cursor: { index: 0, length: 0 }, color: 'red' },
    });
    await Promise.all([first.leave(), second.leave()]);
  });

  test('comes page by page', async () => {
    const clients = await Promise.all([editor, viewer, owner].map((user) => JsonClient.join(server, doc_id, user)));
    const seen: string[] = [];
    let cursor = '';
    do {
      const page = await done(200, 'GET', path(`/presence?limit=1${cursor}`), viewer);
      seen.push(...page.items.map(({ client_id }: { client_id: string }) => client_id));
      cursor = page.next_cursor === null ? '' : `&cursor=${page.next_cursor}`;
    } while (cursor !== '');
    expect(seen.sort()).toEqual(clients.map((client) => client.ready.client_id).sort());
    expect(await refused('GET', path('/presence?cursor=abc'), viewer)).toBe('VALIDATION_ERROR /cursor');
    await Promise.all(clients.map((client) => client.leave()));
  });
});
