/**
 * What the journal does when storage breaks off in the middle of a sentence. A flush without an answer may or may not have
 * taken effect, and may still take effect later; whichever it was, every revision ends up in the journal exactly once.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import {
  blockedBackends,
  first,
  journaledRevs,
  journalFaults,
  lockHeads,
  quietLog,
  seedDocument,
  seedDocuments,
} from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { JournalRig, type TestLedger } from '../../test/support/journal.ts';
import { startPostgres, type TestPostgres } from '../../test/support/postgres-server.ts';
import { TcpProxy } from '../../test/support/tcp-proxy.ts';
import { until } from '../../test/support/until.ts';
import { ManualClock, systemClock } from '../base/clock.ts';
import { TIMES } from '../protocol/limits.ts';
import { claimHead, readHead } from '../store/heads.ts';
import { migrate } from '../store/migrate.ts';
import { connectDatabase } from '../store/postgres.ts';

let db: TestDatabase;
let seed = 200;

beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db.drop());

const written = (ledger: TestLedger, rev: number) =>
  until(`revision ${rev} to be acknowledged`, () => ledger.acked >= rev);

/** Waits with the hand on the clock: retries come as it moves. */
const movingOn = (clock: ManualClock, what: string, look: () => boolean) =>
  until(what, () => {
    clock.advance(50);
    return look();
  });

describe('a connection that breaks in the middle of a statement', () => {
  let clock: ManualClock;
  let rig: JournalRig;
  beforeEach(() => {
    clock = new ManualClock();
    rig = new JournalRig(db.sql, db.url, clock, seed++);
  });
  afterEach(async () => {
    await rig.pool.close();
    expect(await journalFaults(db.sql)).toEqual([]);
    expect([rig.journal.backlog().revs, rig.journal.backlog_bytes]).toEqual([0, 0]);
  });

  test('the statement was lost with it: the journal claims again and writes everything once, under the new epoch', async () => {
    const { doc_ids } = await seedDocuments(db.sql, 4);
    const ledgers = await Promise.all(doc_ids.map((doc_id) => rig.open(doc_id)));
    const [held] = ledgers as [TestLedger];
    const lock = await lockHeads(db.url, [held.doc_id]);
    for (const ledger of ledgers) ledger.append(2);
    const [pid] = await blockedBackends(db.sql, rig.application_name);
    await db.sql`SELECT pg_terminate_backend(${pid ?? 0})`;
    await until('the journal to notice', () => rig.journal.away);
    expect(ledgers.map((ledger) => ledger.heard.answers)).toEqual(ledgers.map(() => [false]));
    for (const ledger of ledgers) ledger.append(1);
    clock.advance(100);
    await blockedBackends(db.sql, rig.application_name);
    expect(ledgers.map((ledger) => ledger.heard.committedTo)).toEqual(ledgers.map(() => []));
    await lock.release();
    await Promise.all(ledgers.map((ledger) => written(ledger, 3)));
    for (const ledger of ledgers) {
      expect(await journaledRevs(db.sql, ledger.doc_id)).toEqual([1, 2, 3].map((rev) => [rev, 2]));
      expect(ledger.ledger.epoch).toBe(2);
      expect(ledger.heard.committedTo.map(([, epoch]) => epoch)).toEqual(ledger.heard.committedTo.map(() => 2));
      expect(ledger.heard).toMatchObject({ answers: [false, true], fences: 0, errors: [] });
    }
    expect(rig.flushes.map(([, outcome]) => outcome)).toEqual(['unknown', 'committed']);
  });

  test('somebody else took one of the documents meanwhile: that one is fenced, the others are written', async () => {
    const [lost, kept] = [
      await rig.open((await seedDocument(db.sql)).doc_id),
      await rig.open((await seedDocument(db.sql)).doc_id),
    ];
    const lock = await lockHeads(db.url, [lost.doc_id, kept.doc_id]);
    for (const ledger of [lost, kept]) ledger.append(2);
    const [pid] = await blockedBackends(db.sql, rig.application_name);
    await db.sql`SELECT pg_terminate_backend(${pid ?? 0})`;
    await until('the journal to notice', () => rig.journal.away);
    await lock.release();
    await claimHead(db.sql, lost.doc_id, 1, { node_id: 'rival', boot_id: 'r' }, rig.random.id());
    const refused = lost.ledger.settled().then(() => 'resolved', String);
    clock.advance(100);
    await written(kept, 2);
    expect(await refused).toContain('owned by another node');
    expect(lost.heard).toMatchObject({ committedTo: [], fences: 1 });
    expect(await journaledRevs(db.sql, lost.doc_id)).toEqual([]);
  });

  test('a document that was closed meanwhile is not claimed again', async () => {
    const [closed, kept] = [
      await rig.open((await seedDocument(db.sql)).doc_id),
      await rig.open((await seedDocument(db.sql)).doc_id),
    ];
    const lock = await lockHeads(db.url, [closed.doc_id]);
    for (const ledger of [closed, kept]) ledger.append(1);
    const [pid] = await blockedBackends(db.sql, rig.application_name);
    await db.sql`SELECT pg_terminate_backend(${pid ?? 0})`;
    await until('the journal to notice', () => rig.journal.away);
    closed.ledger.close();
    await lock.release();
    clock.advance(100);
    await written(kept, 1);
    const epochs = await db.sql<{ epoch: number }[]>`
      SELECT epoch FROM document_heads WHERE doc_id = ANY(${[closed.doc_id, kept.doc_id]}::uuid[]) ORDER BY epoch`;
    expect(epochs.map((row) => row.epoch)).toEqual([1, 2]);
    expect(closed.heard).toMatchObject({ committedTo: [], fences: 0, answers: [false] });
  });

  test('documents that were not part of the statement wait for storage, are told of it, and keep their epoch', async () => {
    const [broken, other] = [
      await rig.open((await seedDocument(db.sql)).doc_id),
      await rig.open((await seedDocument(db.sql)).doc_id),
    ];
    const lock = await lockHeads(db.url, [broken.doc_id]);
    broken.append(1);
    const [pid] = await blockedBackends(db.sql, rig.application_name);
    await db.sql`SELECT pg_terminate_backend(${pid ?? 0})`;
    await until('the journal to notice', () => rig.journal.away);
    other.append(1);
    clock.advance(99);
    expect(rig.flushes).toEqual([[1, 'unknown']]);
    await lock.release();
    clock.advance(1);
    await Promise.all([written(broken, 1), written(other, 1)]);
    expect(rig.journal.away).toBe(false);
    expect(await journaledRevs(db.sql, broken.doc_id)).toEqual([[1, 2]]);
    expect(await journaledRevs(db.sql, other.doc_id)).toEqual([[1, 1]]);
    expect(other.heard.answers).toEqual([false, true]);
  });
});

describe('an answer that does not come', () => {
  let clock: ManualClock;
  let proxy: TcpProxy;
  let rig: JournalRig;
  beforeEach(() => {
    clock = new ManualClock();
    const target = new URL(db.url);
    proxy = new TcpProxy({ hostname: target.hostname, port: Number(target.port) });
    const through = new URL(db.url);
    through.hostname = '127.0.0.1';
    through.port = String(proxy.port);
    rig = new JournalRig(db.sql, through.href, clock, seed++);
  });
  afterEach(async () => {
    await rig.pool.close();
    proxy.close();
    expect(await journalFaults(db.sql)).toEqual([]);
    expect([rig.journal.backlog().revs, rig.journal.backlog_bytes]).toEqual([0, 0]);
  });

  /** A document that has committed once, so that the connection is warm. */
  async function warm(): Promise<TestLedger> {
    const ledger = await rig.open((await seedDocument(db.sql)).doc_id);
    ledger.append(1);
    await written(ledger, 1);
    return ledger;
  }

  test('the statement had taken effect and only the answer was lost: nothing is written twice', async () => {
    const ledger = await warm();
    proxy.loseAnswers();
    ledger.append(2);
    await until('the rows to be there', async () => (await journaledRevs(db.sql, ledger.doc_id)).length === 3);
    expect(ledger.acked).toBe(1);
    ledger.append(1);
    proxy.cut();
    await until('the journal to notice', () => rig.journal.away);
    clock.advance(100);
    await written(ledger, 4);
    expect(ledger.heard.committedTo).toEqual([
      [1, 1],
      [3, 2],
      [4, 2],
    ]);
    expect(await journaledRevs(db.sql, ledger.doc_id)).toEqual([
      [1, 1],
      [2, 1],
      [3, 1],
      [4, 2],
    ]);
  });

  test(`after ${TIMES.flush_timeout_ms} ms of silence, not before, the connections are dropped and the journal claims again`, async () => {
    const ledger = await warm();
    proxy.loseAnswers();
    ledger.append(1);
    await until('the row to be there', async () => (await journaledRevs(db.sql, ledger.doc_id)).length === 2);
    clock.advance(TIMES.flush_timeout_ms - 1);
    await Promise.resolve();
    expect(rig.journal.away).toBe(false);
    const pool = rig.pool.current();
    clock.advance(1);
    await until('the journal to notice', () => rig.journal.away);
    expect(rig.pool.current()).not.toBe(pool);
    proxy.cut();
    await movingOn(clock, 'the row to be acknowledged', () => ledger.acked === 2);
    expect(await journaledRevs(db.sql, ledger.doc_id)).toEqual([
      [1, 1],
      [2, 1],
    ]);
  });

  test('a statement that arrives after the journal claimed again changes nothing', async () => {
    const ledger = await warm();
    proxy.hold(ledger.doc_id);
    ledger.append(2);
    await until('the statement to be held back', () => proxy.held === 1);
    proxy.pass();
    clock.advance(TIMES.flush_timeout_ms);
    await until('the journal to notice', () => rig.journal.away);
    clock.advance(100);
    await written(ledger, 3);
    ledger.append(1);
    await written(ledger, 4);
    proxy.deliver();
    await until('the late statement to be answered', () => proxy.answered === 1);
    expect(await journaledRevs(db.sql, ledger.doc_id)).toEqual([
      [1, 1],
      [2, 2],
      [3, 2],
      [4, 2],
    ]);
    ledger.append(1);
    await written(ledger, 5);
    expect(ledger.heard.fences).toBe(0);
  });

  test('a statement that waits for a row when it is given up, and takes effect then, is counted once', async () => {
    const ledger = await warm();
    const lock = await lockHeads(db.url, [ledger.doc_id]);
    ledger.append(2);
    await blockedBackends(db.sql, rig.application_name, 1);
    clock.advance(TIMES.flush_timeout_ms);
    await until('the journal to notice', () => rig.journal.away);
    clock.advance(100);
    await blockedBackends(db.sql, rig.application_name, 2);
    await lock.release();
    await written(ledger, 3);
    expect(await journaledRevs(db.sql, ledger.doc_id)).toEqual([
      [1, 1],
      [2, 1],
      [3, 1],
    ]);
    expect(ledger.heard.committedTo).toEqual([
      [1, 1],
      [3, 2],
    ]);
  });

  test('a claim of its own that was given up and arrives late does not fence the document from itself', async () => {
    const ledger = await warm();
    proxy.hold(ledger.doc_id);
    ledger.append(1);
    await until('the append to be held back', () => proxy.held === 1);
    proxy.hold(ledger.ledger.claim_id);
    clock.advance(TIMES.flush_timeout_ms);
    await until('the journal to notice', () => rig.journal.away);
    clock.advance(100);
    await until('the claim to be held back', () => proxy.held === 2);
    proxy.pass();
    clock.advance(TIMES.flush_timeout_ms);
    await movingOn(clock, 'the row to be acknowledged', () => ledger.acked === 2);
    proxy.deliver();
    await until('both late statements to be answered', () => proxy.answered === 2);
    expect((await readHead(db.sql, ledger.doc_id))?.epoch).toBe(3);
    ledger.append(1);
    await movingOn(clock, 'the next row to be settled', () => ledger.acked === 3 || ledger.heard.fences > 0);
    expect(ledger.heard.fences).toBe(0);
    expect((await journaledRevs(db.sql, ledger.doc_id)).map(([rev]) => rev)).toEqual([1, 2, 3]);
  });
});

describe('a server that is gone', () => {
  let postgres: TestPostgres;
  beforeAll(async () => {
    postgres = await startPostgres();
    const sql = connectDatabase(postgres.url, { connections_max: 1, application_name: 'migrate' });
    await migrate(sql);
    await sql.end();
  });
  afterAll(() => postgres.destroy());

  const faults: [string, () => Promise<void>][] = [
    ['stopped and started', () => postgres.stop()],
    ['killed and started', () => postgres.kill9()],
  ];
  for (const [how, end] of faults)
    test(`${how}: edits wait, in order, and all are written when it is back`, async () => {
      const sql = connectDatabase(postgres.url, { connections_max: 4, application_name: 'test' });
      const rig = new JournalRig(sql, postgres.url, systemClock, seed++, quietLog);
      const { doc_ids } = await seedDocuments(sql, 20);
      const ledgers = await Promise.all(doc_ids.map((doc_id) => rig.open(doc_id)));
      for (const ledger of ledgers) ledger.append(2);
      await Promise.all(ledgers.map((ledger) => ledger.ledger.settled()));
      for (const ledger of ledgers) ledger.append(3); // on their way while it ends
      await end();
      for (const ledger of ledgers) ledger.append(5);
      await until('the journal to notice', () => rig.journal.away);
      const acked = ledgers.map((ledger) => ledger.acked);
      for (const rev of acked) expect([2, 5]).toContain(rev);
      expect(rig.journal.backlog().revs).toBe(acked.reduce((sum, rev) => sum + 10 - rev, 0));
      await postgres.start();
      await Promise.all(ledgers.map((ledger) => written(ledger, 10)));
      for (const ledger of ledgers) {
        expect(ledger.heard).toMatchObject({ answers: [false, true], fences: 0, errors: [] });
        const revs = ledger.heard.committedTo.map(([rev]) => rev);
        expect(revs).toEqual(revs.toSorted((a, b) => a - b));
      }
      expect(await journalFaults(sql)).toEqual([]);
      expect([rig.journal.away, rig.journal.backlog().revs, rig.journal.backlog_bytes]).toEqual([false, 0, 0]);
      expect(new Set(ledgers.map((ledger) => ledger.ledger.backlog_bytes))).toEqual(new Set([0]));
      await rig.pool.close();
      await sql.end({ timeout: 1 });
    });

  test('hung with its connections open: edits wait, and all are written when it goes on', async () => {
    const clock = new ManualClock();
    const sql = connectDatabase(postgres.url, { connections_max: 1, application_name: 'test' });
    const rig = new JournalRig(sql, postgres.url, clock, seed++, quietLog);
    const ledger = await rig.open((await seedDocument(sql)).doc_id);
    ledger.append(1);
    await written(ledger, 1);
    postgres.pause();
    ledger.append(2);
    await Promise.resolve();
    clock.advance(TIMES.flush_timeout_ms);
    await until('the journal to notice', () => rig.journal.away);
    ledger.append(2);
    clock.advance(100);
    clock.advance(TIMES.flush_timeout_ms);
    await Promise.resolve();
    expect(ledger.acked).toBe(1);
    postgres.resume();
    await movingOn(clock, 'everything to be acknowledged', () => ledger.acked === 5);
    expect(ledger.heard).toMatchObject({ answers: [false, true], fences: 0 });
    expect((await journaledRevs(sql, ledger.doc_id)).map(([rev]) => rev)).toEqual([1, 2, 3, 4, 5]);
    expect(first(await journaledRevs(sql, ledger.doc_id))).toEqual([1, 1]);
    await rig.pool.close();
    await sql.end({ timeout: 1 });
  });
});
