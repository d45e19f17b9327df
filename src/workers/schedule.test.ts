import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { seedDocument } from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { ManualClock, systemClock } from '../base/clock.ts';
import { seededRandom } from '../base/random.ts';
import { setDeleted } from '../store/documents.ts';
import { claimHead, readHead, releaseHead } from '../store/heads.ts';
import { writeSnapshot } from '../store/snapshots.ts';
import { appendUpdates } from '../store/updates.ts';
import { insertVersion } from '../store/versions.ts';
import { markedWork, unmark, type WorkState } from '../store/work.ts';
import { makeSnapshot } from './make-snapshot.ts';
import { dueOf, lookAtWork } from './schedule.ts';

const random = seededRandom(4_200);
const PACE = { pause_ms: 300_000, edits: 500 };
const NOW = Date.UTC(2026, 2, 1);
const NODE = { node_id: 'n', boot_id: 'b' };

const state = (more: Partial<WorkState>): WorkState => ({
  ...{ doc_id: random.id(), touched_at: '', head_rev: 0, free: false, edited_at: new Date(NOW) },
  ...{ owner_node: 'n', owner_boot: 'b', claimed_at: new Date(NOW) },
  ...{ snapshot_rev: 0, version_rev: 0, compacted_rev: 0, audited_rev: 0 },
  ...{ run_over: false, deleted: false },
  ...more,
});

describe('due is', () => {
  const kept = { version_rev: 1e6, audited_rev: 1e6, compacted_rev: 1e6 };
  const snapped = { snapshot_rev: 1e6, audited_rev: 1e6, compacted_rev: 1e6 };
  const audited = { snapshot_rev: 1e6, version_rev: 1e6, compacted_rev: 1e6 };
  const packed = { version_rev: 1e6, audited_rev: 1e6 };
  test.each([
    ['nothing of a document that was never edited', { edited_at: null, free: true }, []],
    ['no snapshot of an open one that is 499 ahead', { ...kept, head_rev: 1_099, snapshot_rev: 600 }, []],
    ['a snapshot of an open one that is 500 ahead', { ...kept, head_rev: 1_100, snapshot_rev: 600 }, ['snapshots']],
    [
      'no snapshot of a long one that is ahead by less than a 32nd',
      { ...kept, head_rev: 32_000, snapshot_rev: 31_001 },
      [],
    ],
    ['one that is ahead by a 32nd', { ...kept, head_rev: 32_000, snapshot_rev: 31_000 }, ['snapshots']],
    [
      'a snapshot of a free one that is ahead at all',
      { ...kept, head_rev: 2, snapshot_rev: 1, free: true },
      ['snapshots'],
    ],
    [
      'none of an open one in the middle of typing',
      { ...kept, head_rev: 2, snapshot_rev: 1, edited_at: new Date(NOW - 9_999) },
      [],
    ],
    [
      'one of an open one that rests',
      { ...kept, head_rev: 2, snapshot_rev: 1, edited_at: new Date(NOW - 10_000) },
      ['snapshots'],
    ],
    ['no version in the middle of editing', { ...snapped, head_rev: 499, edited_at: new Date(NOW - 299_999) }, []],
    ['a version after a pause', { ...snapped, head_rev: 1, edited_at: new Date(NOW - 300_000) }, ['versions']],
    ['a version after many edits', { ...snapped, head_rev: 501, version_rev: 1 }, ['versions']],
    ['no audit of a run that may go on', { ...audited, head_rev: 499, edited_at: new Date(NOW - 299_999) }, []],
    [
      'an audit once it has been still',
      { ...audited, head_rev: 1, edited_at: new Date(NOW - 300_000) },
      ['audit-runs'],
    ],
    ['an audit once the document was given up', { ...audited, head_rev: 1, free: true }, ['audit-runs']],
    ['an audit once somebody else goes on', { ...audited, head_rev: 2, run_over: true }, ['audit-runs']],
    [
      'of a deleted one the audit alone',
      { head_rev: 9, free: true, deleted: true, edited_at: new Date(NOW - 300_000) },
      ['audit-runs'],
    ],
    ['an audit of many edits', { ...audited, head_rev: 500 }, ['audit-runs']],
    ['no compaction of what is in the window', { ...packed, head_rev: 2_999, snapshot_rev: 2_999 }, []],
    ['compaction of a segment that left it', { ...packed, head_rev: 3_000, snapshot_rev: 3_000 }, ['compaction']],
    ['no compaction of what no snapshot holds', { ...packed, head_rev: 4_000, snapshot_rev: 1_999 }, ['snapshots']],
  ] as const)('%s', (_, more, expected) => {
    expect<readonly string[]>(dueOf(state(more), PACE, NOW)).toEqual(expected);
  });
});

describe('the look', () => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await createTestDatabase();
  });
  afterAll(() => db.drop());
  beforeEach(async () => {
    await db.sql`DELETE FROM document_work`;
  });

  /** A document with one edit, held by nobody. */
  async function edited(): Promise<string> {
    const { doc_id } = await seedDocument(db.sql);
    const claim_id = random.id();
    await claimHead(db.sql, doc_id, 0, NODE, claim_id);
    const row = { rev: 1, user_id: random.id(), client_id: random.id(), seq: null, at: NOW };
    const rows = [{ ...row, update: Uint8Array.of(0, 0), delta: '[]' }];
    await appendUpdates(db.sql, [{ doc_id, epoch: 1, head_rev: 0, rows }]);
    await releaseHead(db.sql, doc_id, claim_id);
    return doc_id;
  }

  /** Does all the work there is on it. */
  async function workDone(doc_id: string): Promise<void> {
    await writeSnapshot(db.sql, doc_id, { rev: 1, ...makeSnapshot({ state: null, updates: [] }) });
    const made = {
      kind: 'auto',
      name: null,
      created_by: random.id(),
      contributors: [],
      created_at: new Date(NOW),
    } as const;
    await insertVersion(db.sql, { id: random.id(), document_id: doc_id, rev: 1, ...made });
    await db.sql`
      INSERT INTO document_history (doc_id, audited_rev) VALUES (${doc_id}, 1)
      ON CONFLICT (doc_id) DO UPDATE SET audited_rev = 1`;
  }

  /** So many were asked for at a time that Redis had not taken. */
  let most_under_way = 0;

  /** Looks, and tells what was asked for; `shows`: what Redis says of an owner. */
  async function look(now = NOW + 300_000, shows = () => Promise.resolve(true)): Promise<string[]> {
    const asked: string[] = [];
    let taken = 0;
    const queue = (name: string) => ({
      ask({ doc_id }: { doc_id: string }) {
        asked.push(`${name} ${doc_id}`);
        most_under_way = Math.max(most_under_way, asked.length - taken);
      },
      async taken() {
        taken = await Promise.resolve(asked.length);
      },
    });
    const asks = ['snapshots', 'versions', 'audit-runs', 'compaction'].map((name) => [name, queue(name)]);
    const queues = Object.fromEntries(asks);
    await lookAtWork({ sql: db.sql, clock: new ManualClock(now), directory: { shows }, queues, pace: PACE });
    return asked.toSorted();
  }

  const marked = async (): Promise<string[]> => (await markedWork(db.sql, null, 5_000)).map(({ doc_id }) => doc_id);

  test('asks for what is due of every marked document, and for it again until it is done', async () => {
    const doc_id = await edited();
    const due = ['audit-runs', 'snapshots', 'versions'].map((queue) => `${queue} ${doc_id}`);
    expect(await look()).toEqual(due);
    expect(await look()).toEqual(due);
    await workDone(doc_id);
    expect(await look()).toEqual([]);
  });

  test('takes the mark away of a document whose work is done, and of no other', async () => {
    const [done, undone, held] = [await edited(), await edited(), await edited()];
    await workDone(done);
    await workDone(held);
    await claimHead(db.sql, held, 1, NODE, random.id());
    await look();
    expect(await marked()).toEqual([undone, held].toSorted());
    await claimHead(db.sql, done, 1, NODE, random.id());
    expect(await marked()).toContain(done);
  });

  test('does not take a mark away that was made again since it was seen', async () => {
    const doc_id = await edited();
    const seen = await markedWork(db.sql, null, 10);
    const claim_id = random.id();
    await claimHead(db.sql, doc_id, 1, NODE, claim_id);
    await releaseHead(db.sql, doc_id, claim_id);
    await unmark(db.sql, seen);
    expect(await marked()).toEqual([doc_id]);
    await unmark(db.sql, await markedWork(db.sql, null, 10));
    expect(await marked()).toEqual([]);
  });

  test('waits for a claim that is under way, and then leaves its mark alone', async () => {
    const doc_id = await edited();
    const seen = await markedWork(db.sql, null, 10);
    let unmarking: Promise<void> | null = null;
    await db.sql.begin(async (sql) => {
      await claimHead(sql, doc_id, 1, NODE, random.id());
      unmarking = unmark(db.sql, seen);
    });
    await unmarking;
    expect(await marked()).toEqual([doc_id]);
  });

  test('audits deleted documents and forgets them, with all that is left to do, until they are brought back', async () => {
    const doc_id = await edited();
    await setDeleted(db.sql, doc_id, true, new Date(NOW));
    expect(await look()).toEqual([`audit-runs ${doc_id}`]);
    expect(await marked()).toEqual([doc_id]);
    await db.sql`INSERT INTO document_history (doc_id, audited_rev) VALUES (${doc_id}, 1)`;
    await look();
    expect(await marked()).toEqual([]);
    await setDeleted(db.sql, doc_id, false, new Date(NOW));
    expect(await look()).toEqual([`snapshots ${doc_id}`, `versions ${doc_id}`]);
  });

  test('frees what a node that is gone left behind, once it has been still for ten minutes; never while Redis cannot say', async () => {
    const doc_id = await edited();
    await workDone(doc_id);
    await claimHead(db.sql, doc_id, 1, NODE, random.id());
    const claimed_at = systemClock.now();
    const owner = async () => (await readHead(db.sql, doc_id))?.owner;
    const gone = () => Promise.resolve(false);
    await look(claimed_at + 590_000, gone);
    await look(claimed_at + 610_000);
    await look(claimed_at + 610_000, () => Promise.reject(new Error('Redis is away')));
    expect(await owner()).toEqual(NODE);
    await look(claimed_at + 610_000, gone);
    expect(await readHead(db.sql, doc_id)).toEqual({ epoch: 3, head_rev: 1, owner: null });
    expect(await marked()).toEqual([doc_id]);
    await look(claimed_at + 610_000, gone);
    expect(await marked()).toEqual([]);
  });

  test('reaches every marked document, however many there are', async () => {
    const [user] = await db.sql<{ owner_id: string }[]>`SELECT owner_id FROM documents LIMIT 1`;
    await db.sql`
      WITH made AS (
        INSERT INTO documents (id, title, owner_id) SELECT gen_random_uuid(), 'x', ${user?.owner_id ?? ''}
        FROM generate_series(1, 2345) RETURNING id
      ), heads AS (INSERT INTO document_heads (doc_id, head_rev) SELECT id, 1 FROM made)
      INSERT INTO document_work (doc_id, touched_at) SELECT id, now() FROM made`;
    expect(await look()).toHaveLength(3 * 2_345);
    // A page of documents: what was asked for is kept in memory until Redis has taken it.
    expect(most_under_way).toBe(3 * 1_000);
  });
});
