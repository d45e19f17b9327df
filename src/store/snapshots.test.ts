import { afterAll, beforeAll, expect, test } from 'bun:test';
import { seedDocument } from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { seededRandom } from '../base/random.ts';
import { readSnapshot, type Snapshot, writeSnapshot } from './snapshots.ts';

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
