/**
 * Accounts from the command line. Who may reach the database needs no other permission; the rules of e-mails and passwords
 * are those of registering, and what is done leaves its rows in the audit log, with nobody as the actor.
 */
import { SignalBus } from '../actors/signal-bus.ts';
import { TIMED_OUT, within } from '../base/clock.ts';
import { createLog } from '../base/log.ts';
import { emailKey, requireEmail } from '../domain/accounts-email.ts';
import { Passwords, requireStrong } from '../domain/passwords.ts';
import type { AuditAction } from '../protocol/audit.ts';
import { ConcordError } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import { type AuditDetails, recordEvent } from '../store/outbox.ts';
import type { Sql } from '../store/postgres.ts';
import { openRedis } from '../store/redis-side.ts';
import { revokeOtherSessions } from '../store/sessions.ts';
import { ALIVE_S, SessionCache } from '../store/sessions-cache.ts';
import {
  findUserForSignIn,
  insertUser,
  listUsers,
  resetUserPassword,
  setUserRole,
  type UserRow,
} from '../store/users.ts';
import { type AdminParts, type Arguments, type Command, printable, Refused, table } from './command.ts';

/** How long Redis may take to be told that sessions ended. */
const TELL_WITHIN_MS = 2_000;
const USERS_AT_ONCE = 500;

/** Commands on accounts, by name. */
export const ACCOUNT_COMMANDS: Readonly<Record<string, Command>> = {
  create: {
    synopsis: 'create <email> [--name=<name>] [--admin] [--password-stdin]',
    does: 'Makes an account. The password is asked for, or read from standard input.',
    options: { name: { type: 'string' }, admin: { type: 'boolean' }, 'password-stdin': { type: 'boolean' } },
    positionals: [1, 1],
    run: create,
  },
  promote: {
    synopsis: 'promote <email>',
    does: 'Makes the user with this e-mail an admin.',
    options: {},
    positionals: [1, 1],
    run: (parts, args) => setRole(parts, args, 'admin'),
  },
  demote: {
    synopsis: 'demote <email>',
    does: 'Makes the admin with this e-mail an ordinary user, at once.',
    options: {},
    positionals: [1, 1],
    run: (parts, args) => setRole(parts, args, 'user'),
  },
  list: {
    synopsis: 'list [--admins]',
    does: 'Lists all users, or the admins.',
    options: { admins: { type: 'boolean' } },
    positionals: [0, 0],
    run: list,
  },
  'reset-password': {
    synopsis: 'reset-password <email> [--password-stdin]',
    does: 'Gives the user a new password and ends all their sessions.',
    options: { 'password-stdin': { type: 'boolean' } },
    positionals: [1, 1],
    run: resetPassword,
  },
};

async function create(parts: AdminParts, { positionals: [email = ''], options }: Arguments): Promise<string> {
  requireEmail(email, '/email');
  const display_name = typeof options.name === 'string' ? options.name : email.slice(0, email.lastIndexOf('@'));
  requireName(display_name);
  const email_key = emailKey(email);
  const password_hash = await newPassword(parts, email_key, options);
  const at = now(parts);
  const made = await parts.sql.begin(async (sql) => {
    const user = { id: parts.random.id(), email, email_key, display_name, password_hash, at };
    const row = await insertUser(sql, user);
    if (row === 'taken') return null;
    await record(parts, sql, 'user.registered', row.id);
    return options.admin ? await changeRole(parts, sql, email_key, 'admin') : row;
  });
  if (made === null) throw new ConcordError('EMAIL_TAKEN');
  return `${shown(made)} has an account now${made.role === 'admin' ? ' and is an admin' : ''}.`;
}

function requireName(name: string): void {
  const length = [...name].length;
  if (length < 1 || length > LIMITS.display_name_chars_max)
    throw new Refused(`A name has 1 to ${LIMITS.display_name_chars_max} characters.`);
  if (name.includes('\0')) throw new Refused('A name holds no NUL.');
}

async function setRole(parts: AdminParts, { positionals: [email = ''] }: Arguments, role: UserRow['role']) {
  const user = await parts.sql.begin((sql) => changeRole(parts, sql, emailKey(email), role));
  if (user === null) throw nobody(email);
  return `${shown(user)} is an ${role === 'admin' ? 'admin' : 'ordinary user'} now.`;
}

/** Gives the user a role, and records it if they had another; null when there is no such user. */
async function changeRole(parts: AdminParts, sql: Sql, email_key: string, role: UserRow['role']) {
  const before = await findUserForSignIn(sql, email_key);
  const user = await setUserRole(sql, email_key, role, now(parts));
  if (user !== null && before !== null && before.role !== role)
    await record(parts, sql, 'user.role_changed', user.id, { from: before.role, to: role });
  return user;
}

async function list({ sql }: AdminParts, { options }: Arguments): Promise<string> {
  const admins_only = options.admins === true;
  const rows: (readonly string[])[] = [];
  for (let after: string | null = null; ; ) {
    const page: readonly UserRow[] = await listUsers(sql, { admins_only, after, count: USERS_AT_ONCE });
    for (const { id, email, display_name, role, created_at } of page)
      rows.push([id, role, created_at.toISOString(), printable(email), printable(display_name)]);
    after = page.at(-1)?.id ?? null;
    if (page.length < USERS_AT_ONCE) break;
  }
  if (rows.length === 0) return admins_only ? 'There is no admin.' : 'There is no user.';
  return table(['id', 'role', 'since', 'e-mail', 'name'], rows);
}

async function resetPassword(parts: AdminParts, { positionals: [email = ''], options }: Arguments): Promise<string> {
  const email_key = emailKey(email);
  const password_hash = await newPassword(parts, email_key, options);
  const done = await parts.sql.begin(async (sql) => {
    const user = await resetUserPassword(sql, email_key, password_hash, now(parts));
    if (user === null) return null;
    const ended = await revokeOtherSessions(sql, user.id, null, now(parts));
    await record(parts, sql, 'user.password_changed', user.id, { sessions_ended: ended.length });
    return { user, ended };
  });
  if (done === null) throw nobody(email);
  const told = await tellEnded(parts, done.ended);
  const count = done.ended.length;
  const ended = `${count} ${count === 1 ? 'session has' : 'sessions have'} ended`;
  const late =
    told || count === 0 ? '' : `, though servers notice it only within ${ALIVE_S} seconds, as Redis was not told`;
  return `${shown(done.user)} has a new password; ${ended}${late}.`;
}

async function newPassword(parts: AdminParts, email_key: string, options: Arguments['options']): Promise<string> {
  const { passwords } = parts;
  const password = options['password-stdin'] ? await passwords.read() : await passwords.ask();
  if (password.length > LIMITS.password_chars_max)
    throw new Refused(`A password has ${LIMITS.password_chars_max} characters at most.`);
  requireStrong(password, email_key, '/password');
  return new Passwords(parts.random).hash(password);
}

/** Tells the running servers; false when that was not possible. The truth is in PostgreSQL already. */
async function tellEnded(parts: AdminParts, session_ids: readonly string[]): Promise<boolean> {
  const settings = parts.redis();
  if (settings === null || session_ids.length === 0) return false;
  const log = createLog({ level: 'silent', service: 'admin', node_id: 'admin' });
  const redis = openRedis(settings, { name: 'concord:admin', log });
  const tell = async (): Promise<void> => {
    await redis.ready();
    // As long as a server may believe that a session is alive; then it asks PostgreSQL.
    await new SessionCache(redis.commands, parts.clock, 2 * ALIVE_S).rememberRevoked(session_ids);
    const bus = new SignalBus(parts.random.id(), redis.channels, log);
    for (const session_id of session_ids) bus.send({ type: 'session_ended', session_id });
    await redis.answers();
  };
  const told = await within(parts.clock, TELL_WITHIN_MS, tell()).catch(() => TIMED_OUT);
  redis.close();
  return told !== TIMED_OUT;
}

/** Who works on the command line is nobody to us: the event has no actor. */
function record(
  parts: AdminParts,
  sql: Sql,
  action: AuditAction,
  user_id: string,
  details: AuditDetails = {},
): Promise<void> {
  return recordEvent(sql, {
    id: parts.random.id(),
    at: now(parts),
    action,
    actor_id: null,
    document_id: null,
    target_id: user_id,
    ip: null,
    request_id: null,
    details: { by: 'command_line', ...details },
  });
}

function now(parts: AdminParts): Date {
  return new Date(parts.clock.now());
}

function shown(user: UserRow): string {
  return `${printable(user.display_name)} <${printable(user.email)}>`;
}

function nobody(email: string): Refused {
  return new Refused(
    `Nobody is registered as ${email}. They must make an account first, or bin/admin create makes one.`,
  );
}
