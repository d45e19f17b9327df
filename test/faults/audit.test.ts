/** The audit has each event once, whichever process is killed and whenever, and whatever Redis forgets. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { connectRedis } from '../../src/store/redis.ts';
import { quietLog } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type ServerProcess, startServer } from '../support/processes.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { Concord, type Person } from './concord.ts';

/** An event whose job is lost is asked for again after six seconds with these settings; on a busy machine a little later. */
const ARRIVED_WITHIN_MS = 90_000;
const ROUNDS = 3;

let database: TestDatabase;
let redis: TestRedis;
beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
});
afterAll(() => Promise.all([database.drop(), redis.stop()]));

const stores = () => ({ DATABASE_URL: database.url, REDIS_URL: redis.url, JOB_LOST_SECONDS: '3' });

/** Makes documents one after the other, several at a time, until it is stopped or the server is gone. */
function makeDocuments(concord: Concord, person: Person): { stop(): Promise<void> } {
  let going = true;
  const one = async (): Promise<void> => {
    while (going) {
      const made = await concord.call('POST', '/v1/documents', person.token, { title: 'T' }).catch(() => null);
      if (made?.status !== 201) return;
    }
  };
  const all = Promise.all(Array.from({ length: 8 }, one));
  return {
    async stop() {
      going = false;
      await all;
    },
  };
}

/** Has Redis forget everything. */
async function forget(): Promise<void> {
  const client = connectRedis(redis.url, { name: 'forget', kind: 'standing', log: quietLog });
  await client.flushall();
  client.disconnect();
}

/** How many documents there are, how many of them the audit tells of, in how many rows, and what still waits. */
async function tally() {
  const [row] = await database.sql`
    SELECT (SELECT count(*)::int FROM documents) AS documents,
           (SELECT count(DISTINCT document_id)::int FROM audit_log WHERE action = 'document.created') AS told,
           (SELECT count(*)::int FROM audit_log WHERE action = 'document.created') AS rows,
           (SELECT count(*)::int FROM outbox) AS waiting`;
  return row as { documents: number; told: number; rows: number; waiting: number };
}

async function expectAllToldOnce(): Promise<void> {
  await until('the outbox to be empty', async () => (await tally()).waiting === 0, ARRIVED_WITHIN_MS);
  const { documents, told, rows } = await tally();
  expect(documents).toBeGreaterThan(0);
  expect({ told, rows }).toEqual({ told: documents, rows: documents });
}

test('a server that is killed while people make documents, and a Redis that forgets all, lose no event and double none', async () => {
  const concord = await Concord.start({ ...stores(), NODE_ID: 'audited' });
  const ada = await concord.register('ada');
  for (let round = 0; round < ROUNDS; round++) {
    const before = (await tally()).rows;
    const making = makeDocuments(concord, ada);
    await until('events to flow', async () => (await tally()).rows > before + 20);
    if (round === 1) await forget();
    await concord.kill9();
    await making.stop();
    await concord.startAgain();
    concord.letIn();
  }
  await expectAllToldOnce();
  await concord.terminate();
}, 180_000);

test('workers that are killed one after the other in the middle of moving events lose none and double none', async () => {
  const concord = await Concord.start({ ...stores(), SERVICES: 'users,documents,collaboration', NODE_ID: 'asking' });
  const ben = await concord.register('ben');
  const making = makeDocuments(concord, ben);
  for (let round = 0; round < ROUNDS; round++) {
    const before = (await tally()).rows;
    const worker: ServerProcess = await startServer({ ...stores(), SERVICES: 'worker', NODE_ID: `doomed-${round}` });
    await until('events to flow', async () => (await tally()).rows > before + 20);
    await worker.kill9();
  }
  await making.stop();
  expect((await tally()).waiting).toBeGreaterThan(0);
  const heir = await startServer({ ...stores(), SERVICES: 'worker', NODE_ID: 'heir' });
  await expectAllToldOnce();
  await heir.terminate();
  await concord.terminate();
}, 180_000);
