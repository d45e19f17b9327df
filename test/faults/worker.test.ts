import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type ServerProcess, startServer } from '../support/processes.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { Concord, type Person } from './concord.ts';

const PAUSE_S = 1;
/** What a dead worker was at is taken over within twice this time; on a busy machine a little later. */
const JOB_LOST_S = 3;
const TAKEN_OVER_WITHIN_MS = 60_000;

let database: TestDatabase;
let redis: TestRedis;
let concord: Concord;
let ada: Person;

beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  concord = await Concord.start({ ...stores(), SERVICES: 'users,documents,collaboration' });
  ada = await concord.register('ada');
});
afterAll(async () => {
  await concord.terminate();
  await Promise.all([database.drop(), redis.stop()]);
});

function stores(): { DATABASE_URL: string; REDIS_URL: string } {
  return { DATABASE_URL: database.url, REDIS_URL: redis.url };
}

/** A worker in a process of its own. */
function startWorker(node_id: string): Promise<ServerProcess> {
  const pace = {
    VERSION_PAUSE_SECONDS: String(PAUSE_S),
    WORK_INTERVAL_SECONDS: '1',
    JOB_LOST_SECONDS: String(JOB_LOST_S),
  };
  return startServer({ ...stores(), ...pace, SERVICES: 'worker', NODE_ID: node_id });
}

async function type(doc_id: string, text: string): Promise<void> {
  const body = { changes: { delta: [{ insert: text }] } };
  expect((await concord.call('POST', `/v1/documents/${doc_id}/edits`, ada.token, body)).status).toBe(200);
}

/** `[rev, kind]` of all versions, oldest first. */
async function versions(doc_id: string): Promise<[number, string][]> {
  const { body } = await concord.call('GET', `/v1/documents/${doc_id}/versions?limit=100`, ada.token);
  return body.data.items.map(({ rev, kind }: { rev: number; kind: string }) => [rev, kind]).reverse();
}

/** Keeps versions from being written, from a connection of the test's own. */
async function holdVersions(): Promise<() => Promise<void>> {
  const [held, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const over = database.sql.begin(async (sql) => {
    await sql`LOCK TABLE document_versions IN SHARE MODE`;
    held.resolve();
    await released.promise;
  });
  await Promise.race([held.promise, over]);
  return async () => {
    released.resolve();
    await over;
  };
}

test('a worker killed in the middle of keeping versions keeps none by half, and the next one keeps each once', async () => {
  const doc_ids = await Promise.all(Array.from({ length: 3 }, () => concord.createDocument(ada)));
  for (const doc_id of doc_ids) await type(doc_id, 'once upon a time');
  const letGo = await holdVersions();
  const doomed = await startWorker('doomed');
  await until('a version to be about to be written', async () => {
    const waiting = await database.sql`
      SELECT FROM pg_stat_activity WHERE application_name = 'concord doomed' AND wait_event_type = 'Lock'`;
    return waiting.length > 0;
  });
  await doomed.kill9();
  await letGo();
  for (const doc_id of doc_ids) expect(await versions(doc_id)).toEqual([]);
  const heir = await startWorker('heir');
  await until(
    'every version',
    async () => (await Promise.all(doc_ids.map(versions))).every((found) => found.length > 0),
    TAKEN_OVER_WITHIN_MS,
  );
  for (const doc_id of doc_ids) expect(await versions(doc_id)).toEqual([[1, 'auto']]);
  await heir.terminate();
}, 120_000);

test('a worker killed right after it kept a version leaves one, whoever works on, and with an empty Redis too', async () => {
  const doc_id = await concord.createDocument(ada);
  const expected: [number, string][] = [];
  for (let rev = 1; rev <= 4; rev++) {
    await type(doc_id, 'again ');
    const worker = await startWorker(`mortal-${rev}`);
    expected.push([rev, 'auto']);
    await until('the version', async () => (await versions(doc_id)).length === rev, TAKEN_OVER_WITHIN_MS);
    await worker.kill9();
    if (rev % 2 === 0) await redis.restart();
  }
  const last = await startWorker('last');
  await type(doc_id, 'and again');
  await until('the last version', async () => (await versions(doc_id)).length === 5, TAKEN_OVER_WITHIN_MS);
  expect(await versions(doc_id)).toEqual([...expected, [5, 'auto']]);
  await last.terminate();
}, 240_000);
