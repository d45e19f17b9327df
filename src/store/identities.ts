/**
 * People whom an identity provider signs in, and their sessions. The provider's subject stands for one account here, and
 * its session for one session, known by a hash; both are made the first time they are seen, by whoever comes first.
 */
import type { Sql } from './postgres.ts';

/** A session that stands for one of the provider's. */
export interface ForeignSession {
  readonly session_id: string;
  readonly user_id: string;
  readonly role: 'user' | 'admin';
  readonly revoked: boolean;
  readonly expires_at: Date;
}

/** The session of this key, or null before it was seen. */
export async function findForeignSession(sql: Sql, foreign_key: Uint8Array): Promise<ForeignSession | null> {
  const [row] = await sql<ForeignSession[]>`
    SELECT s.id AS session_id, s.user_id, u.role, s.revoked_at IS NOT NULL AS revoked, s.expires_at
    FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE s.foreign_key = ${foreign_key}`;
  return row ?? null;
}

/** A session was seen with a token that ends later. */
export async function extendForeignSession(
  sql: Sql,
  session: { readonly session_id: string; readonly expires_at: Date; readonly at: Date },
): Promise<void> {
  await sql`
    UPDATE sessions
    SET expires_at = greatest(expires_at, ${session.expires_at}), last_used_at = ${session.at}, updated_at = ${session.at}
    WHERE id = ${session.session_id} AND revoked_at IS NULL`;
}

/**
 * Ties a subject to the account `user_id`, which is about to be made; false when the subject has one. Waits for whoever is
 * doing the same.
 */
export async function claimIdentity(
  sql: Sql,
  identity: { readonly issuer: string; readonly subject: string; readonly user_id: string; readonly at: Date },
): Promise<boolean> {
  const result = await sql`
    INSERT INTO user_identities (issuer, subject, user_id, created_at)
    VALUES (${identity.issuer}, ${identity.subject}, ${identity.user_id}, ${identity.at})
    ON CONFLICT (issuer, subject) DO NOTHING`;
  return result.count === 1;
}

/** The account of a subject, which cannot be erased until the transaction ends; null when it is gone, or never was. */
export async function holdIdentity(
  sql: Sql,
  issuer: string,
  subject: string,
): Promise<{ readonly id: string; readonly role: 'user' | 'admin' } | null> {
  const [row] = await sql<{ id: string; role: 'user' | 'admin' }[]>`
    SELECT u.id, u.role FROM user_identities i JOIN users u ON u.id = i.user_id
    WHERE i.issuer = ${issuer} AND i.subject = ${subject} AND NOT u.deleted
    FOR SHARE OF u`;
  return row ?? null;
}

/** Makes an account without a password. `taken`: somebody else has the e-mail, and nothing was made. */
export async function insertForeignUser(
  sql: Sql,
  user: {
    readonly id: string;
    /** Null when there is none to be believed. */
    readonly email: { readonly address: string; readonly key: string } | null;
    readonly display_name: string;
    readonly at: Date;
  },
): Promise<'made' | 'taken'> {
  const result = await sql`
    INSERT INTO users (id, email, email_key, display_name, created_at, updated_at)
    VALUES (${user.id}, ${user.email?.address ?? ''}, ${user.email?.key ?? null}, ${user.display_name},
            ${user.at}, ${user.at})
    ON CONFLICT (email_key) DO NOTHING`;
  return result.count === 1 ? 'made' : 'taken';
}

/** Begins the session of a key; false when somebody else just did. */
export async function insertForeignSession(
  sql: Sql,
  session: {
    readonly id: string;
    readonly user_id: string;
    readonly foreign_key: Uint8Array;
    readonly at: Date;
    readonly expires_at: Date;
  },
): Promise<boolean> {
  const { at } = session;
  const result = await sql`
    INSERT INTO sessions (id, user_id, foreign_key, created_at, updated_at, last_used_at, expires_at)
    VALUES (${session.id}, ${session.user_id}, ${session.foreign_key}, ${at}, ${at}, ${at}, ${session.expires_at})
    ON CONFLICT (foreign_key) DO NOTHING`;
  return result.count === 1;
}
