/**
 * Owners that fight for the same documents, under load, while their connections are being cut: what was acknowledged is
 * there, once, as it was handed over; no journal has a gap. The same seed makes the same choices, though PostgreSQL
 * decides who wins.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { journalFaults, seedDocuments } from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { JournalRig, type TestLedger } from '../../test/support/journal.ts';
import { systemClock } from '../base/clock.ts';
import { seededRandom } from '../base/random.ts';

const RIVALS = 4;
const DOCUMENTS = 20;
const ROUNDS = 300;
/** Every so many rounds a rival's connections are cut. */
const CUT_EVERY = 60;

let db: TestDatabase;
beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db.drop());

interface Kept {
  readonly ledger: TestLedger;
  /** `client seq` of what was handed over, by revision. */
  readonly handed: Map<number, string>;
}

class Rival {
  readonly rig: JournalRig;
  readonly acked: string[] = [];
  fences = 0;
  readonly #held = new Map<string, Kept>();

  constructor(seed: number) {
    this.rig = new JournalRig(db.sql, db.url, systemClock, seed);
  }

  async round(doc_ids: readonly string[], round: number): Promise<void> {
    const { random } = this.rig;
    const doc_id = doc_ids[random.uint32() % doc_ids.length] ?? '';
    // Taking a document over drops the memory of who had it, as the statechart does on FENCED.
    if (!this.#held.has(doc_id) || random.float() < 0.02) await this.#claim(doc_id);
    for (const kept of this.#held.values()) if (random.float() < 0.5) this.#append(kept, 1 + (random.uint32() % 4));
    if (round % CUT_EVERY === CUT_EVERY - 1)
      await db.sql`
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ${this.rig.application_name}`;
    await new Promise<void>((resolve) => systemClock.endOfTurn(resolve));
  }

  async end(): Promise<void> {
    await Promise.all([...this.#held.values()].map(({ ledger }) => ledger.ledger.settled().catch(() => {})));
    await this.rig.pool.close();
  }

  async #claim(doc_id: string): Promise<void> {
    this.#held.get(doc_id)?.ledger.ledger.close();
    this.#held.delete(doc_id);
    const ledger = await this.rig.claim(doc_id);
    if (ledger === null) return;
    const kept: Kept = { ledger, handed: new Map() };
    this.#held.set(doc_id, kept);
    ledger.heard.onCommit = (rev) => {
      for (const [handed, edit] of kept.handed) {
        if (handed > rev) continue;
        this.acked.push(edit);
        kept.handed.delete(handed);
      }
    };
    ledger.heard.fenced = () => {
      this.fences += 1;
      if (this.#held.get(doc_id) === kept) this.#held.delete(doc_id);
    };
  }

  #append({ ledger, handed }: Kept, count: number): void {
    for (let i = 0; i < count; i++) {
      const rev = ledger.append(1);
      handed.set(rev, `${ledger.doc_id} ${ledger.client_id} ${rev}`);
    }
  }
}

test('rival owners under load, with their connections cut: nothing acknowledged is lost, nothing is twice, no gap', async () => {
  const { doc_ids } = await seedDocuments(db.sql, DOCUMENTS);
  const rivals = Array.from({ length: RIVALS }, (_, n) => new Rival(300 + n));
  const chance = seededRandom(399);
  await Promise.all(
    rivals.map(async (rival) => {
      for (let round = 0; round < ROUNDS; round++) {
        await rival.round(doc_ids, round);
        if (chance.float() < 0.1) await new Promise<void>((resolve) => systemClock.endOfTurn(resolve));
      }
    }),
  );
  await Promise.all(rivals.map((rival) => rival.end()));

  const acked = rivals.flatMap((rival) => rival.acked);
  expect(acked.length).toBeGreaterThan(1_000);
  expect(rivals.reduce((sum, rival) => sum + rival.fences, 0)).toBeGreaterThan(20);
  expect(rivals.flatMap((rival) => rival.rig.flushes).some(([, outcome]) => outcome === 'unknown')).toBe(true);
  expect(new Set(acked).size).toBe(acked.length);

  const rows = await db.sql<{ doc_id: string; client_id: string; rev: number; epoch: number }[]>`
    SELECT doc_id, client_id, rev, epoch FROM document_updates ORDER BY doc_id, rev`;
  const there = new Set(rows.map((row) => `${row.doc_id} ${row.client_id} ${row.rev}`));
  expect(acked.filter((edit) => !there.has(edit))).toEqual([]);
  expect(await journalFaults(db.sql)).toEqual([]);
  const epochs = new Map<string, number>();
  for (const { doc_id, epoch } of rows) {
    expect(epoch).toBeGreaterThanOrEqual(epochs.get(doc_id) ?? 0);
    epochs.set(doc_id, epoch);
  }
  for (const { rig } of rivals) expect([rig.journal.backlog().revs, rig.journal.backlog_bytes]).toEqual([0, 0]);
});
