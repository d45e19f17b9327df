import { afterAll, expect, test } from 'bun:test';
import { connectDatabase } from '../../src/store/postgres.ts';
import { createTestDatabase } from './database.ts';
import { startPostgres } from './postgres-server.ts';
import { startRedis } from './redis.ts';
import { until } from './until.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
});

async function ping(url: string): Promise<string> {
  const client = new Bun.RedisClient(url, { autoReconnect: false, connectionTimeout: 300 });
  try {
    await client.connect();
    return String(await client.send('PING', []));
  } finally {
    client.close();
  }
}

test('two test databases have the same tables and nothing else in common', async () => {
  const [one, two] = await Promise.all([createTestDatabase(), createTestDatabase()]);
  cleanUps.push(one.drop, two.drop);
  await one.sql`CREATE TABLE only_here (id int)`;
  const found = await two.sql`SELECT to_regclass('only_here') AS here, to_regclass('concord_migrations') AS migrations`;
  expect(found[0]).toEqual({ here: null, migrations: 'concord_migrations' } as never);
});

test('a Redis of its own can be stopped, started, killed and hung, and keeps its URL', async () => {
  const redis = await startRedis();
  cleanUps.push(redis.stop);
  expect(await ping(redis.url)).toBe('PONG');
  await redis.stop();
  await expect(ping(redis.url)).rejects.toThrow();
  await redis.start();
  expect(await ping(redis.url)).toBe('PONG');
  await redis.kill9();
  await redis.restart();
  redis.pause();
  await expect(ping(redis.url)).rejects.toThrow();
  redis.resume();
  expect(await ping(redis.url)).toBe('PONG');
});

test('a PostgreSQL of its own keeps what it committed through a stop and through kill -9', async () => {
  const server = await startPostgres();
  cleanUps.push(server.destroy);
  const sql = connectDatabase(server.url, { connections_max: 1, application_name: 'test' });
  cleanUps.push(() => sql.end({ timeout: 1 }));
  await sql`CREATE TABLE notes (id int)`;
  await sql`INSERT INTO notes VALUES (1)`;
  await server.kill9();
  await server.start();
  await until('the pool to connect again', async () => (await sql`INSERT INTO notes VALUES (2) RETURNING id`).length);
  await server.stop();
  await server.start();
  const rows = await until('the pool to connect again', () => sql`SELECT id FROM notes ORDER BY id`);
  expect(rows.map((row) => row.id)).toEqual([1, 2]);
});

test('a PostgreSQL that hangs answers nothing until it is resumed, and stops even while it hangs', async () => {
  const server = await startPostgres();
  cleanUps.push(server.destroy);
  const sql = connectDatabase(server.url, { connections_max: 1, application_name: 'test' });
  cleanUps.push(() => sql.end({ timeout: 1 }));
  await sql`SELECT 1`;
  const order: string[] = [];
  server.pause();
  const answer = sql`SELECT 1`.then(() => order.push('answered'));
  // Time enough for a server that runs: another one answers a hundred times.
  const other = await createTestDatabase();
  cleanUps.push(other.drop);
  for (let i = 0; i < 100; i++) await other.sql`SELECT 1`;
  order.push('resumed');
  server.resume();
  await answer;
  expect(order).toEqual(['resumed', 'answered']);
  server.pause();
  await server.stop();
});

test('until says what it waited for, and why the last look failed', async () => {
  const never = until('the impossible', () => Promise.reject(new Error('not today')), 30);
  await expect(never).rejects.toThrow('waited 30 ms for the impossible; the last look failed: not today');
});
