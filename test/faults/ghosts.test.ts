import { afterAll, beforeAll, expect, test } from 'bun:test';
import { seededRandom } from '../../src/base/random.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { Concord, type Person } from './concord.ts';
import { readHistory } from './history.ts';
import { JsonClient } from './json-client.ts';
import { Ledger } from './ledger.ts';
import { YjsClient } from './yjs-client.ts';

// An edit of a JSON client that was broadcast and never journaled comes back twice when its owner died: its author sends it
// again, and every Yjs client that had received its structs offers them to the next owner. See src/actors/server-ids.ts.

let database: TestDatabase;
let redis: TestRedis;
let concord: Concord;
let ada: Person;

beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  concord = await Concord.start({ DATABASE_URL: database.url, REDIS_URL: redis.url, NODE_ID: 'ghosts' });
  ada = await concord.register('ada');
});

afterAll(async () => {
  await concord.terminate();
  await Promise.all([database.drop(), redis.stop()]);
});

/** An author on the JSON door and a reader on the Yjs door, on a document that holds one edit of each. */
async function pair(name: string) {
  const ledger = new Ledger();
  const parts = { concord, ledger, random: seededRandom(1), person: ada, doc_id: await concord.createDocument(ada) };
  const author = new JsonClient({ ...parts, name: `${name}-author` });
  const reader = new YjsClient({ ...parts, name: `${name}-reader` });
  await Promise.all([author.connect(), reader.connect()]);
  await until('both to have arrived', () => author.is_ready && reader.is_ready);
  author.type();
  reader.type();
  await until('their first edits to be acknowledged', () => author.is_settled && reader.is_settled);
  return { ledger, author, reader, doc_id: parts.doc_id };
}
type Pair = Awaited<ReturnType<typeof pair>>;

/** Keeps the document's edits from reaching the journal, by a lock on its head; resolves to what lifts it. */
async function holdJournal(doc_id: string): Promise<() => Promise<void>> {
  const held = Promise.withResolvers<void>();
  const over = Promise.withResolvers<void>();
  const lock = database.sql.begin(async (sql) => {
    await sql`SELECT 1 FROM document_heads WHERE doc_id = ${doc_id} FOR UPDATE`;
    held.resolve();
    await over.promise;
  });
  await Promise.race([held.promise, lock]);
  return async () => {
    over.resolve();
    await lock;
  };
}

/** Kills the server while the journal is held: what it had sent to PostgreSQL is given up before the lock is lifted. */
async function die({ doc_id }: Pair, release: () => Promise<void>, marker: string): Promise<void> {
  await concord.kill9();
  await until('the connections of the dead server to be gone', async () => {
    const [{ left } = { left: 1 }] = await database.sql<{ left: number }[]>`
      SELECT count(pg_terminate_backend(pid))::int AS left FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE 'concord%'`;
    return left === 0;
  });
  await release();
  await concord.startAgain();
  expect((await concord.text(ada, doc_id)).value).not.toContain(marker);
  concord.letIn();
}

/** Has the author make an edit that the reader gets and the journal never holds, and kills the server. */
async function editAndDie(both: Pair): Promise<string> {
  const release = await holdJournal(both.doc_id);
  const marker = both.author.type() ?? '';
  await until('both to show the edit', () => both.reader.text.includes(marker) && both.author.text.includes(marker));
  await die(both, release, marker);
  return marker;
}

/** Everybody shows one text, which the journal gives too, and no promise is broken; returns the text. */
async function agreement({ ledger, author, reader, doc_id }: Pair, complete: boolean): Promise<string> {
  const { rev, value } = await concord.text(ada, doc_id);
  if (author.is_ready) {
    await until('the author to have everything', () => author.rev >= rev);
    expect(author.text).toBe(value);
  }
  await until('the reader to have everything', () => reader.text === value);
  const { wrongs, doc } = await readHistory(database.sql, doc_id);
  expect(wrongs).toEqual([]);
  expect(doc.getText('content').toString()).toBe(value);
  expect(ledger.wrongs(doc_id, value, complete)).toEqual([]);
  expect(ledger.faults).toEqual([]);
  return value;
}

const settled = ({ author, reader }: Pair) =>
  until('everything to be acknowledged', () => author.is_ready && author.is_settled && reader.is_settled);

test('an edit that a dead owner broadcast and never wrote is there once when its reader is back before its author', async () => {
  const both = await pair('reader-first');
  const marker = await editAndDie(both);
  await both.reader.connect();
  await until('the reader to be synchronised and without the edit', () => !both.reader.text.includes(marker));
  await both.author.connect();
  await settled(both);
  expect(await agreement(both, true)).toContain(marker);
});

test('the same when its author is back before its reader', async () => {
  const both = await pair('author-first');
  const marker = await editAndDie(both);
  await both.author.connect();
  await until('the author to be acknowledged', () => both.author.is_settled);
  await both.reader.connect();
  await settled(both);
  await until('the reader to be synchronised', () => both.reader.is_ready);
  expect(await agreement(both, true)).toContain(marker);
});

test('the same when the next owner dies too before anything of it is written', async () => {
  const both = await pair('twice');
  const marker = await editAndDie(both);
  // Somebody opens the document, so that its new owner has claimed it before the journal is held again.
  const { status } = await concord.call('POST', `/v1/documents/${both.doc_id}/edits`, ada.token, {
    changes: { delta: [{ insert: '.' }] },
  });
  expect(status).toBe(200);
  const release = await holdJournal(both.doc_id);
  await Promise.all([both.reader.connect(), both.author.connect()]);
  await until('the resend to be everywhere', () =>
    [both.author, both.reader].every(({ is_ready, text }) => is_ready && text.split(marker).length === 2),
  );
  await die(both, release, marker);
  await Promise.all([both.author.connect(), both.reader.connect()]);
  await settled(both);
  expect(await agreement(both, true)).toContain(marker);
});

test('what a reader typed inside such an edit stays, and the edit is there once', async () => {
  const both = await pair('inside');
  const marker = await editAndDie(both);
  const content = both.reader.doc.getText('content');
  content.insert(both.reader.text.indexOf(marker) + 2, '!here!');
  await both.reader.connect();
  await both.author.connect();
  await settled(both);
  const text = await agreement(both, true);
  expect(text).toContain(marker);
  expect(text.split('!here!').length).toBe(2);
});

test('such an edit is nowhere when its author never comes back: nobody had been promised anything', async () => {
  const both = await pair('orphan');
  const marker = await editAndDie(both);
  await both.reader.connect();
  both.reader.type();
  await until('the reader to be acknowledged', () => both.reader.is_ready && both.reader.is_settled);
  expect(await agreement(both, false)).not.toContain(marker);
});
