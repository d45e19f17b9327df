/**
 * Documents as their people handle them: made, found, renamed, deleted and brought back. What they say is in
 * content.ts, who may see them in permissions.ts. Every function takes the user who asks and checks the role itself.
 *
 * Deleting is soft: the text, its history and its permissions stay, but the document is gone for everybody except its
 * owners, who see that it is deleted and may undelete it.
 */
import type { DocumentGateway, Signals } from '../actors/gateway.ts';
import { type Clock, isoTime } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { ConcordError } from '../protocol/errors.ts';
import type { Role } from '../protocol/messages.ts';
import * as store from '../store/documents.ts';
import { recordEvent, type Source } from '../store/outbox.ts';
import { holdUser } from '../store/permissions.ts';
import type { Database, Sql } from '../store/postgres.ts';
import { type Access, findAccess, noDocument, tooLow, underLock } from './access.ts';
import { eventOf } from './audit.ts';
import { importWherever } from './content-heavy.ts';
import type { ContentInput } from './content-import.ts';

/** What these functions work with. */
export interface DocumentParts {
  readonly sql: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly gateway: Pick<DocumentGateway, 'rev'>;
  readonly signals: Signals;
  /** The size that a document may have. */
  readonly document_bytes_max: number;
}

/** A document as REST shows it to one of its people. */
export interface Document {
  readonly id: string;
  readonly title: string;
  /** One of the owners: see permissions.ts. */
  readonly owner_id: string;
  /** The role of the user who asked. */
  readonly role: Role;
  /** The head revision; in lists the one that is on disk. */
  readonly rev: number;
  readonly created_at: string;
  /** The last change of the title or of the text. */
  readonly updated_at: string;
  readonly deleted: boolean;
}

/** Which of one's documents to list; null and `deleted: false` leave nothing out but the deleted ones. */
export interface DocumentQuery {
  /** What was typed into a search box. */
  readonly typed: string | null;
  /** This role exactly. */
  readonly role: Role | null;
  /** The deleted ones, of which only owners know, instead of the others. */
  readonly deleted: boolean;
  /** The last document of the page before. */
  readonly after_id: string | null;
  readonly count: number;
}

/**
 * Makes a document that belongs to `user_id`: empty at revision 0, or with content at revision 1.
 * Errors: VALIDATION_ERROR when the content is not what its format says, DOCUMENT_TOO_LARGE, RATE_LIMITED, TOKEN_REVOKED
 * (the account is being erased).
 */
export async function createDocument(
  parts: DocumentParts,
  user_id: string,
  asked: { readonly title: string; readonly content?: ContentInput },
  source: Source,
): Promise<Document> {
  const content = asked.content === undefined ? null : await importWherever(asked.content);
  const bytes = content?.size ?? 0;
  const { document_bytes_max: bytes_max } = parts;
  if (bytes > bytes_max) throw new ConcordError('DOCUMENT_TOO_LARGE', undefined, { bytes, bytes_max });
  const id = parts.random.id();
  const at = new Date(parts.clock.now());
  await parts.sql.begin(async (sql) => {
    // Whoever is being erased would leave a document behind that nobody can reach.
    if (!(await holdUser(sql, user_id))) throw new ConcordError('TOKEN_REVOKED');
    const head_rev = content === null ? 0 : 1;
    await store.insertDocument(sql, { id, title: asked.title, owner_id: user_id, at, head_rev });
    if (content !== null) {
      const client_id = parts.random.id();
      await store.insertFirstRevision(sql, { doc_id: id, user_id, client_id, at, ...content });
    }
    const made = { action: 'document.created', actor_id: user_id, document_id: id } as const;
    // At the time of its first revision, or the log would tell that it was edited before it was there.
    await recordEvent(sql, { ...eventOf(parts, source, { ...made, details: { title: asked.title } }), at });
  });
  return readDocument(parts.sql, id, user_id);
}

/**
 * The document. Its owners see it deleted too, nobody else does.
 * Errors: NOT_FOUND.
 */
export async function getDocument(parts: DocumentParts, user_id: string, doc_id: string): Promise<Document> {
  const row = await store.findDocument(parts.sql, doc_id, user_id);
  if (row === null || (row.deleted && row.role !== 'owner')) throw noDocument();
  return row.deleted ? show(row) : { ...show(row), rev: await parts.gateway.rev(doc_id) };
}

/** At most `query.count` of the documents that `user_id` has a role on, newest first. */
export async function listDocuments(
  parts: Pick<DocumentParts, 'sql'>,
  user_id: string,
  query: DocumentQuery,
): Promise<readonly Document[]> {
  const { typed, deleted, after_id } = query;
  if (deleted && query.role !== null && query.role !== 'owner') return [];
  const role = deleted ? 'owner' : query.role;
  const rows = await store.listDocuments(parts.sql, { user_id, typed, role, deleted, after_id }, query.count);
  return rows.map(show);
}

/**
 * Gives the document another title; editors may.
 * Errors: NOT_FOUND, FORBIDDEN.
 */
export async function renameDocument(
  parts: DocumentParts,
  user_id: string,
  doc_id: string,
  title: string,
  source: Source,
): Promise<Document> {
  // Read before the lock is let go: whoever renames it next does not speak in this answer.
  const renamed = await underLock(parts.sql, doc_id, user_id, 'editor', async (sql) => {
    const before = await store.findTitle(sql, doc_id);
    await store.setTitle(sql, doc_id, title, new Date(parts.clock.now()));
    const event = { action: 'document.renamed', actor_id: user_id, document_id: doc_id } as const;
    await recordEvent(sql, eventOf(parts, source, { ...event, details: { from: before, to: title } }));
    return readDocument(sql, doc_id, user_id);
  });
  return { ...renamed, rev: await parts.gateway.rev(doc_id) };
}

/**
 * Deletes the document softly and sends everybody off it; owners may.
 * Errors: NOT_FOUND (also when it is deleted already), FORBIDDEN.
 */
export async function deleteDocument(
  parts: DocumentParts,
  user_id: string,
  doc_id: string,
  source: Source,
): Promise<Document> {
  const deleted = await underLock(parts.sql, doc_id, user_id, 'owner', async (sql) => {
    await store.setDeleted(sql, doc_id, true, new Date(parts.clock.now()));
    const event = { action: 'document.deleted', actor_id: user_id, document_id: doc_id, details: {} } as const;
    await recordEvent(sql, eventOf(parts, source, event));
    return readDocument(sql, doc_id, user_id);
  });
  parts.signals.send({ type: 'document_deleted', doc_id });
  return deleted;
}

/**
 * Brings a deleted document back, with all who had a role on it; owners may. One that is not deleted stays as it is.
 * Errors: NOT_FOUND, FORBIDDEN.
 */
export async function undeleteDocument(
  parts: DocumentParts,
  user_id: string,
  doc_id: string,
  source: Source,
): Promise<Document> {
  await requireOwner(parts.sql, doc_id, user_id);
  const back = await parts.sql.begin(async (sql) => {
    await store.lockDocument(sql, doc_id);
    if (!(await requireOwner(sql, doc_id, user_id)).deleted) return null;
    await store.setDeleted(sql, doc_id, false, new Date(parts.clock.now()));
    const event = { action: 'document.undeleted', actor_id: user_id, document_id: doc_id, details: {} } as const;
    await recordEvent(sql, eventOf(parts, source, event));
    return readDocument(sql, doc_id, user_id);
  });
  return back ?? getDocument(parts, user_id, doc_id);
}

/** What an owner has on a document that may be deleted. Errors: NOT_FOUND, FORBIDDEN. */
async function requireOwner(sql: Sql, doc_id: string, user_id: string): Promise<Access> {
  const access = await findAccess(sql, doc_id, user_id);
  if (access === null || (access.deleted && access.role !== 'owner')) throw noDocument();
  if (access.role !== 'owner') throw tooLow(access.role, 'owner');
  return access;
}

/** The document as it is on disk: for one that no actor holds yet, or any more. */
async function readDocument(sql: Sql, doc_id: string, user_id: string): Promise<Document> {
  const row = await store.findDocument(sql, doc_id, user_id);
  if (row === null) throw noDocument();
  return show(row);
}

function show(row: store.DocumentRow): Document {
  const { id, title, owner_id, role, rev, deleted } = row;
  const created_at = isoTime(row.created_at.getTime());
  return { id, title, owner_id, role, rev, created_at, updated_at: isoTime(row.updated_at.getTime()), deleted };
}
