import { afterAll, beforeAll, expect, test } from 'bun:test';
import { blockedBackends, lockHeads, seedDocument } from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { until } from '../../test/support/until.ts';
import { currentDatabase, RenewablePool } from './pool.ts';
import { isStorageAway } from './postgres.ts';

let db: TestDatabase;
beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db.drop());

const OPTIONS = { connections_max: 1, application_name: 'renewable' };

test('one pool serves until it is renewed', async () => {
  const pool = new RenewablePool(db.url, OPTIONS);
  const before = pool.current();
  expect(await before`SELECT 1 AS one`).toMatchObject([{ one: 1 }]);
  expect(pool.current()).toBe(before);
  pool.renew();
  expect(pool.current()).not.toBe(before);
  expect(await pool.current()`SELECT 2 AS two`).toMatchObject([{ two: 2 }]);
  await pool.close();
});

test('renewing fails what hangs on the old connections, as storage that is away, and serves at once', async () => {
  const { doc_id } = await seedDocument(db.sql);
  const lock = await lockHeads(db.url, [doc_id]);
  const pool = new RenewablePool(db.url, OPTIONS);
  const hanging = pool.current()`UPDATE document_heads SET epoch = epoch WHERE doc_id = ${doc_id}`.then(
    () => null,
    (error: unknown) => error,
  );
  await blockedBackends(db.sql, 'renewable');
  pool.renew();
  expect(isStorageAway(await hanging)).toBe(true);
  expect(await pool.current()`SELECT 1 AS one`).toMatchObject([{ one: 1 }]);
  await lock.release();
  await pool.close();
});

test('a pool that is closed answers nothing more', async () => {
  const pool = new RenewablePool(db.url, OPTIONS);
  await pool.current()`SELECT 1`;
  await pool.close();
  const answer = await pool.current()`SELECT 1`.then(
    () => 'answered',
    () => 'refused',
  );
  expect(answer).toBe('refused');
});

test('renewing again and again leaves no connection behind', async () => {
  const pool = new RenewablePool(db.url, { ...OPTIONS, application_name: 'renewable-many' });
  for (let i = 0; i < 10; i++) {
    await pool.current()`SELECT 1`;
    pool.renew();
  }
  await pool.close();
  await until('the connections to be gone', async () => {
    const left = await db.sql`SELECT 1 FROM pg_stat_activity WHERE application_name = 'renewable-many'`;
    return left.length === 0;
  });
});

test('whoever keeps a stand-in for the pool always asks the current one, in statements and transactions', async () => {
  const pool = new RenewablePool(db.url, OPTIONS);
  const sql = currentDatabase(pool);
  expect(await sql`SELECT ${1}::int AS one`).toMatchObject([{ one: 1 }]);
  pool.renew();
  expect(await sql`SELECT ${2}::int AS two`).toMatchObject([{ two: 2 }]);
  expect(await sql.begin((step) => step`SELECT 3 AS three`)).toMatchObject([{ three: 3 }]);
  await pool.close();
});
