import { afterAll, beforeAll, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { addPerson } from '../../test/support/people.ts';
import { systemRandom } from '../base/random.ts';
import { snapshotOf } from '../protocol/snapshot.ts';
import {
  type DocumentFilter,
  findDocument,
  insertDocument,
  insertFirstRevision,
  listDocuments,
  setDeleted,
} from './documents.ts';
import { readHead } from './heads.ts';
import { putPermission } from './permissions.ts';
import { readSnapshot } from './snapshots.ts';
import { appendUpdates, readTail } from './updates.ts';

let database: TestDatabase;
const at = new Date(Date.UTC(2026, 0, 1));

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const person = () => addPerson(database.sql, systemRandom.id());

async function document(owner_id: string, title = 'Minutes'): Promise<string> {
  const id = systemRandom.id();
  await insertDocument(database.sql, { id, title, owner_id, at, head_rev: 0 });
  return id;
}

function filterOf(user_id: string, changes: Partial<DocumentFilter> = {}): DocumentFilter {
  return { user_id, typed: null, role: null, deleted: false, after_id: null, ...changes };
}

const idsOf = (rows: readonly { id: string }[]) => rows.map((row) => row.id);

test('a new document belongs to its maker, is at revision 0, and nobody has claimed it', async () => {
  const owner_id = await person();
  const id = await document(owner_id);
  expect(await findDocument(database.sql, id, owner_id)).toEqual({
    id,
    title: 'Minutes',
    owner_id,
    role: 'owner',
    rev: 0,
    created_at: at,
    updated_at: at,
    deleted: false,
  });
  expect(await readHead(database.sql, id)).toMatchObject({ epoch: 0, head_rev: 0 });
});

test('a first revision is one journal row and a snapshot of the same bytes', async () => {
  const { sql } = database;
  const [owner_id, id, client_id] = [await person(), systemRandom.id(), systemRandom.id()];
  const doc = new Y.Doc();
  doc.getText('content').insert(0, 'otters, NUL \0 and half a pair \ud800');
  const state = snapshotOf(doc);
  await sql.begin(async (step) => {
    await insertDocument(step, { id, title: 'Minutes', owner_id, at, head_rev: 1 });
    await insertFirstRevision(step, { doc_id: id, user_id: owner_id, client_id, at, state, text: 'otters' });
  });
  const [row, ...others] = await readTail(sql, id, 0, 1);
  expect(others).toEqual([]);
  expect(row).toMatchObject({ rev: 1, epoch: 0, user_id: owner_id, client_id, seq: null, delta: state.delta });
  expect(Buffer.from(row?.update ?? []).equals(state.state)).toBe(true);
  const snapshot = await readSnapshot(sql, id);
  expect(snapshot).toMatchObject({ rev: 1, delta: state.delta });
  for (const part of ['state', 'state_vector', 'delete_set'] as const)
    expect(Buffer.from(snapshot?.[part] ?? []).equals(state[part])).toBe(true);
  expect(await listDocuments(sql, filterOf(owner_id, { typed: 'otters' }), 10)).toHaveLength(1);
});

test('a document is as young as the later of its last edit and its own last change', async () => {
  const { sql } = database;
  const owner_id = await person();
  const id = await document(owner_id);
  const edited_at = at.getTime() + 5_000;
  const row = { user_id: owner_id, client_id: systemRandom.id(), seq: null, update: Uint8Array.of(0, 0), delta: '[]' };
  await appendUpdates(sql, [{ doc_id: id, epoch: 0, head_rev: 0, rows: [{ rev: 1, at: edited_at, ...row }] }]);
  expect(await findDocument(sql, id, owner_id)).toMatchObject({
    rev: 1,
    created_at: at,
    updated_at: new Date(edited_at),
  });
  await setDeleted(sql, id, false, new Date(edited_at + 1));
  expect(await findDocument(sql, id, owner_id)).toMatchObject({ updated_at: new Date(edited_at + 1) });
});

test('a list goes from the newest to the oldest, page by page', async () => {
  const owner_id = await person();
  const ids = [await document(owner_id), await document(owner_id), await document(owner_id)].reverse();
  expect(idsOf(await listDocuments(database.sql, filterOf(owner_id), 2))).toEqual(ids.slice(0, 2));
  expect(idsOf(await listDocuments(database.sql, filterOf(owner_id, { after_id: ids[1] ?? null }), 2))).toEqual(
    ids.slice(2),
  );
});

test('a list holds what the user has that role on, and of the deleted ones only when asked', async () => {
  const { sql } = database;
  const [owner_id, reader_id] = [await person(), await person()];
  const [seen, edited, deleted] = [await document(owner_id), await document(owner_id), await document(owner_id)];
  await document(owner_id);
  for (const [document_id, role] of [
    [seen, 'viewer'],
    [edited, 'editor'],
    [deleted, 'viewer'],
  ] as const)
    await putPermission(sql, { document_id, user_id: reader_id, role, at });
  await setDeleted(sql, deleted, true, at);
  expect(idsOf(await listDocuments(sql, filterOf(reader_id), 10))).toEqual([edited, seen]);
  expect(idsOf(await listDocuments(sql, filterOf(reader_id, { role: 'viewer' }), 10))).toEqual([seen]);
  expect(idsOf(await listDocuments(sql, filterOf(reader_id, { deleted: true }), 10))).toEqual([deleted]);
});
