/**
 * Accounts. An e-mail is kept as it was typed and, beside it, as the key by which e-mails are compared; the key is what
 * is unique, so two registrations at one moment cannot both win.
 *
 * Erasing keeps the row: its id stands in the journal and in documents as the author, and must go on meaning somebody.
 */
import type { Sql } from './postgres.ts';

/** An account that is not erased. */
export interface UserRow {
  readonly id: string;
  /** Empty when an identity provider signs the person in and has verified none. */
  readonly email: string;
  readonly display_name: string;
  readonly role: 'user' | 'admin';
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** An account with what its password is checked by; null when it has none, because an identity provider signs it in. */
export interface UserWithPassword extends UserRow {
  readonly password_hash: string | null;
}

/** What everybody signed in may know of an account, erased or not. */
export interface UserName {
  readonly id: string;
  readonly display_name: string;
}

/** Adds an account. `taken` when the e-mail has one already. */
export async function insertUser(
  sql: Sql,
  user: {
    readonly id: string;
    readonly email: string;
    readonly email_key: string;
    readonly display_name: string;
    readonly password_hash: string;
    readonly at: Date;
  },
): Promise<UserRow | 'taken'> {
  const [row] = await sql<UserRow[]>`
    INSERT INTO users (id, email, email_key, display_name, password_hash, created_at, updated_at)
    VALUES (${user.id}, ${user.email}, ${user.email_key}, ${user.display_name}, ${user.password_hash},
            ${user.at}, ${user.at})
    ON CONFLICT (email_key) DO NOTHING
    RETURNING id, email, display_name, role, created_at, updated_at`;
  return row ?? 'taken';
}

/** The account with this e-mail, or null. */
export async function findUserForSignIn(sql: Sql, email_key: string): Promise<UserWithPassword | null> {
  const [row] = await sql<UserWithPassword[]>`
    SELECT id, email, display_name, role, created_at, updated_at, password_hash
    FROM users WHERE email_key = ${email_key} AND NOT deleted`;
  return row ?? null;
}

/** The account, or null when it was erased or never was. */
export async function findUser(sql: Sql, id: string): Promise<UserWithPassword | null> {
  const [row] = await sql<UserWithPassword[]>`
    SELECT id, email, display_name, role, created_at, updated_at, password_hash
    FROM users WHERE id = ${id} AND NOT deleted`;
  return row ?? null;
}

/** Name of an account, erased ones included; null when there never was one. */
export async function findUserName(sql: Sql, id: string): Promise<UserName | null> {
  const [row] = await sql<UserName[]>`SELECT id, display_name FROM users WHERE id = ${id}`;
  return row ?? null;
}

/** The role of an account that is not erased, else null. */
export async function findUserRole(sql: Sql, id: string): Promise<'user' | 'admin' | null> {
  const [row] = await sql<Pick<UserRow, 'role'>[]>`SELECT role FROM users WHERE id = ${id} AND NOT deleted`;
  return row?.role ?? null;
}

/** Changes the name; null when the account is gone. */
export async function updateDisplayName(sql: Sql, id: string, display_name: string, at: Date): Promise<UserRow | null> {
  const [row] = await sql<UserRow[]>`
    UPDATE users SET display_name = ${display_name}, updated_at = ${at}
    WHERE id = ${id} AND NOT deleted
    RETURNING id, email, display_name, role, created_at, updated_at`;
  return row ?? null;
}

/**
 * Replaces the password, but only the one that was checked: `lost` when somebody else has replaced it meanwhile, or the
 * account is gone.
 */
export async function updatePassword(
  sql: Sql,
  change: { readonly id: string; readonly old_hash: string; readonly new_hash: string; readonly at: Date },
): Promise<'changed' | 'lost'> {
  const result = await sql`
    UPDATE users SET password_hash = ${change.new_hash}, updated_at = ${change.at}
    WHERE id = ${change.id} AND password_hash = ${change.old_hash}`;
  return result.count === 1 ? 'changed' : 'lost';
}

/** Gives the account with this e-mail a role; null when there is none. */
export async function setUserRole(
  sql: Sql,
  email_key: string,
  role: UserRow['role'],
  at: Date,
): Promise<UserRow | null> {
  const [row] = await sql<UserRow[]>`
    UPDATE users SET role = ${role}, updated_at = ${at}
    WHERE email_key = ${email_key} AND NOT deleted
    RETURNING id, email, display_name, role, created_at, updated_at`;
  return row ?? null;
}

/** Replaces the password of the account with this e-mail, whatever it was; null when there is none. */
export async function resetUserPassword(
  sql: Sql,
  email_key: string,
  password_hash: string,
  at: Date,
): Promise<UserRow | null> {
  const [row] = await sql<UserRow[]>`
    UPDATE users SET password_hash = ${password_hash}, updated_at = ${at}
    WHERE email_key = ${email_key} AND NOT deleted
    RETURNING id, email, display_name, role, created_at, updated_at`;
  return row ?? null;
}

/** At most `count` accounts, admins alone if asked, in the order in which they were made, after the account `after`. */
export function listUsers(
  sql: Sql,
  asked: { readonly admins_only: boolean; readonly after: string | null; readonly count: number },
): Promise<readonly UserRow[]> {
  return sql<UserRow[]>`
    SELECT id, email, display_name, role, created_at, updated_at FROM users
    WHERE NOT deleted
      AND (${asked.after}::uuid IS NULL OR id > ${asked.after}::uuid)
      AND (NOT ${asked.admins_only}::boolean OR role = 'admin')
    ORDER BY id
    LIMIT ${asked.count}`;
}
