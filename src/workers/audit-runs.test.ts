import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { seedDocument } from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { ManualClock } from '../base/clock.ts';
import { seededRandom } from '../base/random.ts';
import { claimHead, releaseHead } from '../store/heads.ts';
import { appendUpdates } from '../store/updates.ts';
import { auditRuns, RUN_EDITS_MAX } from './audit-runs.ts';

const MINUTE_MS = 60_000;
const PAUSE_MS = 5 * MINUTE_MS;
const NODE = { node_id: 'n', boot_id: 'b' };
const random = seededRandom(4_100);
const [ada, ben] = [random.id(), random.id()];

let db: TestDatabase;
let clock: ManualClock;
let doc_id: string;
let rev: number;
let claim_id: string;
beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db.drop());
beforeEach(async () => {
  clock = new ManualClock();
  doc_id = (await seedDocument(db.sql)).doc_id;
  claim_id = random.id();
  await claimHead(db.sql, doc_id, 0, NODE, claim_id);
  rev = 0;
});

/** `count` edits, a second apart, under the first claim or a later one. */
async function edit(user_id: string, count: number, epoch = 1): Promise<void> {
  const rows = Array.from({ length: count }, (_, i) => ({
    ...{ rev: rev + 1 + i, user_id, client_id: ada, seq: null, at: clock.now() + i * 1_000 },
    ...{ update: new Uint8Array([0, 0]), delta: i % 2 === 0 ? '[{"insert":"ab"}]' : '[{"delete":1}]' },
  }));
  await appendUpdates(db.sql, [{ doc_id, epoch, head_rev: rev, rows }]);
  rev += count;
  clock.advance(count * 1_000);
}

const audit = (pause_ms = PAUSE_MS) => auditRuns({ sql: db.sql, clock, random }, pause_ms, doc_id);
const told = async () =>
  (
    await db.sql<{ actor_id: string; ip: string | null; details: Record<string, unknown> }[]>`
      SELECT actor_id, ip, details FROM outbox WHERE document_id = ${doc_id} AND action = 'document.edited'
      ORDER BY (details ->> 'from_rev')::int`
  ).map(({ actor_id, ip, details }) => {
    const { from_rev, to_rev, inserted, deleted } = details;
    expect(ip).toBeNull();
    return [actor_id, from_rev, to_rev, inserted, deleted];
  });

describe('a run of edits', () => {
  test('is one event once a pause follows it, with its revisions and what it changed', async () => {
    await edit(ada, 4);
    clock.advance(PAUSE_MS - 2_000);
    expect(await audit()).toBe(0);
    clock.advance(1_000);
    expect([await audit(), await audit()]).toEqual([1, 0]);
    expect(await told()).toEqual([[ada, 1, 4, 4, 2]]);
    const [row] = await db.sql`SELECT at, details FROM outbox WHERE document_id = ${doc_id}`;
    expect(row?.details).toMatchObject({ ended_at: row?.at.toISOString() });
  });

  test('is over when the document is given up; who comes back begins another', async () => {
    await edit(ada, 2);
    await releaseHead(db.sql, doc_id, claim_id);
    expect([await audit(), await audit()]).toEqual([1, 0]);
    claim_id = random.id();
    await claimHead(db.sql, doc_id, 1, NODE, claim_id);
    await edit(ada, 1, 2);
    expect(await audit()).toBe(0);
    await releaseHead(db.sql, doc_id, claim_id);
    expect(await audit()).toBe(1);
    expect(await told()).toEqual([
      [ada, 1, 2, 2, 1],
      [ada, 3, 3, 2, 0],
    ]);
  });

  test('is over when somebody else edits, whose own run is not', async () => {
    await edit(ada, 2);
    await edit(ben, 3);
    await edit(ada, 1);
    expect(await audit()).toBe(2);
    expect(await told()).toEqual([
      [ada, 1, 2, 2, 1],
      [ben, 3, 5, 4, 1],
    ]);
  });

  test('is over after five minutes even when people go on editing afterwards', async () => {
    await edit(ada, 1);
    clock.advance(PAUSE_MS);
    await edit(ada, 1);
    await audit();
    expect(await told()).toEqual([[ada, 1, 1, 2, 0]]);
  });

  test('is cut after 500 edits, and what follows a cut belongs to the next', async () => {
    await edit(ada, RUN_EDITS_MAX + 1);
    await edit(ada, RUN_EDITS_MAX - 2);
    expect(await audit()).toBe(1);
    await edit(ada, 2);
    expect(await audit()).toBe(1);
    await edit(ben, 1);
    expect(await audit()).toBe(1);
    expect((await told()).map(([who, from, to]) => [who, from, to])).toEqual([
      [ada, 1, 500],
      [ada, 501, 1_000],
      [ada, 1_001, 1_001],
    ]);
  });

  test('may be over after a shorter pause', async () => {
    await edit(ada, 1);
    clock.advance(1_000);
    expect(await audit(2_000)).toBe(1);
  });
});

test('however many tell the runs of a document at once, and however often, each revision is in one event', async () => {
  for (let i = 0; i < 60; i++) await edit(i % 3 === 0 ? ada : ben, 1 + (i % 40));
  clock.advance(PAUSE_MS);
  await Promise.all(Array.from({ length: 6 }, () => audit()));
  await audit();
  const runs = await told();
  let next = 1;
  for (const [, from, to] of runs as [string, number, number][]) {
    expect(from).toBe(next);
    next = to + 1;
  }
  expect(next).toBe(rev + 1);
});

test('a document that is not there, or was never edited, has no runs', async () => {
  expect(await audit()).toBe(0);
  expect(await auditRuns({ sql: db.sql, clock, random }, PAUSE_MS, random.id())).toBe(0);
});
