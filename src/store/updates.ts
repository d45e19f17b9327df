/**
 * The journal: `document_updates`, one row per revision. Appending is fenced by `document_heads` in the same statement,
 * so a stale owner's rows never reach it, and many documents share one round trip.
 */
import type { EntryMeta } from '../protocol/history/entry.ts';
import { unpackDeltas, unpackMeta, unpackUpdates } from '../protocol/history/segment.ts';
import type { Sql } from './postgres.ts';

/** One revision on its way to the journal. */
export interface NewUpdate {
  readonly rev: number;
  readonly user_id: string;
  readonly client_id: string;
  readonly seq: number | null;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly update: Uint8Array;
  /** JSON of the effect on the text. */
  readonly delta: string;
}

/** The next revisions of one document: contiguous, the first is `head_rev + 1`. */
export interface Append {
  readonly doc_id: string;
  readonly epoch: number;
  readonly head_rev: number;
  readonly rows: readonly NewUpdate[];
}

/** A revision as it was journaled. */
export interface JournalRow {
  readonly rev: number;
  readonly epoch: number;
  readonly user_id: string;
  readonly client_id: string;
  readonly seq: number | null;
  readonly created_at: Date;
  readonly update: Uint8Array;
  readonly delta: string;
}

/**
 * Appends to many documents in one statement and returns the ids of those that moved: a document that is missing was
 * fenced (its epoch or head is another by now). Rows travel as JSON and the update bytes as one blob, cut up by the
 * server: an array for each column costs this side, which serves everybody, almost twice as much. Any error means that the
 * outcome is unknown, unless the server itself reported it.
 */
export async function appendUpdates(sql: Sql, batch: readonly Append[]): Promise<Set<string>> {
  const { heads, rows, blob } = toParameters(batch);
  const moved = await sql<{ doc_id: string }[]>`
    WITH batch AS (
      SELECT * FROM json_to_recordset(${heads}::text::json) AS b(doc_id uuid, epoch bigint, head_rev bigint, n int)
    ), locked AS (
      SELECT h.doc_id FROM document_heads h JOIN batch USING (doc_id) ORDER BY 1 FOR UPDATE OF h
    ), moved AS (
      UPDATE document_heads h SET head_rev = h.head_rev + b.n
      FROM batch b JOIN locked USING (doc_id)
      WHERE h.doc_id = b.doc_id AND h.epoch = b.epoch AND h.head_rev = b.head_rev
      RETURNING h.doc_id, h.epoch
    ), written AS (
      INSERT INTO document_updates (doc_id, rev, epoch, user_id, client_id, seq, created_at, update, delta)
      SELECT u.doc_id, u.rev, m.epoch, u.user_id, u.client_id, u.seq, to_timestamp(u.at / 1000.0),
             substring(${blob}::bytea FROM u.start FOR u.length), u.delta
      FROM json_to_recordset(${rows}::text::json) AS u(
        doc_id uuid, rev bigint, user_id uuid, client_id uuid, seq bigint, at float8, start int, length int, delta text
      ) JOIN moved m USING (doc_id)
    )
    SELECT doc_id FROM moved`;
  return new Set(moved.map((row) => row.doc_id));
}

function toParameters(batch: readonly Append[]): { heads: string; rows: string; blob: Buffer } {
  let start = 1; // PostgreSQL counts from one
  const heads = batch.map(({ doc_id, epoch, head_rev, rows }) => ({ doc_id, epoch, head_rev, n: rows.length }));
  const updates: Uint8Array[] = [];
  const rows = batch.flatMap((append) =>
    append.rows.map(({ rev, user_id, client_id, seq, at, update, delta }) => {
      const row = { doc_id: append.doc_id, rev, user_id, client_id, seq, at, start, length: update.length, delta };
      start += update.length;
      updates.push(update);
      return row;
    }),
  );
  return { heads: JSON.stringify(heads), rows: JSON.stringify(rows), blob: Buffer.concat(updates) };
}

/** The revisions after `after_rev` up to `to_rev` (inclusive; null: the head), oldest first, `limit` at most. */
export function readUpdates(
  sql: Sql,
  doc_id: string,
  after_rev: number,
  to_rev: number | null,
  limit: number,
): Promise<JournalRow[]> {
  return sql<JournalRow[]>`
    SELECT rev, epoch, user_id, client_id, seq, created_at, update, delta
    FROM document_updates
    WHERE doc_id = ${doc_id} AND rev > ${after_rev} AND (${to_rev}::bigint IS NULL OR rev <= ${to_rev}::bigint)
    ORDER BY rev LIMIT ${limit}`;
}

/**
 * The revisions after `after_rev` up to `to_rev`, oldest first, without their update bytes; none at all when their deltas
 * together are larger than `bytes_max`.
 */
export function readDeltas(
  sql: Sql,
  doc_id: string,
  after_rev: number,
  to_rev: number,
  bytes_max: number,
): Promise<Omit<JournalRow, 'update'>[]> {
  return sql<Omit<JournalRow, 'update'>[]>`
    SELECT rev, epoch, user_id, client_id, seq, created_at, delta
    FROM document_updates
    WHERE doc_id = ${doc_id} AND rev > ${after_rev} AND rev <= ${to_rev} AND ${bytes_max} >= (
      SELECT coalesce(sum(octet_length(delta)), 0) FROM document_updates
      WHERE doc_id = ${doc_id} AND rev > ${after_rev} AND rev <= ${to_rev}
    )
    ORDER BY rev`;
}

/** The revisions after `after_rev` up to `to_rev`, oldest first; none at all when together they are larger than `bytes_max`. */
export function readMissed(
  sql: Sql,
  doc_id: string,
  after_rev: number,
  to_rev: number,
  bytes_max: number,
): Promise<JournalRow[]> {
  return sql<JournalRow[]>`
    SELECT rev, epoch, user_id, client_id, seq, created_at, update, delta
    FROM document_updates
    WHERE doc_id = ${doc_id} AND rev > ${after_rev} AND rev <= ${to_rev} AND ${bytes_max} >= (
      SELECT coalesce(sum(octet_length(update) + coalesce(octet_length(delta), 0)), 0) FROM document_updates
      WHERE doc_id = ${doc_id} AND rev > ${after_rev} AND rev <= ${to_rev}
    )
    ORDER BY rev`;
}

/** Rows fetched at a time. */
const PAGE_ROWS = 5_000;

/**
 * All revisions after `after_rev` up to `to_rev`, fetched in pages. Throws when some were packed away in the meantime:
 * what follows on `after_rev` is then in a segment, and the caller's starting point was an old one. Coming again helps.
 */
export async function readTail(sql: Sql, doc_id: string, after_rev: number, to_rev: number): Promise<JournalRow[]> {
  const rows: JournalRow[] = [];
  for (let from = after_rev; from < to_rev; ) {
    const page = await readUpdates(sql, doc_id, from, to_rev, PAGE_ROWS);
    const [first, last] = [page[0], page.at(-1)];
    if (first === undefined || last === undefined) break;
    if (first.rev !== from + 1) throw new Error(`the journal of document ${doc_id} no longer goes back to ${from}`);
    rows.push(...page);
    from = last.rev;
  }
  return rows;
}

/** The epoch that wrote `rev`, or null when there is no such revision. */
export async function epochOfRev(sql: Sql, doc_id: string, rev: number): Promise<number | null> {
  const [row] = await sql<{ epoch: number }[]>`
    SELECT epoch FROM document_updates WHERE doc_id = ${doc_id} AND rev = ${rev}`;
  return row?.epoch ?? null;
}

/** The last seq that the journal holds, or held before it was packed, of this author and client; 0 for none. */
export async function lastSeq(sql: Sql, doc_id: string, user_id: string, client_id: string): Promise<number> {
  const [row] = await sql<{ seq: number | null }[]>`
    SELECT greatest(
      (SELECT seq FROM document_updates
       WHERE doc_id = ${doc_id} AND client_id = ${client_id} AND user_id = ${user_id} AND seq IS NOT NULL
       ORDER BY seq DESC LIMIT 1),
      (SELECT last_seq FROM document_clients
       WHERE doc_id = ${doc_id} AND client_id = ${client_id} AND user_id = ${user_id})
    ) AS seq`;
  return row?.seq ?? 0;
}

/** The revision of this author's client that carries `seq`, or null. */
export async function findBySeq(
  sql: Sql,
  doc_id: string,
  user_id: string,
  client_id: string,
  seq: number,
): Promise<JournalRow | null> {
  const [row] = await sql<JournalRow[]>`
    SELECT rev, epoch, user_id, client_id, seq, created_at, update, delta
    FROM document_updates
    WHERE doc_id = ${doc_id} AND client_id = ${client_id} AND user_id = ${user_id} AND seq = ${seq}`;
  return row ?? (await findPacked(sql, doc_id, user_id, client_id, seq));
}

/** Segments that are looked through at a time for a packed revision. */
const LOOK_SEGMENTS = 4;

/** Looks for it in the segments, newest first: only who was away for a thousand revisions sends such a thing again. */
async function findPacked(
  sql: Sql,
  doc_id: string,
  user_id: string,
  client_id: string,
  seq: number,
): Promise<JournalRow | null> {
  const known = await sql`
    SELECT FROM document_clients
    WHERE doc_id = ${doc_id} AND client_id = ${client_id} AND user_id = ${user_id} AND last_seq >= ${seq}`;
  if (known.length === 0) return null;
  for (let before = Number.MAX_SAFE_INTEGER; ; ) {
    const segments = await sql<{ from_rev: number; to_rev: number; meta: Uint8Array }[]>`
      SELECT from_rev, to_rev, meta FROM document_segments
      WHERE doc_id = ${doc_id} AND to_rev < ${before} ORDER BY to_rev DESC LIMIT ${LOOK_SEGMENTS}`;
    for (const { to_rev, meta } of segments) {
      const metas = unpackMeta(meta);
      const at = metas.findIndex((one) => one.seq === seq && one.client_id === client_id && one.user_id === user_id);
      const found = metas[at];
      if (found !== undefined) return await readPacked(sql, doc_id, to_rev, at, found);
    }
    const last = segments.at(-1);
    if (last === undefined) return null;
    before = last.to_rev;
  }
}

async function readPacked(
  sql: Sql,
  doc_id: string,
  to_rev: number,
  at: number,
  { rev, epoch, user_id, client_id, seq, at: time }: EntryMeta,
): Promise<JournalRow | null> {
  const [segment] = await sql<{ deltas: Uint8Array; updates: Uint8Array }[]>`
    SELECT deltas, updates FROM document_segments WHERE doc_id = ${doc_id} AND to_rev = ${to_rev}`;
  const [delta, update] =
    segment === undefined ? [] : [unpackDeltas(segment.deltas)[at], unpackUpdates(segment.updates)[at]];
  if (delta === undefined || update === undefined) return null;
  const created_at = new Date(time);
  return { rev, epoch, user_id, client_id, seq, created_at, update, delta: JSON.stringify(delta) };
}
