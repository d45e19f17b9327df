/**
 * Share links: a role for whoever holds a token. The token is 32 random bytes, shown once and kept only as a SHA-256 hash;
 * owners make, list and revoke links, anybody signed in may redeem one.
 *
 * Redeeming makes a permission like any other and is harmless to repeat: it raises a role and never lowers one. The
 * permission does not hang on the link: revoking the link ends no role that it gave, and a role that an owner took away can
 * be had again from a link that still stands. To keep somebody out, revoke the link as well; a link that remembered whom it
 * refuses would stop nobody who makes a second account.
 *
 * A link that is unknown, revoked, out of time, or of a deleted document is refused in the same words: a token tells
 * nothing but what it gives.
 */
import type { Signals } from '../actors/gateway.ts';
import { type Clock, isoTime } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { ConcordError, invalidField } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import { roleAllows } from '../protocol/messages.ts';
import { lockDocument } from '../store/documents.ts';
import * as store from '../store/links.ts';
import { recordEvent, type Source } from '../store/outbox.ts';
import { holdUser, putPermission } from '../store/permissions.ts';
import type { Database, Sql } from '../store/postgres.ts';
import { requireRole, underLock } from './access.ts';
import { eventOf } from './audit.ts';
import { type Permission, type RoleChange, roleOfNow, shownPermission, tellRole } from './permissions.ts';

/** Bytes of a token: beyond guessing. */
const TOKEN_BYTES = 32;

/** What these functions work with. */
export interface LinkParts {
  readonly sql: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly signals: Signals;
}

/** What a link can give. */
export type LinkRole = store.LinkRole;

/** A link as REST lists it. */
export interface Link {
  readonly id: string;
  readonly document_id: string;
  readonly role: LinkRole;
  /** Null: never. */
  readonly expires_at: string | null;
  readonly created_at: string;
}

/** A link on the one occasion when its token is shown. */
export interface NewLink extends Link {
  readonly token: string;
}

/**
 * Makes a link; owners may. `expires_at` is any form of time that `Date` reads; absent or null is never.
 * Errors: NOT_FOUND, FORBIDDEN, VALIDATION_ERROR (the time is none, or over), CONFLICT (the document has as many as it may).
 */
export async function createLink(
  parts: LinkParts,
  user_id: string,
  doc_id: string,
  asked: { readonly role: LinkRole; readonly expires_at?: string | null },
  source: Source,
): Promise<NewLink> {
  const { sql, clock, random } = parts;
  const token = Buffer.from(random.bytes(TOKEN_BYTES)).toString('base64url');
  const link = {
    id: random.id(),
    document_id: doc_id,
    role: asked.role,
    expires_at: readExpiry(asked.expires_at ?? null, clock.now()),
    created_at: new Date(clock.now()),
  };
  await underLock(sql, doc_id, user_id, 'owner', async (sql) => {
    if ((await store.countLinks(sql, doc_id)) >= LIMITS.links_per_document_max)
      throw new ConcordError('CONFLICT', `A document has at most ${LIMITS.links_per_document_max} links; revoke one.`);
    await store.insertLink(sql, { ...link, token_hash: hashOf(token) });
    const details = { role: link.role, expires_at: show(link).expires_at };
    await record(parts, sql, 'link.created', user_id, link, details, source);
  });
  return { ...show(link), token };
}

/** At most `count` links after the link `after`, newest first, those whose time is over too; owners may. Errors: NOT_FOUND, FORBIDDEN. */
export async function listLinks(
  parts: LinkParts,
  user_id: string,
  doc_id: string,
  page: { readonly after: string | null; readonly count: number },
): Promise<readonly Link[]> {
  await requireRole(parts.sql, doc_id, user_id, 'owner');
  return (await store.listLinks(parts.sql, doc_id, page.after, page.count)).map(show);
}

/** Ends a link; owners may. Roles that it gave stay. Errors: NOT_FOUND (the document, or it has no such link), FORBIDDEN. */
export async function revokeLink(
  parts: LinkParts,
  user_id: string,
  doc_id: string,
  link_id: string,
  source: Source,
): Promise<void> {
  await underLock(parts.sql, doc_id, user_id, 'owner', async (sql) => {
    const link = await store.deleteLink(sql, doc_id, link_id);
    if (link === null) throw new ConcordError('NOT_FOUND', 'The document has no such link.');
    await record(parts, sql, 'link.revoked', user_id, link, { role: link.role }, source);
  });
}

/**
 * Gives the caller the role of the link, unless they have it or a higher one; the permission that they have then.
 * Errors: NOT_FOUND (see the head of this file), TOKEN_REVOKED (the account was erased a moment ago).
 */
export async function redeemLink(
  parts: LinkParts,
  user_id: string,
  token: string,
  source: Source,
): Promise<Permission> {
  const token_hash = hashOf(token);
  const now = new Date(parts.clock.now());
  // Without the lock first: who knows no token cannot hold up a document.
  const found = await store.findGoodLink(parts.sql, token_hash, now);
  if (found === null) throw noLink();
  const { document_id } = found;
  const { change, permission } = await parts.sql.begin(async (sql) => {
    await lockDocument(sql, document_id);
    const link = await store.findGoodLink(sql, token_hash, now);
    if (link === null) throw noLink();
    if (!(await holdUser(sql, user_id))) throw new ConcordError('TOKEN_REVOKED');
    const before = await roleOfNow(sql, document_id, user_id);
    const after = before !== null && roleAllows(before, link.role) ? before : link.role;
    if (after !== before) {
      await putPermission(sql, { document_id, user_id, role: after, at: now });
      await record(parts, sql, 'link.redeemed', user_id, link, { from: before, to: after }, source);
    }
    const change: RoleChange = { target_id: user_id, before, after };
    return { change, permission: await shownPermission(sql, document_id, user_id) };
  });
  tellRole(parts.signals, document_id, change);
  return permission;
}

function record(
  parts: LinkParts,
  sql: Sql,
  action: 'link.created' | 'link.redeemed' | 'link.revoked',
  actor_id: string,
  link: store.LinkRow,
  details: Readonly<Record<string, string | null>>,
  source: Source,
): Promise<void> {
  const { id: target_id, document_id } = link;
  return recordEvent(sql, eventOf(parts, source, { action, actor_id, document_id, target_id, details }));
}

function readExpiry(text: string | null, now_ms: number): Date | null {
  if (text === null) return null;
  const expires_at = new Date(text);
  if (Number.isNaN(expires_at.getTime())) throw invalidField('/expires_at', 'is not a time that there is');
  if (expires_at.getTime() <= now_ms) throw invalidField('/expires_at', 'must be in the future');
  return expires_at;
}

function noLink(): ConcordError {
  return new ConcordError('NOT_FOUND', 'There is no such link, or it is not good any more.');
}

function hashOf(token: string): Uint8Array {
  return new Bun.CryptoHasher('sha256').update(token).digest();
}

function show(row: store.LinkRow): Link {
  const { id, document_id, role } = row;
  const expires_at = row.expires_at === null ? null : isoTime(row.expires_at.getTime());
  return { id, document_id, role, expires_at, created_at: isoTime(row.created_at.getTime()) };
}
