/**
 * A database of its own for each test file. One database of the run is migrated once; the others are copies of it, which
 * take PostgreSQL a fraction of the time.
 */
import { migrate } from '../../src/store/migrate.ts';
import { connectDatabase, type Database, type Sql } from '../../src/store/postgres.ts';
import { fromRun, uniqueName } from './environment.ts';

const TEMPLATE = 'concord_template';
/** Keeps test processes that run at once from making the template twice. */
const TEMPLATE_LOCK = 20_260_101;

export interface TestDatabase {
  readonly url: string;
  /** A pool on it, which `drop` closes. */
  readonly sql: Database;
  /** Removes the database, whoever is still connected. */
  drop(): Promise<void>;
}

/** A new database with all migrations applied. */
export async function createTestDatabase(): Promise<TestDatabase> {
  return create(async (admin, name) => {
    await ensureTemplate(admin);
    await admin.unsafe(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`);
  });
}

/** A new database with nothing in it. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  return create((admin, name) => admin.unsafe(`CREATE DATABASE ${name}`));
}

/** Holds what `take` locks in a transaction of its own, until what this resolves to is called. */
export async function holdLock(
  database: Database,
  take: (sql: Sql) => PromiseLike<unknown>,
): Promise<() => Promise<void>> {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: held, resolve: tellHeld } = Promise.withResolvers<void>();
  const over = database.begin(async (sql) => {
    await take(sql);
    tellHeld();
    await released;
  });
  await Promise.race([held, over]);
  return async () => {
    release();
    await over;
  };
}

async function create(make: (admin: Database, name: string) => Promise<unknown>): Promise<TestDatabase> {
  const name = uniqueName('test');
  await asAdmin((admin) => make(admin, name));
  const url = urlOf(name);
  const sql = connectDatabase(url, { connections_max: 4, application_name: 'test' });
  return {
    url,
    sql,
    async drop() {
      await sql.end({ timeout: 1 });
      await asAdmin((admin) => admin.unsafe(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
    },
  };
}

async function ensureTemplate(admin: Database): Promise<void> {
  await admin`SELECT pg_advisory_lock(${TEMPLATE_LOCK})`;
  try {
    const found = await admin`SELECT 1 FROM pg_database WHERE datname = ${TEMPLATE}`;
    if (found.length > 0) return;
    // Made under another name first, so that a migration that fails leaves no half of a template.
    const part = `${TEMPLATE}_part`;
    await admin.unsafe(`DROP DATABASE IF EXISTS ${part} WITH (FORCE)`);
    await admin.unsafe(`CREATE DATABASE ${part}`);
    const sql = connectDatabase(urlOf(part), { connections_max: 1, application_name: 'test-template' });
    try {
      await migrate(sql);
    } finally {
      await sql.end();
    }
    await admin.unsafe(`ALTER DATABASE ${part} RENAME TO ${TEMPLATE}`);
  } finally {
    await admin`SELECT pg_advisory_unlock(${TEMPLATE_LOCK})`;
  }
}

async function asAdmin<T>(work: (admin: Database) => Promise<T>): Promise<T> {
  // One connection, since the lock belongs to it.
  const admin = connectDatabase(fromRun('CONCORD_TEST_DATABASE_URL'), {
    connections_max: 1,
    application_name: 'test-admin',
  });
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}

function urlOf(name: string): string {
  const url = new URL(fromRun('CONCORD_TEST_DATABASE_URL'));
  url.pathname = `/${name}`;
  return url.href;
}
