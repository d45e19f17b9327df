import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { seedDocument } from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { ManualClock } from '../base/clock.ts';
import { seededRandom, systemRandom } from '../base/random.ts';
import type { VersionPace } from '../domain/auto-versions.ts';
import { insertFirstRevision } from '../store/documents.ts';
import { claimHead } from '../store/heads.ts';
import { appendUpdates } from '../store/updates.ts';
import { insertVersion, listVersions } from '../store/versions.ts';
import { makeSnapshot } from './make-snapshot.ts';
import { keepVersions } from './versions.ts';

const random = seededRandom(4_100);
const START = Date.UTC(2026, 2, 1);
const MINUTE = 60_000;
const PACE: VersionPace = { pause_ms: 5 * MINUTE, edits: 500 };
const [ADA, BEN] = [random.id(), random.id()];

let db: TestDatabase;
beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db.drop());

/** A document whose journal is written by hand, and the time at which the job looks. */
class Kept {
  readonly clock = new ManualClock(START);
  #rev = 0;

  private constructor(readonly doc_id: string) {}

  static async new(): Promise<Kept> {
    const { doc_id } = await seedDocument(db.sql);
    await claimHead(db.sql, doc_id, 0, { node_id: 'n', boot_id: 'b' }, random.id());
    return new Kept(doc_id);
  }

  /** Journals edits of this author, all of this moment. */
  async edit(user_id: string, count = 1): Promise<void> {
    const at = this.clock.now();
    const rows = Array.from({ length: count }, (_, i) => ({
      ...{ rev: this.#rev + 1 + i, user_id, client_id: random.id(), seq: null, at },
      ...{ update: Uint8Array.of(0, 0), delta: '[]' },
    }));
    await appendUpdates(db.sql, [{ doc_id: this.doc_id, epoch: 1, head_rev: this.#rev, rows }]);
    this.#rev += count;
  }

  keep(pace = PACE): Promise<void> {
    return keepVersions({ sql: db.sql, clock: this.clock, random: systemRandom }, pace, this.doc_id);
  }

  /** Oldest first. */
  async versions() {
    return (await listVersions(db.sql, this.doc_id, null, 1_000)).toReversed();
  }

  async revs(): Promise<number[]> {
    return (await this.versions()).map(({ rev }) => rev);
  }
}

describe('the job', () => {
  test('keeps a version when a document has been still, and tells of it', async () => {
    const doc = await Kept.new();
    await doc.edit(ADA, 2);
    await doc.edit(BEN);
    doc.clock.advance(5 * MINUTE - 1);
    await doc.keep();
    expect(await doc.versions()).toEqual([]);
    doc.clock.advance(1);
    await doc.keep();
    expect(await doc.versions()).toMatchObject([
      {
        document_id: doc.doc_id,
        ...{ rev: 3, kind: 'auto', name: null, created_by: BEN, contributors: [ADA, BEN] },
        created_at: new Date(START + 5 * MINUTE),
      },
    ]);
  });

  test('done again, at once or side by side, keeps nothing twice', async () => {
    const doc = await Kept.new();
    await doc.edit(ADA, 1_234);
    doc.clock.advance(6 * MINUTE);
    await Promise.all(Array.from({ length: 6 }, () => doc.keep()));
    await doc.keep();
    expect(await doc.revs()).toEqual([500, 1_000, 1_234]);
    await doc.edit(BEN);
    doc.clock.advance(6 * MINUTE);
    await doc.keep();
    expect((await doc.versions()).at(-1)).toMatchObject({ rev: 1_235, contributors: [BEN] });
  });

  test('that comes late keeps what it would have kept in time', async () => {
    const doc = await Kept.new();
    for (const [author, pause] of [
      [ADA, 6],
      [BEN, 1],
      [ADA, 9],
      [BEN, 0],
    ] as const) {
      await doc.edit(author);
      doc.clock.advance(pause * MINUTE);
    }
    await doc.keep();
    expect(await doc.revs()).toEqual([1, 3]);
  });

  test('counts from the last version of any kind', async () => {
    const doc = await Kept.new();
    await doc.edit(ADA, 400);
    const made = {
      kind: 'named',
      name: 'Draft',
      created_by: ADA,
      contributors: [ADA],
      created_at: new Date(START),
    } as const;
    await insertVersion(db.sql, { id: systemRandom.id(), document_id: doc.doc_id, rev: 400, ...made });
    await doc.edit(BEN, 499);
    await doc.keep();
    expect(await doc.revs()).toEqual([400]);
    await doc.edit(BEN);
    await doc.keep();
    expect(await doc.revs()).toEqual([400, 900]);
  });

  test('goes through a history of any length', async () => {
    const doc = await Kept.new();
    for (let thousands = 0; thousands < 21; thousands++) await doc.edit(ADA, 1_000);
    await doc.keep({ ...PACE, edits: 10_000 });
    expect(await doc.revs()).toEqual([10_000, 20_000]);
  });

  test('keeps the first version of a document that was made with content', async () => {
    const { doc_id, user_id } = await seedDocument(db.sql);
    await db.sql`UPDATE document_heads SET head_rev = 1 WHERE doc_id = ${doc_id}`;
    const state = makeSnapshot({ state: null, updates: [] });
    const at = new Date(START);
    await insertFirstRevision(db.sql, { doc_id, user_id, client_id: random.id(), at, state, text: '' });
    const clock = new ManualClock(START + 5 * MINUTE);
    await keepVersions({ sql: db.sql, clock, random: systemRandom }, PACE, doc_id);
    expect(await listVersions(db.sql, doc_id, null, 10)).toMatchObject([{ rev: 1, created_by: user_id }]);
  });

  test('has nothing to do on a document that is empty, deleted or unknown', async () => {
    const doc = await Kept.new();
    await doc.keep();
    await doc.edit(ADA, 600);
    await db.sql`UPDATE documents SET deleted = true, deleted_at = now() WHERE id = ${doc.doc_id}`;
    await doc.keep();
    expect(await doc.versions()).toEqual([]);
    await keepVersions({ sql: db.sql, clock: doc.clock, random: systemRandom }, PACE, random.id());
  });
});
