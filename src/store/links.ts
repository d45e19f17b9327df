/**
 * Share links. A link is known by the SHA-256 of its token; one that was revoked is gone, and that there was one stands in
 * the audit log.
 */
import type { Sql } from './postgres.ts';

/** What a link can give. */
export type LinkRole = 'editor' | 'viewer';

/** A link, without its token. */
export interface LinkRow {
  readonly id: string;
  readonly document_id: string;
  readonly role: LinkRole;
  /** Null: never. */
  readonly expires_at: Date | null;
  readonly created_at: Date;
}

/** Adds a link. */
export async function insertLink(sql: Sql, link: LinkRow & { readonly token_hash: Uint8Array }): Promise<void> {
  await sql`
    INSERT INTO document_links (id, document_id, role, token_hash, created_at, expires_at)
    VALUES (${link.id}, ${link.document_id}, ${link.role}, ${link.token_hash}, ${link.created_at}, ${link.expires_at})`;
}

/** How many links a document has, those whose time is over included. */
export async function countLinks(sql: Sql, doc_id: string): Promise<number> {
  const [row] = await sql<{ links: number }[]>`
    SELECT count(*)::int AS links FROM document_links WHERE document_id = ${doc_id}`;
  return row?.links ?? 0;
}

/** At most `count` links of a document, newest first, older than `after`. */
export function listLinks(sql: Sql, doc_id: string, after: string | null, count: number): Promise<readonly LinkRow[]> {
  return sql<LinkRow[]>`
    SELECT id, document_id, role, expires_at, created_at
    FROM document_links
    WHERE document_id = ${doc_id} AND (${after}::uuid IS NULL OR id < ${after}::uuid)
    ORDER BY id DESC
    LIMIT ${count}`;
}

/** The link of this token if it is good at `at`: it is there, has time left, and its document is not deleted. Else null. */
export async function findGoodLink(sql: Sql, token_hash: Uint8Array, at: Date): Promise<LinkRow | null> {
  const [row] = await sql<LinkRow[]>`
    SELECT l.id, l.document_id, l.role, l.expires_at, l.created_at
    FROM document_links l JOIN documents d ON d.id = l.document_id
    WHERE l.token_hash = ${token_hash} AND (l.expires_at IS NULL OR l.expires_at > ${at}) AND NOT d.deleted`;
  return row ?? null;
}

/** Removes a link of the document; gives it as it was, or null when there was none. */
export async function deleteLink(sql: Sql, doc_id: string, link_id: string): Promise<LinkRow | null> {
  const [row] = await sql<LinkRow[]>`
    DELETE FROM document_links WHERE id = ${link_id} AND document_id = ${doc_id}
    RETURNING id, document_id, role, expires_at, created_at`;
  return row ?? null;
}
