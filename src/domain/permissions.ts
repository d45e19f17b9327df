/**
 * Sharing. A document has one or more owners; `documents.owner_id` names the one it is shown under.
 *
 * Two invariants: there is always an owner, and `owner_id` is one of them. Two owners who leave at the same moment would
 * each see the other one stay, so every change first locks the document's row and reads the roles again under the lock.
 * Roles are looked at before the lock too: strangers must not be able to hold it.
 *
 * Whoever is affected hears of it after the commit, through a signal that reaches their open sockets on every node.
 */
import type { Signals } from '../actors/gateway.ts';
import { type Clock, isoTime } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { ConcordError } from '../protocol/errors.ts';
import type { Role } from '../protocol/messages.ts';
import * as documents from '../store/documents.ts';
import { recordEvent, type Source } from '../store/outbox.ts';
import * as store from '../store/permissions.ts';
import type { Database, Sql } from '../store/postgres.ts';
import { requireRole, underLock } from './access.ts';
import { emailKey } from './accounts-email.ts';
import { eventOf } from './audit.ts';

/** What these functions work with. */
export interface PermissionParts {
  readonly sql: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly signals: Signals;
}

/** Where a permission stands in the list of its document's. */
export type PermissionKey = store.PermissionKey;

/** A permission as REST shows it. */
export interface Permission {
  readonly document_id: string;
  readonly user_id: string;
  readonly display_name: string;
  readonly email: string;
  readonly role: Role;
  readonly created_at: string;
  readonly updated_at: string;
}

/**
 * At most `count` permissions after `after`: owners first, then editors, then viewers, each by age.
 * Errors: NOT_FOUND.
 */
export async function listPermissions(
  parts: PermissionParts,
  user_id: string,
  doc_id: string,
  page: { readonly after: PermissionKey | null; readonly count: number },
): Promise<readonly Permission[]> {
  await requireRole(parts.sql, doc_id, user_id, 'viewer');
  const rows = await store.listPermissions(parts.sql, doc_id, page.after, page.count);
  return rows.map(show);
}

/**
 * Gives the person with this e-mail a role, or changes the one they have; owners may. `created` tells which it was.
 * Errors: NOT_FOUND (the document, or nobody has this e-mail), FORBIDDEN, CONFLICT (the last owner would be demoted).
 */
export async function grantPermission(
  parts: PermissionParts,
  user_id: string,
  doc_id: string,
  asked: { readonly email: string; readonly role: Role },
  source: Source,
): Promise<{ readonly created: boolean; readonly permission: Permission }> {
  const { change, permission } = await underLock(parts.sql, doc_id, user_id, 'owner', async (sql) => {
    const target_id = await store.findUserByEmail(sql, emailKey(asked.email));
    if (target_id === null) throw new ConcordError('NOT_FOUND', 'Nobody here has this e-mail.');
    const given = await giveRole(sql, doc_id, target_id, asked.role, new Date(parts.clock.now()));
    await record(parts, sql, user_id, doc_id, given.change, source);
    return given;
  });
  tellRole(parts.signals, doc_id, change);
  return { created: change.before === null, permission };
}

/**
 * Changes the role of somebody who has one; owners may.
 * Errors: NOT_FOUND (the document, or they have no role on it), FORBIDDEN, CONFLICT (the last owner would be demoted).
 */
export async function changePermission(
  parts: PermissionParts,
  user_id: string,
  doc_id: string,
  target_id: string,
  role: Role,
  source: Source,
): Promise<Permission> {
  const { change, permission } = await underLock(parts.sql, doc_id, user_id, 'owner', async (sql) => {
    await requirePermission(sql, doc_id, target_id);
    const given = await giveRole(sql, doc_id, target_id, role, new Date(parts.clock.now()));
    await record(parts, sql, user_id, doc_id, given.change, source);
    return given;
  });
  tellRole(parts.signals, doc_id, change);
  return permission;
}

/**
 * Takes somebody's role away; owners may, and everybody may leave.
 * Errors: NOT_FOUND (the document, or they have no role on it), FORBIDDEN, CONFLICT (the last owner would go).
 */
export async function revokePermission(
  parts: PermissionParts,
  user_id: string,
  doc_id: string,
  target_id: string,
  source: Source,
): Promise<void> {
  const needed = user_id === target_id ? 'viewer' : 'owner';
  const before = await underLock(parts.sql, doc_id, user_id, needed, async (sql) => {
    const role = (await requirePermission(sql, doc_id, target_id)).role;
    if (role === 'owner') await handOwnershipOn(sql, doc_id, target_id);
    await store.deletePermission(sql, doc_id, target_id);
    await record(parts, sql, user_id, doc_id, { target_id, before: role, after: null }, source);
    return role;
  });
  tellRole(parts.signals, doc_id, { target_id, before, after: null });
}

/** What a change of somebody's role came to; null is no role. */
export interface RoleChange {
  readonly target_id: string;
  readonly before: Role | null;
  readonly after: Role | null;
}

/** Gives or changes a role, under the document's lock. */
async function giveRole(
  sql: Sql,
  doc_id: string,
  target_id: string,
  role: Role,
  at: Date,
): Promise<{ readonly change: RoleChange; readonly permission: Permission }> {
  const before = await roleOfNow(sql, doc_id, target_id);
  if (before === 'owner' && role !== 'owner') await handOwnershipOn(sql, doc_id, target_id);
  if (role !== before) await store.putPermission(sql, { document_id: doc_id, user_id: target_id, role, at });
  return { change: { target_id, before, after: role }, permission: await shownPermission(sql, doc_id, target_id) };
}

/** Somebody's role, under the document's lock; null is none. */
export async function roleOfNow(sql: Sql, doc_id: string, target_id: string): Promise<Role | null> {
  return (await store.findPermission(sql, doc_id, target_id))?.role ?? null;
}

/** The permission of somebody who has one. Errors: NOT_FOUND. */
export async function shownPermission(sql: Sql, doc_id: string, target_id: string): Promise<Permission> {
  return show(await requirePermission(sql, doc_id, target_id));
}

/** Lets somebody stop being an owner: another one must be there, and `owner_id` passes to the one of longest standing. */
async function handOwnershipOn(sql: Sql, doc_id: string, from_id: string): Promise<void> {
  const heir_id = await store.findOtherOwner(sql, doc_id, from_id);
  if (heir_id === null) throw new ConcordError('CONFLICT', 'A document must have an owner; make somebody else one.');
  await documents.setOwner(sql, doc_id, from_id, heir_id);
}

/** Records a change of somebody's role, if it is one. */
async function record(
  parts: PermissionParts,
  sql: Sql,
  actor_id: string,
  document_id: string,
  { target_id, before, after }: RoleChange,
  source: Source,
): Promise<void> {
  if (before === after) return;
  const action = before === null ? 'permission.granted' : after === null ? 'permission.revoked' : 'permission.changed';
  const details = { from: before, to: after };
  await recordEvent(sql, eventOf(parts, source, { action, actor_id, document_id, target_id, details }));
}

/** Tells everybody's sockets of a change that was committed. */
export function tellRole(signals: Signals, doc_id: string, change: RoleChange): void {
  if (change.before === change.after) return;
  signals.send({ type: 'role', doc_id, user_id: change.target_id, role: change.after });
}

async function requirePermission(sql: Sql, doc_id: string, target_id: string): Promise<store.PermissionRow> {
  const row = await store.findPermission(sql, doc_id, target_id);
  if (row === null) throw new ConcordError('NOT_FOUND', 'They have no role on this document.');
  return row;
}

function show(row: store.PermissionRow): Permission {
  const { document_id, user_id, display_name, email, role } = row;
  const created_at = isoTime(row.created_at.getTime());
  return { document_id, user_id, display_name, email, role, created_at, updated_at: isoTime(row.updated_at.getTime()) };
}
