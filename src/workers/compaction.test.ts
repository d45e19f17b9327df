import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import Delta from 'quill-delta';
import * as Y from 'yjs';
import { journalFaults, quietLog, seedDocument, textOf } from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { until } from '../../test/support/until.ts';
import { attributionAt, diffBetween, runsBetween, stateAt, textAt } from '../actors/past/reader.ts';
import { systemClock } from '../base/clock.ts';
import { seededRandom } from '../base/random.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { claimHead, releaseHead } from '../store/heads.ts';
import { connectDatabase } from '../store/postgres.ts';
import { appendUpdates, findBySeq, lastSeq, type NewUpdate, readTail } from '../store/updates.ts';
import { COMPACTION_PACE, type CompactionPace, compactDocument, compactionDue, SEGMENTS_MAX } from './compaction.ts';
import { snapshotDocument } from './snapshots.ts';

const random = seededRandom(4_100);
const ROOT = join(import.meta.dir, '../..');
const PACE: CompactionPace = { keep: 100, segment: 50, quiet_segment: 20, checkpoint: 400 };

let db: TestDatabase;
beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db.drop());

const parts = () => ({ sql: db.sql, clock: systemClock, log: quietLog });
const compact = (doc_id: string, pace = PACE) => compactDocument(parts(), doc_id, pace);

/** A document that was typed by two people in turns, with all its texts. */
class Typed {
  readonly texts: string[] = [''];
  readonly people = [random.id(), random.id()] as const;
  readonly clients = [random.id(), random.id()] as const;
  #seqs = [0, 0];

  private constructor(readonly doc_id: string) {}

  /** `revs` revisions, snapshotted; in a third of them `chars` characters are pasted, in others one is deleted. */
  static async new(revs: number, { chars = 3 }: { chars?: number } = {}): Promise<Typed> {
    const { doc_id } = await seedDocument(db.sql);
    const typed = new Typed(doc_id);
    const claim_id = random.id();
    await claimHead(db.sql, doc_id, 0, { node_id: 'n', boot_id: 'b' }, claim_id);
    const doc = new Y.Doc();
    const text = doc.getText('content');
    let update = new Uint8Array();
    doc.on('update', (bytes: Uint8Array) => {
      update = new Uint8Array(bytes);
    });
    const rows = Array.from({ length: revs }, (_, i): NewUpdate => {
      const who = Math.floor(i / 7) % 2;
      const at = Math.floor(random.float() * (text.length + 1));
      const delta = new Delta().retain(at);
      if (i % 3 === 1 && at < text.length) {
        text.delete(at, 1);
        delta.delete(1);
      } else {
        const word = random
          .id()
          .repeat(Math.ceil(chars / 36))
          .slice(0, chars);
        text.insert(at, word);
        delta.insert(word);
      }
      typed.texts.push(text.toString());
      const seq = (typed.#seqs[who] ?? 0) + 1;
      typed.#seqs[who] = seq;
      const [user_id, client_id] = [typed.people[who] ?? '', typed.clients[who] ?? ''];
      return {
        rev: i + 1,
        user_id,
        client_id,
        seq,
        at: 1_000_000 + i * 40_000,
        update,
        delta: JSON.stringify(delta.ops),
      };
    });
    for (let i = 0; i < rows.length; i += 500)
      await appendUpdates(db.sql, [{ doc_id, epoch: 1, head_rev: i, rows: rows.slice(i, i + 500) }]);
    await releaseHead(db.sql, doc_id, claim_id);
    await snapshotDocument(db.sql, doc_id);
    return typed;
  }

  get head(): number {
    return this.texts.length - 1;
  }

  /** What of these revisions does not read as it was typed; empty when all do. */
  async faults(revs: readonly number[]): Promise<number[]> {
    const wrong: number[] = [];
    for (const rev of revs) {
      const { ops } = await textAt(db.sql, this.doc_id, rev);
      if (ops.map(({ insert }) => insert).join('') !== this.texts[rev]) wrong.push(rev);
    }
    return wrong;
  }

  some(count: number): number[] {
    return Array.from({ length: count }, () => Math.floor(random.float() * (this.head + 1)));
  }

  /** First and last revision of each segment, in order. */
  async segments(): Promise<number[][]> {
    const rows = await db.sql<{ from_rev: number; to_rev: number }[]>`
      SELECT from_rev, to_rev FROM document_segments WHERE doc_id = ${this.doc_id} ORDER BY to_rev`;
    return rows.map(({ from_rev, to_rev }) => [from_rev, to_rev]);
  }
}

/** Whether segments follow on each other from revision 1. */
function isChain(segments: readonly (readonly number[])[]): boolean {
  return segments.every(([from], i) => from === (segments[i - 1]?.[1] ?? 0) + 1);
}

describe('compaction', () => {
  test('is due once a segment lies behind the window and the snapshot, a small one when nobody has the document open', () => {
    const state = { head_rev: 3_000, snapshot_rev: 3_000, compacted_rev: 0, free: false };
    expect(compactionDue(state)).toBe(true);
    expect(compactionDue({ ...state, head_rev: 2_999 })).toBe(false);
    expect(compactionDue({ ...state, snapshot_rev: 1_999 })).toBe(false);
    expect(compactionDue({ ...state, compacted_rev: 1 })).toBe(false);
    const small = { ...state, head_rev: 1_500, free: true };
    expect(compactionDue(small)).toBe(true);
    expect(compactionDue({ ...small, head_rev: 1_499 })).toBe(false);
    expect(compactionDue({ ...small, free: false })).toBe(false);
    expect(COMPACTION_PACE.keep).toBe(1_000);
  });

  test('leaves the last revisions in the journal, packs all others, and done twice does nothing', async () => {
    const typed = await Typed.new(437);
    expect(await compact(typed.doc_id)).toBe(7);
    const segments = await typed.segments();
    expect(segments.at(-1)).toEqual([301, 337]);
    expect(isChain(segments)).toBe(true);
    expect((await readTail(db.sql, typed.doc_id, 337, 437)).length).toBe(100);
    expect(await compact(typed.doc_id)).toBe(0);
    expect(await typed.segments()).toEqual(segments);
    expect(await typed.faults(Array.from({ length: 438 }, (_, rev) => rev))).toEqual([]);
  });

  test(`packs ${SEGMENTS_MAX} segments and leaves the rest to the next time, so that other documents have theirs`, async () => {
    const { doc_id } = await Typed.new(2 * SEGMENTS_MAX + 10);
    const pace = { keep: 10, segment: 1, quiet_segment: 1, checkpoint: 400 };
    expect(await compact(doc_id, pace)).toBe(SEGMENTS_MAX);
    expect(await compact(doc_id, pace)).toBe(SEGMENTS_MAX);
    expect(await compact(doc_id, pace)).toBe(0);
  });

  test('of one document by several at once is done once', async () => {
    const typed = await Typed.new(700);
    const made = await Promise.all([compact(typed.doc_id), compact(typed.doc_id), compact(typed.doc_id)]);
    const segments = await typed.segments();
    expect(made.reduce((sum, one) => sum + one, 0)).toBe(segments.length);
    expect(isChain(segments)).toBe(true);
    expect(await typed.faults(typed.some(20))).toEqual([]);
  });

  test('is not seen by those who read meanwhile', async () => {
    const typed = await Typed.new(900);
    let done = false;
    const compacting = compact(typed.doc_id).finally(() => {
      done = true;
    });
    const wrong: number[] = [];
    let reads = 0;
    while (!done) {
      wrong.push(...(await typed.faults(typed.some(4))));
      reads += 1;
    }
    await compacting;
    expect(reads).toBeGreaterThan(1);
    expect(wrong).toEqual([]);
  });

  test('of a document that is gone does nothing', async () => {
    expect(await compact(random.id())).toBe(0);
  });

  test('keeps seqs: the last one of each client, and the revision of each', async () => {
    const typed = await Typed.new(300);
    const { doc_id, people, clients } = typed;
    const find = (who: 0 | 1, seq: number) => findBySeq(db.sql, doc_id, people[who], clients[who], seq);
    const before = [await find(0, 3), await find(1, 20), await find(0, 150)];
    const last = await lastSeq(db.sql, doc_id, people[1], clients[1]);
    await compact(doc_id);
    expect([await find(0, 3), await find(1, 20), await find(0, 150)]).toEqual(before);
    expect(before.map((row) => row?.seq)).toEqual([3, 20, 150]);
    expect(await lastSeq(db.sql, doc_id, people[1], clients[1])).toBe(last);
    expect(await find(0, 900)).toBeNull();
    expect(await findBySeq(db.sql, doc_id, people[0], clients[1], 3)).toBeNull();
    // Once nothing of a client is in the journal its last seq is still known.
    await db.sql`DELETE FROM document_updates WHERE doc_id = ${doc_id} AND client_id = ${clients[1]}`;
    const packed = await lastSeq(db.sql, doc_id, people[1], clients[1]);
    expect(packed).toBeGreaterThan(90);
    await db.sql`DELETE FROM document_updates WHERE doc_id = ${doc_id}`;
    await db.sql`UPDATE document_heads SET head_rev = 200 WHERE doc_id = ${doc_id}`;
  });

  test('notices a tail whose beginning was packed away', async () => {
    const typed = await Typed.new(300);
    await compact(typed.doc_id);
    expect(await readTail(db.sql, typed.doc_id, 10, 300).then(String, String)).toContain('no longer goes back to 10');
  });

  test('in a process that is killed at any moment leaves each revision once, and the next one goes on', async () => {
    const typed = await Typed.new(2_500);
    const code = `
      const { compactDocument } = await import('./src/workers/compaction.ts');
      const { connectDatabase } = await import('./src/store/postgres.ts');
      const { createLog } = await import('./src/base/log.ts');
      const { systemClock } = await import('./src/base/clock.ts');
      const sql = connectDatabase(process.env.DATABASE_URL, { connections_max: 3, application_name: 'victim' });
      const log = createLog({ level: 'silent', service: 'test', node_id: 'test' });
      await compactDocument({ sql, clock: systemClock, log }, '${typed.doc_id}', ${JSON.stringify(PACE)});
      await sql.end();`;
    let made = 0;
    for (let kill = 1; kill <= 4; kill++) {
      const worker = Bun.spawn([process.execPath, '-e', code], {
        cwd: ROOT,
        env: { ...process.env, DATABASE_URL: db.url },
      });
      const stop_at = made + 1 + Math.floor(random.float() * 6);
      await until(`${stop_at} segments`, async () => (await typed.segments()).length >= stop_at);
      worker.kill('SIGKILL');
      await worker.exited;
      await until('its connections to end', async () => {
        const [left] = await db.sql`SELECT FROM pg_stat_activity WHERE application_name = 'victim'`;
        return left === undefined;
      });
      const segments = await typed.segments();
      made = segments.length;
      expect(isChain(segments)).toBe(true);
      expect(await journalFaults(db.sql)).toEqual([]);
      expect(await typed.faults(typed.some(10))).toEqual([]);
    }
    expect(made).toBeLessThan(48);
    expect(await compact(typed.doc_id)).toBe(48 - made);
    expect(await typed.faults([...typed.some(40), typed.head])).toEqual([]);
  }, 30_000);
});

test('who wrote what is told by the segments where an earlier version kept it, and kept anew by the next packing', async () => {
  const typed = await Typed.new(400);
  const { doc_id, head } = typed;
  // Answers are kept by the database that they were asked of.
  const asked = async (): Promise<unknown> => {
    const sql = connectDatabase(db.url, { connections_max: 1, application_name: 'asking' });
    try {
      return JSON.parse(await textOf(await attributionAt(sql, doc_id, head)));
    } finally {
      await sql.end();
    }
  };
  const kept = async (): Promise<boolean> => {
    const [row] =
      await db.sql`SELECT get_byte(attribution, 1) = 6 AS kept FROM document_history WHERE doc_id = ${doc_id}`;
    return row?.kept;
  };
  const told = await asked();
  expect(await compact(doc_id, { ...PACE, keep: 250 })).toBe(3);
  expect([await kept(), await asked()]).toEqual([true, told]);
  // The second byte tells the form, and 5 was the one without authors.
  await db.sql`UPDATE document_history SET attribution = set_byte(attribution, 1, 5) WHERE doc_id = ${doc_id}`;
  expect([await kept(), await asked()]).toEqual([false, told]);
  expect(await compact(doc_id)).toBe(3);
  expect([await kept(), await asked()]).toEqual([true, told]);
});

describe('large questions are answered on a thread, and alike', () => {
  test('before they are packed and after', async () => {
    const typed = await Typed.new(400, { chars: 1_200 });
    const { doc_id, head, texts } = typed;
    for (let round = 0; round < 2; round++) {
      expect(await typed.faults([0, 1, 150, 300, head])).toEqual([]);
      const doc = new Y.Doc();
      Y.applyUpdate(doc, (await stateAt(db.sql, doc_id, 250)).update);
      expect(doc.getText('content').toString() === texts[250]).toBe(true);
      for (const [from, to] of [
        [30, 310],
        [310, 30],
        [head, 0],
      ] as const) {
        const { delta_json } = await diffBetween(db.sql, doc_id, from, to);
        const delta = new Delta(JSON.parse(delta_json) as DeltaOps);
        const { ops } = new Delta().insert(texts[from] ?? '').compose(delta);
        expect(ops.map(({ insert }) => insert).join('') === texts[to]).toBe(true);
      }
      const runs = JSON.parse(await textOf(await attributionAt(db.sql, doc_id, head))) as {
        length: number;
      }[];
      expect(runs.reduce((sum, { length }) => sum + length, 0)).toBe(texts[head]?.length ?? 0);
      const edits = await runsBetween(db.sql, doc_id, 0, head, 1_000);
      expect(edits.length).toBe(Math.ceil(head / 7));
      const inserted = edits.reduce((sum, run) => sum + run.inserted - run.deleted, 0);
      expect(inserted).toBe(texts[head]?.length ?? 0);
      await compact(doc_id);
    }
  });

  test('runs leave out no revision, however large they are and however few of them fit a page', async () => {
    const typed = await Typed.new(420, { chars: 40_000 });
    const runs = await runsBetween(db.sql, typed.doc_id, 0, typed.head, 1_000);
    expect(runs.length).toBe(60);
    expect([runs[0]?.to_rev, runs.at(-1)?.from_rev]).toEqual([420, 1]);
  });

  test('who wrote what is told of the revision that was asked for, or not at all once that is packed away', async () => {
    const typed = await Typed.new(300);
    await compact(typed.doc_id);
    const { code } = await attributionAt(db.sql, typed.doc_id, 60).then(
      () => ({ code: 'answered' }),
      (error) => error,
    );
    expect(code).toBe('UNAVAILABLE');
  });

  test('a damaged segment fails the questions that need it, and no others after them', async () => {
    const typed = await Typed.new(400, { chars: 400 });
    await compact(typed.doc_id);
    const [kept] = await db.sql<{ deltas: Uint8Array }[]>`
      SELECT deltas FROM document_segments WHERE doc_id = ${typed.doc_id} AND to_rev = 100`;
    await db.sql`UPDATE document_segments SET deltas = '\\x0102' WHERE doc_id = ${typed.doc_id} AND to_rev = 100`;
    expect(await textAt(db.sql, typed.doc_id, 70).then(String, String)).toContain('cannot be read');
    expect(await typed.faults([40, 100, 200])).toEqual([]);
    await db.sql`UPDATE document_segments SET deltas = ${kept?.deltas ?? ''} WHERE doc_id = ${typed.doc_id} AND to_rev = 100`;
    expect(await typed.faults([70])).toEqual([]);
  });
});
