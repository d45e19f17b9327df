import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { createTestDatabase, holdLock, type TestDatabase } from '../../test/support/database.ts';
import { addPerson } from '../../test/support/people.ts';
import { until } from '../../test/support/until.ts';
import type { Signal } from '../actors/gateway.ts';
import { ManualClock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { LIMITS } from '../protocol/limits.ts';
import { putPermission } from '../store/permissions.ts';
import {
  createDocument,
  type Document,
  type DocumentParts,
  type DocumentQuery,
  deleteDocument,
  getDocument,
  listDocuments,
  renameDocument,
  undeleteDocument,
} from './documents.ts';

const SOURCE = { ip: '192.0.2.1', request_id: 'a-request' };

/** What actors would say: a head ahead of what is on disk. */
const LIVE_REV = 7;

let database: TestDatabase;
let parts: DocumentParts;
const clock = new ManualClock();
const signals: Signal[] = [];
let [owner_id, editor_id, viewer_id, stranger_id] = ['', '', '', ''];
let document: Document;

beforeAll(async () => {
  database = await createTestDatabase();
  const { sql } = database;
  parts = {
    sql,
    clock,
    random: systemRandom,
    gateway: { rev: async () => LIVE_REV },
    signals: { send: (signal) => void signals.push(signal) },
    document_bytes_max: LIMITS.document_bytes_default,
  };
});
afterAll(() => database.drop());
beforeEach(async () => {
  const { sql } = database;
  [owner_id, editor_id, viewer_id, stranger_id] = (await Promise.all(
    ['owner', 'editor', 'viewer', 'stranger'].map(() => addPerson(sql, systemRandom.id())),
  )) as [string, string, string, string];
  document = await createDocument(parts, owner_id, { title: 'Minutes' }, SOURCE);
  for (const [user_id, role] of [
    [editor_id, 'editor'],
    [viewer_id, 'viewer'],
  ] as const)
    await putPermission(sql, { document_id: document.id, user_id, role, at: now() });
  signals.length = 0;
  clock.advance(1_000);
});

const now = () => new Date(clock.now());
const ALL: DocumentQuery = { typed: null, role: null, deleted: false, after_id: null, count: 10 };
const idsSeenBy = async (user_id: string, query: Partial<DocumentQuery> = {}) =>
  (await listDocuments(parts, user_id, { ...ALL, ...query })).map(({ id }) => id);

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: { code: string }) => error.code,
  );

describe('a new document', () => {
  test('without content is empty and its maker owns it', async () => {
    const at = now().toISOString();
    expect(await createDocument(parts, owner_id, { title: 'Plans' }, SOURCE)).toEqual({
      id: expect.any(String),
      title: 'Plans',
      owner_id,
      role: 'owner',
      rev: 0,
      created_at: at,
      updated_at: at,
      deleted: false,
    });
  });

  test('is none of an account that is being erased at that moment', async () => {
    const { sql } = database;
    const letGo = await holdLock(
      sql,
      (step) => step`UPDATE users SET deleted = true, email = NULL WHERE id = ${owner_id}`,
    );
    const made = createDocument(parts, owner_id, { title: 'Late' }, SOURCE).catch((error) => error);
    await until('it to wait for the account', async () => {
      const [row] = await sql`
        SELECT count(*)::int AS waiting FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR SHARE%'`;
      return row?.waiting === 1;
    });
    await letGo();
    expect(await made).toMatchObject({ code: 'TOKEN_REVOKED' });
    expect(await sql`SELECT 1 FROM documents WHERE title = 'Late'`).toHaveLength(0);
  });

  test('is in the log as made before it was edited', async () => {
    const { id } = await createDocument(
      parts,
      owner_id,
      { title: 'T', content: { format: 'text', value: 'x' } },
      SOURCE,
    );
    const [row] = await database.sql`
      SELECT o.at = u.created_at AS alike FROM outbox o JOIN document_updates u ON u.doc_id = o.document_id AND u.rev = 1
      WHERE o.document_id = ${id} AND o.action = 'document.created'`;
    expect(row?.alike).toBe(true);
  });

  test('with content is at revision 1 and can be searched at once', async () => {
    const content = { format: 'markdown', value: 'Otters **swim**.' } as const;
    const { id, rev } = await createDocument(parts, owner_id, { title: 'Plans', content }, SOURCE);
    expect(rev).toBe(1);
    expect(await idsSeenBy(owner_id, { typed: 'otters' })).toEqual([id]);
  });

  test('with content that is not what it says is not made', async () => {
    const content = { format: 'yjs', value: 'AA==' } as const;
    expect(await codeOf(createDocument(parts, stranger_id, { title: 'Plans', content }, SOURCE))).toBe(
      'VALIDATION_ERROR',
    );
    expect(await idsSeenBy(stranger_id)).toEqual([]);
  });
});

describe('looking at it', () => {
  test('shows each of its people their role, and the revision that editors are at', async () => {
    for (const [user_id, role] of [
      [owner_id, 'owner'],
      [editor_id, 'editor'],
      [viewer_id, 'viewer'],
    ] as const)
      expect(await getDocument(parts, user_id, document.id)).toEqual({ ...document, role, rev: LIVE_REV });
  });

  test('is NOT_FOUND for everybody else', async () => {
    expect(await codeOf(getDocument(parts, stranger_id, document.id))).toBe('NOT_FOUND');
    expect(await codeOf(getDocument(parts, owner_id, systemRandom.id()))).toBe('NOT_FOUND');
  });
});

describe('renaming it', () => {
  test('takes an editor and makes it younger', async () => {
    expect(await renameDocument(parts, editor_id, document.id, 'Report', SOURCE)).toMatchObject({
      title: 'Report',
      created_at: document.created_at,
      updated_at: now().toISOString(),
    });
    expect(await idsSeenBy(owner_id, { typed: 'report' })).toEqual([document.id]);
  });

  test('is answered with the title that was asked for, whoever else renames it at the same time', async () => {
    const titles = Array.from({ length: 20 }, (_, n) => `Report ${n}`);
    const renamed = await Promise.all(
      titles.map((title) => renameDocument(parts, editor_id, document.id, title, SOURCE)),
    );
    expect(renamed.map(({ title }) => title)).toEqual(titles);
  });

  test('is FORBIDDEN for a viewer, NOT_FOUND for a stranger', async () => {
    expect(await codeOf(renameDocument(parts, viewer_id, document.id, 'Report', SOURCE))).toBe('FORBIDDEN');
    expect(await codeOf(renameDocument(parts, stranger_id, document.id, 'Report', SOURCE))).toBe('NOT_FOUND');
    expect((await getDocument(parts, owner_id, document.id)).title).toBe('Minutes');
  });
});

describe('deleting it', () => {
  test('takes an owner, and sends everybody off it', async () => {
    expect(await codeOf(deleteDocument(parts, editor_id, document.id, SOURCE))).toBe('FORBIDDEN');
    expect(await codeOf(deleteDocument(parts, stranger_id, document.id, SOURCE))).toBe('NOT_FOUND');
    expect(signals).toEqual([]);
    expect(await deleteDocument(parts, owner_id, document.id, SOURCE)).toEqual({
      ...document,
      updated_at: now().toISOString(),
      deleted: true,
    });
    expect(signals).toEqual([{ type: 'document_deleted', doc_id: document.id }]);
  });

  test('leaves it to its owners to look at, and to nobody to change', async () => {
    await deleteDocument(parts, owner_id, document.id, SOURCE);
    expect(await getDocument(parts, owner_id, document.id)).toMatchObject({ deleted: true, rev: 0 });
    expect(await codeOf(getDocument(parts, editor_id, document.id))).toBe('NOT_FOUND');
    expect(await codeOf(renameDocument(parts, owner_id, document.id, 'Report', SOURCE))).toBe('NOT_FOUND');
    expect(await codeOf(deleteDocument(parts, owner_id, document.id, SOURCE))).toBe('NOT_FOUND');
  });

  test('takes it out of all lists but that of the deleted ones, which only owners have', async () => {
    await deleteDocument(parts, owner_id, document.id, SOURCE);
    expect([await idsSeenBy(owner_id), await idsSeenBy(editor_id)]).toEqual([[], []]);
    expect(await idsSeenBy(owner_id, { deleted: true })).toEqual([document.id]);
    expect(await idsSeenBy(owner_id, { deleted: true, role: 'owner' })).toEqual([document.id]);
    expect(await idsSeenBy(owner_id, { deleted: true, role: 'viewer' })).toEqual([]);
    expect(await idsSeenBy(viewer_id, { deleted: true })).toEqual([]);
  });
});

describe('bringing it back', () => {
  test('gives everybody what they had', async () => {
    await deleteDocument(parts, owner_id, document.id, SOURCE);
    clock.advance(1_000);
    expect(await undeleteDocument(parts, owner_id, document.id, SOURCE)).toEqual({
      ...document,
      updated_at: now().toISOString(),
    });
    expect((await getDocument(parts, viewer_id, document.id)).role).toBe('viewer');
  });

  test('leaves a document that is not deleted as it is', async () => {
    expect(await undeleteDocument(parts, owner_id, document.id, SOURCE)).toEqual({ ...document, rev: LIVE_REV });
  });

  test('takes an owner; the others do not even see it while it is deleted', async () => {
    expect(await codeOf(undeleteDocument(parts, editor_id, document.id, SOURCE))).toBe('FORBIDDEN');
    expect(await codeOf(undeleteDocument(parts, stranger_id, document.id, SOURCE))).toBe('NOT_FOUND');
    await deleteDocument(parts, owner_id, document.id, SOURCE);
    expect(await codeOf(undeleteDocument(parts, editor_id, document.id, SOURCE))).toBe('NOT_FOUND');
  });
});
