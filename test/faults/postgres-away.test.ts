import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { seededRandom } from '../../src/base/random.ts';
import { connectDatabase, type Database } from '../../src/store/postgres.ts';
import { startPostgres, type TestPostgres } from '../support/postgres-server.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { Concord, type Person } from './concord.ts';
import { readHistory } from './history.ts';
import { JsonClient } from './json-client.ts';
import { Ledger } from './ledger.ts';
import { RestWriter } from './rest-writer.ts';
import { YjsClient } from './yjs-client.ts';

let postgres: TestPostgres;
let redis: TestRedis;
let concord: Concord;
let ada: Person;

beforeEach(async () => {
  [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  concord = await Concord.start({ DATABASE_URL: postgres.url, REDIS_URL: redis.url });
  ada = await concord.register('ada');
});

afterEach(async () => {
  await concord.terminate();
  await Promise.all([postgres.destroy(), redis.stop()]);
});

/** Two JSON clients and a Yjs client who edit one document, and a program that will. */
async function company() {
  const ledger = new Ledger();
  const parts = { concord, ledger, random: seededRandom(1), person: ada, doc_id: await concord.createDocument(ada) };
  const one = new JsonClient({ ...parts, name: 'one' });
  const two = new JsonClient({ ...parts, name: 'two' });
  const yjs = new YjsClient({ ...parts, name: 'yjs' });
  const people = [one, two, yjs];
  await Promise.all(people.map((person) => person.connect()));
  await until('everybody to have arrived', () => people.every(({ is_ready }) => is_ready));
  await round(people);
  await until('the first edits to be acknowledged', () => people.every(({ is_settled }) => is_settled));
  return { ledger, parts, one, two, yjs, people, rest: new RestWriter({ ...parts, name: 'rest' }) };
}
type Company = Awaited<ReturnType<typeof company>>;

/** Everybody makes an edit, and everybody sees all of them. */
async function round(people: Company['people']): Promise<void> {
  const markers = people.map((person) => person.type() ?? 'an edit that could not be made');
  await until('everybody to see the edits of all', () =>
    people.every(({ text }) => markers.every((marker) => text.includes(marker))),
  );
}

/** What people and programs meet while storage is away, from a document that was open to one that nobody could open. */
async function expectEditingGoesOn({ one, two, people, parts, rest }: Company, other_doc_id: string) {
  await round(people);
  await until('people to be told', () => one.status === 'unsaved' && two.status === 'unsaved');
  await round(people);
  const edit = await rest.prepare();
  const late = new JsonClient({ ...parts, name: 'late' });
  const stranger = new JsonClient({ ...parts, name: 'stranger', doc_id: other_doc_id });
  const late_yjs = new YjsClient({ ...parts, name: 'late-yjs' });
  const begun = performance.now();
  const [answer, readyz, ...turned_away] = await Promise.all([
    rest.send(edit.body),
    concord.call('GET', '/readyz'),
    ...[late, stranger].map((client) => client.connect().catch(() => client.closed_with)),
    late_yjs.connect().then(() => until('a late Yjs client to be sent away', () => late_yjs.closed_with)),
  ]);
  expect(turned_away).toEqual([1013, 1013, 1013]);
  expect(answer).toMatchObject({ status: 503, body: { error: { code: 'UNAVAILABLE' } } });
  expect(performance.now() - begun).toBeLessThan(8_000);
  expect(readyz).toMatchObject({ status: 503, body: { error: { message: 'PostgreSQL does not answer' } } });
  await round(people);
  expect(people.some(({ is_settled }) => is_settled)).toBe(false);
  return { ...edit, late };
}

/** Storage is back: everything is acknowledged and shown as saved, a program's resend included, and nothing is doubled. */
async function expectAllWritten(
  { ledger, one, two, people, parts, rest }: Company,
  edit: { readonly marker: string; readonly body: object; readonly late: JsonClient },
  sql: Database,
): Promise<void> {
  await until('everything to be acknowledged', () => people.every(({ is_settled }) => is_settled));
  await until('people to be told', () => one.status === 'saved' && two.status === 'saved');
  const answer = await until('the program to be answered', async () => {
    const { status, body } = await rest.send(edit.body);
    return status === 200 ? body.data : null;
  });
  const again = await rest.send(edit.body);
  expect(again.body.data).toEqual(answer);
  ledger.ack(edit.marker);
  await until('a late client to be let in', () => edit.late.connect().then(() => true));
  await round([...people, edit.late]);
  await until('everything to be acknowledged', () => [...people, edit.late].every(({ is_settled }) => is_settled));
  const { rev, value } = await concord.text(ada, parts.doc_id);
  await until('everybody to have everything', () =>
    [...people, edit.late].every((client) => client.text === value && ('rev' in client ? client.rev === rev : true)),
  );
  expect(ledger.wrongs(parts.doc_id, value, true)).toEqual([]);
  expect(ledger.faults).toEqual([]);
  const history = await readHistory(sql, parts.doc_id);
  expect(history.wrongs).toEqual([]);
  expect(history.head_rev).toBe(rev);
  expect(history.doc.getText('content').toString()).toBe(value);
}

describe('while PostgreSQL is away, people go on editing together; when it is back, everything is written once', () => {
  test('when it was stopped and started again', async () => {
    const all = await company();
    const other_doc_id = await concord.createDocument(ada);
    await postgres.stop();
    const edit = await expectEditingGoesOn(all, other_doc_id);
    await postgres.start();
    const sql = connectDatabase(postgres.url, { connections_max: 1, application_name: 'test' });
    await expectAllWritten(all, edit, sql);
    await sql.end();
  }, 60_000);

  test('when it hung with its connections open', async () => {
    const all = await company();
    const other_doc_id = await concord.createDocument(ada);
    postgres.pause();
    const edit = await expectEditingGoesOn(all, other_doc_id).finally(() => postgres.resume());
    const sql = connectDatabase(postgres.url, { connections_max: 1, application_name: 'test' });
    await expectAllWritten(all, edit, sql);
    await sql.end();
  }, 60_000);
});

test('PostgreSQL killed in the middle of group commits: each edit is written once, whatever became of its statement', async () => {
  const all = await company();
  const { ledger, people, parts } = all;
  for (const person of people) {
    person.typing = true;
    person.type();
  }
  for (const n of [40, 77, 111]) {
    await ledger.after(n, 'acked');
    await postgres.kill9();
    await ledger.after(30, 'seen');
    await postgres.start();
  }
  await ledger.after(30, 'acked');
  for (const person of people) person.typing = false;
  await until('everything to be acknowledged', () => people.every(({ is_settled }) => is_settled));
  const { rev, value } = await concord.text(ada, parts.doc_id);
  await until('everybody to have everything', () => people.every(({ text }) => text === value));
  expect(ledger.wrongs(parts.doc_id, value, true)).toEqual([]);
  expect(ledger.faults).toEqual([]);
  const sql = connectDatabase(postgres.url, { connections_max: 1, application_name: 'test' });
  const history = await readHistory(sql, parts.doc_id);
  await sql.end();
  expect(history.wrongs).toEqual([]);
  expect(history.head_rev).toBe(rev);
  expect(history.doc.getText('content').toString()).toBe(value);
}, 60_000);
