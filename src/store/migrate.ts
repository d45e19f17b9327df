/**
 * The database's shape, brought up to this release.
 *
 * The numbered files of `sql/` are applied in order, each once, each in a transaction of its own together with the row that
 * says so. Any number of processes may start at once: every step takes the same lock inside its transaction and then looks
 * again at what is applied, so each file is applied by whoever comes first and the others find it done. A lock of a
 * transaction goes with its connection, so a process that dies holding it blocks nobody.
 *
 * What is refused, since guessing would destroy data: a database that is ahead of this release, and a file that is not
 * what was applied under its name.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Database, type Sql, sqlState } from './postgres.ts';

const RELEASED = join(import.meta.dir, '../../sql');
/** What all migrations amount to, kept beside them for people to read. */
const DUMP = 'schema.sql';
/** Any number that nothing else in the database takes as an advisory lock. */
const LOCK_KEY = 6_734_121_095;
const LOCK_WAIT_MS_MAX = 60_000;

/** The database or the files are in a state that a person must settle; the message says how. */
export class MigrationRefused extends Error {
  override readonly name = 'MigrationRefused';
}

interface Migration {
  /** 1, 2, 3 … */
  readonly id: number;
  readonly file: string;
  readonly statements: string;
  /** SHA-256 of the file, in hex. */
  readonly checksum: string;
}

interface Applied {
  readonly id: number;
  readonly file: string;
  readonly checksum: string;
}

/**
 * Applies what is missing of the files of `directory`. Throws {@link MigrationRefused} with what to do when it must not, and
 * PostgreSQL's own error when that cannot be reached.
 */
export async function migrate(sql: Database, directory: string = RELEASED): Promise<void> {
  const released = await readMigrations(directory);
  while (await applyNext(sql, released));
}

/** One step; false when there is nothing left to do. */
async function applyNext(sql: Database, released: readonly Migration[]): Promise<boolean> {
  return sql.begin(async (step) => {
    await lock(step);
    const applied = await readApplied(step);
    checkHistory(released, applied);
    const next = released[applied.length];
    if (!next) return false;
    await apply(step, next);
    return true;
  });
}

async function lock(step: Sql): Promise<void> {
  await step.unsafe(`SET LOCAL lock_timeout = ${LOCK_WAIT_MS_MAX}`);
  try {
    await step`SELECT pg_advisory_xact_lock(${LOCK_KEY})`;
  } catch (error) {
    if (sqlState(error) !== '55P03') throw error;
    throw new MigrationRefused(
      `another process has been migrating this database for over ${LOCK_WAIT_MS_MAX / 1000} s: wait for it, ` +
        "or find it in pg_locks (locktype 'advisory') and end it, then start again.",
      { cause: error },
    );
  }
}

async function readApplied(step: Sql): Promise<Applied[]> {
  await step`
    CREATE TABLE IF NOT EXISTS concord_migrations (
      id         integer PRIMARY KEY,
      file       text NOT NULL,
      checksum   text NOT NULL,
      applied_at timestamptz(3) NOT NULL DEFAULT now()
    )`;
  return step<Applied[]>`SELECT id, file, checksum FROM concord_migrations ORDER BY id`;
}

/** What is applied must be the beginning of what is released, byte for byte. */
function checkHistory(released: readonly Migration[], applied: readonly Applied[]): void {
  for (const [index, done] of applied.entries()) {
    const file = released[index];
    if (!file) {
      throw new MigrationRefused(
        `the database is ahead of this release: it has had ${done.file}, and the last migration here is ` +
          `${released.at(-1)?.file ?? 'none'}. Run the release that made it, or a newer one; to go back, restore a backup from before.`,
      );
    }
    if (done.id !== file.id || done.file !== file.file) {
      throw new MigrationRefused(
        `migration ${done.id} of the database is ${done.file} and that of this release is ${file.file}: ` +
          'this database belongs to another line of releases. Give this one a database of its own.',
      );
    }
    if (done.checksum !== file.checksum) {
      throw new MigrationRefused(
        `${file.file} was changed after it was applied to this database: restore the file as it was released and put the ` +
          'change into a new migration. While developing, a fresh database will do too.',
      );
    }
  }
}

async function apply(step: Sql, migration: Migration): Promise<void> {
  try {
    await step.unsafe(migration.statements);
  } catch (error) {
    if (sqlState(error) === null) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new MigrationRefused(`${migration.file} failed and nothing of it was kept: ${reason}.`, { cause: error });
  }
  const { id, file, checksum } = migration;
  await step`INSERT INTO concord_migrations ${step({ id, file, checksum })}`;
}

async function readMigrations(directory: string): Promise<Migration[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.sql') && file !== DUMP).sort();
  return Promise.all(
    files.map(async (file, index) => {
      const id = Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(file)?.[1]);
      if (id !== index + 1) {
        const number = String(index + 1).padStart(4, '0');
        throw new MigrationRefused(
          `${join(directory, file)} should be called ${number}_<name>.sql: numbers go up by one.`,
        );
      }
      const statements = await readFile(join(directory, file), 'utf8');
      return { id, file, statements, checksum: new Bun.CryptoHasher('sha256').update(statements).digest('hex') };
    }),
  );
}
