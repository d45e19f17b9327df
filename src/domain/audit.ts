/**
 * Who did what, when and from where: how events are made, and who may read them.
 *
 * The owners of a document read what was done to it. Everybody reads what they did themselves and what was done to them;
 * of the latter the address is left out, since it is somebody else's, except where nobody was signed in: a failed sign-in
 * is worth knowing with its address. Admins read everything.
 *
 * The log keeps ids, never names, e-mails or secrets: an erased account leaves ids that mean "Deleted user", and its
 * addresses go after 30 days.
 */
import { type Clock, isoTime } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { AuditAction } from '../protocol/audit.ts';
import * as store from '../store/audit.ts';
import type { AuditDetails, AuditEvent, Source } from '../store/outbox.ts';
import type { Sql } from '../store/postgres.ts';
import { requireRole } from './access.ts';

/** Where a row stands in a list. */
export type AuditKey = store.AuditKey;
/** Which rows to list. */
export type AuditFilter = store.AuditFilter;

/** What these functions work with. */
export interface AuditParts {
  readonly sql: Sql;
}

/** A row as REST shows it. */
export interface AuditItem {
  readonly id: string;
  readonly at: string;
  readonly actor_id: string | null;
  readonly action: AuditAction;
  readonly document_id: string | null;
  readonly target_id: string | null;
  readonly ip: string | null;
  readonly request_id: string | null;
  readonly details: AuditDetails;
}

/** A page's place in a list: what it comes after, and how many rows at most. */
export interface AuditPage {
  readonly after: AuditKey | null;
  readonly count: number;
}

/** What happened, before it has an id and a time. */
export interface Happening {
  readonly action: AuditAction;
  readonly actor_id: string | null;
  readonly document_id?: string;
  readonly target_id?: string | null;
  readonly details: AuditDetails;
}

/** Makes an event of what happens now. */
export function eventOf(
  parts: { readonly clock: Clock; readonly random: Random },
  source: Source,
  happening: Happening,
): AuditEvent {
  const { action, actor_id, document_id = null, target_id = null, details } = happening;
  const { ip, request_id } = source;
  const at = new Date(parts.clock.now());
  return { id: parts.random.id(), at, action, actor_id, document_id, target_id, ip, request_id, details };
}

/** What was done to a document, newest first; owners may see it. Errors: NOT_FOUND, FORBIDDEN. */
export async function documentAudit(
  { sql }: AuditParts,
  user_id: string,
  doc_id: string,
  page: AuditPage,
): Promise<readonly AuditItem[]> {
  await requireRole(sql, doc_id, user_id, 'owner');
  const filter = { user_id: null, document_id: doc_id, action: null };
  return (await store.listAudit(sql, filter, page.after, page.count)).map(show);
}

/** What a user did and what was done to them, newest first. */
export async function ownAudit({ sql }: AuditParts, user_id: string, page: AuditPage): Promise<readonly AuditItem[]> {
  const rows = await store.listAudit(sql, { user_id, document_id: null, action: null }, page.after, page.count);
  return rows.map((row) => {
    const anothers = row.actor_id !== null && row.actor_id !== user_id;
    return show(anothers ? { ...row, ip: null, request_id: null } : row);
  });
}

/** Everything that the filter describes, newest first. For admins: the caller has checked that. */
export async function wholeAudit(
  { sql }: AuditParts,
  filter: AuditFilter,
  page: AuditPage,
): Promise<readonly AuditItem[]> {
  return (await store.listAudit(sql, filter, page.after, page.count)).map(show);
}

function show(row: store.AuditRow): AuditItem {
  return { ...row, at: isoTime(row.at.getTime()) };
}
