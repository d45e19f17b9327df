/**
 * `SERVICES` as deployments use it: every combination as a process of its own. Each starts, serves the routes of its
 * services and no others, connects only what these need, and ends with 0 when told to.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { SERVICES, type Service } from '../../src/config.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type ServerProcess, startServer } from '../support/processes.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

const ID = '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10';
/** What every process answers. */
const COMMON = ['/healthz', '/readyz', '/metrics'];
/** What belongs to a service and is not in the OpenAPI document: pages and sockets. */
const UNLISTED: Readonly<Record<Service, readonly string[]>> = {
  users: [],
  documents: ['/', `/d/${ID}`],
  collaboration: [`/v1/collab/${ID}`, `/v1/yjs/${ID}`, '/v1/hocuspocus'],
  worker: ['/admin', '/admin/queues'],
};
/** Every combination, single services first. */
const COMBINATIONS = Array.from({ length: 2 ** SERVICES.length - 1 }, (_, i) =>
  SERVICES.filter((_, bit) => ((i + 1) >> bit) & 1),
).sort((a, b) => a.length - b.length);

type Route = readonly [method: string, path: string];

let database: TestDatabase;
let redis: TestRedis;
/** The whole API, which every process describes. */
let api: readonly Route[];
/** Routes of each service: those that are served where it runs alone. */
const routes = new Map<Service, readonly Route[]>();

beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
});

afterAll(async () => {
  await Promise.all([database.drop(), redis.stop()]);
});

function start(services: readonly Service[]): Promise<ServerProcess> {
  return startServer({
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    SERVICES: services.join(','),
    NODE_ID: services.join('-'),
    RATE_LIMITS: 'off',
  });
}

/** The routes that `/docs/json` tells of, without those of every process. */
async function describedRoutes({ url }: ServerProcess): Promise<Route[]> {
  const { paths } = (await (await fetch(`${url}/docs/json`)).json()) as { paths: Record<string, object> };
  return Object.entries(paths)
    .filter(([path]) => !COMMON.includes(path))
    .flatMap(([path, operations]) => Object.keys(operations).map((method) => [method.toUpperCase(), path] as const));
}

/** Whether a route of this address and method is there: whoever calls is not signed in, so nothing happens. */
async function isServed({ url }: ServerProcess, [method, path]: Route): Promise<boolean> {
  const response = await fetch(url + path.replace(/\{[^}]+\}/g, ID), { method, redirect: 'manual' });
  const text = await response.text();
  if (response.status !== 404) return response.status !== 405;
  expect(JSON.parse(text).error).toMatchObject({ code: 'NOT_FOUND' });
  return !text.includes('There is no such address');
}

/** Names of this node's connections to Redis and PostgreSQL. */
async function connections(node_id: string): Promise<{ readonly redis: Set<string>; readonly postgres: Set<string> }> {
  const client = new Bun.RedisClient(redis.url);
  const list = String(await client.send('CLIENT', ['LIST']));
  client.close();
  const rows = await database.sql<{ name: string }[]>`
    SELECT application_name AS name FROM pg_stat_activity WHERE application_name LIKE ${`concord ${node_id}%`}`;
  const suffix = (name: string, prefix: string): string => name.slice(prefix.length).split(':').at(-1)?.trim() ?? '';
  const names = [...list.matchAll(/ name=(\S*)/g)].map(([, name = '']) => name);
  const ours = names.filter((name) => name === `concord:${node_id}` || name.startsWith(`concord:${node_id}:`));
  return {
    redis: new Set(ours.map((name) => suffix(name, `concord:${node_id}`))),
    postgres: new Set(rows.map(({ name }) => suffix(name, `concord ${node_id}`))),
  };
}

describe.each(COMBINATIONS.map((services) => [services.join(','), services] as const))('SERVICES=%s', (_, services) => {
  const others = SERVICES.filter((service) => !services.includes(service));
  let server: ServerProcess;

  beforeAll(async () => {
    server = await start(services);
    api ??= await describedRoutes(server);
    const [only, second] = services;
    if (only === undefined || second !== undefined) return;
    const served = await Promise.all(api.map((route) => isServed(server, route)));
    routes.set(
      only,
      api.filter((_, i) => served[i]),
    );
  });

  test('it answers what watches it, and describes the whole API, whatever it serves of it', async () => {
    for (const path of [...COMMON, '/docs', '/docs/json'])
      expect([path, (await fetch(server.url + path)).status]).toEqual([path, 200]);
    expect(await (await fetch(`${server.url}/metrics`)).text()).toContain('concord_sockets');
    expect(await describedRoutes(server)).toEqual([...api]);
  });

  test('it serves the routes of its services, and those of others are 404', async () => {
    const own = services.flatMap((service) => routes.get(service) ?? []);
    const unlisted = (service: Service): Route[] => UNLISTED[service].map((path) => ['GET', path]);
    for (const route of [...own, ...services.flatMap(unlisted)])
      expect([route, await isServed(server, route)]).toEqual([route, true]);
    for (const route of others.flatMap((service) => [...(routes.get(service) ?? []), ...unlisted(service)]))
      expect([route, await isServed(server, route)]).toEqual([route, false]);
  });

  test('it has the connections that its services need, and no others', async () => {
    const node_id = services.join('-');
    const { redis, postgres } = await until('its connections', async () => {
      const now = await connections(node_id);
      return !services.includes('worker') || now.redis.has('worker') ? now : null;
    });
    expect(redis.has('worker')).toBe(services.includes('worker'));
    // A node with actors asks for work once it has something to ask.
    if (!services.includes('collaboration')) expect(redis.has('queues')).toBe(services.includes('worker'));
    const finds_owners = services.includes('collaboration') || services.includes('documents');
    expect(redis.has('listen')).toBe(finds_owners);
    if (!services.includes('collaboration')) expect(postgres.has('journal')).toBe(false);
  });

  test('SIGTERM ends it with 0, and it complained of nothing', async () => {
    expect(await server.terminate()).toBe(0);
    const complaints = server.log().filter(({ level }) => level === 'error' || level === 'fatal' || level === 'warn');
    expect(complaints).toEqual([]);
    expect(server.log().at(-1)).toMatchObject({ event: 'stopped' });
  });
});

test('each route is one service’s, and every route is some service’s', () => {
  const names = (list: readonly Route[]): string[] => list.map((route) => route.join(' ')).sort();
  expect(names(SERVICES.flatMap((service) => routes.get(service) ?? []))).toEqual(names(api));
  for (const service of SERVICES)
    if (service !== 'worker') expect([service, routes.get(service)?.length]).not.toEqual([service, 0]);
});
