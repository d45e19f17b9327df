/** The routes of versions, from outside: a whole server, real sockets beside it, and time that the test moves. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import type { Version } from '../src/domain/versions.ts';
import { connectRedis } from '../src/store/redis.ts';
import { quietLog } from './support/core.ts';
import { NOBODY, openRestWorld, type RestWorld, told } from './support/rest.ts';
import { openTestServer, type TestServer, type TestUser } from './support/server.ts';
import { JsonClient, YjsClient } from './support/sockets.ts';
import { until } from './support/until.ts';

let { server, owner, editor, viewer, stranger, done, refused } = {} as RestWorld;
let world: RestWorld;
/** A document that the first three have their roles on; made anew for each test. */
let doc_id = '';

beforeAll(async () => {
  world = await openRestWorld();
  ({ server, owner, editor, viewer, stranger, done, refused } = world);
});
afterAll(() => world.close());
beforeEach(async () => {
  doc_id = await world.sharedDocument();
});

const path = (rest = '') => `/v1/documents/${doc_id}/versions${rest}`;
const type = (user: TestUser, text: string) =>
  done(200, 'POST', `/v1/documents/${doc_id}/edits`, user, { changes: { delta: [{ insert: text }] } });
const name = (text = 'Draft', user: TestUser = editor): Promise<Version> =>
  done(201, 'POST', path(), user, { name: text });
const list = async (query = '', user: TestUser = viewer): Promise<Version[]> =>
  (await done(200, 'GET', path(query), user)).items;

/** Redis loses everything, as in a restart without a disk. */
async function flushRedis({ redis_url }: TestServer): Promise<void> {
  const redis = connectRedis(redis_url, { name: 'flush', kind: 'standing', log: quietLog });
  await redis.flushall();
  redis.disconnect();
}

describe('naming a version', () => {
  test('keeps the text as it is, whichever door it came through, with who wrote it since the last', async () => {
    const json = await JsonClient.join(server, doc_id, owner);
    const yjs = await YjsClient.join(server, doc_id, editor);
    await json.edit([{ insert: 'JSON ' }]);
    yjs.write((text) => text.insert(text.length, 'Yjs '));
    await yjs.settled();
    const before = Math.floor(server.clock.now());
    const first = await name('First');
    expect(first).toMatchObject({ document_id: doc_id, rev: 2, name: 'First', kind: 'named' });
    expect(first.created_by).toBe(editor.user_id);
    expect(first.contributors).toEqual([owner.user_id, editor.user_id]);
    expect(Date.parse(first.created_at)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(first.created_at)).toBeLessThanOrEqual(server.clock.now());
    await type(editor, 'REST ');
    const second = await name('Second', owner);
    expect(second).toMatchObject({ rev: 3, created_by: owner.user_id, contributors: [editor.user_id] });
    expect(await done(200, 'GET', path(`/${second.id}`), viewer)).toEqual(second);
    expect(await list()).toEqual([second, first]);
    const texts = [first, second].map(({ id }) => done(200, 'GET', path(`/${id}/content?format=text`), viewer));
    expect(await Promise.all(texts)).toEqual([
      { rev: 2, format: 'text', value: expect.stringMatching(/^(JSON Yjs |Yjs JSON )$/) },
      { rev: 3, format: 'text', value: expect.stringMatching(/^REST /) },
    ]);
    await Promise.all([json.leave(), yjs.leave()]);
  });

  test('of an empty document, and twice of one revision, is allowed', async () => {
    expect(await name('Nothing yet')).toMatchObject({ rev: 0, contributors: [] });
    await type(owner, 'x');
    const twice = [await name('Once'), await name('Twice')];
    expect(twice).toMatchObject([
      { rev: 1, contributors: [owner.user_id] },
      { rev: 1, contributors: [owner.user_id] },
    ]);
  });

  test('waits until all that is in it is on disk, and answers 503 when that takes too long', async () => {
    const client = await JsonClient.join(server, doc_id, owner);
    const letGo = await server.holdJournal(doc_id);
    await client.edit([{ insert: 'typed' }]);
    expect(await refused('POST', path(), editor, { name: 'Too early' })).toBe('UNAVAILABLE');
    const named = name('In time');
    await letGo();
    expect(await named).toMatchObject({ rev: 1, name: 'In time' });
    expect(await list()).toHaveLength(1);
    await client.leave();
  });

  test.each([
    [{ name: '' }, 'VALIDATION_ERROR /name'],
    [{ name: '  ' }, 'VALIDATION_ERROR /name'],
    [{ name: 'x'.repeat(256) }, 'VALIDATION_ERROR /name'],
    [{ name: 'a\0b' }, 'VALIDATION_ERROR /name'],
    [{ name: null }, 'VALIDATION_ERROR /name'],
    [{}, 'VALIDATION_ERROR /name'],
    [{ name: 'x', rev: 1 }, 'VALIDATION_ERROR /rev'],
  ])('%j is refused', async (body, refusal) => {
    expect(await refused('POST', path(), editor, body)).toBe(refusal);
  });

  test('takes 255 characters, as people count them', async () => {
    const long = '😀'.repeat(255);
    expect((await name(long)).name).toBe(long);
  });

  test('is told to the audit, once', async () => {
    const { id, rev } = await name('Audited');
    expect(await told(server, id)).toMatchObject([
      { action: 'version.named', actor_id: editor.user_id, document_id: doc_id, details: { rev, name: 'Audited' } },
    ]);
  });
});

describe('versions', () => {
  test('are for the people of the document: viewers read, editors name, strangers see nothing', async () => {
    const { id } = await name();
    for (const route of ['', `/${id}`, `/${id}/content`]) {
      expect(await refused('GET', path(route), viewer)).toBe('not refused');
      expect(await refused('GET', path(route), stranger)).toBe('NOT_FOUND');
    }
    expect(await refused('POST', path(), viewer, { name: 'x' })).toBe('FORBIDDEN');
    expect(await refused('POST', path(), stranger, { name: 'x' })).toBe('NOT_FOUND');
    await done(200, 'DELETE', `/v1/documents/${doc_id}`, owner);
    expect(await refused('GET', path(), owner)).toBe('NOT_FOUND');
  });

  test('are of their own document alone', async () => {
    const { id } = await name();
    const other = await world.sharedDocument();
    for (const found of [id, NOBODY])
      for (const rest of ['', '/content'])
        expect(await refused('GET', `/v1/documents/${other}/versions/${found}${rest}`, owner)).toBe('NOT_FOUND');
    expect(await refused('GET', path('/first'), owner)).toBe('VALIDATION_ERROR /version_id');
  });

  test('come in pages, newest first', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (const each of names) await name(each);
    const found: (string | null)[] = [];
    for (let query = '?limit=2'; query !== ''; ) {
      const page = await done(200, 'GET', path(query), viewer);
      found.push(...page.items.map((version: Version) => version.name));
      query = page.next_cursor === null ? '' : `?limit=2&cursor=${page.next_cursor}`;
    }
    expect(found).toEqual(names.toReversed());
    expect(await refused('GET', path('?cursor=bm9wZQ'), viewer)).toBe('VALIDATION_ERROR /cursor');
  });

  test('show their text in every format', async () => {
    await type(owner, 'bold');
    const { id } = await name();
    await type(owner, 'later ');
    for (const [format, value] of [
      ['delta', [{ insert: 'bold' }]],
      ['text', 'bold'],
      ['markdown', 'bold\n'],
      ['html', '<p>bold</p>'],
    ] as const)
      expect(await done(200, 'GET', path(`/${id}/content?format=${format}`), viewer)).toEqual({
        rev: 1,
        format,
        value,
      });
    expect((await done(200, 'GET', path(`/${id}/content?format=yjs`), viewer)).rev).toBe(1);
    expect(await refused('GET', path(`/${id}/content?format=pdf`), viewer)).toBe('VALIDATION_ERROR /format');
  });
});

describe('automatic versions', () => {
  test('come after a pause in editing, also when Redis loses everything in between, and once', async () => {
    const server = await openTestServer({ VERSION_PAUSE_SECONDS: '2', WORK_INTERVAL_SECONDS: '1' });
    const [ada, ben] = [await server.register('ada'), await server.register('ben')];
    const [written, template] = [await server.createDocument(ada), await server.createDocument(ada, 'A template')];
    await server.share(ada, written, ben, 'editor');
    const typed = async (user: TestUser, insert: string) =>
      server.call('POST', `/v1/documents/${written}/edits`, user.token, { changes: { delta: [{ insert }] } });
    const kept = async (of: string) =>
      (await server.call('GET', `/v1/documents/${of}/versions`, ada.token)).body.data.items;
    const auto = { kind: 'auto', name: null };
    await typed(ben, 'Written, ');
    await typed(ada, 'then left.');
    await flushRedis(server);
    await until('the versions', async () => (await kept(written)).length > 0 && (await kept(template)).length > 0);
    expect(await kept(template)).toMatchObject([
      { ...auto, rev: 1, created_by: ada.user_id, contributors: [ada.user_id] },
    ]);
    await typed(ben, 'Again. ');
    await until('the next', async () => (await kept(written)).length > 1);
    expect(await kept(written)).toMatchObject([
      { ...auto, rev: 3, created_by: ben.user_id, contributors: [ben.user_id] },
      { ...auto, rev: 2, created_by: ada.user_id, contributors: [ben.user_id, ada.user_id] },
    ]);
    expect(server.errors()).toEqual([]);
    await server.stop();
  });
});
