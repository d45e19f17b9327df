/** Going back to an earlier text, from outside: a whole server, and people who type while it happens. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import Delta from 'quill-delta';
import * as Y from 'yjs';
import type { Restored } from '../src/domain/restore.ts';
import type { DeltaOps } from '../src/protocol/content/delta.ts';
import { NOBODY, openRestWorld, type RestWorld, told } from './support/rest.ts';
import { JsonClient, YjsClient } from './support/sockets.ts';

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

const path = (rest = '') => `/v1/documents/${doc_id}${rest}`;
const edit = (delta: DeltaOps, user = owner): Promise<{ rev: number }> =>
  done(200, 'POST', path('/edits'), user, { changes: { delta } });
const restore = (body: object, user = editor): Promise<Restored> => done(200, 'POST', path('/restore'), user, body);
const content = (rev?: number): Promise<{ rev: number; value: DeltaOps }> =>
  done(200, 'GET', path(`/content${rev === undefined ? '' : `?rev=${rev}`}`), viewer);
const versions = async () => (await done(200, 'GET', path('/versions'), viewer)).items;

const PLAN: DeltaOps = [
  { insert: 'The ' },
  { insert: 'plan', attributes: { bold: true } },
  { insert: { image: 'a.png' } },
  { insert: '\n' },
];

describe('a restore', () => {
  test('brings back the text of any revision, formats and embeds included, as an edit forward and a version', async () => {
    await edit(PLAN);
    await edit([{ retain: 4 }, { delete: 5 }, { insert: 'mess' }]);
    await edit([{ insert: 'What a ' }, { retain: 4, attributes: { italic: true } }], editor);
    const before = await content();
    const { rev, version_id } = await restore({ rev: 1 });
    expect(rev).toBe(4);
    expect(await content()).toEqual({ rev: 4, format: 'delta', value: PLAN } as never);
    expect(await done(200, 'GET', path(`/versions/${version_id}`), viewer)).toMatchObject({
      ...{ rev: 4, kind: 'restore', name: null, created_by: editor.user_id },
      contributors: [owner.user_id, editor.user_id],
    });
    expect(await content(3)).toEqual(before);
    expect((await restore({ rev: 3 })).rev).toBe(5);
    expect((await content()).value).toEqual(before.value);
    expect((await restore({ rev: 0 })).rev).toBe(6);
    expect((await content()).value).toEqual([]);
  });

  test('takes a version in place of its revision', async () => {
    await edit(PLAN);
    const { id } = await done(201, 'POST', path('/versions'), editor, { name: 'Good' });
    await edit([{ delete: 9 }]);
    await restore({ version_id: id.toUpperCase() });
    expect((await content()).value).toEqual(PLAN);
  });

  test('is told to the audit, once', async () => {
    await edit(PLAN);
    await edit([{ delete: 4 }]);
    const { rev, version_id } = await restore({ rev: 1 });
    expect(await told(server, version_id)).toMatchObject([
      { action: 'document.restored', actor_id: editor.user_id, document_id: doc_id, details: { rev, from_rev: 1 } },
    ]);
  });

  test.each([
    [{}, 'VALIDATION_ERROR /rev'],
    [{ rev: 1, version_id: NOBODY }, 'VALIDATION_ERROR /rev'],
    [{ rev: -1 }, 'VALIDATION_ERROR /rev'],
    [{ rev: '1' }, 'VALIDATION_ERROR /rev'],
    [{ version_id: 'first' }, 'VALIDATION_ERROR /version_id'],
    [{ rev: 2 }, 'NOT_FOUND'],
    [{ version_id: NOBODY }, 'NOT_FOUND'],
  ])('to %j is refused', async (body, refusal) => {
    await edit(PLAN);
    expect(await refused('POST', path('/restore'), editor, body)).toBe(refusal);
    expect((await content()).rev).toBe(1);
  });

  test('takes an editor, and a version of this document', async () => {
    const { id } = await done(201, 'POST', path('/versions'), editor, { name: 'Good' });
    expect(await refused('POST', path('/restore'), viewer, { rev: 0 })).toBe('FORBIDDEN');
    expect(await refused('POST', path('/restore'), stranger, { rev: 0 })).toBe('NOT_FOUND');
    doc_id = await world.sharedDocument();
    expect(await refused('POST', path('/restore'), editor, { version_id: id })).toBe('NOT_FOUND');
  });
});

describe('a restore of what the text is already', () => {
  test('edits nothing and is a version of the present revision; again it is the same one', async () => {
    await edit(PLAN);
    await edit([{ insert: 'x' }]);
    await edit([{ delete: 1 }]);
    const first = await restore({ rev: 1 });
    expect(first.rev).toBe(3);
    expect(await restore({ rev: 1 })).toEqual(first);
    expect(await restore({ rev: 3 })).toEqual(first);
    expect(await versions()).toHaveLength(1);
    expect(await told(server, first.version_id)).toHaveLength(1);
  });

  test('makes nothing twice, however many people ask for it at once', async () => {
    await edit(PLAN);
    await edit([{ delete: 9 }, { insert: 'Gone.' }]);
    const both = [editor, owner, editor, owner, editor, owner].map((user) => restore({ rev: 1 }, user));
    expect((await Promise.all(both)).map(({ rev }) => rev)).toEqual([3, 3, 3, 3, 3, 3]);
    expect((await content()).value).toEqual(PLAN);
    expect(await versions()).toHaveLength(2);
  });
});

describe('people who are on the document', () => {
  test('receive a restore as an edit of whoever asked for it, through every door', async () => {
    await edit(PLAN);
    const json = await JsonClient.join(server, doc_id, viewer);
    const yjs = await YjsClient.join(server, doc_id, owner);
    await edit([{ delete: 4 }]);
    const { rev } = await restore({ rev: 1 });
    const event = await json.take('edit', ({ changes }) => changes.rev === rev);
    expect(event).toMatchObject({ user_id: editor.user_id, changes: { delta: [{ insert: 'The ' }] } });
    await yjs.until('the restore', () => yjs.text.length === 10);
    expect(yjs.text.toDelta()).toEqual(PLAN);
    await Promise.all([json.leave(), yjs.leave()]);
  });

  test('can take it back with undo', async () => {
    await edit([{ insert: 'one two three' }]);
    await edit([{ retain: 4 }, { delete: 4 }]);
    const json = await JsonClient.join(server, doc_id, owner);
    const { rev } = await restore({ rev: 1 });
    const { changes } = await json.take('edit', (event) => event.changes.rev === rev);
    await json.edit(new Delta(changes.delta).invert(new Delta([{ insert: 'one three' }])).ops as DeltaOps);
    expect((await content()).value).toEqual([{ insert: 'one three' }]);
    await json.leave();
  });

  test('go on typing, and what they type meanwhile stays, once', async () => {
    await edit([{ insert: `${'Chapter. '.repeat(40)}\n` }]);
    await edit([{ retain: 90 }, { delete: 180 }, { insert: '(cut)' }]);
    const json = await JsonClient.join(server, doc_id, owner);
    const yjs = await YjsClient.join(server, doc_id, editor);
    const restored: Promise<Restored>[] = [];
    for (let i = 0; i < 60; i++) {
      json.sendEdit([{ insert: `<j${i}>` }]);
      yjs.write((text) => text.insert(text.length, `<y${i}>`));
      if (i % 20 === 10) restored.push(restore({ rev: 1 }));
      await json.take('edit', ({ client_id }) => client_id === json.ready.client_id);
    }
    const last = Math.max(...(await Promise.all(restored)).map(({ rev }) => rev));
    await Promise.all([json.settled(), yjs.settled()]);
    const { value } = await done(200, 'GET', path('/content?format=text'), viewer);
    expect(value.split('Chapter. ').length - 1).toBe(40);
    expect(value).not.toContain('(cut)');
    const edits = json.of('edit').filter(({ changes }) => changes.rev > last);
    for (const { changes } of edits)
      for (const { insert } of changes.delta)
        if (typeof insert === 'string') expect(value.split(insert)).toHaveLength(2);
    for (const marker of value.match(/<[jy]\d+>/g) ?? []) expect(value.split(marker)).toHaveLength(2);
    await yjs.reads(value);
    await Promise.all([json.leave(), yjs.leave()]);
  });
});

test('when storage is slow a restore is answered 503, and sent again it doubles nothing', async () => {
  await edit(PLAN);
  await edit([{ delete: 9 }, { insert: 'Gone.' }]);
  const json = await JsonClient.join(server, doc_id, owner);
  const letGo = await server.holdJournal(doc_id);
  expect(await refused('POST', path('/restore'), editor, { rev: 1 })).toBe('UNAVAILABLE');
  const again = restore({ rev: 1 });
  await letGo();
  const { rev } = await again;
  expect(rev).toBe(3);
  expect((await content()).value).toEqual(PLAN);
  expect(await versions()).toHaveLength(1);
  expect(await server.sql`SELECT FROM document_updates WHERE doc_id = ${doc_id}`).toHaveLength(3);
  await json.leave();
});

test('texts that have nothing in common are exchanged at once, however long they are', async () => {
  const random = (seed: number) =>
    Array.from({ length: 40_000 }, (_, i) => (((i * seed) ** 2 % 36) | 0).toString(36)).join('');
  await edit([{ insert: random(7) }]);
  await edit([{ delete: 40_000 }, { insert: random(11) }]);
  const started = performance.now();
  await restore({ rev: 1 });
  expect(performance.now() - started).toBeLessThan(2_000);
  expect((await content()).value).toEqual([{ insert: random(7) }]);
});

test('a text that Yjs clients left half a character in comes back as every wire shows it', async () => {
  const yjs = await YjsClient.join(server, doc_id, owner);
  yjs.write((text) => text.insert(0, 'a😀b'));
  yjs.write((text) => text.delete(2, 1));
  await yjs.settled();
  const { rev, value: half } = await content();
  yjs.write((text) => text.delete(0, text.length));
  await yjs.settled();
  await restore({ rev });
  await yjs.until('the text', () => yjs.text.length === 3);
  const back = new Y.Doc();
  const { value } = await done(200, 'GET', path('/content?format=yjs'), viewer);
  Y.applyUpdate(back, Buffer.from(value, 'base64'));
  expect(back.getText('content').toDelta()).toEqual(yjs.text.toDelta());
  expect(JSON.stringify(half).isWellFormed()).toBe(true);
  await yjs.leave();
});
