/**
 * Versions of a document: named by its editors, kept by themselves (see auto-versions.ts), or made by a restore (see
 * restore.ts).
 *
 * A version stands at a revision that is on disk, so it cannot be lost with an owner. Its text is that revision's, which
 * never changes; its contributors are all who edited since the version before it.
 */
import type { DocumentGateway } from '../actors/gateway.ts';
import { type Clock, isoTime } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { ContentFormat } from '../protocol/content/formats.ts';
import { ConcordError } from '../protocol/errors.ts';
import { recordEvent, type Source } from '../store/outbox.ts';
import type { Database, Sql } from '../store/postgres.ts';
import * as store from '../store/versions.ts';
import { requireRole, underLock } from './access.ts';
import { eventOf } from './audit.ts';
import { type ContentAt, type ContentParts, readContent } from './content.ts';

/** What these functions work with. */
export interface VersionParts extends ContentParts {
  readonly sql: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly gateway: ContentParts['gateway'] & Pick<DocumentGateway, 'committed'>;
}

/** A version as REST shows it. */
export interface Version {
  readonly id: string;
  readonly document_id: string;
  readonly rev: number;
  /** Of named ones only. */
  readonly name: string | null;
  readonly kind: store.VersionKind;
  readonly created_by: string;
  /** Who edited since the version before, by their first edit. */
  readonly contributors: readonly string[];
  readonly created_at: string;
}

/** At most `page.count` versions older than `page.before_id`, newest first; viewers may. Errors: NOT_FOUND. */
export async function listVersions(
  { sql }: Pick<VersionParts, 'sql'>,
  user_id: string,
  doc_id: string,
  page: { readonly before_id: string | null; readonly count: number },
): Promise<readonly Version[]> {
  await requireRole(sql, doc_id, user_id, 'viewer');
  return (await store.listVersions(sql, doc_id, page.before_id, page.count)).map(show);
}

/** One version; viewers may. Errors: NOT_FOUND (the document, or it has no such version). */
export async function getVersion(
  { sql }: Pick<VersionParts, 'sql'>,
  user_id: string,
  doc_id: string,
  version_id: string,
): Promise<Version> {
  await requireRole(sql, doc_id, user_id, 'viewer');
  return show(await knownVersion(sql, doc_id, version_id));
}

/** The text of a version; viewers may. Errors: those of {@link getVersion} and `readContent`. */
export async function readVersion(
  parts: VersionParts,
  user_id: string,
  doc_id: string,
  version_id: string,
  format: ContentFormat,
): Promise<ContentAt> {
  const { rev } = await getVersion(parts, user_id, doc_id, version_id);
  return readContent(parts, user_id, doc_id, { format, rev });
}

/**
 * Names the document as it is now, once that is on disk; editors may.
 * Errors: NOT_FOUND, FORBIDDEN, UNAVAILABLE (storage has not confirmed what was typed last).
 */
export async function nameVersion(
  parts: VersionParts,
  user_id: string,
  doc_id: string,
  name: string,
  source: Source,
): Promise<Version> {
  await requireRole(parts.sql, doc_id, user_id, 'editor');
  const rev = await parts.gateway.committed(doc_id);
  const row = await underLock(parts.sql, doc_id, user_id, 'editor', async (sql) => {
    const version = await newVersion(parts, sql, doc_id, { rev, name, kind: 'named', created_by: user_id });
    const details = { rev, name };
    const happening = { actor_id: user_id, document_id: doc_id, target_id: version.id, details };
    await recordEvent(sql, eventOf(parts, source, { action: 'version.named', ...happening }));
    return version;
  });
  return show(row);
}

/** Stores a version made now and returns it. To be called under the document's lock. */
export async function newVersion(
  parts: Pick<VersionParts, 'clock' | 'random'>,
  sql: Sql,
  doc_id: string,
  made: Pick<store.VersionRow, 'rev' | 'name' | 'kind' | 'created_by'>,
): Promise<store.VersionRow> {
  const before = await store.versionedRevBefore(sql, doc_id, made.rev);
  const contributors = await store.contributorsBetween(sql, doc_id, before, made.rev);
  const created_at = new Date(parts.clock.now());
  const version = { id: parts.random.id(), document_id: doc_id, contributors, created_at, ...made };
  await store.insertVersion(sql, version);
  return version;
}

/** The version, if it is one of this document. Errors: NOT_FOUND. */
export async function knownVersion(sql: Sql, doc_id: string, version_id: string): Promise<store.VersionRow> {
  const version = await store.findVersion(sql, doc_id, version_id);
  if (version === null) throw new ConcordError('NOT_FOUND', 'The document has no such version.');
  return version;
}

function show(row: store.VersionRow): Version {
  const { id, document_id, rev, name, kind, created_by, contributors, created_at } = row;
  return { id, document_id, rev, name, kind, created_by, contributors, created_at: isoTime(created_at.getTime()) };
}
