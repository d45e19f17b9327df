/**
 * What it takes to erase an account: its row keeps its id and loses everything personal, and its documents pass on.
 *
 * Locks are taken in the order that everybody keeps: documents first (by id), then the user. Sharing a document with
 * somebody holds the document and then looks the person up, so the other order would deadlock.
 */
import type { Sql } from './postgres.ts';

/** One document that the erased user had a role on. */
export interface LeftDocument {
  readonly document_id: string;
  /** Whether it was deleted along with its only owner. */
  readonly ended: boolean;
}

/** Locks every document that the user has a role on, so that nobody changes their people meanwhile. */
export async function lockDocumentsOf(sql: Sql, user_id: string): Promise<void> {
  await sql`
    SELECT FROM documents
    WHERE id IN (SELECT document_id FROM document_permissions WHERE user_id = ${user_id})
    ORDER BY id
    FOR NO KEY UPDATE`;
}

/**
 * Empties the account, leaving its id under the name `shown_as`, and nothing that tells who it was with an identity
 * provider; `lost` unless it still has this password.
 */
export async function eraseUser(
  sql: Sql,
  erasure: { readonly id: string; readonly password_hash: string | null; readonly shown_as: string; readonly at: Date },
): Promise<'erased' | 'lost'> {
  const rows = await sql`
    WITH erased AS (
      UPDATE users
      SET email = NULL, email_key = NULL, password_hash = NULL, display_name = ${erasure.shown_as}, role = 'user',
          deleted = true, updated_at = ${erasure.at}
      WHERE id = ${erasure.id} AND password_hash IS NOT DISTINCT FROM ${erasure.password_hash} AND NOT deleted
      RETURNING id
    ), forgotten AS (
      DELETE FROM user_identities i USING erased WHERE i.user_id = erased.id
    )
    SELECT id FROM erased`;
  return rows.length === 1 ? 'erased' : 'lost';
}

/**
 * Takes the user off all documents. Where another owner stays, `owner_id` passes to the one of longest standing; a
 * document that was theirs alone is deleted (softly, like any other).
 */
export function leaveDocuments(sql: Sql, user_id: string, at: Date): Promise<readonly LeftDocument[]> {
  return sql<LeftDocument[]>`
    WITH owned AS (
      SELECT p.document_id,
             (SELECT heir.user_id FROM document_permissions heir
              WHERE heir.document_id = p.document_id AND heir.role = 'owner' AND heir.user_id <> p.user_id
              ORDER BY heir.created_at, heir.user_id
              LIMIT 1) AS heir_id
      FROM document_permissions p
      WHERE p.user_id = ${user_id} AND p.role = 'owner'
    ), passed_on AS (
      UPDATE documents d SET owner_id = o.heir_id
      FROM owned o
      WHERE d.id = o.document_id AND d.owner_id = ${user_id} AND o.heir_id IS NOT NULL
    ), ended AS (
      UPDATE documents d SET deleted = true, deleted_at = ${at}, updated_at = ${at}
      FROM owned o
      WHERE d.id = o.document_id AND o.heir_id IS NULL AND NOT d.deleted
      RETURNING d.id
    ), gone AS (
      DELETE FROM document_permissions WHERE user_id = ${user_id} RETURNING document_id
    )
    SELECT gone.document_id, ended.id IS NOT NULL AS ended
    FROM gone LEFT JOIN ended ON ended.id = gone.document_id`;
}
