import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { addPerson } from '../../test/support/people.ts';
import type { EditRequest } from '../actors/gateway.ts';
import { systemRandom } from '../base/random.ts';
import type { PresenceEntry } from '../protocol/messages.ts';
import { insertDocument } from '../store/documents.ts';
import { putPermission } from '../store/permissions.ts';
import { type ContentParts, editContent, listPresence, presenceKey, readContent } from './content.ts';

let database: TestDatabase;
let parts: ContentParts;
const edits: EditRequest[] = [];
const present: PresenceEntry[] = [];
let [doc_id, editor_id, viewer_id, stranger_id] = ['', '', '', ''];

beforeAll(async () => {
  database = await createTestDatabase();
  const { sql } = database;
  [editor_id, viewer_id, stranger_id] = [
    await addPerson(sql, 'editor'),
    await addPerson(sql, 'viewer'),
    await addPerson(sql, 'stranger'),
  ];
  doc_id = systemRandom.id();
  const at = new Date(Date.UTC(2026, 0, 1));
  await insertDocument(sql, { id: doc_id, title: 'Minutes', owner_id: editor_id, at, head_rev: 0 });
  await putPermission(sql, { document_id: doc_id, user_id: viewer_id, role: 'viewer', at });
  parts = {
    sql,
    random: systemRandom,
    gateway: {
      text: async (_doc_id, rev) => ({ rev: rev ?? 7, ops: [{ insert: 'Otters\n', attributes: { header: 1 } }] }),
      state: async (_doc_id, rev) => ({ rev: rev ?? 7, update: Uint8Array.of(0, 0) }),
      edit: async (request) => ({ rev: edits.push(request) }),
      presence: async () => present,
    },
  };
});
afterAll(() => database.drop());

const refusalOf = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error: { code: string; details?: { path: string }[] }) => [error.code, error.details?.[0]?.path].filter(Boolean),
  );

describe('reading', () => {
  test('gives the revision and the text in the format that was asked for', async () => {
    const read = (format: 'delta' | 'text' | 'markdown' | 'html' | 'yjs', rev?: number) =>
      readContent(parts, viewer_id, doc_id, { format, ...(rev === undefined ? {} : { rev }) });
    expect(await read('delta')).toEqual({
      rev: 7,
      format: 'delta',
      value: [{ insert: 'Otters\n', attributes: { header: 1 } }],
    });
    expect(await read('text', 3)).toEqual({ rev: 3, format: 'text', value: 'Otters\n' });
    expect(await read('markdown')).toEqual({ rev: 7, format: 'markdown', value: '# Otters\n' });
    expect(await read('html')).toEqual({ rev: 7, format: 'html', value: '<h1>Otters</h1>' });
    expect(await read('yjs', 3)).toEqual({ rev: 3, format: 'yjs', value: 'AAA=' });
  });

  test('a large text fifty times at once is refused nobody, whatever the format', async () => {
    const ops = [{ insert: `${'Otters swim. '.repeat(4_000)}\n` }];
    const large = { ...parts, gateway: { ...parts.gateway, text: async () => ({ rev: 9, ops }) } };
    const asked = Array.from({ length: 50 }, (_, at) => (at % 2 === 0 ? ('html' as const) : ('markdown' as const)));
    const read = await Promise.all(asked.map((format) => readContent(large, viewer_id, doc_id, { format })));
    expect(read.map(({ rev, format }) => [rev, format])).toEqual(asked.map((format) => [9, format]));
    expect(new Set(read.map(({ value }) => value)).size).toBe(2);
  });

  test('is for those who have a role', async () => {
    expect(await refusalOf(readContent(parts, stranger_id, doc_id, { format: 'delta' }))).toEqual(['NOT_FOUND']);
  });
});

describe('editing', () => {
  const delta = [{ insert: 'Otters' }];
  const edit = (user_id: string, input: Partial<Parameters<typeof editContent>[3]>) =>
    editContent(parts, user_id, doc_id, { delta, base_rev: null, client_id: null, seq: null, ...input });

  test('hands the edit to the actor as its caller sent it', async () => {
    const client_id = systemRandom.id();
    expect(await edit(editor_id, { client_id, seq: 1, base_rev: 4 })).toEqual({ rev: edits.length });
    expect(edits.at(-1)).toEqual({ doc_id, user_id: editor_id, client_id, seq: 1, base_rev: 4, delta });
  });

  test('under no name gets a fresh one each time', async () => {
    await edit(editor_id, {});
    await edit(editor_id, {});
    const [one, two] = edits.slice(-2);
    expect([one?.seq, two?.seq, one?.client_id === two?.client_id]).toEqual([null, null, false]);
  });

  test('with a seq but no client_id, or with a delta that is none, is refused with its path', async () => {
    expect(await refusalOf(edit(editor_id, { seq: 1 }))).toEqual(['VALIDATION_ERROR', '/seq']);
    expect(await refusalOf(edit(editor_id, { delta: [{ insert: '' }] }))).toEqual([
      'VALIDATION_ERROR',
      '/changes/delta/0/insert',
    ]);
    expect(await refusalOf(edit(editor_id, { delta: [{ retain: 1 }] }))).toEqual([
      'VALIDATION_ERROR',
      '/changes/delta',
    ]);
  });

  test('takes an editor', async () => {
    expect(await refusalOf(edit(viewer_id, {}))).toEqual(['FORBIDDEN']);
    expect(await refusalOf(edit(stranger_id, {}))).toEqual(['NOT_FOUND']);
  });
});

describe('presence', () => {
  test('is listed by when they came, page by page, while others come and go', async () => {
    const entry = (second: number): PresenceEntry => ({
      user_id: viewer_id,
      display_name: 'viewer',
      client_id: systemRandom.id(),
      status: 'joined',
      state: {},
      since: new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString(),
    });
    const [one, two, three] = [entry(1), entry(2), entry(3)];
    present.splice(0, present.length, three, one, two);
    expect(await listPresence(parts, viewer_id, doc_id, { after: null, count: 2 })).toEqual([one, two]);
    present.splice(0, present.length, three);
    expect(await listPresence(parts, viewer_id, doc_id, { after: presenceKey(two), count: 2 })).toEqual([three]);
  });

  test('is for those who have a role', async () => {
    expect(await refusalOf(listPresence(parts, stranger_id, doc_id, { after: null, count: 1 }))).toEqual(['NOT_FOUND']);
  });
});
