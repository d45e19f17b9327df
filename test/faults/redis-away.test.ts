import { afterEach, beforeEach, expect, test } from 'bun:test';
import { seededRandom } from '../../src/base/random.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { Concord, type Person } from './concord.ts';
import { readHistory } from './history.ts';
import { JsonClient } from './json-client.ts';
import { Ledger } from './ledger.ts';
import { RestWriter } from './rest-writer.ts';
import { YjsClient } from './yjs-client.ts';

let database: TestDatabase;
let redis: TestRedis;
let concord: Concord;
let ada: Person;

beforeEach(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  concord = await Concord.start({ DATABASE_URL: database.url, REDIS_URL: redis.url });
  ada = await concord.register('ada');
});

afterEach(async () => {
  await concord.terminate();
  await Promise.all([database.drop(), redis.stop()]);
});

/** Everybody types on two documents, as fast as they may, until told otherwise. */
async function company() {
  const ledger = new Ledger();
  const doc_ids = await Promise.all([concord.createDocument(ada), concord.createDocument(ada)]);
  const random = seededRandom(1);
  const crowd = doc_ids.map((doc_id, i) => {
    const parts = { concord, ledger, random, person: ada, doc_id };
    const json = new JsonClient({ ...parts, name: `j${i}` });
    const yjs = new YjsClient({ ...parts, name: `y${i}` });
    const rest = new RestWriter({ ...parts, name: `r${i}` });
    return { doc_id, json, yjs, rest };
  });
  await Promise.all(crowd.flatMap(({ json, yjs }) => [json.connect(), yjs.connect()]));
  await until('everybody to have arrived', () => crowd.every(({ json, yjs }) => json.is_ready && yjs.is_ready));
  const all = { ledger, crowd };
  startTyping(all);
  await ledger.after(50, 'acked');
  return all;
}
type Company = Awaited<ReturnType<typeof company>>;

function startTyping({ crowd }: Company): void {
  for (const { json, yjs, rest } of crowd) {
    for (const client of [json, yjs, rest]) client.typing = true;
    json.type();
    yjs.type();
    rest.stay();
  }
}

/** Everybody rests, and what they wrote is acknowledged. */
async function stopTyping({ crowd }: Company): Promise<void> {
  for (const { json, yjs, rest } of crowd) for (const client of [json, yjs, rest]) client.typing = false;
  await until('everything to be acknowledged', () =>
    crowd.every(({ json, yjs, rest }) => json.is_settled && yjs.is_settled && rest.is_settled),
  );
}

/** The typing ends; everything was acknowledged and is there once, and nobody was ever sent away. */
async function expectNothingLost(all: Company): Promise<void> {
  await stopTyping(all);
  const { ledger, crowd } = all;
  for (const { doc_id, json, yjs } of crowd) {
    const { rev, value } = await concord.text(ada, doc_id);
    await until('everybody to have everything', () => json.rev === rev && yjs.text === value);
    expect(json.text).toBe(value);
    expect(ledger.wrongs(doc_id, value, true)).toEqual([]);
    const history = await readHistory(database.sql, doc_id);
    expect(history.wrongs).toEqual([]);
    expect(history.doc.getText('content').toString()).toBe(value);
    expect([json.closed_with, yjs.closed_with]).toEqual([null, null]);
    expect(json.statuses).not.toContain('unsaved');
  }
  expect(ledger.faults).toEqual([]);
}

const epochs = async (): Promise<number[]> =>
  (await database.sql<{ epoch: number }[]>`SELECT epoch FROM document_heads ORDER BY doc_id`).map(({ epoch }) => epoch);

test('Redis flushed under load: nobody notices, and no document changes hands', async () => {
  const all = await company();
  const before = await epochs();
  const client = new Bun.RedisClient(redis.url);
  for (let flush = 0; flush < 3; flush++) {
    await client.send('FLUSHALL', []);
    await all.ledger.after(100, 'acked');
  }
  await until('the node to beat again', async () => ((await client.send('KEYS', ['node:*'])) as string[]).length === 1);
  client.close();
  expect(await epochs()).toEqual(before);
  await expectNothingLost(all);
}, 40_000);

test('Redis killed under load: editing, joining and opening go on, /readyz and the metrics say so, and all heals by itself', async () => {
  const all = await company();
  const before = await epochs();
  await redis.kill9();
  await all.ledger.after(150, 'acked');
  const readyz = await concord.call('GET', '/readyz');
  expect(readyz).toMatchObject({ status: 503, body: { error: { message: 'Redis does not answer' } } });
  expect(await concord.metric('concord_redis_publish_failures_total')).toBeGreaterThan(0);
  // A document that is open gets another reader, and one that nobody has is opened.
  const [{ doc_id } = { doc_id: '' }] = all.crowd;
  for (const joined of [doc_id, await concord.createDocument(ada)]) {
    const parts = { concord, ledger: all.ledger, random: seededRandom(2), person: ada, doc_id: joined };
    const late = new JsonClient({ ...parts, name: `late in ${joined}` });
    await late.connect();
    await until('the late client to have arrived', () => late.is_ready);
    late.type();
    await until('its edit to be acknowledged', () => late.is_settled);
    late.leave();
  }
  // For as long as it takes others to think this node dead, which makes it ask PostgreSQL what is still its own.
  await stopTyping(all);
  const doubts = (): boolean =>
    concord.server.log().some(({ message }) => String(message).startsWith('no beat got through'));
  await until('the node to doubt itself', doubts, 15_000);
  startTyping(all);
  await all.ledger.after(50, 'acked');
  await redis.start();
  await until('the server to be ready by itself', async () => (await concord.call('GET', '/readyz')).status === 200);
  const failures = await until('publishing to work again', async () => {
    const seen = await concord.metric('concord_redis_publish_failures_total');
    await all.ledger.after(20, 'acked');
    return seen === (await concord.metric('concord_redis_publish_failures_total')) ? seen : null;
  });
  expect(failures).toBeGreaterThan(0);
  const [one, two] = await epochs();
  expect([one, two]).toEqual(before);
  await expectNothingLost(all);
}, 40_000);
