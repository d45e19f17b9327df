/**
 * Versions: points of a document's history that somebody named, that were kept by themselves, or that a restore made. A
 * version is a revision with a name; its text is in the history, so nothing of it is stored here.
 *
 * Versions of one document are made under the lock of its row (see `lockDocument`), so each knows the one before it.
 */
import type { Authors } from '../protocol/history/meta-columns.ts';
import { unpackAuthors } from '../protocol/history/segment.ts';
import type { Sql } from './postgres.ts';

/** How much is fetched at a time: taking 500 rows apart holds the event loop, and so everybody who types, for a millisecond. */
const ROWS_AT_ONCE = 500;
const SEGMENTS_AT_ONCE = 2;

/** Why there is a version. */
export const VERSION_KINDS = ['named', 'auto', 'restore'] as const;

/** One of {@link VERSION_KINDS}. */
export type VersionKind = (typeof VERSION_KINDS)[number];

/** A row of `document_versions`. */
export interface VersionRow {
  readonly id: string;
  readonly document_id: string;
  readonly rev: number;
  /** Of named ones only. */
  readonly name: string | null;
  readonly kind: VersionKind;
  readonly created_by: string;
  /** Who edited since the version before, by their first edit. */
  readonly contributors: readonly string[];
  readonly created_at: Date;
}

/** Who made a revision, and when. */
export interface Authorship {
  readonly rev: number;
  readonly user_id: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** Stores a version. False when it is an automatic one of a revision that has one already: then nothing is stored. */
export async function insertVersion(sql: Sql, version: VersionRow): Promise<boolean> {
  const { id, document_id, rev, name, kind, created_by, contributors, created_at } = version;
  const rows = await sql`
    INSERT INTO document_versions (id, document_id, rev, name, kind, created_by, contributors, created_at)
    VALUES (${id}, ${document_id}, ${rev}, ${name}, ${kind}, ${created_by}, ${contributors as string[]}::uuid[],
            ${created_at})
    ON CONFLICT (document_id, rev) WHERE kind = 'auto' DO NOTHING
    RETURNING id`;
  return rows.length > 0;
}

/** The version of this document, or null. */
export async function findVersion(sql: Sql, doc_id: string, version_id: string): Promise<VersionRow | null> {
  const [row] = await sql<VersionRow[]>`
    SELECT id, document_id, rev, name, kind, created_by, contributors, created_at
    FROM document_versions WHERE id = ${version_id} AND document_id = ${doc_id}`;
  return row ?? null;
}

/** At most `count` versions older than `before_id` (all when null), newest first. */
export function listVersions(
  sql: Sql,
  doc_id: string,
  before_id: string | null,
  count: number,
): Promise<readonly VersionRow[]> {
  return sql<VersionRow[]>`
    SELECT id, document_id, rev, name, kind, created_by, contributors, created_at
    FROM document_versions
    WHERE document_id = ${doc_id} AND ${before_id === null ? sql`true` : sql`id < ${before_id}`}
    ORDER BY id DESC LIMIT ${count}`;
}

/** The revision of the last version before `rev`; 0 when there is none. */
export async function versionedRevBefore(sql: Sql, doc_id: string, rev: number): Promise<number> {
  const [row] = await sql<{ rev: number | null }[]>`
    SELECT max(rev) AS rev FROM document_versions WHERE document_id = ${doc_id} AND rev < ${rev}`;
  return row?.rev ?? 0;
}

/** A version that a restore by this user made of exactly this revision, or null. */
export async function findRestore(sql: Sql, doc_id: string, rev: number, user_id: string): Promise<VersionRow | null> {
  const [row] = await sql<VersionRow[]>`
    SELECT id, document_id, rev, name, kind, created_by, contributors, created_at
    FROM document_versions
    WHERE document_id = ${doc_id} AND rev = ${rev} AND kind = 'restore' AND created_by = ${user_id}
    ORDER BY id LIMIT 1`;
  return row ?? null;
}

/** Takes the sole right to restore the document until the transaction ends; false when another process has it. */
export async function lockRestore(sql: Sql, doc_id: string): Promise<boolean> {
  const [row] = await sql<{ held: boolean }[]>`
    SELECT pg_try_advisory_xact_lock(hashtext('restore'), hashtext(${doc_id})) AS held`;
  return row?.held ?? false;
}

/** Who edited after `after_rev` up to `to_rev`, by their first edit there. */
export async function contributorsBetween(
  sql: Sql,
  doc_id: string,
  after_rev: number,
  to_rev: number,
): Promise<string[]> {
  const journaled = await sql<Pick<Authorship, 'rev' | 'user_id'>[]>`
    SELECT user_id, min(rev) AS rev FROM document_updates
    WHERE doc_id = ${doc_id} AND rev > ${after_rev} AND rev <= ${to_rev}
    GROUP BY user_id ORDER BY 2`;
  const people = new Set<string>();
  for await (const edits of packedAuthorship(sql, doc_id, after_rev, to_rev))
    for (const { user_id } of edits) people.add(user_id);
  for (const { user_id } of journaled) people.add(user_id);
  return [...people];
}

/** Who made the `revs_max` revisions after `after_rev`, or those up to `to_rev`, oldest first. */
export async function authorship(
  sql: Sql,
  doc_id: string,
  after_rev: number,
  to_rev: number,
  revs_max: number,
): Promise<Authorship[]> {
  const last = Math.min(to_rev, after_rev + revs_max);
  const journaled: Authorship[] = [];
  for (let after = after_rev, more = true; more; ) {
    const rows = await sql<Authorship[]>`
      SELECT rev, user_id, (extract(epoch FROM created_at) * 1000)::bigint AS at FROM document_updates
      WHERE doc_id = ${doc_id} AND rev > ${after} AND rev <= ${last} ORDER BY rev LIMIT ${ROWS_AT_ONCE}`;
    for (const row of rows) journaled.push(row);
    after = rows.at(-1)?.rev ?? last;
    more = rows.length === ROWS_AT_ONCE;
  }
  const packed: Authorship[] = [];
  for await (const edits of packedAuthorship(sql, doc_id, after_rev, last)) for (const edit of edits) packed.push(edit);
  // What was packed between the two looks is in both.
  const packed_rev = packed.at(-1)?.rev ?? 0;
  return [...packed, ...journaled.filter(({ rev }) => rev > packed_rev)];
}

/**
 * The same of revisions that left the journal, some at a time. Asked after the journal and never before: a revision goes from
 * there to a segment, so the other way round one could be missed.
 */
async function* packedAuthorship(
  sql: Sql,
  doc_id: string,
  after_rev: number,
  to_rev: number,
): AsyncGenerator<Authorship[], void, undefined> {
  for (let after = after_rev; after < to_rev; ) {
    const segments = await sql<{ from_rev: number; to_rev: number; meta: Uint8Array }[]>`
      SELECT from_rev, to_rev, meta FROM document_segments
      WHERE doc_id = ${doc_id} AND to_rev > ${after} AND from_rev <= ${to_rev} ORDER BY to_rev LIMIT ${SEGMENTS_AT_ONCE}`;
    for (const { from_rev, meta } of segments) yield authorsWithin(from_rev, unpackAuthors(meta), after_rev, to_rev);
    after = segments.at(-1)?.to_rev ?? to_rev;
  }
}

function authorsWithin(from_rev: number, authors: Authors, after_rev: number, to_rev: number): Authorship[] {
  const edits: Authorship[] = [];
  const end = Math.min(to_rev, from_rev + authors.users.length - 1);
  for (let rev = Math.max(after_rev + 1, from_rev); rev <= end; rev++) {
    const i = rev - from_rev;
    edits.push({ rev, user_id: authors.ids[authors.users[i] ?? 0] ?? '', at: authors.times[i] ?? 0 });
  }
  return edits;
}
