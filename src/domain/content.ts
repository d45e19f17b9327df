/**
 * What stands in a document: read in any format, edited from outside a socket, and who is on it just now. All of it is
 * asked of the document's actor through the gateway, so that what a program reads is what editors see; here stand the
 * roles and the formats.
 */
import type { DocumentGateway } from '../actors/gateway.ts';
import type { Random } from '../base/random.ts';
import { type DeltaOps, parseDelta } from '../protocol/content/delta.ts';
import { type ContentFormat, renderContent } from '../protocol/content/formats.ts';
import { invalidField } from '../protocol/errors.ts';
import type { PresenceEntry } from '../protocol/messages.ts';
import type { Sql } from '../store/postgres.ts';
import { requireRole } from './access.ts';
import { isHeavy, renderWherever } from './content-heavy.ts';
import { asQuestion } from './questions.ts';

/** What these functions work with. */
export interface ContentParts {
  readonly sql: Sql;
  readonly random: Random;
  readonly gateway: Pick<DocumentGateway, 'text' | 'state' | 'edit' | 'presence'>;
}

/** A document's text in one format at one revision. */
export interface ContentAt {
  readonly rev: number;
  readonly format: ContentFormat;
  /** Ops for `delta`, base64 of a Yjs update (version 1) for `yjs`, else the text. */
  readonly value: DeltaOps | string;
}

/** An edit as a program sends it. */
export interface EditInput {
  readonly delta: unknown;
  /** The revision that `delta` was made against; null for the head. */
  readonly base_rev: number | null;
  /** Names the program over its edits; null draws a fresh name. */
  readonly client_id: string | null;
  /** Counts the edits of `client_id`, so that a resend is not applied twice. */
  readonly seq: number | null;
}

/**
 * The text now, or at a past `rev`; viewers may.
 * Errors: NOT_FOUND (the document, or `rev` is beyond its head), RATE_LIMITED, UNAVAILABLE.
 */
export async function readContent(
  parts: ContentParts,
  user_id: string,
  doc_id: string,
  asked: { readonly format: ContentFormat; readonly rev?: number },
): Promise<ContentAt> {
  await requireRole(parts.sql, doc_id, user_id, 'viewer');
  const { format, rev: at } = asked;
  const read = () => contentAt(parts, doc_id, format, at);
  if (at !== undefined) return asQuestion(user_id, read);
  if (format === 'yjs') return read();
  const { rev, ops } = await parts.gateway.text(doc_id);
  if (!isHeavy(format, ops)) return { rev, format, value: renderContent(format, ops) };
  // As dear as the past, so it takes its turn like that, and reads anew then: who waits holds no text.
  return asQuestion(user_id, read);
}

async function contentAt(
  { gateway }: ContentParts,
  doc_id: string,
  format: ContentFormat,
  at?: number,
): Promise<ContentAt> {
  if (format === 'yjs') {
    const { rev, update } = await gateway.state(doc_id, at);
    return { rev, format, value: Buffer.from(update).toString('base64') };
  }
  const { rev, ops } = await gateway.text(doc_id, at);
  return { rev, format, value: await renderWherever(format, ops) };
}

/**
 * Edits the text and resolves once that is on disk; editors may.
 * Errors: VALIDATION_ERROR, NOT_FOUND, FORBIDDEN and those of `DocumentGateway.edit`.
 */
export async function editContent(
  parts: ContentParts,
  user_id: string,
  doc_id: string,
  input: EditInput,
): Promise<{ readonly rev: number }> {
  await requireRole(parts.sql, doc_id, user_id, 'editor');
  if (input.seq !== null && input.client_id === null) throw invalidField('/seq', 'needs a client_id to count for');
  const parsed = parseDelta(input.delta);
  if (!parsed.ok) throw invalidField(`/changes/delta${parsed.path}`, parsed.message);
  const client_id = input.client_id ?? parts.random.id();
  const { seq, base_rev } = input;
  const delta = parsed.delta.ops as DeltaOps;
  const { rev } = await parts.gateway.edit({ doc_id, user_id, client_id, seq, base_rev, delta });
  return { rev };
}

/**
 * At most `count` of those who are on the document, by when they came, after `after`; viewers may.
 * Errors: NOT_FOUND, UNAVAILABLE.
 */
export async function listPresence(
  parts: ContentParts,
  user_id: string,
  doc_id: string,
  page: { readonly after: string | null; readonly count: number },
): Promise<readonly PresenceEntry[]> {
  await requireRole(parts.sql, doc_id, user_id, 'viewer');
  const { after } = page;
  const entries = (await parts.gateway.presence(doc_id)).map((entry) => ({ entry, key: presenceKey(entry) }));
  const later = entries.filter(({ key }) => after === null || key > after);
  later.sort((one, other) => (one.key < other.key ? -1 : 1));
  return later.slice(0, page.count).map(({ entry }) => entry);
}

/** Where somebody stands in the list: it holds still while others come and go. */
export function presenceKey(entry: PresenceEntry): string {
  return `${entry.since} ${entry.client_id} ${entry.user_id}`;
}
