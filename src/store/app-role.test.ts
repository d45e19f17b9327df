/** What the server's own role may do, and that it does without where it may not have one. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { uniqueName } from '../../test/support/environment.ts';
import { systemRandom } from '../base/random.ts';
import { APPLICATION_ROLE, applicationRole } from './app-role.ts';
import { moveEvent } from './audit.ts';
import { migrate } from './migrate.ts';
import { recordEvent } from './outbox.ts';
import { connectDatabase, type Database, type Sql, sqlState } from './postgres.ts';

/** Rights are missing, as PostgreSQL says it and as our trigger does. */
const REFUSED = '42501';

const outcome = (statement: Promise<unknown>): Promise<string | null> =>
  statement.then(
    () => 'done',
    (error: unknown) => sqlState(error),
  );

async function audited(sql: Sql): Promise<string> {
  const id = systemRandom.id();
  const nobody = { actor_id: null, document_id: null, target_id: null, ip: '192.0.2.1', request_id: 'r' };
  await recordEvent(sql, {
    id,
    at: new Date(Date.UTC(2026, 4, 3)),
    action: 'user.login_failed',
    ...nobody,
    details: {},
  });
  expect(await moveEvent(sql, id)).toBe(true);
  return id;
}

describe("the server's role", () => {
  let database: TestDatabase;
  let sql: Database;

  beforeAll(async () => {
    database = await createTestDatabase();
    expect(await applicationRole(database.sql)).toBe(APPLICATION_ROLE);
    const role = () => APPLICATION_ROLE;
    sql = connectDatabase(database.url, { connections_max: 1, application_name: 'test', role });
  });
  afterAll(async () => {
    await sql.end();
    await database.drop();
  });

  test('is taken by every connection of its pools, and giving up one role leaves them that one', async () => {
    await sql`RESET ROLE`;
    const [row] = await sql`SELECT current_user AS name`;
    expect(row?.name).toBe(APPLICATION_ROLE);
  });

  test('adds to the audit log and reads it, in months that have no partition yet too', async () => {
    const id = await audited(sql);
    expect(await sql`SELECT action FROM audit_log WHERE id = ${id}`).toHaveLength(1);
  });

  test.each([
    'UPDATE audit_log SET ip = NULL',
    'DELETE FROM audit_log',
    'TRUNCATE audit_log',
    'DROP TABLE audit_log',
    'ALTER TABLE audit_log DISABLE TRIGGER ALL',
    'UPDATE audit_log_2026_05 SET ip = NULL',
    'DELETE FROM audit_log_2026_05',
    'TRUNCATE audit_log_2026_05',
    'DROP TABLE audit_log_2026_05',
    'INSERT INTO audit_log_2026_05 SELECT * FROM audit_log',
    'ALTER TABLE audit_log DETACH PARTITION audit_log_2026_05',
    'DELETE FROM concord_migrations',
    'SELECT audit_drop_expired(29)',
  ])('cannot do this: %s', async (statement) => {
    const id = await audited(sql);
    expect(await outcome(sql.unsafe(statement))).not.toBe('done');
    expect(await sql`SELECT 1 FROM audit_log WHERE id = ${id}`).toHaveLength(1);
  });

  test('may do to each table what the server does, and no more', async () => {
    const rows = await database.sql<{ name: string; rights: string }[]>`
      SELECT relname AS name, string_agg(p, ' ' ORDER BY p) AS rights
      FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND has_table_privilege(${APPLICATION_ROLE}, pg_class.oid, p)
      GROUP BY relname`;
    const [read, add, change] = ['SELECT', 'INSERT SELECT', 'INSERT SELECT UPDATE'];
    const [take, all] = ['DELETE INSERT SELECT', 'DELETE INSERT SELECT UPDATE'];
    // A new table needs a line here, and a thought about what the server has to do to it: see sql/0005_least_rights.sql.
    expect(Object.fromEntries(rows.map(({ name, rights }) => [name, rights]))).toEqual({
      ...{ audit_log: add, concord_migrations: read, outbox: all },
      ...{ users: change, user_identities: take, sessions: all, refresh_tokens: all },
      ...{ documents: change, document_permissions: all, document_links: take, document_search: change },
      ...{ document_heads: change, document_updates: take, document_snapshots: change, document_clients: change },
      ...{ document_segments: add, document_history: change, document_versions: add, document_work: all },
    });
  });

  test('is nothing else: it cannot sign in, make anything, or become somebody', async () => {
    const [role] = await database.sql`
      SELECT rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
             has_schema_privilege(rolname, 'public', 'CREATE') AS makes,
             EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid) AS is_member
      FROM pg_roles WHERE rolname = ${APPLICATION_ROLE}`;
    expect({ ...role, rolinherit: false }).toEqual({
      ...{ rolsuper: false, rolinherit: false, rolcreaterole: false, rolcreatedb: false, rolcanlogin: false },
      ...{ rolreplication: false, rolbypassrls: false, makes: false, is_member: false },
    });
    for (const statement of [
      'UPDATE document_updates SET rev = 0',
      'UPDATE document_segments SET to_rev = 0',
      'DELETE FROM document_versions',
      'DELETE FROM documents',
      'DELETE FROM users',
      'CREATE TABLE mine (n integer)',
      'CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS $$ SELECT 1 $$',
      "COPY users TO PROGRAM 'true'",
      "SELECT pg_read_file('/etc/passwd')",
    ])
      expect([statement, await outcome(sql.unsafe(statement))]).toEqual([statement, REFUSED]);
  });

  test('has rights on the tables of later migrations', async () => {
    await database.sql`CREATE TABLE later (n integer)`;
    await sql`INSERT INTO later VALUES (1)`;
    expect(await outcome(sql`TRUNCATE later`)).toBe(REFUSED);
    await database.sql`DROP TABLE later`;
  });

  test.each([
    "UPDATE audit_log SET action = 'user.login'",
    'UPDATE audit_log SET ip = NULL',
    'DELETE FROM audit_log',
    'TRUNCATE audit_log',
    'DELETE FROM audit_log_2026_05',
    'TRUNCATE audit_log_2026_05',
  ])('is not the only lock: the owner of the table is refused by a trigger: %s', async (statement) => {
    await audited(sql);
    expect(await outcome(database.sql.unsafe(statement))).toBe(REFUSED);
  });
});

describe('a login', () => {
  const login = uniqueName('login');
  let admin: TestDatabase;
  let database: TestDatabase;
  let sql: Database;

  beforeAll(async () => {
    [admin, database] = await Promise.all([createEmptyDatabase(), createEmptyDatabase()]);
    const url = new URL(database.url);
    await admin.sql.unsafe(`CREATE ROLE ${login} LOGIN PASSWORD 'secret'`);
    await admin.sql.unsafe(`ALTER DATABASE ${url.pathname.slice(1)} OWNER TO ${login}`);
    [url.username, url.password] = [login, 'secret'];
    sql = connectDatabase(url.href, { connections_max: 2, application_name: 'test' });
  });
  afterAll(async () => {
    await sql.end();
    await database.drop();
    await admin.sql.unsafe(`DROP ROLE ${login}`);
    await admin.drop();
  });

  test('that may not make roles works as itself; once it is granted the role it takes it', async () => {
    await migrate(sql);
    expect(await applicationRole(sql)).toBeNull();
    await audited(sql);
    await admin.sql.unsafe(`GRANT ${APPLICATION_ROLE} TO ${login}`);
    expect(await applicationRole(sql)).toBe(APPLICATION_ROLE);
  });
});

test('databases of one cluster that are migrated at once do not get in the way of each other', async () => {
  const databases = await Promise.all(Array.from({ length: 6 }, () => createEmptyDatabase()));
  await Promise.all(databases.map(({ sql }) => migrate(sql)));
  expect(await Promise.all(databases.map(({ sql }) => applicationRole(sql)))).toEqual(
    databases.map(() => APPLICATION_ROLE),
  );
  await Promise.all(databases.map((database) => database.drop()));
});
