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

const DOCUMENTS = 100;
/** Beside the two who type on every tenth document. */
const READERS_PER_DOCUMENT = 5;
const TYPED_ON_EVERY = 10;
const REQUESTS = 24;

let database: TestDatabase;
let redis: TestRedis;
let concord: Concord;
let ada: Person;

beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  concord = await Concord.start({ DATABASE_URL: database.url, REDIS_URL: redis.url });
  ada = await concord.register('ada');
});

afterAll(async () => {
  await concord.terminate();
  await Promise.all([database.drop(), redis.stop()]);
});

/** Sockets that only listen; what each was closed with gathers in `closed`. */
async function readers(doc_id: string, closed: number[]): Promise<void> {
  const doors = Array.from({ length: READERS_PER_DOCUMENT }, (_, i) => (i % 2 === 0 ? 'collab' : 'yjs'));
  await Promise.all(
    doors.map((door) => {
      const socket = new WebSocket(`${concord.ws_url}/v1/${door}/${doc_id}?token=${ada.token}`);
      socket.onclose = ({ code }) => closed.push(code);
      return new Promise((resolve) => {
        socket.onmessage = resolve; // the first frame: it is in
      });
    }),
  );
}

// First: with sockets to say goodbye to, a server takes long enough to end as it is.
test('SIGTERM lets requests under way end: who called could not tell what became of it otherwise', async () => {
  // Passwords take long, and a processor takes one at a time: most of these are still waiting when the first is answered.
  const calls = Array.from({ length: REQUESTS }, (_, i) => {
    const account = { email: `late-${i}@example.org`, password: 'correct horse battery', display_name: 'Late' };
    return concord.call('POST', '/v1/auth/register', undefined, account);
  });
  await Promise.race(calls);
  const ended = concord.terminate();
  expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(Array(REQUESTS).fill(201));
  expect(await ended).toBe(0);
  await concord.startAgain();
  concord.letIn();
}, 30_000);

test('SIGTERM with 500 readers on 100 documents under load: exit 0 within 10 s, 1012 for everybody, nothing lost that anybody saw', async () => {
  const ledger = new Ledger();
  const random = seededRandom(1);
  const closed: number[] = [];
  const doc_ids = await Promise.all(Array.from({ length: DOCUMENTS }, () => concord.createDocument(ada)));
  await Promise.all(doc_ids.map((doc_id) => readers(doc_id, closed)));
  const typists = doc_ids
    .filter((_, i) => i % TYPED_ON_EVERY === 0)
    .flatMap((doc_id, i) => {
      const parts = { concord, ledger, random, person: ada, doc_id };
      return [new JsonClient({ ...parts, name: `j${i}` }), new YjsClient({ ...parts, name: `y${i}` })];
    });
  for (const client of typists) client.typing = true;
  await Promise.all(typists.map((client) => client.connect()));
  await ledger.after(500, 'acked');

  const begun = performance.now();
  const code = await concord.terminate();
  expect(performance.now() - begun).toBeLessThan(10_000);
  expect(code).toBe(0);
  await until('every reader to be told', () => closed.length === DOCUMENTS * READERS_PER_DOCUMENT);
  expect(new Set(closed)).toEqual(new Set([1012]));
  expect(new Set(typists.map(({ closed_with }) => closed_with))).toEqual(new Set([1012]));

  await concord.startAgain();
  concord.letIn();
  const wrongs: string[] = [];
  for (const doc_id of doc_ids) {
    const { value } = await concord.text(ada, doc_id);
    wrongs.push(...ledger.wrongs(doc_id, value), ...(await readHistory(database.sql, doc_id)).wrongs);
    for (const client of typists)
      if (client instanceof JsonClient && client.doc_id === doc_id && client.text !== value) {
        // What it saw came from the owner that wrote everything before it left.
        for (const [marker] of client.text.matchAll(/<[^<>]*>/g))
          if (!value.includes(marker)) wrongs.push(`${marker} was shown and is gone`);
      }
  }
  expect(wrongs).toEqual([]);
  const [{ held } = { held: 0 }] = await database.sql<{ held: number }[]>`
    SELECT count(*)::int AS held FROM document_heads WHERE owner_node IS NOT NULL`;
  expect(held).toBe(0);

  for (const client of typists) client.typing = false;
  await Promise.all(typists.map((client) => client.connect()));
  await until('what was on its way to be acknowledged', () =>
    typists.every((client) => client.is_ready && client.is_settled),
  );
  for (const client of typists) expect(ledger.wrongs(client.doc_id, client.text, true)).toEqual([]);
  expect(ledger.faults).toEqual([]);
}, 60_000);
