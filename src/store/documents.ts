/**
 * Documents as things with a title, owners and an age; their text lives in the journal and the snapshots. A document is
 * made here with all that the other floors rely on to exist: the creator's permission, its head (epoch 0: claimed by
 * nobody yet), its search row and, when it is born with content, revision 1 and the snapshot of it.
 */
import type { Role } from '../protocol/messages.ts';
import type { EncodedState } from '../protocol/snapshot.ts';
import type { Sql } from './postgres.ts';
import { bodyWords, type Fragment, searchQuery, titleWords } from './search.ts';

/** A document as one of its people sees it. */
export interface DocumentRow {
  readonly id: string;
  readonly title: string;
  readonly owner_id: string;
  /** The role of the user it was read for. */
  readonly role: Role;
  /** The head revision on disk. */
  readonly rev: number;
  readonly created_at: Date;
  /** The last change of the title or of the text, whichever is later. */
  readonly updated_at: Date;
  readonly deleted: boolean;
}

/** A document to be made. */
export interface NewDocument {
  readonly id: string;
  readonly title: string;
  readonly owner_id: string;
  readonly at: Date;
  /** 1 when {@link insertFirstRevision} follows in the same transaction, else 0. */
  readonly head_rev: 0 | 1;
}

/** Revision 1 of a document that is born with content. */
export interface FirstRevision {
  readonly doc_id: string;
  readonly user_id: string;
  readonly client_id: string;
  readonly at: Date;
  /** The state at revision 1, and so also the update that leads there. */
  readonly state: EncodedState;
  /** The plain text, for the search. */
  readonly text: string;
}

/** Which of a user's documents to list. */
export interface DocumentFilter {
  readonly user_id: string;
  /** What was typed into the search box; null lists all. */
  readonly typed: string | null;
  /** This role exactly; null for any. */
  readonly role: Role | null;
  readonly deleted: boolean;
  /** The last document of the page before; null for the first page. */
  readonly after_id: string | null;
}

/** Makes a document, its owner's permission, its head and its search row, in one statement. */
export async function insertDocument(sql: Sql, document: NewDocument): Promise<void> {
  const { id, title, owner_id, at } = document;
  await sql`
    WITH made AS (
      INSERT INTO documents (id, title, owner_id, created_at, updated_at)
      VALUES (${id}, ${title}, ${owner_id}, ${at}, ${at})
    ), permitted AS (
      INSERT INTO document_permissions (document_id, user_id, role, created_at, updated_at)
      VALUES (${id}, ${owner_id}, 'owner', ${at}, ${at})
    ), headed AS (
      INSERT INTO document_heads (doc_id, epoch, head_rev) VALUES (${id}, 0, ${document.head_rev})
    )
    INSERT INTO document_search (document_id, title) VALUES (${id}, ${titleWords(sql, title)})`;
}

/** Writes revision 1, its snapshot and its words. The bytes travel once, though two tables keep them. */
export async function insertFirstRevision(sql: Sql, first: FirstRevision): Promise<void> {
  const { doc_id, state, at } = first;
  await sql`
    WITH content AS (
      SELECT ${state.state}::bytea AS state, ${state.delta}::text AS delta
    ), journaled AS (
      INSERT INTO document_updates (doc_id, rev, epoch, user_id, client_id, seq, created_at, update, delta)
      SELECT ${doc_id}, 1, 0, ${first.user_id}, ${first.client_id}, NULL, ${at}, state, delta FROM content
    ), searched AS (
      UPDATE document_search SET body = ${bodyWords(sql, first.text)} WHERE document_id = ${doc_id}
    ), marked AS (
      INSERT INTO document_work (doc_id, touched_at) VALUES (${doc_id}, ${at})
    )
    INSERT INTO document_snapshots (doc_id, rev, state, state_vector, delete_set, delta, created_at)
    SELECT ${doc_id}, 1, state, ${state.state_vector}, ${state.delete_set}, delta, ${at} FROM content`;
}

/** The document as `user_id` sees it, deleted or not; null when they have no role on it. */
export async function findDocument(sql: Sql, doc_id: string, user_id: string): Promise<DocumentRow | null> {
  const [row] = await sql<DocumentRow[]>`${selectDocuments(sql)}
    WHERE p.user_id = ${user_id} AND p.document_id = ${doc_id}`;
  return row ?? null;
}

/** At most `count` documents that the filter describes, newest first. */
export function listDocuments(sql: Sql, filter: DocumentFilter, count: number): Promise<readonly DocumentRow[]> {
  const found =
    filter.typed === null
      ? sql`true`
      : sql`EXISTS (
          SELECT FROM document_search s
          WHERE s.document_id = p.document_id AND (s.title || s.body) @@ ${searchQuery(sql, filter.typed)}
        )`;
  return sql<DocumentRow[]>`${selectDocuments(sql)}
    WHERE p.user_id = ${filter.user_id}
      AND d.deleted = ${filter.deleted}
      AND ${filter.role === null ? sql`true` : sql`p.role = ${filter.role}`}
      AND ${filter.after_id === null ? sql`true` : sql`p.document_id < ${filter.after_id}`}
      AND ${found}
    ORDER BY p.document_id DESC
    LIMIT ${count}`;
}

/**
 * Locks the document's row until the transaction ends, so that changes of it and of its permissions go one by one.
 * Reads, and appends to its journal, go on meanwhile.
 */
export async function lockDocument(sql: Sql, doc_id: string): Promise<void> {
  await sql`SELECT FROM documents WHERE id = ${doc_id} FOR NO KEY UPDATE`;
}

/** The title; null when there is no such document. */
export async function findTitle(sql: Sql, doc_id: string): Promise<string | null> {
  const [row] = await sql<{ title: string }[]>`SELECT title FROM documents WHERE id = ${doc_id}`;
  return row?.title ?? null;
}

/** Changes the title, there and in the search. */
export async function setTitle(sql: Sql, doc_id: string, title: string, at: Date): Promise<void> {
  await sql`
    WITH renamed AS (UPDATE documents SET title = ${title}, updated_at = ${at} WHERE id = ${doc_id} RETURNING id)
    UPDATE document_search SET title = ${titleWords(sql, title)} FROM renamed WHERE document_id = renamed.id`;
}

/** Deletes the document softly, or brings it back, and then marks it: background work on it waited for that. */
export async function setDeleted(sql: Sql, doc_id: string, deleted: boolean, at: Date): Promise<void> {
  await sql`
    WITH changed AS (
      UPDATE documents SET deleted = ${deleted}, deleted_at = ${deleted ? at : null}, updated_at = ${at}
      WHERE id = ${doc_id} RETURNING id
    )
    INSERT INTO document_work (doc_id, touched_at) SELECT id, clock_timestamp() FROM changed WHERE NOT ${deleted}::boolean
    ON CONFLICT (doc_id) DO UPDATE SET touched_at = excluded.touched_at`;
}

/** Shows the document under another of its owners. */
export async function setOwner(sql: Sql, doc_id: string, from_id: string, to_id: string): Promise<void> {
  await sql`UPDATE documents SET owner_id = ${to_id} WHERE id = ${doc_id} AND owner_id = ${from_id}`;
}

/** The head's own row tells when the text last changed: one primary-key look-up, instead of a write per edit. */
function selectDocuments(sql: Sql): Fragment {
  return sql`
    SELECT d.id, d.title, d.owner_id, p.role, h.head_rev AS rev, d.created_at,
           greatest(d.updated_at, edit.created_at) AS updated_at, d.deleted
    FROM document_permissions p
    JOIN documents d ON d.id = p.document_id
    JOIN document_heads h ON h.doc_id = d.id
    LEFT JOIN document_updates edit ON edit.doc_id = h.doc_id AND edit.rev = h.head_rev`;
}
