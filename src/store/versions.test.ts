import { afterAll, beforeAll, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { quietLog, seedDocument } from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { systemClock } from '../base/clock.ts';
import { seededRandom, systemRandom } from '../base/random.ts';
import { compactDocument } from '../workers/compaction.ts';
import { snapshotDocument } from '../workers/snapshots.ts';
import { claimHead, releaseHead } from './heads.ts';
import { appendUpdates } from './updates.ts';
import {
  authorship,
  contributorsBetween,
  findRestore,
  findVersion,
  insertVersion,
  listVersions,
  lockRestore,
  type VersionRow,
  versionedRevBefore,
} from './versions.ts';

const random = seededRandom(4_300);
const AT = Date.UTC(2026, 2, 1);

let db: TestDatabase;
beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db.drop());

function version(document_id: string, rev: number, more: Partial<VersionRow> = {}): VersionRow {
  const made = { created_by: random.id(), contributors: [random.id()], created_at: new Date(AT) };
  return { id: systemRandom.id(), document_id, rev, name: null, kind: 'auto', ...made, ...more };
}

test('a version is read as it was written, of its own document alone', async () => {
  const [{ doc_id }, other] = [await seedDocument(db.sql), await seedDocument(db.sql)];
  const contributors = [random.id(), random.id(), random.id()];
  const named = version(doc_id, 7, { kind: 'named', name: 'Ünïcode 😀 {"a",b}', contributors });
  expect(await insertVersion(db.sql, named)).toBe(true);
  expect(await findVersion(db.sql, doc_id, named.id)).toEqual(named);
  expect(await findVersion(db.sql, other.doc_id, named.id)).toBeNull();
  expect(await listVersions(db.sql, other.doc_id, null, 10)).toEqual([]);
});

test('a revision has one automatic version for ever, and others beside it', async () => {
  const { doc_id } = await seedDocument(db.sql);
  const rivals = Array.from({ length: 5 }, () => insertVersion(db.sql, version(doc_id, 3)));
  expect((await Promise.all(rivals)).filter((stored) => stored)).toHaveLength(1);
  expect(await insertVersion(db.sql, version(doc_id, 3, { kind: 'restore' }))).toBe(true);
  expect(await insertVersion(db.sql, version(doc_id, 3, { kind: 'named', name: 'x' }))).toBe(true);
  expect(await listVersions(db.sql, doc_id, null, 10)).toHaveLength(3);
});

test('versions are listed newest first, in pages, and the one before a revision is found', async () => {
  const { doc_id } = await seedDocument(db.sql);
  const made = [2, 4, 6].map((rev) => version(doc_id, rev));
  for (const one of made) await insertVersion(db.sql, one);
  const first = await listVersions(db.sql, doc_id, null, 2);
  expect(first.map(({ rev }) => rev)).toEqual([6, 4]);
  expect((await listVersions(db.sql, doc_id, first[1]?.id ?? null, 2)).map(({ rev }) => rev)).toEqual([2]);
  expect(await Promise.all([2, 3, 4, 5, 99].map((rev) => versionedRevBefore(db.sql, doc_id, rev)))).toEqual([
    0, 2, 2, 4, 6,
  ]);
});

test('a restore is found again by its revision and its user', async () => {
  const { doc_id } = await seedDocument(db.sql);
  const restore = version(doc_id, 5, { kind: 'restore' });
  await insertVersion(db.sql, restore);
  expect(await findRestore(db.sql, doc_id, 5, restore.created_by)).toEqual(restore);
  expect(await findRestore(db.sql, doc_id, 5, random.id())).toBeNull();
  expect(await findRestore(db.sql, doc_id, 6, restore.created_by)).toBeNull();
});

test('one restore of a document at a time holds the right to it, until its transaction ends', async () => {
  const [one, other] = [random.id(), random.id()];
  await db.sql.begin(async (mine) => {
    expect(await lockRestore(mine, one)).toBe(true);
    await db.sql.begin(async (theirs) => {
      expect([await lockRestore(theirs, one), await lockRestore(theirs, other)]).toEqual([false, true]);
    });
  });
  expect(await db.sql.begin(async (sql) => ({ held: await lockRestore(sql, one) }))).toEqual({ held: true });
});

test('who edited is the same whether revisions are in the journal or packed, and wherever one begins', async () => {
  const { doc_id } = await seedDocument(db.sql);
  const claim_id = random.id();
  await claimHead(db.sql, doc_id, 0, { node_id: 'n', boot_id: 'b' }, claim_id);
  const people = [random.id(), random.id(), random.id(), random.id()];
  const doc = new Y.Doc();
  const updates: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => updates.push(update));
  for (let i = 0; i < 60; i++) doc.getText('content').insert(0, 'x');
  const rows = updates.map((update, i) => ({
    ...{ rev: i + 1, client_id: random.id(), seq: null, at: AT + i * 977, update, delta: '[{"insert":"x"}]' },
    user_id: people[Math.floor(i / 7) % people.length] ?? '',
  }));
  await appendUpdates(db.sql, [{ doc_id, epoch: 1, head_rev: 0, rows }]);
  await releaseHead(db.sql, doc_id, claim_id);
  const ranges = [
    [0, 60],
    [0, 1],
    [5, 23],
    [16, 16],
    [31, 47],
    [44, 60],
  ] as const;
  const look = () =>
    Promise.all(
      ranges.map(async ([after, to]) => ({
        edits: await authorship(db.sql, doc_id, after, to, 20),
        people: await contributorsBetween(db.sql, doc_id, after, to),
      })),
    );
  const before = await look();
  expect(before.map(({ edits }) => edits.map(({ rev }) => rev).length)).toEqual([20, 1, 18, 0, 16, 16]);
  expect(before[2]?.people).toEqual([people[0], people[1], people[2], people[3]] as string[]);
  expect(before[0]?.edits[1]).toEqual({ rev: 2, user_id: people[0] ?? '', at: AT + 977 });
  await snapshotDocument(db.sql, doc_id);
  const pace = { keep: 10, segment: 16, quiet_segment: 5, checkpoint: 40 };
  expect(await compactDocument({ sql: db.sql, clock: systemClock, log: quietLog }, doc_id, pace)).toBeGreaterThan(2);
  expect(await look()).toEqual(before);
});
