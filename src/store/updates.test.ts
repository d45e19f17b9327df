import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { blockedBackends, journalFaults, lockHeads, seedDocument } from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { seededRandom } from '../base/random.ts';
import { claimHead, readHead } from './heads.ts';
import { sqlState } from './postgres.ts';
import {
  type Append,
  appendUpdates,
  epochOfRev,
  findBySeq,
  lastSeq,
  type NewUpdate,
  readTail,
  readUpdates,
} from './updates.ts';

const random = seededRandom(12);
const AT = Date.UTC(2026, 10, 23, 2, 4, 5, 789);

let db: TestDatabase;
beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db.drop());

/** A document claimed at epoch 1. */
async function claimed(): Promise<string> {
  const { doc_id } = await seedDocument(db.sql);
  await claimHead(db.sql, doc_id, 0, { node_id: 'n', boot_id: 'b' }, random.id());
  return doc_id;
}

function update(rev: number, more: Partial<NewUpdate> = {}): NewUpdate {
  const bytes = random.bytes(random.uint32() % 20);
  return {
    rev,
    user_id: random.id(),
    client_id: random.id(),
    seq: null,
    at: AT + rev,
    update: bytes,
    delta: '[]',
    ...more,
  };
}

function append(doc_id: string, head_rev: number, count: number, epoch = 1): Append {
  return { doc_id, epoch, head_rev, rows: Array.from({ length: count }, (_, i) => update(head_rev + 1 + i)) };
}

const allRows = (doc_id: string) => readUpdates(db.sql, doc_id, 0, null, 1_000);

describe('appendUpdates', () => {
  test('what was appended is read back as it was given, to the byte and the millisecond', async () => {
    const doc_id = await claimed();
    const rows = [
      update(1, { seq: 1, delta: '[{"insert":"a\\u0000\\ud800 😀"}]' }),
      update(2, { update: new Uint8Array(0), at: AT + 0 }),
      update(3, { update: Uint8Array.of(0, 0), at: 1_767_225_600_123 }),
      update(4, { update: random.bytes(100_000), seq: Number.MAX_SAFE_INTEGER, delta: '[]' }),
    ];
    expect(await appendUpdates(db.sql, [{ doc_id, epoch: 1, head_rev: 0, rows }])).toEqual(new Set([doc_id]));
    const read = await allRows(doc_id);
    expect(
      read.map(({ created_at, update: bytes, ...row }) => ({ ...row, at: created_at.getTime(), update: [...bytes] })),
    ).toEqual(rows.map(({ update: bytes, ...row }) => ({ ...row, epoch: 1, update: [...bytes] })));
    expect((await readHead(db.sql, doc_id))?.head_rev).toBe(4);
  });

  test('keeps every millisecond that a clock can say', async () => {
    const doc_id = await claimed();
    const ats = Array.from({ length: 500 }, () => 1_700_000_000_000 + (random.uint32() % 400_000_000_000));
    const rows = ats.map((at, i) => update(i + 1, { at }));
    await appendUpdates(db.sql, [{ doc_id, epoch: 1, head_rev: 0, rows }]);
    expect((await allRows(doc_id)).map((row) => row.created_at.getTime())).toEqual(ats);
  });

  test('many documents move in one statement', async () => {
    const doc_ids = await Promise.all(Array.from({ length: 50 }, claimed));
    const batch = doc_ids.map((doc_id, i) => append(doc_id, 0, (i % 4) + 1));
    expect(await appendUpdates(db.sql, batch)).toEqual(new Set(doc_ids));
    for (const { doc_id, rows } of batch) {
      const read = await allRows(doc_id);
      expect(read.map((row) => [row.rev, [...row.update]])).toEqual(rows.map((row) => [row.rev, [...row.update]]));
    }
  });

  test('a document of another epoch or another head is missing from the answer, leaves no row, and the others move', async () => {
    const [well, newer, older, ahead, behind] = await Promise.all(Array.from({ length: 5 }, claimed));
    if (!well || !newer || !older || !ahead || !behind) throw new Error('five documents');
    await appendUpdates(db.sql, [append(behind, 0, 2)]);
    const batch = [
      append(newer, 0, 2, 2),
      append(older, 0, 2, 0),
      append(well, 0, 2),
      append(ahead, 5, 1),
      append(behind, 0, 1),
      append(random.id(), 0, 1),
    ];
    expect(await appendUpdates(db.sql, batch)).toEqual(new Set([well]));
    for (const doc_id of [newer, older, ahead]) {
      expect(await allRows(doc_id)).toBeEmpty();
      expect((await readHead(db.sql, doc_id))?.head_rev).toBe(0);
    }
    expect((await allRows(behind)).map((row) => row.rev)).toEqual([1, 2]);
    expect(await journalFaults(db.sql)).toEqual([]);
  });

  test('an append that was overtaken by a claim while it waited for the row is fenced', async () => {
    const doc_id = await claimed();
    const lock = await lockHeads(db.url, [doc_id]);
    const claiming = claimHead(db.sql, doc_id, 1, { node_id: 'other', boot_id: 'c' }, random.id());
    await blockedBackends(db.sql, 'test', 1);
    const appending = appendUpdates(db.sql, [append(doc_id, 0, 3)]);
    await blockedBackends(db.sql, 'test', 2);
    await lock.release();
    expect(await claiming).toEqual({ epoch: 2, head_rev: 0 });
    expect(await appending).toEqual(new Set());
    expect(await allRows(doc_id)).toBeEmpty();
  });

  test('the same append twice moves the document once', async () => {
    const doc_id = await claimed();
    const batch = [append(doc_id, 0, 3)];
    const [one, two] = await Promise.all([appendUpdates(db.sql, batch), appendUpdates(db.sql, batch)]);
    expect([one.size, two.size].toSorted()).toEqual([0, 1]);
    expect((await allRows(doc_id)).map((row) => row.rev)).toEqual([1, 2, 3]);
  });

  test('one author, client and seq is held once per document; a second is refused by the server and nothing moves', async () => {
    const [doc_id, other] = [await claimed(), await claimed()];
    const [user_id, client_id] = [random.id(), random.id()];
    const mine = { user_id, client_id, seq: 1 };
    await appendUpdates(db.sql, [{ doc_id, epoch: 1, head_rev: 0, rows: [update(1, mine)] }]);
    const twice = [append(other, 0, 1), { doc_id, epoch: 1, head_rev: 1, rows: [update(2, mine)] }];
    const refused = await appendUpdates(db.sql, twice).catch((error: unknown) => error);
    expect(sqlState(refused)).toBe('23505');
    expect(await allRows(other)).toBeEmpty();
    const fine = [
      update(2, { ...mine, user_id: random.id() }),
      update(3, { ...mine, client_id: random.id() }),
      update(4, { ...mine, seq: 2 }),
      update(5, { ...mine, seq: null }),
      update(6, { ...mine, seq: null }),
    ];
    expect((await appendUpdates(db.sql, [{ doc_id, epoch: 1, head_rev: 1, rows: fine }])).size).toBe(1);
    expect(
      (await appendUpdates(db.sql, [{ doc_id: other, epoch: 1, head_rev: 0, rows: [update(1, mine)] }])).size,
    ).toBe(1);
  });

  test('batches that name the same documents in any order never deadlock', async () => {
    const doc_ids = await Promise.all(Array.from({ length: 10 }, claimed));
    const rounds = Array.from({ length: 12 }, (_, n) => {
      const order = n % 2 === 0 ? doc_ids : doc_ids.toReversed();
      return appendUpdates(
        db.sql,
        order.map((doc_id) => append(doc_id, 0, 1)),
      );
    });
    const moved = await Promise.all(rounds);
    expect(moved.reduce((sum, set) => sum + set.size, 0)).toBe(doc_ids.length);
  });
});

describe('reading the journal', () => {
  test('readUpdates gives the revisions after one, up to another, oldest first, as many as asked', async () => {
    const doc_id = await claimed();
    await appendUpdates(db.sql, [append(doc_id, 0, 9)]);
    const revs = async (after: number, to: number | null, limit: number) =>
      (await readUpdates(db.sql, doc_id, after, to, limit)).map((row) => row.rev);
    expect(await revs(0, null, 100)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(await revs(3, 6, 100)).toEqual([4, 5, 6]);
    expect(await revs(3, null, 2)).toEqual([4, 5]);
    expect(await revs(9, null, 100)).toEqual([]);
  });

  test('readTail reads over the bounds of its pages and stops at the end of the journal', async () => {
    const doc_id = await claimed();
    const rows = Array.from({ length: 5_001 }, (_, i) => update(i + 1, { update: Uint8Array.of(i & 255) }));
    await appendUpdates(db.sql, [{ doc_id, epoch: 1, head_rev: 0, rows }]);
    expect((await readTail(db.sql, doc_id, 0, 5_001)).map((row) => row.rev)).toEqual(rows.map((row) => row.rev));
    expect((await readTail(db.sql, doc_id, 0, 5_000)).at(-1)?.rev).toBe(5_000);
    expect((await readTail(db.sql, doc_id, 4_998, 9_999)).map((row) => row.rev)).toEqual([4_999, 5_000, 5_001]);
    expect(await readTail(db.sql, doc_id, 7, 7)).toEqual([]);
  });

  test('epochOfRev names the epoch that wrote a revision', async () => {
    const doc_id = await claimed();
    await appendUpdates(db.sql, [append(doc_id, 0, 1)]);
    await claimHead(db.sql, doc_id, 1, { node_id: 'n', boot_id: 'c' }, random.id());
    await appendUpdates(db.sql, [append(doc_id, 1, 1, 2)]);
    expect(await Promise.all([1, 2, 3].map((rev) => epochOfRev(db.sql, doc_id, rev)))).toEqual([1, 2, null]);
  });

  test('lastSeq and findBySeq know an edit by document, user, client and seq together', async () => {
    const [doc_id, other] = [await claimed(), await claimed()];
    const [user_id, client_id] = [random.id(), random.id()];
    const rows = [1, 2, 3].map((seq) => update(seq, { user_id, client_id, seq, delta: `[{"insert":"${seq}"}]` }));
    rows.push(update(4, { user_id, client_id, seq: null }));
    await appendUpdates(db.sql, [{ doc_id, epoch: 1, head_rev: 0, rows }]);
    expect(await lastSeq(db.sql, doc_id, user_id, client_id)).toBe(3);
    expect(await lastSeq(db.sql, doc_id, user_id, random.id())).toBe(0);
    expect(await lastSeq(db.sql, doc_id, random.id(), client_id)).toBe(0);
    expect(await lastSeq(db.sql, other, user_id, client_id)).toBe(0);
    expect(await findBySeq(db.sql, doc_id, user_id, client_id, 2)).toMatchObject({ rev: 2, delta: '[{"insert":"2"}]' });
    expect(await findBySeq(db.sql, doc_id, user_id, client_id, 4)).toBeNull();
    expect(await findBySeq(db.sql, doc_id, random.id(), client_id, 2)).toBeNull();
    expect(await findBySeq(db.sql, other, user_id, client_id, 2)).toBeNull();
  });
});
