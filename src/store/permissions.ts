/**
 * Who may do what with a document: one row per person and document. `documents.owner_id` names one of the owners, the
 * one a document is shown under; the rule that it always does is kept by the functions of src/domain/permissions.ts,
 * which hold the document's row lock while they change these rows.
 */
import type { Role } from '../protocol/messages.ts';
import type { Sql } from './postgres.ts';

/** What one user has on one document. */
export interface Access {
  readonly role: Role;
  /** Whether the document is (softly) deleted: then it is there for its owners alone, to look at and to undelete. */
  readonly deleted: boolean;
}

/** A permission with the name and e-mail of the person who has it. An erased account has none: see users-erase.ts. */
export interface PermissionRow {
  readonly document_id: string;
  readonly user_id: string;
  readonly display_name: string;
  readonly email: string;
  readonly role: Role;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** Where a role stands in a list of permissions. */
const RANKS: Readonly<Record<Role, number>> = { owner: 1, editor: 2, viewer: 3 };

/** Where a page of permissions begins: the permission itself is on the page before. */
export interface PermissionKey {
  readonly role: Role;
  readonly created_at: Date;
  readonly user_id: string;
}

/** What `user_id` has on the document, or null. Two primary-key look-ups in one statement. */
export async function findAccess(sql: Sql, doc_id: string, user_id: string): Promise<Access | null> {
  const [row] = await sql<Access[]>`
    SELECT p.role, d.deleted
    FROM document_permissions p JOIN documents d ON d.id = p.document_id
    WHERE p.document_id = ${doc_id} AND p.user_id = ${user_id}`;
  return row ?? null;
}

/** What a session needs to know of its user on a document, in one statement; null without a role. */
export async function findMember(
  sql: Sql,
  doc_id: string,
  user_id: string,
): Promise<(Access & { readonly display_name: string }) | null> {
  const [row] = await sql<(Access & { display_name: string })[]>`
    SELECT p.role, d.deleted, u.display_name
    FROM document_permissions p JOIN documents d ON d.id = p.document_id JOIN users u ON u.id = p.user_id
    WHERE p.document_id = ${doc_id} AND p.user_id = ${user_id}`;
  return row ?? null;
}

/** One permission, or null. */
export async function findPermission(sql: Sql, doc_id: string, user_id: string): Promise<PermissionRow | null> {
  const [row] = await sql<PermissionRow[]>`
    SELECT p.document_id, p.user_id, u.display_name, u.email, p.role, p.created_at, p.updated_at
    FROM document_permissions p JOIN users u ON u.id = p.user_id
    WHERE p.document_id = ${doc_id} AND p.user_id = ${user_id}`;
  return row ?? null;
}

/** At most `count` permissions of a document after `after`: owners first, then editors and viewers, each by age. */
export function listPermissions(
  sql: Sql,
  doc_id: string,
  after: PermissionKey | null,
  count: number,
): Promise<readonly PermissionRow[]> {
  const rank = sql`array_position(ARRAY['owner', 'editor', 'viewer'], p.role)`;
  const later =
    after === null
      ? sql`true`
      : sql`(${rank}, p.created_at, p.user_id)
            > (${RANKS[after.role]}::int, ${after.created_at}::timestamptz, ${after.user_id}::uuid)`;
  return sql<PermissionRow[]>`
    SELECT p.document_id, p.user_id, u.display_name, u.email, p.role, p.created_at, p.updated_at
    FROM document_permissions p JOIN users u ON u.id = p.user_id
    WHERE p.document_id = ${doc_id} AND ${later}
    ORDER BY ${rank}, p.created_at, p.user_id
    LIMIT ${count}`;
}

/** Gives a role, or changes the one that is there. */
export async function putPermission(
  sql: Sql,
  permission: { readonly document_id: string; readonly user_id: string; readonly role: Role; readonly at: Date },
): Promise<void> {
  await sql`
    INSERT INTO document_permissions (document_id, user_id, role, created_at, updated_at)
    VALUES (${permission.document_id}, ${permission.user_id}, ${permission.role}, ${permission.at}, ${permission.at})
    ON CONFLICT (document_id, user_id) DO UPDATE SET role = excluded.role, updated_at = excluded.updated_at`;
}

/** Takes a role away. */
export async function deletePermission(sql: Sql, doc_id: string, user_id: string): Promise<void> {
  await sql`DELETE FROM document_permissions WHERE document_id = ${doc_id} AND user_id = ${user_id}`;
}

/** Who has this e-mail, by its key; null when nobody does. They cannot be erased until the transaction ends. */
export async function findUserByEmail(sql: Sql, email_key: string): Promise<string | null> {
  const [row] = await sql<{ id: string }[]>`SELECT id FROM users WHERE email_key = ${email_key} FOR SHARE`;
  return row?.id ?? null;
}

/** Whether there is such an account, not erased. It cannot be erased until the transaction ends. */
export async function holdUser(sql: Sql, user_id: string): Promise<boolean> {
  const rows = await sql`SELECT 1 FROM users WHERE id = ${user_id} AND NOT deleted FOR SHARE`;
  return rows.length === 1;
}

/** Another owner than `user_id`, the one who has been it longest, or null when there is none. */
export async function findOtherOwner(sql: Sql, doc_id: string, user_id: string): Promise<string | null> {
  const [row] = await sql<{ user_id: string }[]>`
    SELECT user_id FROM document_permissions
    WHERE document_id = ${doc_id} AND role = 'owner' AND user_id <> ${user_id}
    ORDER BY created_at, user_id
    LIMIT 1`;
  return row?.user_id ?? null;
}
