import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEmptyDatabase, type TestDatabase } from '../../test/support/database.ts';
import { until } from '../../test/support/until.ts';
import { MigrationRefused, migrate } from './migrate.ts';
import { connectDatabase } from './postgres.ts';

let database: TestDatabase;
let directory: string;

beforeEach(async () => {
  database = await createEmptyDatabase();
  directory = mkdtempSync(join(tmpdir(), 'concord-migrations-'));
});

afterEach(async () => {
  rmSync(directory, { recursive: true });
  await database.drop();
});

function write(file: string, statements: string): void {
  writeFileSync(join(directory, file), statements);
}

const run = () => migrate(database.sql, directory);

async function appliedFiles(): Promise<string[]> {
  const rows = await database.sql<{ file: string }[]>`SELECT file FROM concord_migrations ORDER BY id`;
  return rows.map((row) => row.file);
}

async function refusal(work: Promise<void>): Promise<string> {
  const outcome = await work.then(
    () => null,
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(MigrationRefused);
  return (outcome as MigrationRefused).message;
}

test('the files are applied in order, each once, and later ones are added to them', async () => {
  write('0001_first.sql', 'CREATE TABLE notes (id int); INSERT INTO notes VALUES (1);');
  await run();
  write('0002_second.sql', 'ALTER TABLE notes ADD COLUMN more text; INSERT INTO notes VALUES (2);');
  await run();
  await run();
  expect(await appliedFiles()).toEqual(['0001_first.sql', '0002_second.sql']);
  expect((await database.sql`SELECT id FROM notes ORDER BY id`).map((row) => row.id)).toEqual([1, 2]);
});

test('racing installers apply each file exactly once, and all of them succeed', async () => {
  write('0001_first.sql', 'CREATE TABLE notes (id int); INSERT INTO notes VALUES (1);');
  write('0002_second.sql', 'INSERT INTO notes SELECT 2 FROM pg_sleep(0.05);');
  write('0003_third.sql', 'INSERT INTO notes VALUES (3);');
  const pools = Array.from({ length: 8 }, () =>
    connectDatabase(database.url, { connections_max: 1, application_name: 'racer' }),
  );
  await Promise.all(pools.map((pool) => migrate(pool, directory)));
  await Promise.all(pools.map((pool) => pool.end()));
  expect((await database.sql`SELECT id FROM notes ORDER BY id`).map((row) => row.id)).toEqual([1, 2, 3]);
});

test('an installer that dies while it holds the lock blocks nobody', async () => {
  write('0001_first.sql', 'CREATE TABLE notes (id int);');
  write('0002_hangs.sql', 'SELECT pg_sleep(600);');
  const doomed = connectDatabase(database.url, { connections_max: 1, application_name: 'doomed' });
  const death = migrate(doomed, directory).catch((error: unknown) => error);
  await until('the migration to hang', async () => {
    const rows = await database.sql`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'doomed' AND query LIKE '%pg_sleep%'`;
    return rows.length > 0;
  });
  expect(await death).toBeInstanceOf(Error);
  await doomed.end();
  write('0002_hangs.sql', 'SELECT 1;');
  await run();
  expect(await appliedFiles()).toEqual(['0001_first.sql', '0002_hangs.sql']);
});

test('a migration that fails is undone whole, keeps those before it and is named', async () => {
  write('0001_first.sql', 'CREATE TABLE notes (id int);');
  write('0002_broken.sql', 'CREATE TABLE half (id int); INSERT INTO nowhere VALUES (1);');
  const message = await refusal(run());
  expect(message).toContain('0002_broken.sql');
  expect(message).toContain('relation "nowhere" does not exist');
  expect(await appliedFiles()).toEqual(['0001_first.sql']);
  expect(await database.sql`SELECT to_regclass('half') AS half`).toEqual([{ half: null }] as never);
});

test('a database that is ahead is refused, with what to do', async () => {
  write('0001_first.sql', 'SELECT 1;');
  write('0002_later.sql', 'SELECT 2;');
  await run();
  rmSync(join(directory, '0002_later.sql'));
  const message = await refusal(run());
  expect(message).toContain('ahead of this release: it has had 0002_later.sql');
  expect(message).toContain('restore a backup');
});

test('a file that was changed after it was applied is refused, and named', async () => {
  write('0001_first.sql', 'SELECT 1;');
  await run();
  write('0001_first.sql', 'SELECT 1; -- better');
  expect(await refusal(run())).toContain('0001_first.sql was changed after it was applied');
});

test('a database of another line of releases is refused', async () => {
  write('0001_first.sql', 'SELECT 1;');
  await run();
  renameSync(join(directory, '0001_first.sql'), join(directory, '0001_other.sql'));
  expect(await refusal(run())).toContain('is 0001_first.sql and that of this release is 0001_other.sql');
});

test.each([['0002_gap.sql'], ['1_short.sql'], ['0001_Upper.sql']])(
  'a file that is misnumbered or misnamed is refused: %s',
  async (file) => {
    write(file, 'SELECT 1;');
    expect(await refusal(run())).toContain('should be called 0001_<name>.sql');
  },
);

test("the release's own files make a database, and a second run finds nothing to do", async () => {
  await migrate(database.sql);
  const before = await appliedFiles();
  expect(before.length).toBeGreaterThan(0);
  await migrate(database.sql);
  expect(await appliedFiles()).toEqual(before);
});
