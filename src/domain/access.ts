/**
 * Who may do what with a document. The rule that every door keeps: somebody without a role on a document must not learn
 * that it exists, so nothing here tells "not yours" from "not there", nor from "deleted". A role that is too low is told
 * apart, because its holder sees the document anyway.
 */
import { ConcordError } from '../protocol/errors.ts';
import { type Role, roleAllows } from '../protocol/messages.ts';
import { lockDocument } from '../store/documents.ts';
import { type Access, findAccess } from '../store/permissions.ts';
import type { Database, Sql } from '../store/postgres.ts';

export { type Access, findAccess };

/** The user's role on a document that is there and not deleted, else null. One statement. */
export async function roleOn(sql: Sql, doc_id: string, user_id: string): Promise<Role | null> {
  const access = await findAccess(sql, doc_id, user_id);
  return access === null || access.deleted ? null : access.role;
}

/**
 * The user's role, which includes at least what `needed` allows.
 * Errors: NOT_FOUND when they have none or the document is deleted, FORBIDDEN when it is too low.
 */
export async function requireRole(sql: Sql, doc_id: string, user_id: string, needed: Role): Promise<Role> {
  const role = await roleOn(sql, doc_id, user_id);
  if (role === null) throw noDocument();
  if (!roleAllows(role, needed)) throw tooLow(role, needed);
  return role;
}

/**
 * Does `work` in a transaction that holds the document's row lock, so that changes of a document's people and of its
 * deletion go one by one. The role is looked at before the lock, so that strangers cannot hold it, and again under it,
 * because it may have changed while waiting. Errors: those of {@link requireRole} and of `work`; then nothing is done.
 */
export async function underLock<T>(
  database: Database,
  doc_id: string,
  user_id: string,
  needed: Role,
  work: (sql: Sql) => Promise<T>,
): Promise<T> {
  await requireRole(database, doc_id, user_id, needed);
  const done = await database.begin(async (sql) => {
    await lockDocument(sql, doc_id);
    await requireRole(sql, doc_id, user_id, needed);
    return { result: await work(sql) };
  });
  return done.result;
}

/** The refusal that does not tell whether there is such a document. */
export function noDocument(): ConcordError {
  return new ConcordError('NOT_FOUND', 'There is no such document, or you have no role on it.');
}

/** The refusal of a role that does not suffice. */
export function tooLow(role: Role, needed: Role): ConcordError {
  return new ConcordError('FORBIDDEN', `This takes the role ${needed}; yours is ${role}.`, { role, needed });
}
