import { afterAll, beforeAll, expect, test } from 'bun:test';
import { first, seedDocument, seedDocuments } from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { seededRandom } from '../base/random.ts';
import { readSnapshot, type Snapshot, snapshotsDue, writeSnapshot } from './snapshots.ts';

const random = seededRandom(13);

let db: TestDatabase;
beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db.drop());

function snapshot(rev: number): Snapshot {
  return {
    rev,
    state: random.bytes(100),
    state_vector: random.bytes(10),
    delete_set: Uint8Array.of(0, 0),
    delta: `[{"insert":"at ${rev}\\u0000\\udc00"}]`,
  };
}

function plain(found: Snapshot | null): unknown {
  if (found === null) return null;
  const { rev, state, state_vector, delete_set, delta } = found;
  return { rev, delta, bytes: [state, state_vector, delete_set].map((bytes) => [...bytes]) };
}

test('a document that has no snapshot has none', async () => {
  const { doc_id } = await seedDocument(db.sql);
  expect(await readSnapshot(db.sql, doc_id)).toBeNull();
});

test('a snapshot is read as it was written, and replaced by a later one alone', async () => {
  const { doc_id } = await seedDocument(db.sql);
  const [older, later, same] = [snapshot(5), snapshot(9), snapshot(9)];
  expect(await writeSnapshot(db.sql, doc_id, older)).toBe(true);
  expect(plain(await readSnapshot(db.sql, doc_id))).toEqual(plain(older));
  expect(await writeSnapshot(db.sql, doc_id, later)).toBe(true);
  expect(await writeSnapshot(db.sql, doc_id, same)).toBe(false);
  expect(await writeSnapshot(db.sql, doc_id, older)).toBe(false);
  expect(plain(await readSnapshot(db.sql, doc_id))).toEqual(plain(later));
});

test('of snapshots that race the latest stays, whoever comes last', async () => {
  const { doc_id } = await seedDocument(db.sql);
  const rivals = [4, 2, 8, 6, 1, 7, 3, 5].map(snapshot);
  await Promise.all(rivals.map((rival) => writeSnapshot(db.sql, doc_id, rival)));
  expect((await readSnapshot(db.sql, doc_id))?.rev).toBe(8);
});

test('due are those whose journal is far enough ahead of their snapshot, most behind first, as many as asked', async () => {
  const { doc_ids } = await seedDocuments(db.sql, 4);
  const [none, far, near, at] = doc_ids as [string, string, string, string];
  const heads: [string, number][] = [
    [none, 600],
    [far, 2_000],
    [near, 1_099],
    [at, 1_100],
  ];
  for (const [doc_id, rev] of heads) await db.sql`UPDATE document_heads SET head_rev = ${rev} WHERE doc_id = ${doc_id}`;
  for (const doc_id of [far, near, at]) await writeSnapshot(db.sql, doc_id, snapshot(600));
  expect(await snapshotsDue(db.sql, 500, 10)).toEqual([far, none, at]);
  expect(await snapshotsDue(db.sql, 500, 1)).toEqual([far]);
  expect(await snapshotsDue(db.sql, 5_000, 10)).toEqual([]);
});

test('a deleted document is not due: it would be again and again, since no snapshot is made of it', async () => {
  const { doc_ids } = await seedDocuments(db.sql, 1);
  const doc_id = first(doc_ids);
  await db.sql`UPDATE document_heads SET head_rev = 90_000 WHERE doc_id = ${doc_id}`;
  expect(await snapshotsDue(db.sql, 80_000, 10)).toEqual([doc_id]);
  await db.sql`UPDATE documents SET deleted = true, deleted_at = now() WHERE id = ${doc_id}`;
  expect(await snapshotsDue(db.sql, 80_000, 10)).toEqual([]);
});
