/** Two nodes on a Redis Cluster, REDIS_CLUSTER=on: what works on one server works there. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { runAdmin } from '../src/admin.ts';
import { documentChannel } from '../src/store/channels.ts';
import { slotOf } from '../src/store/redis-cluster.ts';
import { startRedisCluster, type TestRedisCluster } from './support/redis-cluster.ts';
import { openTestServer, type TestServer, type TestUser } from './support/server.ts';
import { JsonClient } from './support/sockets.ts';
import { StockClient } from './support/stock-client.ts';
import { until } from './support/until.ts';

let redis: TestRedisCluster;
let owner: TestServer;
let gateway: TestServer;
let ada: TestUser;
let bob: TestUser;

beforeAll(async () => {
  redis = await startRedisCluster();
  const settings = { REDIS_URL: redis.url, REDIS_CLUSTER: 'on', RATE_LIMITS: 'on', RATE_LIMIT_SIGN_IN: '3/600' };
  // Its beat is on the master that is killed below.
  const names = Array.from({ length: 100 }, (_, i) => `one-${i}`);
  const name = names.find((one) => masterOf(`node:${one}`) === masterOf('audit')) ?? '';
  owner = await openTestServer({ ...settings, NODE_ID: name });
  gateway = await openTestServer({ ...settings, NODE_ID: 'two' }, owner);
  [ada, bob] = [await owner.register('ada'), await owner.register('bob')];
});

afterAll(async () => {
  await gateway.stop();
  await owner.stop();
  await redis.stop();
  expect(owner.errors()).toEqual([]);
  expect(gateway.errors()).toEqual([]);
});

test('nodes say that they are ready', async () => {
  for (const { url } of [owner, gateway]) expect((await fetch(`${url}/readyz`)).status).toBe(200);
});

test('JSON, Yjs and REST on two nodes are one document', async () => {
  const doc_id = await owner.createDocument(ada, 'x');
  await owner.share(ada, doc_id, bob, 'editor');
  const home = await JsonClient.join(owner, doc_id, ada);
  const away = await JsonClient.join(gateway, doc_id, bob);
  const stock = new StockClient(gateway, doc_id, bob);
  await stock.synced();
  stock.text.insert(1, 'y');
  await away.edit([{ insert: '>' }]);
  await home.edit([{ insert: '<' }]);
  await stock.until('all', () => stock.text.length === 4);
  expect(await owner.text(ada, doc_id)).toBe(stock.text.toString());
  expect(await gateway.text(ada, doc_id)).toBe(stock.text.toString());
  stock.destroy();
});

/** A document whose channel a master has, with ada on it where its actor is and bob from the other node. */
async function sharedOn(master: number): Promise<{ doc_id: string; home: JsonClient; away: JsonClient }> {
  for (;;) {
    const doc_id = await owner.createDocument(ada, '');
    if (masterOf(documentChannel(doc_id)) !== master) continue;
    await owner.share(ada, doc_id, bob, 'editor');
    const home = await JsonClient.join(owner, doc_id, ada);
    return { doc_id, home, away: await JsonClient.join(gateway, doc_id, bob) };
  }
}

/** Which master has a channel, as the slots were dealt out. */
const masterOf = (channel: string): number => Math.floor(slotOf(channel) / 5_461.34);

/** Jobs of a queue that both nodes did so far. */
async function jobsDone(queue: string): Promise<number> {
  const series = `concord_jobs_total{queue="${queue}",outcome="completed"}`;
  return ((await owner.metric(series)) ?? 0) + ((await gateway.metric(series)) ?? 0);
}

test('documents are spread over all masters, by sharded channels; everybody gets every edit in order, without a gap', async () => {
  const documents = [await sharedOn(0), await sharedOn(1), await sharedOn(2)];
  for (const [i, { doc_id }] of documents.entries()) {
    const channel = documentChannel(doc_id);
    expect(await redis.masters[i]?.client.pubsub('SHARDCHANNELS', channel)).toEqual([channel]);
    expect(await redis.masters[i]?.client.pubsub('CHANNELS')).toEqual([]);
  }
  const gaps = await gateway.metric('concord_channel_gaps_total');
  const type = async (client: JsonClient): Promise<void> => {
    for (let i = 0; i < 25; i++) await client.edit([{ insert: 'x' }]);
  };
  await Promise.all(documents.flatMap(({ home, away }) => [type(home), type(away)]));
  for (const { doc_id, home, away } of documents) {
    await Promise.all([home.settled(), away.settled()]);
    const revs = (client: JsonClient): number[] => client.of('edit').map(({ changes }) => changes.rev);
    await until('every edit', () => revs(home).length === 50 && revs(away).length === 50);
    const [first = 0] = revs(home);
    for (const client of [home, away]) expect(revs(client)).toEqual(Array.from({ length: 50 }, (_, i) => first + i));
    expect(await gateway.text(bob, doc_id)).toHaveLength(50);
  }
  expect(await gateway.metric('concord_channel_gaps_total')).toBe(gaps);
});

test('subscriptions that are killed, on every master, cost no edit', async () => {
  const documents = [await sharedOn(0), await sharedOn(1), await sharedOn(2)];
  for (let round = 0; round < 3; round++) {
    const edits = documents.flatMap(({ home, away }) => [home.edit([{ insert: 'h' }]), away.edit([{ insert: 'a' }])]);
    for (const { client } of redis.masters) await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await Promise.all(edits);
  }
  for (const { home, away } of documents)
    await until('all edits on both nodes', () => [home, away].every((client) => client.of('edit').length === 6));
});

test('a session that ends on one node has ended on the other', async () => {
  const again = await owner.signIn(ada);
  expect((await gateway.call('GET', '/v1/users/me', again.token)).status).toBe(200);
  await owner.call('POST', '/v1/auth/logout', again.token, { refresh_token: again.refresh_token });
  expect((await gateway.call('GET', '/v1/users/me', again.token)).status).toBe(401);
});

test('the nodes count sign-ins together', async () => {
  const attempt = async (server: TestServer): Promise<number> =>
    (await server.call('POST', '/v1/auth/login', undefined, { email: 'nobody@example.org', password: 'wrong' })).status;
  const statuses = [];
  for (const server of [owner, gateway, owner, gateway]) statuses.push(await attempt(server));
  expect(statuses).toEqual([401, 401, 401, 429]);
});

test('jobs run, and what asks about them, too', async () => {
  await until('jobs to be done', async () => (await jobsDone('audit')) > 0);
  const settings = { redis_url: redis.url, redis_cluster: true };
  const passwords = { ask: async () => '', read: async () => '' };
  const surroundings = { database_url: () => owner.stores.database.url, redis: () => settings, passwords };
  expect(await runAdmin(['queues'], surroundings)).toMatchObject({
    exit: 0,
    says: expect.stringContaining('snapshots'),
  });
  expect(await runAdmin(['queues', 'retry', 'audit'], surroundings)).toMatchObject({ exit: 0 });
});

test('a master that is killed and comes back empty takes no document and no edit with it; others go on', async () => {
  const documents = [await sharedOn(0), await sharedOn(1), await sharedOn(2)];
  // The one with the queue that is looked at in the end.
  const killed = redis.masters[masterOf('audit')] ?? redis.masters[0];
  await killed.kill9();
  await until('the nodes to say so', async () => (await fetch(`${owner.url}/readyz`)).status === 503);
  for (const { home } of documents) {
    const { changes } = await home.edit([{ insert: 'meanwhile ' }]);
    await home.acked(changes.rev);
  }
  await killed.start();
  await redis.whole();
  for (const { url } of [owner, gateway])
    await until('the nodes to be ready', async () => (await fetch(`${url}/readyz`)).status === 200);
  for (const { doc_id, home } of documents) {
    const late = await JsonClient.join(gateway, doc_id, bob);
    expect(late.ready.epoch).toBe(home.ready.epoch);
    await late.edit([{ insert: 'after ' }]);
    expect(await owner.text(ada, doc_id)).toBe('after meanwhile ');
  }
  for (const { home } of documents) await until('what came after', () => home.of('edit').length === 2);
  const moved = await jobsDone('audit');
  await owner.register('cyd');
  await until('jobs to be done again', async () => (await jobsDone('audit')) > moved);
});

test('every key in Redis stands in the table of the operator’s handbook', async () => {
  const handbook = await Bun.file('docs/OPERATIONS.md').text();
  const [, table = ''] = handbook.split('### What stands in Redis');
  const cells = [...table.matchAll(/^\| (`[^|]+) \|/gm)].map(([, cell = '']) => cell);
  const named = cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, key = '']) => key));
  const patterns = named.map((key) => new RegExp(`^${key.replace(/[{}]/g, '\\$&').replace(/<[^>]+>/g, '.+')}$`));
  const keys = (await Promise.all(redis.masters.map(({ client }) => client.keys('*')))).flat();
  expect(keys.length).toBeGreaterThan(10);
  expect(keys.filter((key) => !patterns.some((pattern) => pattern.test(key)))).toEqual([]);
});
