/**
 * The past of a document: segments of packed revisions, then the journal. No revision is ever in both, and a segment
 * takes the place of its journal rows in one transaction; so whoever reads the two together does it in
 * {@link readPast}, where nothing moves meanwhile.
 *
 * Revisions travel from the journal as one row per page, cut by revisions and bytes: thousands of small rows would keep
 * the event loop busy with taking them apart, and the thread that needs them can do that itself.
 */
import { isAttribution } from '../protocol/history/segment.ts';
import type { Database, Sql } from './postgres.ts';

/** How far a document's journal has been packed; all 0 and null before the first time. */
export interface Compacted {
  readonly compacted_rev: number;
  /** The Yjs state at `compacted_rev`, zstd. */
  readonly state: Uint8Array | null;
  /** Who wrote the text at `compacted_rev`, see packAttribution. Null also where an earlier version left it: segments tell it then. */
  readonly attribution: Uint8Array | null;
}

/** The columns of a segment that hold its revisions one by one. */
export interface Segment {
  readonly from_rev: number;
  readonly to_rev: number;
  readonly meta: Uint8Array;
  readonly deltas: Uint8Array;
  readonly updates: Uint8Array;
  /** The effect of all of them as one. */
  readonly total: Uint8Array;
  /** The text after the last; null in most. */
  readonly checkpoint: Uint8Array | null;
}

/** Consecutive revisions of the journal, in a form that is cheap to hand on. */
export interface JournalPage {
  readonly from_rev: number;
  readonly to_rev: number;
  /** JSON of the deltas in order, separated by commas. */
  readonly deltas: string;
  /** A line per revision: epoch, user, client, seq (empty for none), epoch milliseconds; separated by blanks. */
  readonly metas: string;
  /** All update bytes in order; empty when not asked for. */
  readonly updates: Uint8Array;
  /** Length of each update, separated by commas. */
  readonly lengths: string;
}

/** Rows and bytes of one page of the journal. */
export const PAGE_REVS = 4_000;
const PAGE_BYTES = 8 * 1024 * 1024;
/** Segments read at a time where all are. */
const SEGMENTS_AT_ONCE = 16;

/** Reads under one snapshot: whatever is compacted meanwhile, `read` sees each revision once. */
export async function readPast<T>(sql: Database, read: (sql: Sql) => Promise<T>): Promise<T> {
  const done = await sql.begin('ISOLATION LEVEL REPEATABLE READ READ ONLY', async (tx) => ({ result: await read(tx) }));
  return done.result as T;
}

/** How far the journal was packed. */
export async function compactedRev(sql: Sql, doc_id: string): Promise<number> {
  const [row] = await sql<{ compacted_rev: number }[]>`
    SELECT compacted_rev FROM document_history WHERE doc_id = ${doc_id}`;
  return row?.compacted_rev ?? 0;
}

/** What packing left behind to go on from, or one part of it; the other is null then. */
export async function readCompacted(
  sql: Sql,
  doc_id: string,
  part: 'state' | 'attribution' | 'both',
): Promise<Compacted> {
  const [row] = await sql<Compacted[]>`
    SELECT compacted_rev, CASE WHEN ${part !== 'attribution'} THEN state END AS state,
           CASE WHEN ${part !== 'state'} THEN attribution END AS attribution
    FROM document_history WHERE doc_id = ${doc_id}`;
  if (row === undefined) return { compacted_rev: 0, state: null, attribution: null };
  return { ...row, attribution: row.attribution !== null && isAttribution(row.attribution) ? row.attribution : null };
}

/** The last text that was kept at or before `rev`, with its revision; null when there is none. */
export async function lastCheckpoint(
  sql: Sql,
  doc_id: string,
  rev: number,
): Promise<{ rev: number; checkpoint: Uint8Array } | null> {
  const [row] = await sql<{ rev: number; checkpoint: Uint8Array }[]>`
    SELECT to_rev AS rev, checkpoint FROM document_segments
    WHERE doc_id = ${doc_id} AND to_rev <= ${rev} AND checkpoint IS NOT NULL
    ORDER BY to_rev DESC LIMIT 1`;
  return row ?? null;
}

/** A segment as far as it was asked for: `whole` ones by their total, the others by their deltas. */
export interface SegmentEffect {
  readonly from_rev: number;
  readonly to_rev: number;
  readonly whole: boolean;
  readonly effect: Uint8Array;
}

/** The effects of the packed revisions after `after_rev` up to `to_rev`, oldest first, `limit` segments at most. */
export function segmentEffects(
  sql: Sql,
  doc_id: string,
  after_rev: number,
  to_rev: number,
  limit: number,
): Promise<SegmentEffect[]> {
  return sql<SegmentEffect[]>`
    SELECT from_rev, to_rev, from_rev > ${after_rev} AND to_rev <= ${to_rev} AS whole,
           CASE WHEN from_rev > ${after_rev} AND to_rev <= ${to_rev} THEN total ELSE deltas END AS effect
    FROM document_segments
    WHERE doc_id = ${doc_id} AND to_rev > ${after_rev} AND from_rev <= ${to_rev}
    ORDER BY to_rev LIMIT ${limit}`;
}

/** The updates of packed revisions from the segment of `after_rev + 1` to that of `to_rev`, `limit` segments at most. */
export function segmentUpdates(
  sql: Sql,
  doc_id: string,
  after_rev: number,
  to_rev: number,
  limit: number,
): Promise<Pick<Segment, 'from_rev' | 'to_rev' | 'updates'>[]> {
  return sql<Pick<Segment, 'from_rev' | 'to_rev' | 'updates'>[]>`
    SELECT from_rev, to_rev, updates FROM document_segments
    WHERE doc_id = ${doc_id} AND to_rev > ${after_rev} AND from_rev <= ${to_rev}
    ORDER BY to_rev LIMIT ${limit}`;
}

/** Who wrote which packed revisions, and what they did: segments that end before or hold `to_rev`, newest first. */
export function segmentsBack(
  sql: Sql,
  doc_id: string,
  to_rev: number,
  limit: number,
): Promise<Pick<Segment, 'from_rev' | 'to_rev' | 'meta' | 'deltas'>[]> {
  return sql<Pick<Segment, 'from_rev' | 'to_rev' | 'meta' | 'deltas'>[]>`
    SELECT from_rev, to_rev, meta, deltas FROM document_segments
    WHERE doc_id = ${doc_id} AND from_rev <= ${to_rev}
    ORDER BY to_rev DESC LIMIT ${limit}`;
}

/** All segments of a document, oldest first: who wrote them and what they did. */
export async function* segmentsFromStart(
  sql: Sql,
  doc_id: string,
): AsyncGenerator<Pick<Segment, 'from_rev' | 'to_rev' | 'meta' | 'deltas'>> {
  for (let after_rev = 0; ; ) {
    const segments = await sql<Pick<Segment, 'from_rev' | 'to_rev' | 'meta' | 'deltas'>[]>`
      SELECT from_rev, to_rev, meta, deltas FROM document_segments
      WHERE doc_id = ${doc_id} AND to_rev > ${after_rev} ORDER BY to_rev LIMIT ${SEGMENTS_AT_ONCE}`;
    yield* segments;
    const last = segments.at(-1);
    if (last === undefined) return;
    after_rev = last.to_rev;
  }
}

/**
 * The journal after `after_rev`, up to `to_rev` or as far as one page goes; at least one revision.
 * Throws when the journal does not hold what follows on `after_rev`: then storage is broken, or the caller is.
 */
export async function readPage(
  sql: Sql,
  doc_id: string,
  after_rev: number,
  to_rev: number,
  with_updates: boolean,
  revs_max: number = PAGE_REVS,
): Promise<JournalPage> {
  const [page] = await sql<(JournalPage & { revs: number })[]>`
    SELECT min(rev) AS from_rev, max(rev) AS to_rev, count(*)::int AS revs,
           string_agg(coalesce(delta, 'null'), ',' ORDER BY rev) AS deltas,
           string_agg(concat_ws(' ', epoch, user_id, client_id, coalesce(seq::text, ''),
             (extract(epoch FROM created_at) * 1000)::bigint), E'\n' ORDER BY rev) AS metas,
           CASE WHEN ${with_updates} THEN string_agg(update, ''::bytea ORDER BY rev) ELSE ''::bytea END AS updates,
           CASE WHEN ${with_updates} THEN string_agg(octet_length(update)::text, ',' ORDER BY rev) ELSE '' END AS lengths
    FROM (
      SELECT *, sum(octet_length(update) + coalesce(octet_length(delta), 0))
                  OVER (ORDER BY rev ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
      FROM (
        SELECT * FROM document_updates
        WHERE doc_id = ${doc_id} AND rev > ${after_rev} AND rev <= ${to_rev} ORDER BY rev LIMIT ${revs_max}
      ) AS following
    ) AS sized
    WHERE coalesce(bytes_before, 0) < ${PAGE_BYTES}`;
  if (page === undefined || page.from_rev !== after_rev + 1 || page.to_rev - after_rev !== page.revs)
    throw new Error(`the journal of document ${doc_id} does not go on behind revision ${after_rev}`);
  return page;
}

/** Takes the sole right to compact a document, on a connection of its own; null when somebody has it. */
export async function holdCompaction(sql: Database, doc_id: string): Promise<{ release(): Promise<void> } | null> {
  const connection = await sql.reserve();
  let held = false;
  try {
    const [row] = await connection<{ held: boolean }[]>`
      SELECT pg_try_advisory_lock(hashtext('compaction'), hashtext(${doc_id})) AS held`;
    held = row?.held ?? false;
  } finally {
    if (!held) connection.release();
  }
  if (!held) return null;
  return {
    async release() {
      // A connection that broke has let go by itself.
      await connection`SELECT pg_advisory_unlock(hashtext('compaction'), hashtext(${doc_id}))`.catch(() => {});
      connection.release();
    },
  };
}

/** What one step of compaction writes. */
export interface PackedStep {
  readonly segment: Segment;
  readonly state: Uint8Array;
  readonly attribution: Uint8Array;
}

/**
 * Puts a segment in the place of its journal rows, all or nothing. False when it no longer follows on what is packed
 * already: somebody else was there.
 */
export async function replaceBySegment(sql: Database, doc_id: string, step: PackedStep): Promise<boolean> {
  const { segment, state, attribution } = step;
  const after_rev = segment.from_rev - 1;
  const done = await sql.begin(async (tx) => {
    const moved = await tx`
      INSERT INTO document_history AS h (doc_id, compacted_rev, state, attribution)
      SELECT ${doc_id}, ${segment.to_rev}::bigint, ${state}::bytea, ${attribution}::bytea
      FROM documents WHERE id = ${doc_id}
      ON CONFLICT (doc_id) DO UPDATE
      SET compacted_rev = excluded.compacted_rev, state = excluded.state, attribution = excluded.attribution
      WHERE h.compacted_rev = ${after_rev}
      RETURNING doc_id`;
    if (moved.length === 0) return { fits: false };
    await tx`
      INSERT INTO document_segments (doc_id, from_rev, to_rev, meta, deltas, updates, total, checkpoint)
      VALUES (${doc_id}, ${segment.from_rev}, ${segment.to_rev}, ${segment.meta}, ${segment.deltas},
              ${segment.updates}, ${segment.total}, ${segment.checkpoint})`;
    const gone = await tx`
      WITH gone AS (
        DELETE FROM document_updates
        WHERE doc_id = ${doc_id} AND rev > ${after_rev} AND rev <= ${segment.to_rev}
        RETURNING client_id, user_id, seq
      ), kept AS (
        INSERT INTO document_clients AS c (doc_id, client_id, user_id, last_seq)
        SELECT ${doc_id}, client_id, user_id, max(seq) FROM gone WHERE seq IS NOT NULL GROUP BY client_id, user_id
        ON CONFLICT (doc_id, client_id, user_id) DO UPDATE SET last_seq = greatest(c.last_seq, excluded.last_seq)
      )
      SELECT count(*)::int AS revs FROM gone`;
    if (gone[0]?.revs !== segment.to_rev - after_rev)
      throw new Error(`the journal of document ${doc_id} lacks revisions up to ${segment.to_rev}`);
    return { fits: true };
  });
  return done.fits;
}

/** What has gathered since the last text that was kept, by which the next is decided. */
export async function sinceCheckpoint(
  sql: Sql,
  doc_id: string,
): Promise<{ readonly rev: number; readonly checkpoint_bytes: number; readonly total_bytes: number }> {
  const [row] = await sql<{ rev: number; checkpoint_bytes: number; total_bytes: number }[]>`
    WITH last AS (
      SELECT to_rev, octet_length(checkpoint) AS bytes FROM document_segments
      WHERE doc_id = ${doc_id} AND checkpoint IS NOT NULL ORDER BY to_rev DESC LIMIT 1
    )
    SELECT coalesce((SELECT to_rev FROM last), 0)::bigint AS rev,
           coalesce((SELECT bytes FROM last), 0)::int AS checkpoint_bytes,
           coalesce(sum(octet_length(total)), 0)::int AS total_bytes
    FROM document_segments WHERE doc_id = ${doc_id} AND to_rev > coalesce((SELECT to_rev FROM last), 0)`;
  return row ?? { rev: 0, checkpoint_bytes: 0, total_bytes: 0 };
}

/** How far a document may be packed, and whether it is open. Null when there is no such document. */
export async function packable(
  sql: Sql,
  doc_id: string,
): Promise<{
  readonly head_rev: number;
  readonly snapshot_rev: number;
  readonly compacted_rev: number;
  /** Whether nobody has it open. */
  readonly free: boolean;
} | null> {
  const [row] = await sql<{ head_rev: number; snapshot_rev: number; compacted_rev: number; free: boolean }[]>`
    SELECT h.head_rev, coalesce(s.rev, 0)::bigint AS snapshot_rev, coalesce(p.compacted_rev, 0)::bigint AS compacted_rev,
           h.owner_node IS NULL AS free
    FROM document_heads h LEFT JOIN document_snapshots s USING (doc_id) LEFT JOIN document_history p USING (doc_id)
    WHERE h.doc_id = ${doc_id}`;
  return row ?? null;
}

/** The snapshot of a document, text or state alone, if it is at or before `rev`; null when there is none such. */
export async function snapshotBefore(
  sql: Sql,
  doc_id: string,
  rev: number,
  what: 'text' | 'state',
): Promise<{ readonly rev: number; readonly text: string; readonly state: Uint8Array } | null> {
  const [row] = await sql<{ rev: number; text: string; state: Uint8Array }[]>`
    SELECT rev, CASE WHEN ${what === 'text'} THEN delta ELSE '' END AS text,
           CASE WHEN ${what === 'state'} THEN state ELSE ''::bytea END AS state
    FROM document_snapshots WHERE doc_id = ${doc_id} AND rev <= ${rev}`;
  return row ?? null;
}
