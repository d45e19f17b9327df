import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import * as Y from 'yjs';
import { quietLog, readableLog, seedDocument } from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import { until } from '../../test/support/until.ts';
import { ManualClock, systemClock } from '../base/clock.ts';
import { createMetrics, type Metrics } from '../base/metrics.ts';
import { seededRandom } from '../base/random.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { ServerChannels } from '../store/channels.ts';
import { RedisDirectory } from '../store/directory.ts';
import { claimHead, readHead } from '../store/heads.ts';
import { connectRedis } from '../store/redis.ts';
import { readSnapshot, writeSnapshot } from '../store/snapshots.ts';
import { appendUpdates } from '../store/updates.ts';
import { makeSnapshot } from './make-snapshot.ts';
import { closeQueues, createQueues, handler, type Queues, startWorkers } from './queues.ts';
import { lookAtWork, startScheduler } from './schedule.ts';
import { snapshotDocument } from './snapshots.ts';

const random = seededRandom(1_200);
/** When the first look is. */
const EDITED_AT = new ManualClock().now() + 30_000;

let db: TestDatabase;
beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db.drop());

/** A document with a journal that is written by hand. */
class Written {
  readonly author = new Y.Doc();
  #rev = 0;
  #updates: Uint8Array[] = [];

  constructor(readonly doc_id: string) {
    this.author.clientID = 7;
    this.author.on('update', (update: Uint8Array) => this.#updates.push(update));
  }

  static async new(): Promise<Written> {
    const { doc_id } = await seedDocument(db.sql);
    await claimHead(db.sql, doc_id, 0, { node_id: 'n', boot_id: 'b' }, random.id());
    return new Written(doc_id);
  }

  get text(): Y.Text {
    return this.author.getText('content');
  }

  /** Journals what `edit` does, an update a revision. */
  async write(edit: (text: Y.Text) => void): Promise<number> {
    edit(this.text);
    const [user_id, client_id] = [random.id(), random.id()];
    const rows = this.#updates.splice(0).map((update, i) => ({
      ...{ rev: this.#rev + 1 + i, user_id, client_id, seq: null, at: EDITED_AT, update, delta: '[]' },
    }));
    await appendUpdates(db.sql, [{ doc_id: this.doc_id, epoch: 1, head_rev: this.#rev, rows }]);
    this.#rev += rows.length;
    return this.#rev;
  }

  /** One letter per revision. */
  letters(count: number): Promise<number> {
    return this.write((text) => {
      for (let i = 0; i < count; i++) text.insert(text.length, String.fromCharCode(97 + (i % 26)));
    });
  }

  /** The snapshot, opened. */
  async stored(): Promise<{ rev: number; ops: DeltaOps; opened: unknown; vector: number[] } | null> {
    const snapshot = await readSnapshot(db.sql, this.doc_id);
    if (snapshot === null) return null;
    const doc = new Y.Doc();
    Y.applyUpdate(doc, snapshot.state);
    return {
      rev: snapshot.rev,
      ops: JSON.parse(snapshot.delta) as DeltaOps,
      opened: doc.getText('content').toDelta(),
      vector: [...snapshot.state_vector],
    };
  }
}

const found = async (words: string): Promise<string[]> =>
  (
    await db.sql<{ document_id: string }[]>`
      SELECT document_id FROM document_search WHERE body @@ websearch_to_tsquery('simple', ${words})`
  ).map((row) => row.document_id);

describe('a snapshot', () => {
  test('is what the journal amounts to, at its head, and finds the document by its words', async () => {
    const written = await Written.new();
    await written.write((text) => {
      text.insert(0, 'zanzibar 😀\u0000', { bold: true });
      text.insertEmbed(0, { image: 'x' });
      text.delete(1, 1);
    });
    expect(await snapshotDocument(db.sql, written.doc_id)).toBe(3);
    const ops = written.text.toDelta() as DeltaOps;
    expect(await written.stored()).toEqual({
      rev: 3,
      ops,
      opened: ops,
      vector: [...Y.encodeStateVector(written.author)],
    });
    expect(await found('anzibar')).toEqual([written.doc_id]);
    expect(await found('zanzibar')).toEqual([]);
  });

  test('is brought up to date from the last one and the journal since; made twice it is the same', async () => {
    const written = await Written.new();
    await written.letters(5);
    expect(await snapshotDocument(db.sql, written.doc_id)).toBe(5);
    await written.write((text) => text.insert(0, 'quokka '));
    expect(await snapshotDocument(db.sql, written.doc_id)).toBe(6);
    const once = await readSnapshot(db.sql, written.doc_id);
    expect(await snapshotDocument(db.sql, written.doc_id)).toBe(6);
    expect(await readSnapshot(db.sql, written.doc_id)).toEqual(once);
    expect((await written.stored())?.opened).toEqual([{ insert: 'quokka abcde' }]);
    expect(await found('quokka')).toEqual([written.doc_id]);
  });

  test('of several that are made at once leaves the latest, with its words', async () => {
    const written = await Written.new();
    await written.letters(3);
    const early = await readHead(db.sql, written.doc_id);
    await written.write((text) => text.insert(0, 'wombat '));
    await Promise.all(Array.from({ length: 6 }, () => snapshotDocument(db.sql, written.doc_id)));
    expect(early?.head_rev).toBe(3);
    expect((await written.stored())?.rev).toBe(4);
    const older = makeSnapshot({ state: null, updates: [] });
    expect(await writeSnapshot(db.sql, written.doc_id, { rev: 2, ...older })).toBe(false);
    expect((await written.stored())?.opened).toEqual([{ insert: 'wombat abc' }]);
    expect(await found('wombat')).toEqual([written.doc_id]);
  });

  test('of a large document is made on a thread of its own, and is the same', async () => {
    const written = await Written.new();
    for (let i = 0; i < 4; i++) await written.write((text) => text.insert(0, `${random.id()} `.repeat(1_500)));
    expect(written.text.length).toBeGreaterThan(128 * 1024);
    let turns = 0;
    const counting = setInterval(() => {
      turns += 1;
    }, 1);
    expect(await snapshotDocument(db.sql, written.doc_id)).toBe(4);
    clearInterval(counting);
    expect(turns).toBeGreaterThan(0);
    expect((await written.stored())?.opened).toEqual(written.text.toDelta());
  });

  test("a text made to be hard on the search's parser does not hold the worker up", async () => {
    const written = await Written.new();
    await written.write((text) => text.insert(0, `${'a-1-'.repeat(6_000)} numbat`));
    const done = snapshotDocument(db.sql, written.doc_id).then(() => 'done');
    const outcome = await Promise.race([done, until('it to be done', () => false, 2_000).catch(() => 'still at it')]);
    await done;
    expect(outcome).toBe('done');
    expect(await found('numbat')).toEqual([written.doc_id]);
  });

  test('of a large document that cannot be made fails, and leaves the thread behind no one', async () => {
    const written = await Written.new();
    await db.sql`UPDATE document_heads SET head_rev = 1 WHERE doc_id = ${written.doc_id}`;
    await db.sql`
      INSERT INTO document_updates (doc_id, rev, epoch, user_id, client_id, created_at, update, delta)
      VALUES (${written.doc_id}, 1, 1, ${random.id()}, ${random.id()}, now(), ${new Uint8Array(200_000).fill(255)}, '[]')`;
    const failed = await snapshotDocument(db.sql, written.doc_id).then(String, String);
    expect(failed).toContain('making a snapshot failed');
    expect(await written.stored()).toBeNull();
    await db.sql`DELETE FROM document_updates WHERE doc_id = ${written.doc_id}`;
    await db.sql`UPDATE document_heads SET head_rev = 0 WHERE doc_id = ${written.doc_id}`;
  });

  test('is there with its words for the search or not at all: a try that dies between the two is made again', async () => {
    const written = await Written.new();
    await written.write((text) => text.insert(0, 'perihelion'));
    await db.sql.unsafe(`
      CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'killed'; END $$;
      CREATE TRIGGER die BEFORE UPDATE ON document_search FOR EACH ROW EXECUTE FUNCTION die()`);
    expect(await snapshotDocument(db.sql, written.doc_id).then(String, String)).toContain('killed');
    await db.sql.unsafe('DROP TRIGGER die ON document_search; DROP FUNCTION die()');
    expect(await snapshotDocument(db.sql, written.doc_id)).toBe(1);
    const found = await db.sql`
      SELECT FROM document_search WHERE document_id = ${written.doc_id} AND body @@ 'perihelion'::tsquery`;
    expect(found).toHaveLength(1);
  });

  test('of nothing is nothing: no document, a deleted one, one that was never edited', async () => {
    const written = await Written.new();
    expect(await snapshotDocument(db.sql, written.doc_id)).toBe(0);
    await written.letters(1);
    await db.sql`UPDATE documents SET deleted = true, deleted_at = now() WHERE id = ${written.doc_id}`;
    expect([await snapshotDocument(db.sql, written.doc_id), await snapshotDocument(db.sql, random.id())]).toEqual([
      null,
      null,
    ]);
    expect(await written.stored()).toBeNull();
  });
});

describe('the queue', () => {
  let server: TestRedis;
  let asking: Redis;
  let working: Redis;
  let queues: Queues;
  let bull: Queue;
  let clock: ManualClock;
  let metrics: Metrics;
  let logged: ReturnType<typeof readableLog>;
  let worker: { stop(): Promise<void> } | null;

  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    await server.restart();
    const connect = (name: string) => connectRedis(server.url, { name, kind: 'standing', log: quietLog });
    [asking, working] = [connect('asking'), connect('working')];
    logged = readableLog();
    queues = createQueues(asking, logged.log);
    bull = queues.snapshots.bull;
    clock = new ManualClock();
    metrics = createMetrics();
    worker = null;
  });
  afterEach(async () => {
    await worker?.stop();
    await closeQueues(queues);
    asking.disconnect();
    working.disconnect();
  });

  const start = (): void => {
    const scheduler = startScheduler(clock, queues, 30_000);
    const pace = { pause_ms: 1e9, edits: 1e9 };
    const directory = new RedisDirectory(working, new ServerChannels(working));
    const handlers = [
      handler('schedule', 1, () => lookAtWork({ sql: db.sql, clock, directory, queues, pace })),
      handler('snapshots', 2, ({ doc_id }) => snapshotDocument(db.sql, doc_id)),
    ];
    const workers = startWorkers(working, handlers, { clock: systemClock, log: logged.log, metrics, lost_ms: 15_000 });
    worker = {
      async stop() {
        scheduler.cancel();
        await workers.stop();
      },
    };
  };
  const waiting = (): Promise<number> => bull.getJobCountByTypes('waiting', 'delayed', 'prioritized');
  const finished = async (outcome: string): Promise<number> =>
    (await metrics.jobs.get()).values.reduce(
      (sum, { labels, value }) => sum + (labels.outcome === outcome ? value : 0),
      0,
    );
  const snapshotOf = (written: Written, rev: number) =>
    until(`the snapshot of revision ${rev}`, async () => (await written.stored())?.rev === rev);

  test('a document that is asked for gets its snapshot, once however often it was asked', async () => {
    const written = await Written.new();
    await written.letters(4);
    for (let times = 0; times < 20; times++) queues.snapshots.ask({ doc_id: written.doc_id });
    await until('it to be asked', async () => (await waiting()) > 0);
    queues.snapshots.ask({ doc_id: written.doc_id });
    expect(await waiting()).toBe(1);
    start();
    await snapshotOf(written, 4);
    await until('the job to be counted', async () => (await finished('completed')) === 1);
    await written.letters(1);
    queues.snapshots.ask({ doc_id: written.doc_id });
    await snapshotOf(written, 5);
  });

  test('what nobody asked for is found by the next look at what is due, one look for all who ask', async () => {
    const [behind, near] = [await Written.new(), await Written.new()];
    await behind.letters(500);
    await near.letters(499);
    start();
    clock.advance(29_999);
    expect(await waiting()).toBe(0);
    clock.advance(1);
    queues.schedule.ask({}, { once_in_ms: 15_000 });
    queues.schedule.ask({}, { once_in_ms: 15_000 });
    await snapshotOf(behind, 500);
    expect(await near.stored()).toBeNull();
    await until('the jobs to be counted', async () => (await finished('completed')) === 2);
  });

  test('a queue that was lost with Redis heals by itself', async () => {
    const written = await Written.new();
    await written.letters(600);
    queues.snapshots.ask({ doc_id: written.doc_id });
    await until('it to be asked', async () => (await waiting()) > 0);
    await server.restart();
    start();
    clock.advance(30_000);
    await snapshotOf(written, 600);
  });

  test('what is asked while Redis is away is sent when it is back', async () => {
    const written = await Written.new();
    await written.letters(2);
    await server.stop();
    await until('the connection to break', () => asking.status !== 'ready');
    for (let times = 0; times < 5; times++) queues.snapshots.ask({ doc_id: written.doc_id });
    await server.start();
    start();
    await snapshotOf(written, 2);
  });

  test('what can no longer be asked is dropped, since the next look finds it', async () => {
    await until('the queue to be connected', () => asking.status === 'ready');
    asking.disconnect();
    queues.snapshots.ask({ doc_id: random.id() });
    queues.schedule.ask({}, { once_in_ms: 15_000 });
    await until('it to be said', () => logged.lines().length === 2);
    expect(logged.lines()).toMatchObject([{ level: 'debug' }, { level: 'debug' }]);
  });

  test('a job that fails is tried again, and said', async () => {
    const written = await Written.new();
    await written.letters(2);
    await db.sql`ALTER TABLE document_snapshots RENAME TO away`;
    start();
    queues.snapshots.ask({ doc_id: written.doc_id });
    await until('it to fail', async () => (await finished('failed')) > 0);
    await db.sql`ALTER TABLE away RENAME TO document_snapshots`;
    expect(logged.lines().find(({ level }) => level === 'warn')).toMatchObject({ doc_id: written.doc_id, attempts: 1 });
    await snapshotOf(written, 2);
  });
});
