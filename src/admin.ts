/**
 * Administration from the command line: what only somebody with access to the database may do. The first admin cannot come
 * through the API, since it takes an admin to make one there; and a password that nobody remembers is reset here.
 */
import type { ReadStream } from 'node:tty';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { ACCOUNT_COMMANDS } from './admin/accounts.ts';
import { AUDIT_COMMANDS } from './admin/audit.ts';
import { type Arguments, type Command, EXIT, Misused, type PasswordSource, Refused } from './admin/command.ts';
import { systemPasswords } from './admin/password.ts';
import { QUEUE_COMMANDS } from './admin/queues.ts';
import { systemClock } from './base/clock.ts';
import { systemRandom } from './base/random.ts';
import { ConfigError, readDatabaseUrl, readRedis } from './config.ts';
import { ConcordError } from './protocol/errors.ts';
import { connectDatabase, type Database, isStorageAway } from './store/postgres.ts';
import type { RedisSettings } from './store/redis-side.ts';

/** What it says and how it ends. */
export interface Outcome {
  readonly exit: (typeof EXIT)[keyof typeof EXIT];
  readonly says: string;
}

/** Where it works; an address is only read by the command that needs it, and throws when it is wrong. */
export interface Surroundings {
  database_url(): string;
  redis(): RedisSettings | null;
  readonly passwords: PasswordSource;
}

const COMMANDS: Readonly<Record<string, Command>> = { ...ACCOUNT_COMMANDS, ...AUDIT_COMMANDS, ...QUEUE_COMMANDS };

const USAGE = [
  'Usage:',
  ...Object.values(COMMANDS).map(({ synopsis, does }) => `  bin/admin ${synopsis}\n      ${does}`),
].join('\n');

/** Runs one command, `args` being what follows the program's name. */
export async function runAdmin(args: readonly string[], surroundings: Surroundings): Promise<Outcome> {
  const [name = '', ...rest] = args;
  if (name === '--help' || name === 'help') return { exit: EXIT.done, says: USAGE };
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) return misused(name === '' ? 'Say what to do.' : `There is no command ${name}.`);
  let sql: Database | null = null;
  try {
    const given = readArguments(command, rest);
    sql = connectDatabase(surroundings.database_url(), { connections_max: 1, application_name: 'concord-admin' });
    const { passwords, redis } = surroundings;
    const says = await command.run({ sql, redis, passwords, clock: systemClock, random: systemRandom }, given);
    return { exit: EXIT.done, says };
  } catch (error) {
    return error instanceof Misused ? misused(error.message) : { exit: EXIT.failed, says: reasonOf(error) };
  } finally {
    await sql?.end({ timeout: 1 });
  }
}

function readArguments(command: Command, rest: readonly string[]): Arguments {
  const config: ParseArgsConfig = { args: [...rest], options: command.options, allowPositionals: true, strict: true };
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs(config);
  } catch (error) {
    throw new Misused(error instanceof Error ? error.message : String(error));
  }
  const [fewest, most] = command.positionals;
  const count = parsed.positionals.length;
  if (count < fewest || count > most) throw new Misused(count < fewest ? 'Something is missing.' : 'That is too much.');
  return { positionals: parsed.positionals, options: parsed.values as Arguments['options'] };
}

function misused(why: string): Outcome {
  return { exit: EXIT.usage, says: `${why}\n\n${USAGE}` };
}

function reasonOf(error: unknown): string {
  if (error instanceof ConfigError) return `${error.message}.`;
  if (error instanceof Refused) return error.message;
  if (error instanceof ConcordError) return sentenceOf(error);
  const message = error instanceof Error ? error.message : String(error);
  return isStorageAway(error)
    ? `The database does not answer (${message}). Is Concord running, and is DATABASE_URL right?`
    : `The database refused: ${message}`;
}

/** The refusal with what is wrong with which field, where it says. */
function sentenceOf({ code, message, details }: ConcordError): string {
  if (code !== 'VALIDATION_ERROR' || !Array.isArray(details)) return message;
  return details
    .map((issue: { path: string; message: string }) => `The ${issue.path.slice(1)} ${issue.message}.`)
    .join(' ');
}

if (import.meta.main) {
  const passwords = systemPasswords(process.stdin as ReadStream, (text) => process.stderr.write(text));
  const redis = (): RedisSettings | null => readRedis();
  const database_url = (): string => readDatabaseUrl();
  const outcome = await runAdmin(process.argv.slice(2), { database_url, redis, passwords });
  const stream = outcome.exit === EXIT.done ? process.stdout : process.stderr;
  stream.write(`${outcome.says}\n`);
  process.exitCode = outcome.exit;
}
