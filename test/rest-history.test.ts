/** The routes of history, from outside: a whole server, edits through every door. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import Delta from 'quill-delta';
import { NOBODY, openRestWorld, type RestWorld } from './support/rest.ts';
import { JsonClient, YjsClient } from './support/sockets.ts';

let { server, owner, editor, viewer, done, refused } = {} as RestWorld;
let world: RestWorld;
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
const write = (who: typeof owner, delta: unknown[]) => done(200, 'POST', path('/edits'), who, { changes: { delta } });

describe('a diff', () => {
  test('turns one revision into the other, either way, and counts in UTF-16 units', async () => {
    await write(owner, [{ insert: 'Hello world' }]);
    await write(editor, [{ retain: 5 }, { insert: ' 😀' }]);
    await write(owner, [{ delete: 1 }, { insert: { image: 'x' } }]);
    const forth = await done(200, 'GET', path('/diff?from=1&to=3'), viewer);
    expect(forth).toEqual({
      from: 1,
      to: 3,
      delta: [{ insert: { image: 'x' } }, { delete: 1 }, { retain: 4 }, { insert: ' 😀' }],
      inserted: 4,
      deleted: 1,
    });
    const back = await done(200, 'GET', path('/diff?from=3&to=1'), viewer);
    expect([back.inserted, back.deleted]).toEqual([1, 4]);
    const [one, three] = await Promise.all(
      [1, 3].map(async (rev) => (await done(200, 'GET', path(`/content?rev=${rev}`), viewer)).value),
    );
    expect(new Delta(one).compose(new Delta(forth.delta)).ops).toEqual(three);
    expect(new Delta(three).compose(new Delta(back.delta)).ops).toEqual(one);
  });

  test('tells what was deleted and typed again as that', async () => {
    await write(owner, [{ insert: 'same' }]);
    await write(owner, [{ delete: 4 }]);
    await write(owner, [{ insert: 'same' }]);
    const { delta, inserted, deleted } = await done(200, 'GET', path('/diff?from=1&to=3'), viewer);
    expect([delta, inserted, deleted]).toEqual([[{ insert: 'same' }, { delete: 4 }], 4, 4]);
  });

  test('of one revision with itself is empty, and of an empty document too', async () => {
    expect(await done(200, 'GET', path('/diff?from=0&to=0'), viewer)).toEqual({
      ...{ from: 0, to: 0, delta: [], inserted: 0, deleted: 0 },
    });
    await write(owner, [{ insert: 'a' }]);
    expect((await done(200, 'GET', path('/diff?from=1&to=1'), viewer)).delta).toEqual([]);
  });

  test('waits for a revision that is seen and not yet on disk', async () => {
    const client = await JsonClient.join(server, doc_id, editor);
    const letGo = await server.holdJournal(doc_id);
    await client.edit([{ insert: 'Hello' }]);
    const asked = done(200, 'GET', path('/diff?from=0&to=1'), viewer);
    await letGo();
    expect((await asked).inserted).toBe(5);
    await client.leave();
  });

  test.each([
    ['from=0', '/to'],
    ['to=0', '/from'],
    ['from=-1&to=0', '/from'],
    ['from=0&to=1.5', '/to'],
    ['from=0&to=0&rev=0', '/rev'],
  ])('?%s is refused', async (query, field) => {
    expect(await refused('GET', path(`/diff?${query}`), viewer)).toBe(`VALIDATION_ERROR ${field}`);
  });

  test('beyond the head is not there', async () => {
    expect(await refused('GET', path('/diff?from=0&to=1'), viewer)).toBe('NOT_FOUND');
    expect(await refused('GET', path('/diff?from=1&to=0'), viewer)).toBe('NOT_FOUND');
  });
});

describe('history', () => {
  test('is runs of edits of one user, newest first, page by page', async () => {
    for (const who of [owner, owner, editor, owner]) await write(who, [{ insert: 'ab' }]);
    await write(owner, [{ delete: 3 }]);
    const { items, next_cursor } = await done(200, 'GET', path('/history'), viewer);
    const shape = items.map((run: Record<string, unknown>) => [
      ...[run.from_rev, run.to_rev, run.user_id, run.inserted, run.deleted],
    ]);
    expect([shape, next_cursor]).toEqual([
      [
        [4, 5, owner.user_id, 2, 3],
        [3, 3, editor.user_id, 2, 0],
        [1, 2, owner.user_id, 4, 0],
      ],
      null,
    ]);
    expect(items[0].started_at <= items[0].ended_at).toBe(true);
    const first = await done(200, 'GET', path('/history?limit=2'), viewer);
    expect(first.items).toEqual(items.slice(0, 2));
    const second = await done(200, 'GET', path(`/history?limit=2&cursor=${first.next_cursor}`), viewer);
    expect(second).toEqual({ items: items.slice(2), next_cursor: null });
  });

  test('of a document that was never edited is empty', async () => {
    expect(await done(200, 'GET', path('/history'), viewer)).toEqual({ items: [], next_cursor: null });
  });

  test('takes no cursor of its own making', async () => {
    expect(await refused('GET', path('/history?cursor=eA'), viewer)).toBe('VALIDATION_ERROR /cursor');
  });
});

describe('attribution', () => {
  test('says who wrote what, through whichever door, formatting or not', async () => {
    await write(owner, [{ insert: 'one two' }]);
    const client = await YjsClient.join(server, doc_id, editor);
    client.write((text) => text.insert(3, ' and'));
    await client.sync();
    await client.leave();
    await write(owner, [{ retain: 9, attributes: { bold: true } }]);
    const { rev, runs } = await done(200, 'GET', path('/attribution'), viewer);
    expect([rev, runs.map(({ at, ...run }: { at: string }) => run)]).toEqual([
      3,
      [
        { start: 0, length: 3, user_id: owner.user_id, rev: 1 },
        { start: 3, length: 4, user_id: editor.user_id, rev: 2 },
        { start: 7, length: 4, user_id: owner.user_id, rev: 1 },
      ],
    ]);
    for (const { at } of runs) expect(new Date(at).toISOString()).toBe(at);
  });

  test('of an empty text is empty', async () => {
    expect(await done(200, 'GET', path('/attribution'), viewer)).toEqual({ rev: 0, runs: [] });
  });
});

describe('who may look', () => {
  test.each(['/diff?from=0&to=0', '/history', '/attribution'])('at %s: people of the document alone', async (route) => {
    const { id } = await done(201, 'POST', '/v1/documents', owner, { title: 'Mine' });
    expect(await refused('GET', `/v1/documents/${id}${route}`, viewer)).toBe('NOT_FOUND');
    expect(await refused('GET', `/v1/documents/${NOBODY}${route}`, viewer)).toBe('NOT_FOUND');
    await done(200, 'DELETE', `/v1/documents/${id}`, owner);
    expect(await refused('GET', `/v1/documents/${id}${route}`, owner)).toBe('NOT_FOUND');
  });
});
