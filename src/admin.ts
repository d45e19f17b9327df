/**
 * What only somebody with access to the database may do: `bun src/admin.ts promote <email>` makes a user an admin. The
 * first admin cannot come through the API, since it takes an admin to make one there.
 */
import { systemClock } from './base/clock.ts';
import { ConfigError, readDatabaseUrl } from './config.ts';
import { emailKey } from './domain/accounts-email.ts';
import { connectDatabase, type Database, isStorageAway } from './store/postgres.ts';
import { promoteUser } from './store/users.ts';

/** How the command ended; what a shell sees. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;

/** What it says and how it ends. */
export interface Outcome {
  readonly exit: (typeof EXIT)[keyof typeof EXIT];
  readonly says: string;
}

const USAGE = 'Usage: bin/admin promote <email>\n  Makes the user with this e-mail an admin.';

/** Runs one command, `args` being what follows the program's name. */
export async function runAdmin(args: readonly string[], database_url: () => string): Promise<Outcome> {
  const [command, email, ...more] = args;
  if (command !== 'promote' || email === undefined || more.length > 0) return { exit: EXIT.usage, says: USAGE };
  let sql: Database | null = null;
  try {
    sql = connectDatabase(database_url(), { connections_max: 1, application_name: 'concord-admin' });
    return await promote(sql, email);
  } catch (error) {
    return { exit: EXIT.failed, says: reasonOf(error) };
  } finally {
    await sql?.end({ timeout: 1 });
  }
}

async function promote(sql: Database, email: string): Promise<Outcome> {
  const user = await promoteUser(sql, emailKey(email), new Date(systemClock.now()));
  if (user === null)
    return { exit: EXIT.failed, says: `Nobody is registered as ${email}. They must make an account first.` };
  return { exit: EXIT.done, says: `${user.display_name} <${user.email}> is an admin now.` };
}

function reasonOf(error: unknown): string {
  if (error instanceof ConfigError) return `${error.message}.`;
  const message = error instanceof Error ? error.message : String(error);
  return isStorageAway(error)
    ? `The database does not answer (${message}). Is Concord running, and is DATABASE_URL right?`
    : `The database refused: ${message}`;
}

if (import.meta.main) {
  const outcome = await runAdmin(process.argv.slice(2), readDatabaseUrl);
  const stream = outcome.exit === EXIT.done ? process.stdout : process.stderr;
  stream.write(`${outcome.says}\n`);
  process.exitCode = outcome.exit;
}
