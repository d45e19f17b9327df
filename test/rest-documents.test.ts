/** The routes of documents and permissions, from outside: a whole server, real sockets beside it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { LIMITS } from '../src/protocol/limits.ts';
import { NOBODY, openRestWorld, type RestWorld } from './support/rest.ts';
import type { TestUser } from './support/server.ts';
import { JsonClient, YjsClient } from './support/sockets.ts';

let { server, owner, editor, viewer, stranger, call, done, refused } = {} as RestWorld;
let world: RestWorld;
/** A document that the first three have their roles on; made anew for each test. */
let doc_id = '';

beforeAll(async () => {
  world = await openRestWorld();
  ({ server, owner, editor, viewer, stranger, call, done, refused } = world);
});
afterAll(() => world.close());
beforeEach(async () => {
  doc_id = await world.sharedDocument();
});

const path = (rest = '') => `/v1/documents/${doc_id}${rest}`;
const edit = (delta: unknown, more: object = {}) => ({ changes: { delta }, ...more });
const HELLO = [{ insert: 'Hello' }];

/** Every route of a document, with a body that passes. */
const ROUTES = [
  ['GET', ''],
  ['PATCH', '', { title: 'Report' }],
  ['DELETE', ''],
  ['POST', '/undelete'],
  ['GET', '/content'],
  ['POST', '/edits', edit(HELLO)],
  ['GET', '/presence'],
  ['GET', '/permissions'],
  ['POST', '/permissions', { email: 'viewer@example.org', role: 'viewer' }],
  ['PUT', `/permissions/${NOBODY}`, { role: 'viewer' }],
  ['DELETE', `/permissions/${NOBODY}`],
] as const;

describe.each(ROUTES)('%s /v1/documents/:id%s', (method, rest, body?: object) => {
  test('is for those who are signed in, whatever else is wrong', async () => {
    expect(await refused(method, path(rest), null, body === undefined ? undefined : { wrong: 1 })).toBe(
      'UNAUTHENTICATED',
    );
  });

  test('says NOT_FOUND to those without a role, as if there were no such document', async () => {
    const [seen, none] = [
      await call(method, path(rest), stranger, body),
      await call(method, `/v1/documents/${NOBODY}${rest}`, stranger, body),
    ];
    expect([seen.status, seen.body]).toEqual([404, none.body]);
    expect(seen.body.error.code).toBe('NOT_FOUND');
  });

  test('refuses an id that is no UUID', async () => {
    expect(await refused(method, `/v1/documents/5${rest}`, owner, body)).toBe('VALIDATION_ERROR /id');
  });

  test('takes the id in either case', async () => {
    const answer = await call(method, `/v1/documents/${doc_id.toUpperCase()}${rest}`, owner, body);
    // NOBODY has no permission; all else works.
    expect(answer.body.error?.message).toBe(rest.includes(NOBODY) ? 'They have no role on this document.' : undefined);
  });

  if (body !== undefined)
    test('refuses fields that it does not know, and bodies that are no JSON object', async () => {
      expect(await refused(method, path(rest), owner, { ...body, extra: 1 })).toBe('VALIDATION_ERROR /extra');
      expect(await refused(method, path(rest), owner, [body])).toBe('VALIDATION_ERROR ');
    });
});

describe('making a document', () => {
  test('without content gives revision 0, with content revision 1', async () => {
    const made = await done(201, 'POST', '/v1/documents', owner, { title: 'Plans' });
    expect(made).toMatchObject({ title: 'Plans', owner_id: owner.user_id, role: 'owner', rev: 0, deleted: false });
    expect(await done(200, 'GET', `/v1/documents/${made.id}`, owner)).toEqual(made);
    const filled = await done(201, 'POST', '/v1/documents', owner, {
      title: 'Plans',
      content: { format: 'text', value: 'a' },
    });
    expect(filled.rev).toBe(1);
  });

  test.each([
    ['no title', {}, '/title'],
    ['an empty title', { title: '' }, '/title'],
    ['a number as title', { title: 5 }, '/title'],
    ['a title with a NUL', { title: 'a\0b' }, '/title'],
    ['a title of 256 characters', { title: '😀'.repeat(256) }, '/title'],
    ['content without a value', { title: 'a', content: { format: 'text' } }, '/content/value'],
    ['content in a format there is not', { title: 'a', content: { format: 'docx', value: '' } }, '/content/format'],
    [
      'content of another type than its format',
      { title: 'a', content: { format: 'html', value: [] } },
      '/content/value',
    ],
    [
      'a delta that is no document',
      { title: 'a', content: { format: 'delta', value: [{ delete: 1 }] } },
      '/content/value/0/delete',
    ],
    ['bytes that are no Yjs update', { title: 'a', content: { format: 'yjs', value: 'AA==' } }, '/content/value'],
  ])('with %s is refused', async (_what, body, field) => {
    expect(await refused('POST', '/v1/documents', owner, body)).toBe(`VALIDATION_ERROR ${field}`);
  });

  test('takes a title of 255 characters, counted as code points', async () => {
    const title = '😀'.repeat(255);
    expect((await done(201, 'POST', '/v1/documents', owner, { title })).title).toBe(title);
  });

  test('takes a body of 16 MiB and not a byte more; any other route takes 1 MiB', async () => {
    const body = (bytes: number) => {
      const frame = JSON.stringify({ title: 'Large', content: { format: 'text', value: '' } });
      return { title: 'Large', content: { format: 'text', value: 'a'.repeat(bytes - frame.length) } };
    };
    const made = await done(201, 'POST', '/v1/documents', owner, body(LIMITS.create_body_bytes_max));
    expect((await server.text(owner, made.id)).length).toBe(body(LIMITS.create_body_bytes_max).content.value.length);
    expect(await refused('POST', '/v1/documents', owner, body(LIMITS.create_body_bytes_max + 1))).toBe(
      'PAYLOAD_TOO_LARGE',
    );
    const insert = (bytes: number) =>
      edit([{ insert: 'a'.repeat(bytes - JSON.stringify(edit([{ insert: '' }])).length) }]);
    await done(200, 'POST', path('/edits'), owner, insert(LIMITS.body_bytes_max));
    expect(await refused('POST', path('/edits'), owner, insert(LIMITS.body_bytes_max + 1))).toBe('PAYLOAD_TOO_LARGE');
  });

  test('from Yjs keeps every root of it, and editors of both kinds go on from there', async () => {
    const source = new Y.Doc();
    source.getText('content').insert(0, 'Hello', { bold: true });
    source.getMap('settings').set('width', 10);
    const value = Buffer.from(Y.encodeStateAsUpdate(source)).toString('base64');
    const { id } = await done(201, 'POST', '/v1/documents', owner, {
      title: 'Plans',
      content: { format: 'yjs', value },
    });
    const yjs = await YjsClient.join(server, id, owner);
    expect(yjs.doc.getMap('settings').toJSON()).toEqual({ width: 10 });
    const json = await JsonClient.join(server, id, owner);
    expect(json.ready).toMatchObject({ rev: 1, content: [{ insert: 'Hello', attributes: { bold: true } }] });
    await json.edit([{ retain: 5 }, { insert: ' world' }]);
    await yjs.reads('Hello world');
    await Promise.all([yjs.leave(), json.leave()]);
  });
});

describe('the list of documents', () => {
  test('has all that the caller has a role on, newest first, page by page', async () => {
    const someone = await server.register(`lister-${crypto.randomUUID()}`);
    const own = [await server.createDocument(someone), await server.createDocument(someone)];
    await server.share(owner, doc_id, someone, 'viewer');
    const expected = [...own, doc_id].sort().reverse();
    const seen: string[] = [];
    let cursor = '';
    do {
      const page = await done(200, 'GET', `/v1/documents?limit=1${cursor}`, someone);
      seen.push(...page.items.map(({ id }: { id: string }) => id));
      cursor = page.next_cursor === null ? '' : `&cursor=${page.next_cursor}`;
    } while (cursor !== '');
    expect(seen).toEqual(expected);
    const roles = (await done(200, 'GET', '/v1/documents?role=viewer', someone)).items;
    expect(roles.map(({ id, role }: { id: string; role: string }) => [id, role])).toEqual([[doc_id, 'viewer']]);
  });

  test('can be searched by title and text', async () => {
    const word = `w${crypto.randomUUID().replaceAll('-', '')}`;
    const made = await done(201, 'POST', '/v1/documents', owner, {
      title: 'Plans of Monday',
      content: { format: 'html', value: `<p>Buy <b>${word}</b></p>` },
    });
    const found = async (q: string) =>
      (await done(200, 'GET', `/v1/documents?q=${encodeURIComponent(q)}`, owner)).items.map(
        ({ id }: { id: string }) => id,
      );
    expect(await found(`plans ${word.slice(0, -3)}`)).toEqual([made.id]);
    await done(200, 'PATCH', `/v1/documents/${made.id}`, owner, { title: 'Report' });
    expect(await found(`plans ${word}`)).toEqual([]);
    expect(await found(`"buy ${word}" report`)).toEqual([made.id]);
    expect((await found(' ')).length).toBeGreaterThan(1);
  });

  test.each([
    ['limit=0', '/limit'],
    ['limit=101', '/limit'],
    ['cursor=abc', '/cursor'],
    [`cursor=${Buffer.from('viewer').toString('base64url')}`, '/cursor'],
    ['role=admin', '/role'],
    ['deleted=yes', '/deleted'],
    ['title=a', '/title'],
    ['q=a&q=b', '/q'],
    ['q=%00', '/q'],
    [`q=${'a'.repeat(501)}`, '/q'],
  ])('refuses ?%s', async (query, field) => {
    expect(await refused('GET', `/v1/documents?${query}`, owner)).toBe(`VALIDATION_ERROR ${field}`);
  });

  test(`shows page_items_default (${LIMITS.page_items_default}) of them unless told otherwise, and page_items_max (${LIMITS.page_items_max}) at most`, async () => {
    const many = await server.register('of-many-documents');
    const title = 'One of many';
    for (let i = 0; i <= LIMITS.page_items_max; i++) await done(201, 'POST', '/v1/documents', many, { title });
    const shown = async (query: string) => (await done(200, 'GET', `/v1/documents${query}`, many)).items.length;
    expect(await shown('')).toBe(LIMITS.page_items_default);
    expect(await shown(`?limit=${LIMITS.page_items_max}`)).toBe(LIMITS.page_items_max);
    expect(await refused('GET', `/v1/documents?limit=${LIMITS.page_items_max + 1}`, many)).toBe(
      'VALIDATION_ERROR /limit',
    );
  });
});

describe('deleting a document', () => {
  test('sends its editors off with 4404 and hides it from all but its owners, until it is brought back as it was', async () => {
    await done(200, 'POST', path('/edits'), editor, edit(HELLO));
    const client = await JsonClient.join(server, doc_id, editor);
    expect(await done(200, 'DELETE', path(), owner)).toMatchObject({ id: doc_id, deleted: true, rev: 1 });
    expect((await client.closed).code).toBe(4404);
    for (const [method, rest, body] of ROUTES) {
      const expected = method === 'GET' && rest === '' ? 'not refused' : 'NOT_FOUND';
      if (rest !== '/undelete')
        expect([rest, await refused(method, path(rest), owner, body)]).toEqual([rest, expected]);
      expect([rest, await refused(method, path(rest), editor, body)]).toEqual([rest, 'NOT_FOUND']);
    }
    const listed = (await done(200, 'GET', '/v1/documents?deleted=true', owner)).items;
    expect(listed.map(({ id }: { id: string }) => id)).toContain(doc_id);
    expect(await done(200, 'POST', path('/undelete'), owner)).toMatchObject({ deleted: false, rev: 1 });
    expect(await done(200, 'POST', path('/edits'), editor, edit([{ insert: '!' }]))).toEqual({ rev: 2 });
    expect(await server.text(viewer, doc_id)).toBe('!Hello');
  });

  test('and renaming it take more than a viewer', async () => {
    expect(await refused('PATCH', path(), viewer, { title: 'Report' })).toBe('FORBIDDEN');
    expect(await refused('DELETE', path(), editor)).toBe('FORBIDDEN');
    expect(await refused('POST', path('/undelete'), editor)).toBe('FORBIDDEN');
    expect(await done(200, 'PATCH', path(), editor, { title: 'Report' })).toMatchObject({
      title: 'Report',
      role: 'editor',
    });
  });
});

describe('permissions', () => {
  const roles = async (user: TestUser) =>
    (await done(200, 'GET', path('/permissions'), user)).items.map(
      ({ display_name, role }: { display_name: string; role: string }) => `${display_name} ${role}`,
    );

  test('are given with 201, changed with 200, and taken away, and open editors obey at once', async () => {
    const given = await done(201, 'POST', path('/permissions'), owner, {
      email: 'STRANGER@example.org',
      role: 'editor',
    });
    expect(given).toMatchObject({
      document_id: doc_id,
      user_id: stranger.user_id,
      display_name: 'stranger',
      email: stranger.email,
      role: 'editor',
    });
    const client = await JsonClient.join(server, doc_id, stranger);
    await done(200, 'POST', path('/permissions'), owner, { email: stranger.email, role: 'viewer' });
    expect(await client.take('role')).toMatchObject({ doc_id, role: 'viewer' });
    expect(await done(200, 'PUT', path(`/permissions/${stranger.user_id}`), owner, { role: 'editor' })).toMatchObject({
      role: 'editor',
    });
    expect(await client.take('role')).toMatchObject({ role: 'editor' });
    expect(await done(200, 'DELETE', path(`/permissions/${stranger.user_id.toUpperCase()}`), owner)).toEqual({});
    expect((await client.closed).code).toBe(4403);
    expect(await refused('GET', path(), stranger)).toBe('NOT_FOUND');
  });

  test('are seen by viewers, owners first, page by page', async () => {
    await done(200, 'POST', path('/permissions'), owner, { email: viewer.email, role: 'owner' });
    expect(await roles(viewer)).toEqual(['owner owner', 'viewer owner', 'editor editor']);
    const first = await done(200, 'GET', path('/permissions?limit=2'), editor);
    const rest = await done(200, 'GET', path(`/permissions?limit=2&cursor=${first.next_cursor}`), editor);
    expect([...first.items, ...rest.items].map(({ user_id }) => user_id)).toEqual(
      [owner, viewer, editor].map(({ user_id }) => user_id),
    );
    expect(rest.next_cursor).toBeNull();
  });

  test.each([
    ['an unknown role', { email: 'viewer@example.org', role: 'admin' }, 'VALIDATION_ERROR /role'],
    ['no e-mail', { role: 'viewer' }, 'VALIDATION_ERROR /email'],
    ['an e-mail that nobody has', { email: 'nobody@example.org', role: 'viewer' }, 'NOT_FOUND'],
  ])('with %s are refused', async (_what, body, refusal) => {
    expect(await refused('POST', path('/permissions'), owner, body)).toBe(refusal);
  });

  test.each([
    'abc',
    ...['', 'viewer x y', `viewer 2026-13-01T00:00:00.000Z ${NOBODY}`].map((key) =>
      Buffer.from(key).toString('base64url'),
    ),
  ])('have no page after %p', async (cursor) => {
    expect(await refused('GET', path(`/permissions?cursor=${cursor}`), viewer)).toBe('VALIDATION_ERROR /cursor');
  });

  test('are an owner’s to give, change and take; everybody may leave', async () => {
    expect(await refused('POST', path('/permissions'), editor, { email: stranger.email, role: 'viewer' })).toBe(
      'FORBIDDEN',
    );
    expect(await refused('PUT', path(`/permissions/${viewer.user_id}`), editor, { role: 'editor' })).toBe('FORBIDDEN');
    expect(await refused('DELETE', path(`/permissions/${viewer.user_id}`), editor)).toBe('FORBIDDEN');
    await done(200, 'DELETE', path(`/permissions/${viewer.user_id}`), viewer);
    expect(await roles(owner)).toEqual(['owner owner', 'editor editor']);
  });

  test('leave the last owner where they are', async () => {
    const own = path(`/permissions/${owner.user_id}`);
    expect(await refused('DELETE', own, owner)).toBe('CONFLICT');
    expect(await refused('PUT', own, owner, { role: 'viewer' })).toBe('CONFLICT');
    await done(200, 'PUT', path(`/permissions/${editor.user_id}`), owner, { role: 'owner' });
    expect(await done(200, 'PUT', own, owner, { role: 'viewer' })).toMatchObject({ role: 'viewer' });
    expect(await done(200, 'GET', path(), owner)).toMatchObject({ owner_id: editor.user_id, role: 'viewer' });
  });
});
