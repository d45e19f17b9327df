import { afterAll, beforeAll, expect, test } from 'bun:test';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { Concord, type Person } from './concord.ts';
import { canonical, readHistory } from './history.ts';
import { JsonClient } from './json-client.ts';
import { Ledger, type Step } from './ledger.ts';
import { RestWriter } from './rest-writer.ts';
import { YjsClient } from './yjs-client.ts';

const KILLS = 20;
const DOCUMENTS = 4;
/** `CONCORD_FAULT_SEED=7 bin/test test/faults/crash.test.ts` draws what seed 7 drew. */
const SEED = Number(process.env.CONCORD_FAULT_SEED ?? crypto.getRandomValues(new Uint32Array(1))[0]);

let database: TestDatabase;
let redis: TestRedis;
let concord: Concord;
let people: readonly [Person, Person, Person];

beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  concord = await Concord.start({ DATABASE_URL: database.url, REDIS_URL: redis.url, NODE_ID: 'crash' });
  people = await Promise.all([concord.register('ada'), concord.register('ben'), concord.register('cleo')]);
});

afterAll(async () => {
  await concord.terminate();
  await Promise.all([database.drop(), redis.stop()]);
});

/** Everybody who edits one document. */
interface Crowd {
  readonly doc_id: string;
  readonly json: readonly JsonClient[];
  readonly yjs: readonly YjsClient[];
  readonly rest: readonly RestWriter[];
}

async function gather(ledger: Ledger, random: Random, name: string): Promise<Crowd> {
  const [ada, ben, cleo] = people;
  const doc_id = await concord.createDocument(ada, [ben, cleo]);
  const parts = (person: Person, kind: string) => ({ concord, ledger, random, person, doc_id, name: `${name}${kind}` });
  return {
    doc_id,
    json: [new JsonClient(parts(ada, 'j1')), new JsonClient(parts(ben, 'j2'))],
    yjs: [new YjsClient(parts(cleo, 'y1'))],
    rest: [new RestWriter(parts(ada, 'r1'))],
  };
}

test(`the server killed ${KILLS} times at random moments under load: every acknowledged edit is there exactly once`, async () => {
  console.log(`seed ${SEED}: CONCORD_FAULT_SEED=${SEED} draws the same moments again`);
  const random = seededRandom(SEED);
  const ledger = new Ledger();
  const crowds: Crowd[] = [];
  for (let i = 0; i < DOCUMENTS; i++) crowds.push(await gather(ledger, random, `d${i}`));
  const clients = crowds.flatMap(({ json, yjs, rest }) => [...json, ...yjs, ...rest]);
  for (const client of clients) {
    client.typing = true;
    client.stay();
  }
  for (let kill = 0; kill < KILLS; kill++) {
    await ledger.after(...moment(random));
    await concord.kill9();
    for (const { yjs } of crowds) for (const client of yjs) if (random.float() < 0.5) client.type();
    // Mostly the same node again, which takes its documents back at once; sometimes another, which has to find out that
    // the owner is gone.
    await concord.startAgain(kill % 5 === 4 ? { NODE_ID: `crash-${kill}` } : {});
    // Before anybody is back who could bring something along: what was acknowledged is in storage.
    for (const { doc_id } of crowds) {
      const { value } = await concord.text(people[0], doc_id);
      expect({ kill, wrongs: ledger.wrongs(doc_id, value) }).toEqual({ kill, wrongs: [] });
    }
    concord.letIn();
  }
  await ledger.after(clients.length, 'acked');
  for (const client of clients) client.typing = false;
  await until('every edit to be acknowledged', () => clients.every((client) => client.is_settled), 20_000);
  for (const crowd of crowds) await expectAgreement(crowd, ledger);
  expect(ledger.faults).toEqual([]);
  expect(ledger.totals.acked).toBe(ledger.totals.made);
  expect(ledger.totals.made).toBeGreaterThan(KILLS * DOCUMENTS);
  console.log(`${ledger.totals.made} edits`);
  for (const client of clients) if (!(client instanceof RestWriter)) client.leave();
}, 300_000);

/** When to kill: so many edits sent, seen or acknowledged from now on, or in the middle of everybody's return. */
function moment(random: Random): [number, Step] {
  const step = (['sent', 'seen', 'acked', 'joined'] as const)[Math.floor(random.float() * 4)] ?? 'sent';
  return [1 + Math.floor(random.float() * (step === 'joined' ? DOCUMENTS * 3 : 250)), step];
}

/** All clients, REST and the journal show one text, which holds every edit exactly once. */
async function expectAgreement({ doc_id, json, yjs }: Crowd, ledger: Ledger): Promise<void> {
  const ops = canonical(await concord.ops(people[0], doc_id));
  const { rev, value } = await concord.text(people[0], doc_id);
  expect(ledger.wrongs(doc_id, value, true)).toEqual([]);
  await until('the JSON clients to have everything', () => json.every((client) => client.rev === rev));
  for (const client of json) expect(canonical(client.content.ops)).toEqual(ops);
  await until('the Yjs clients to have everything', () => yjs.every((client) => client.text === value));
  for (const client of yjs) expect(canonical(client.doc.getText('content').toDelta())).toEqual(ops);
  const history = await readHistory(database.sql, doc_id);
  expect(history.wrongs).toEqual([]);
  expect(history.head_rev).toBe(rev);
  expect(canonical(history.doc.getText('content').toDelta())).toEqual(ops);
}
