import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import {
  blockedBackends,
  first,
  journaledRevs,
  journalFaults,
  lockHeads,
  quietLog,
  readableLog,
  seedDocument,
  seedDocuments,
} from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { JournalRig, type TestLedger } from '../../test/support/journal.ts';
import { until } from '../../test/support/until.ts';
import { ManualClock } from '../base/clock.ts';
import { LIMITS } from '../protocol/limits.ts';
import { claimHead, readHead } from '../store/heads.ts';
import { sqlState } from '../store/postgres.ts';

let db: TestDatabase;
let clock: ManualClock;
let rig: JournalRig;
let seed = 100;

beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db.drop());
beforeEach(() => {
  clock = new ManualClock();
  rig = new JournalRig(db.sql, db.url, clock, seed++, quietLog);
});
afterEach(async () => {
  await rig.pool.close();
  expect(await journalFaults(db.sql)).toEqual([]);
});

async function open(): Promise<TestLedger> {
  return rig.open((await seedDocument(db.sql)).doc_id);
}

async function openMany(count: number): Promise<TestLedger[]> {
  const { doc_ids } = await seedDocuments(db.sql, count);
  return Promise.all(doc_ids.map((doc_id) => rig.open(doc_id)));
}

const written = (ledger: TestLedger, rev: number) =>
  until(`revision ${rev} to be acknowledged`, () => ledger.acked >= rev);

/** Why a promise was rejected; to be asked before it is. */
const refusal = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'resolved', String);

const emptied = { revs: 0, oldest_ms: 0 };

describe('an acknowledgement', () => {
  test('names the revision and the epoch, and comes once for what was committed together', async () => {
    const ledger = await open();
    ledger.append(3);
    expect(ledger.ledger.durable_rev).toBe(0);
    await written(ledger, 3);
    expect(ledger.heard.committedTo).toEqual([[3, 1]]);
    expect(ledger.ledger.durable_rev).toBe(3);
    expect(await journaledRevs(db.sql, ledger.doc_id)).toEqual([
      [1, 1],
      [2, 1],
      [3, 1],
    ]);
  });

  test('does not leave before the commit: while another connection holds the row, nothing is acknowledged', async () => {
    const [held, free] = [await open(), await open()];
    const lock = await lockHeads(db.url, [held.doc_id]);
    held.append(2);
    free.append(1); // shares the statement, so it is not committed either
    let settled = false;
    const settling = held.ledger.settled().then(() => {
      settled = true;
    });
    await blockedBackends(db.sql, rig.application_name);
    held.append(1);
    expect(await journaledRevs(db.sql, held.doc_id)).toEqual([]);
    expect([held.heard.committedTo, free.heard.committedTo, settled]).toEqual([[], [], false]);
    expect([held.ledger.durable_rev, held.ledger.backlog_revs, rig.latencies]).toEqual([0, 3, []]);
    await lock.release();
    await written(held, 3);
    await settling;
    expect(first(held.heard.committedTo)).toEqual([2, 1]);
    expect(free.heard.committedTo).toEqual([[1, 1]]);
  });

  test('is true at the moment it is given: another connection already sees the rows', async () => {
    const ledgers = await openMany(5);
    const looks: Promise<[acked: number, seen: number]>[] = [];
    for (const ledger of ledgers)
      ledger.heard.onCommit = (rev) => {
        looks.push(readHead(db.sql, ledger.doc_id).then((head) => [rev, head?.head_rev ?? -1]));
      };
    for (let round = 0; round < 20; round++) {
      for (const ledger of ledgers) ledger.append(1 + (rig.random.uint32() % 3));
      await until('some revision to be acknowledged', () => looks.length > round);
    }
    await Promise.all(ledgers.map((ledger) => ledger.ledger.settled()));
    for (const [acked, seen] of await Promise.all(looks)) expect(seen).toBeGreaterThanOrEqual(acked);
  });

  test('of every revision is measured from the hand-over', async () => {
    const ledger = await open();
    const lock = await lockHeads(db.url, [ledger.doc_id]);
    ledger.append(1);
    await blockedBackends(db.sql, rig.application_name);
    clock.advance(30);
    ledger.append(1);
    clock.advance(12);
    await lock.release();
    await written(ledger, 2);
    expect(rig.latencies).toEqual([42, 12]);
  });
});

describe('group commit', () => {
  test('what many documents hand over in one turn is one statement', async () => {
    const ledgers = await openMany(50);
    for (const [i, ledger] of ledgers.entries()) ledger.append((i % 3) + 1);
    await Promise.all(ledgers.map((ledger) => ledger.ledger.settled()));
    expect(rig.flushes).toEqual([[99, 'committed']]);
  });

  test('what is handed over while a statement is on its way leaves together when that returns', async () => {
    const ledgers = await openMany(30);
    const lock = await lockHeads(db.url, [first(ledgers).doc_id]);
    first(ledgers).append(1);
    await blockedBackends(db.sql, rig.application_name);
    for (let round = 0; round < 4; round++) {
      for (const ledger of ledgers) ledger.append(1);
      await Promise.resolve();
    }
    await lock.release();
    await Promise.all(ledgers.map((ledger) => ledger.ledger.settled()));
    expect(rig.flushes).toEqual([
      [1, 'committed'],
      [120, 'committed'],
    ]);
  });

  test(`takes ${LIMITS.flush_rows_max} rows, and one more only with the next statement`, async () => {
    const [exact, over] = [await open(), await open()];
    exact.append(LIMITS.flush_rows_max);
    await exact.ledger.settled();
    over.append(LIMITS.flush_rows_max + 1);
    await over.ledger.settled();
    expect(rig.flushes).toEqual([
      [LIMITS.flush_rows_max, 'committed'],
      [LIMITS.flush_rows_max, 'committed'],
      [1, 'committed'],
    ]);
    expect(over.heard.committedTo).toEqual([
      [LIMITS.flush_rows_max, 1],
      [LIMITS.flush_rows_max + 1, 1],
    ]);
  });

  test(`takes no further row once it holds ${LIMITS.flush_bytes_max} bytes`, async () => {
    const ledger = await open();
    const half = new Uint8Array(LIMITS.flush_bytes_max / 2);
    for (let i = 0; i < 3; i++) ledger.append(1, { update: half, delta: '' });
    await ledger.ledger.settled();
    expect(rig.flushes).toEqual([
      [2, 'committed'],
      [1, 'committed'],
    ]);
  });

  test('a document that always has a full batch waiting does not keep the others from the disk', async () => {
    const [busy, quiet] = [await open(), await open()];
    let rounds = 0;
    busy.heard.onCommit = () => {
      rounds += 1;
      if (rounds < 8) busy.append(LIMITS.flush_rows_max, { update: Uint8Array.of(0, 0) });
    };
    const lock = await lockHeads(db.url, [busy.doc_id]);
    busy.append(LIMITS.flush_rows_max, { update: Uint8Array.of(0, 0) });
    await blockedBackends(db.sql, rig.application_name);
    busy.append(LIMITS.flush_rows_max, { update: Uint8Array.of(0, 0) });
    quiet.append(1);
    await lock.release();
    await written(quiet, 1);
    expect(rounds).toBeLessThanOrEqual(3);
    await busy.ledger.settled();
  });
});

describe('the fence', () => {
  test('a document that was claimed by another leaves no row, its loser is told once, and the others are written', async () => {
    const [lost, well] = [await open(), await open()];
    await claimHead(db.sql, lost.doc_id, 1, { node_id: 'rival', boot_id: 'r' }, rig.random.id());
    lost.append(2);
    well.append(2);
    const refused = refusal(lost.ledger.settled());
    await written(well, 2);
    expect(await refused).toContain('owned by another node');
    expect(lost.heard.fences).toBe(1);
    expect(lost.heard.committedTo).toEqual([]);
    expect(await journaledRevs(db.sql, lost.doc_id)).toEqual([]);
    expect(rig.journal.backlog()).toEqual(emptied);
    expect([lost.ledger.backlog_revs, lost.ledger.backlog_bytes, rig.journal.backlog_bytes]).toEqual([0, 0, 0]);
    lost.append(1);
    expect(lost.ledger.backlog_revs).toBe(0);
    well.append(1);
    await written(well, 3);
    expect(lost.heard.fences).toBe(1);
  });

  test('a claim that comes while the append waits for the row wins when it was there first', async () => {
    const ledger = await open();
    const lock = await lockHeads(db.url, [ledger.doc_id]);
    const claiming = claimHead(db.sql, ledger.doc_id, 1, { node_id: 'rival', boot_id: 'r' }, rig.random.id());
    await blockedBackends(db.sql, 'test');
    ledger.append(1);
    await blockedBackends(db.sql, rig.application_name);
    await lock.release();
    expect(await claiming).toEqual({ epoch: 2, head_rev: 0 });
    await until('the loser to be told', () => ledger.heard.fences === 1);
    expect(ledger.heard.committedTo).toEqual([]);
  });
});

describe('one bad document never fails the others', () => {
  test('a revision that PostgreSQL refuses takes its own document out of service and nothing else', async () => {
    const ledgers = await openMany(6);
    const [twice, nul] = ledgers as [TestLedger, TestLedger];
    twice.append(1, { seq: 7 });
    await twice.ledger.settled();
    rig.flushes.length = 0;
    twice.append(1, { seq: 7 });
    nul.append(1, { delta: 'a\0b' });
    for (const ledger of ledgers) ledger.append(2);
    const outcomes = await Promise.allSettled(ledgers.map((ledger) => ledger.ledger.settled()));
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', ...Array(4).fill('fulfilled')]);
    expect(twice.heard.errors.map(sqlState)).toEqual(['23505']);
    expect(nul.heard.errors.map(sqlState)).toEqual(['22P05']);
    for (const ledger of ledgers.slice(2)) {
      expect(ledger.heard.errors).toEqual([]);
      expect(ledger.heard.committedTo).toEqual([[2, 1]]);
    }
    expect(await journaledRevs(db.sql, twice.doc_id)).toEqual([[1, 1]]);
    expect(await journaledRevs(db.sql, nul.doc_id)).toEqual([]);
    expect(rig.flushes[0]).toEqual([14, 'refused']);
    expect(rig.journal.backlog()).toEqual(emptied);
    expect(rig.journal.backlog_bytes).toBe(0);
  });

  test('a document that is refused alone is taken out of service, and the journal goes on', async () => {
    const bad = await open();
    bad.append(1, { user_id: 'not a uuid' });
    await until('it to be out of service', () => bad.heard.errors.length === 1);
    expect(bad.ledger.backlog_revs).toBe(0);
    const good = await open();
    good.append(1);
    await written(good, 1);
  });

  test('what else was handed over for the good ones meanwhile is written too', async () => {
    const [bad, good] = [await open(), await open()];
    const lock = await lockHeads(db.url, [good.doc_id]);
    bad.append(1, { delta: '\0' });
    good.append(1);
    await blockedBackends(db.sql, rig.application_name);
    good.append(4);
    await lock.release();
    await written(good, 5);
    expect(bad.heard.errors).toHaveLength(1);
    expect(good.heard.fences).toBe(0);
  });

  test('a document whose listener throws keeps neither its own waiters nor the others waiting', async () => {
    const [throwing, well] = [await open(), await open()];
    throwing.heard.onCommit = () => {
      throwing.heard.onCommit = () => {};
      throw new Error('a bug above the journal');
    };
    throwing.append(1);
    well.append(1);
    await Promise.all([throwing.ledger.settled(), well.ledger.settled()]);
    expect(well.heard.committedTo).toEqual([[1, 1]]);
    well.append(1);
    await written(well, 2);
    expect(throwing.heard.errors.map(sqlState).filter((state) => state !== null)).toEqual([]);
  });

  test('a document whose listener cannot even hear that it is out of service does not stop the journal', async () => {
    const [throwing, well] = [await open(), await open()];
    const fail = (): never => {
      throw new Error('a bug above the journal');
    };
    Object.assign(throwing.heard, { committed: fail, broken: fail, fenced: fail });
    throwing.append(1);
    well.append(1);
    await written(well, 1);
    well.append(1);
    await written(well, 2);
    expect(throwing.ledger.backlog_revs).toBe(0);
  });

  test('a refusal is logged with its document, not with its text', async () => {
    const { log, lines } = readableLog();
    const noisy = new JournalRig(db.sql, db.url, clock, seed++, log);
    const bad = await noisy.open((await seedDocument(db.sql)).doc_id);
    bad.append(1, { delta: 'a secret\0 text' });
    await until('it to be out of service', () => bad.heard.errors.length === 1);
    expect(lines()).toMatchObject([{ level: 'error', doc_id: bad.doc_id }]);
    expect(JSON.stringify(lines())).not.toContain('a secret');
    await noisy.pool.close();
  });
});

describe('the backlog', () => {
  test('counts rows, bytes and the age of the oldest, and returns to nothing', async () => {
    const [one, two] = [await open(), await open()];
    expect(rig.journal.backlog()).toEqual(emptied);
    const lock = await lockHeads(db.url, [one.doc_id]);
    one.append(1, { update: new Uint8Array(10), delta: '' });
    clock.advance(100);
    two.append(2, { update: new Uint8Array(5), delta: '[12]' });
    clock.advance(20);
    expect(rig.journal.backlog()).toEqual({ revs: 3, oldest_ms: 120 });
    expect([one.ledger.backlog_bytes, two.ledger.backlog_bytes, rig.journal.backlog_bytes]).toEqual([10, 18, 28]);
    expect([one.ledger.waiting_since, two.ledger.waiting_since]).toEqual([clock.now() - 120, clock.now() - 20]);
    await lock.release();
    await Promise.all([written(one, 1), written(two, 2)]);
    expect(rig.journal.backlog()).toEqual(emptied);
    expect([one.ledger.backlog_bytes, two.ledger.backlog_bytes, rig.journal.backlog_bytes]).toEqual([0, 0, 0]);
    expect(one.ledger.waiting_since).toBeNull();
  });

  test('of a document that is closed is forgotten, and its waiters hear of it', async () => {
    const [closed, well] = [await open(), await open()];
    const lock = await lockHeads(db.url, [closed.doc_id]);
    closed.append(3);
    well.append(1);
    await blockedBackends(db.sql, rig.application_name);
    closed.append(2);
    const refused = refusal(closed.ledger.settled());
    closed.ledger.close();
    closed.ledger.close();
    expect(await refused).toContain('was closed');
    expect(rig.journal.backlog().revs).toBe(1);
    expect(rig.journal.backlog_bytes).toBe(well.ledger.backlog_bytes);
    await lock.release();
    await written(well, 1);
    // Its statement was on its way and could not be called back: it is written, and nobody is told.
    expect(closed.heard).toMatchObject({ committedTo: [], fences: 0, errors: [] });
    expect((await journaledRevs(db.sql, closed.doc_id)).length).toBe(3);
    expect(rig.journal.backlog_bytes).toBe(0);
  });

  test('settled resolves at once when nothing waits, and for every waiter when its own revisions are written', async () => {
    const ledger = await open();
    await ledger.ledger.settled();
    const lock = await lockHeads(db.url, [ledger.doc_id]);
    ledger.append(1);
    await blockedBackends(db.sql, rig.application_name);
    const order: number[] = [];
    const waiting = [1, 1, 2].map((rev, i) => {
      if (i === 2) ledger.append(1);
      return ledger.ledger.settled().then(() => order.push(rev));
    });
    await lock.release();
    await Promise.all(waiting);
    expect(order).toEqual([1, 1, 2]);
  });
});
