/** What decides whether a connection may stay, for many connections in one statement. */
import type { Role } from '../protocol/messages.ts';
import type { Sql } from './postgres.ts';

/** Somebody on a document, in a session. */
export interface Presence {
  readonly session_id: string;
  readonly user_id: string;
  readonly doc_id: string;
}

/** How that stands now. */
export interface Standing {
  /** Whether the session is there and was not revoked. */
  readonly signed_in: boolean;
  /** Whether there is such a document, not deleted. */
  readonly there: boolean;
  /** The user's role on it; null is none. */
  readonly role: Role | null;
}

/** How each of `presences` stands, in their order. Three primary-key look-ups each, in one statement. */
export async function findStandings(sql: Sql, presences: readonly Presence[]): Promise<readonly Standing[]> {
  const column = (name: keyof Presence): string[] => presences.map((presence) => presence[name]);
  return sql<Standing[]>`
    SELECT s.id IS NOT NULL AND s.revoked_at IS NULL AS signed_in,
           d.id IS NOT NULL AND NOT d.deleted AS there,
           p.role
    FROM unnest(${column('session_id')}::uuid[], ${column('user_id')}::uuid[], ${column('doc_id')}::uuid[])
         WITH ORDINALITY AS asked (session_id, user_id, doc_id, n)
    LEFT JOIN sessions s ON s.id = asked.session_id
    LEFT JOIN documents d ON d.id = asked.doc_id
    LEFT JOIN document_permissions p ON p.document_id = asked.doc_id AND p.user_id = asked.user_id
    ORDER BY asked.n`;
}
