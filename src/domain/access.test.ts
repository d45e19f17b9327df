import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { addPerson } from '../../test/support/people.ts';
import { until } from '../../test/support/until.ts';
import { systemRandom } from '../base/random.ts';
import { insertDocument, setDeleted } from '../store/documents.ts';
import { putPermission } from '../store/permissions.ts';
import { findAccess, requireRole, roleOn, underLock } from './access.ts';

let database: TestDatabase;
const at = new Date(Date.UTC(2026, 0, 1));
let [owner_id, viewer_id, stranger_id, doc_id, deleted_id] = ['', '', '', '', ''];

beforeAll(async () => {
  database = await createTestDatabase();
  const { sql } = database;
  [owner_id, viewer_id, stranger_id] = [
    await addPerson(sql, 'owner'),
    await addPerson(sql, 'viewer'),
    await addPerson(sql, 'stranger'),
  ];
  [doc_id, deleted_id] = [systemRandom.id(), systemRandom.id()];
  for (const id of [doc_id, deleted_id]) {
    await insertDocument(sql, { id, title: 'Minutes', owner_id, at, head_rev: 0 });
    await putPermission(sql, { document_id: id, user_id: viewer_id, role: 'viewer', at });
  }
  await setDeleted(sql, deleted_id, true, at);
});
afterAll(() => database.drop());

test('access is what the permission says, with whether the document is deleted', async () => {
  const { sql } = database;
  expect(await findAccess(sql, doc_id, owner_id)).toEqual({ role: 'owner', deleted: false });
  expect(await findAccess(sql, deleted_id, viewer_id)).toEqual({ role: 'viewer', deleted: true });
  expect(await findAccess(sql, doc_id, stranger_id)).toBeNull();
  expect(await findAccess(sql, systemRandom.id(), owner_id)).toBeNull();
});

test('a deleted document gives nobody a role', async () => {
  expect(await roleOn(database.sql, doc_id, viewer_id)).toBe('viewer');
  expect(await roleOn(database.sql, deleted_id, owner_id)).toBeNull();
});

test('no role, no document and a deleted document are one and the same refusal; a low role is another', async () => {
  const { sql } = database;
  const refusals = await Promise.all(
    [
      requireRole(sql, doc_id, stranger_id, 'viewer'),
      requireRole(sql, systemRandom.id(), stranger_id, 'viewer'),
      requireRole(sql, deleted_id, owner_id, 'viewer'),
    ].map((asked) => asked.catch((error: unknown) => error)),
  );
  for (const refusal of refusals)
    expect(refusal).toMatchObject({ code: 'NOT_FOUND', message: (refusals[0] as Error).message });
  await expect(requireRole(sql, doc_id, viewer_id, 'editor')).rejects.toMatchObject({ code: 'FORBIDDEN' });
  expect(await requireRole(sql, doc_id, owner_id, 'viewer')).toBe('owner');
});

test('work under the lock sees a role that was lost while it waited', async () => {
  const { sql } = database;
  const heir_id = await addPerson(sql, 'heir');
  await putPermission(sql, { document_id: doc_id, user_id: heir_id, role: 'owner', at });
  const waiting: Promise<unknown>[] = [];
  await underLock(sql, doc_id, owner_id, 'owner', async (step) => {
    waiting.push(underLock(sql, doc_id, heir_id, 'owner', async () => 'done').catch((error: unknown) => error));
    await until('the other one to wait for the lock', async () => {
      const waiters = await sql`
        SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      return waiters.length === 1;
    });
    await step`DELETE FROM document_permissions WHERE document_id = ${doc_id} AND user_id = ${heir_id}`;
  });
  expect(await waiting[0]).toMatchObject({ code: 'NOT_FOUND' });
});

test('what work under the lock had done is undone when it fails', async () => {
  const { sql } = database;
  const failing = underLock(sql, doc_id, owner_id, 'owner', async (step) => {
    await setDeleted(step, doc_id, true, at);
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(await roleOn(sql, doc_id, owner_id)).toBe('owner');
});
