/**
 * The driver on its worst day. Released postgres.js, when a connection dies inside a transaction, writes the ROLLBACK to a
 * socket that is gone, which ends the process, or leaves that ROLLBACK waiting on the connection, which then hands each
 * answer to the wrong query; and a transaction that goes on later runs its statements on whatever connection came after.
 * `patches/` mends it; the tests about transactions fail without the patch.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { startPostgres, type TestPostgres } from '../../test/support/postgres-server.ts';
import { until } from '../../test/support/until.ts';
import { connectDatabase, type Database } from './postgres.ts';

let server: TestPostgres;
let killer: Database;

beforeAll(async () => {
  server = await startPostgres();
  killer = connectDatabase(server.url, { connections_max: 1, application_name: 'killer' });
});
afterAll(async () => {
  await killer.end({ timeout: 1 });
  await server.destroy();
});

/** Every query of a connection gets its own answer. */
async function expectAligned(sql: Database): Promise<void> {
  await until('the pool to answer', async () => (await sql`SELECT 1 AS one`).length);
  const numbers = Array.from({ length: 200 }, (_, n) => n);
  const answers = await Promise.all(numbers.map((n) => sql`SELECT ${n}::int AS n`));
  expect(answers.map((rows) => rows[0]?.n)).toEqual(numbers);
  for (const n of numbers.slice(0, 20)) expect((await sql`SELECT ${n}::int AS n`)[0]?.n).toBe(n);
}

async function dieInTransaction(sql: Database, kill: () => Promise<unknown>): Promise<unknown> {
  return sql
    .begin(async (step) => {
      await step`SELECT 1`;
      const answer = step`SELECT pg_sleep(30)`.then(
        () => null,
        (error: unknown) => error,
      );
      await until('the query to run', async () => (await running()).length);
      await kill();
      throw (await answer) ?? new Error('the query was answered');
    })
    .then(
      () => null,
      (error: unknown) => error,
    );
}

const running = () => killer`
  SELECT pid FROM pg_stat_activity WHERE application_name = 'victim' AND state = 'active' AND query LIKE '%pg_sleep%'`;

test('a connection that is terminated inside a transaction fails that transaction only', async () => {
  const sql = connectDatabase(server.url, { connections_max: 1, application_name: 'victim' });
  for (let round = 0; round < 5; round++) {
    const kill = async () => {
      for (const { pid } of await running()) await killer`SELECT pg_terminate_backend(${pid})`;
    };
    expect(await dieInTransaction(sql, kill)).toBeInstanceOf(Error);
    await expectAligned(sql);
  }
  await sql.end({ timeout: 1 });
});

test('a server that is killed inside a transaction fails that transaction only, and the pool finds the server again', async () => {
  const sql = connectDatabase(server.url, { connections_max: 2, application_name: 'victim' });
  for (let round = 0; round < 3; round++) {
    expect(await dieInTransaction(sql, server.kill9)).toBeInstanceOf(Error);
    await server.start();
    await expectAligned(sql);
    await until('the second pool to connect again', async () => (await killer`SELECT 1`).length);
  }
  await sql.end({ timeout: 1 });
});

test('a statement of a transaction whose connection died never runs on the connection that took its place', async () => {
  const sql = connectDatabase(server.url, { connections_max: 1, application_name: 'victim' });
  await sql`CREATE TABLE late (id int)`;
  const gate = Promise.withResolvers<void>();
  const dead = sql.begin(async (step) => {
    for (const { pid } of await step<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`) {
      await killer`SELECT pg_terminate_backend(${pid})`;
    }
    await gate.promise;
    await step`INSERT INTO late VALUES (1)`;
  });
  expect(await dead.catch((error: unknown) => error)).toBeInstanceOf(Error);
  await expectAligned(sql);
  gate.resolve();
  await expectAligned(sql);
  expect(await sql`SELECT id FROM late`).toHaveLength(0);
  await sql.end({ timeout: 1 });
});

test('queries that wait while the server is away are answered or refused, never left hanging', async () => {
  const sql = connectDatabase(server.url, { connections_max: 4, application_name: 'victim' });
  await sql`SELECT 1`;
  const outcomes: Promise<string>[] = [];
  const ask = () =>
    outcomes.push(
      sql
        .begin(async (step) => (await step`SELECT 7 AS seven`)[0]?.seven)
        .then(
          (seven) => (seven === 7 ? 'answered' : `wrong answer ${seven}`),
          (error: unknown) => (error instanceof Error ? 'refused' : 'odd'),
        ),
    );
  for (let i = 0; i < 20; i++) ask();
  const killed = server.kill9();
  for (let i = 0; i < 20; i++) ask();
  await killed;
  for (let i = 0; i < 20; i++) ask();
  await server.start();
  const seen = new Set(await Promise.all(outcomes));
  expect([...seen].filter((outcome) => outcome !== 'answered' && outcome !== 'refused')).toEqual([]);
  await expectAligned(sql);
  await sql.end({ timeout: 1 });
});
