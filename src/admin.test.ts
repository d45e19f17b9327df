import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createTestDatabase, type TestDatabase } from '../test/support/database.ts';
import { runAdmin } from './admin.ts';
import { systemClock } from './base/clock.ts';
import { systemRandom } from './base/random.ts';
import { readDatabaseUrl } from './config.ts';
import { findUserRole, insertUser } from './store/users.ts';

let database: TestDatabase;
const id = systemRandom.id();
beforeAll(async () => {
  database = await createTestDatabase();
  await insertUser(database.sql, {
    id,
    email: 'Ada@example.org',
    email_key: 'ada@example.org',
    display_name: 'Ada',
    password_hash: 'hash',
    at: new Date(systemClock.now()),
  });
});
afterAll(() => database.drop());

const run = (...args: string[]) => runAdmin(args, () => database.url);

test('promote makes a user an admin, its e-mail in any case, as often as one likes', async () => {
  expect(await findUserRole(database.sql, id)).toBe('user');
  for (const email of ['ADA@example.org', 'ada@example.org'])
    expect(await run('promote', email)).toEqual({ exit: 0, says: 'Ada <Ada@example.org> is an admin now.' });
  expect(await findUserRole(database.sql, id)).toBe('admin');
});

test('an e-mail that nobody has is said to be one', async () => {
  expect(await run('promote', 'bob@example.org')).toEqual({
    exit: 1,
    says: 'Nobody is registered as bob@example.org. They must make an account first.',
  });
});

test('anything else gets the usage', async () => {
  for (const args of [[], ['promote'], ['demote', 'ada@example.org'], ['promote', 'a@b', 'c@d'], ['--help']])
    expect(await run(...args)).toEqual({ exit: 2, says: expect.stringContaining('Usage: bin/admin promote <email>') });
});

test('a database that is missing, away or strange is named as the trouble', async () => {
  expect(await runAdmin(['promote', 'a@b'], () => readDatabaseUrl({}))).toEqual({
    exit: 1,
    says: 'DATABASE_URL is required.',
  });
  const away = await runAdmin(['promote', 'a@b'], () => 'postgres://nobody@127.0.0.1:1/concord');
  expect(away).toEqual({ exit: 1, says: expect.stringContaining('The database does not answer') });
  const strange = new URL(database.url);
  strange.pathname = '/template1';
  const empty = await runAdmin(['promote', 'a@b'], () => strange.href);
  expect(empty).toEqual({ exit: 1, says: expect.stringContaining('relation "users" does not exist') });
});

test('the command itself answers on the right stream with the right exit code', async () => {
  const command = async (...args: string[]) => {
    const child = Bun.spawn([process.execPath, `${import.meta.dir}/admin.ts`, ...args], {
      env: { DATABASE_URL: database.url },
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    return [await child.exited, out.trim(), err.trim()];
  };
  expect(await command('promote', 'ada@example.org')).toEqual([0, 'Ada <Ada@example.org> is an admin now.', '']);
  expect(await command('promote', 'x@y')).toEqual([1, '', expect.stringContaining('Nobody is registered as x@y')]);
  expect(await command()).toEqual([2, '', expect.stringContaining('Usage')]);
});
