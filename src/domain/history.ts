/**
 * The past of a document as people ask for it: what changed between two revisions, who edited when, who wrote what of the
 * present text. Answers are of committed revisions; what is still on its way to the disk is waited for. Here stand the
 * roles and the shapes; how it is read is in src/actors/past.
 */
import type { DocumentGateway } from '../actors/gateway.ts';
import { attributionAt, diffBetween, runsBetween } from '../actors/past/reader.ts';
import { isoTime } from '../base/clock.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import type { Database } from '../store/postgres.ts';
import { requireRole } from './access.ts';
import { asQuestion } from './questions.ts';

/** What these functions work with. */
export interface HistoryParts {
  readonly sql: Database;
  readonly gateway: Pick<DocumentGateway, 'committed'>;
}

/** The change from one revision to another; lengths in UTF-16 code units. */
export interface Diff {
  readonly from: number;
  readonly to: number;
  readonly delta: DeltaOps;
  readonly inserted: number;
  readonly deleted: number;
}

/** Consecutive edits of one user without a long pause. */
export interface Run {
  readonly from_rev: number;
  readonly to_rev: number;
  readonly user_id: string;
  readonly started_at: string;
  readonly ended_at: string;
  readonly inserted: number;
  readonly deleted: number;
}

/** Who wrote what: `runs_json` is a list as JSON, in parts. */
export interface Attribution {
  readonly rev: number;
  readonly runs_json: AsyncIterable<Uint8Array>;
}

/**
 * The change that turns the text at `from` into the text at `to`, which may be the earlier one; viewers may.
 * Errors: NOT_FOUND (the document, or a revision beyond its head), RATE_LIMITED, UNAVAILABLE.
 */
export async function readDiff(
  parts: HistoryParts,
  user_id: string,
  doc_id: string,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<Diff> {
  await requireRole(parts.sql, doc_id, user_id, 'viewer');
  const { delta_json, inserted, deleted } = await asQuestion(user_id, async () => {
    await parts.gateway.committed(doc_id, Math.max(from, to));
    return diffBetween(parts.sql, doc_id, from, to);
  });
  return { from, to, delta: JSON.parse(delta_json) as DeltaOps, inserted, deleted };
}

/**
 * At most `count` runs of edits, newest first, from the head or below the revision `before`; viewers may.
 * Errors: NOT_FOUND, RATE_LIMITED, UNAVAILABLE.
 */
export async function listRuns(
  parts: HistoryParts,
  user_id: string,
  doc_id: string,
  page: { readonly before: number | null; readonly count: number },
): Promise<readonly Run[]> {
  await requireRole(parts.sql, doc_id, user_id, 'viewer');
  const head = await parts.gateway.committed(doc_id);
  const to_rev = page.before === null ? head : Math.min(page.before - 1, head);
  const runs = await asQuestion(user_id, () => runsBetween(parts.sql, doc_id, 0, to_rev, page.count));
  return runs.map((run) => ({ ...run, started_at: isoTime(run.started_at), ended_at: isoTime(run.ended_at) }));
}

/**
 * Who wrote each stretch of the text, as it is on disk when asked; viewers may.
 * Errors: NOT_FOUND, RATE_LIMITED, UNAVAILABLE.
 */
export async function readAttribution(parts: HistoryParts, user_id: string, doc_id: string): Promise<Attribution> {
  await requireRole(parts.sql, doc_id, user_id, 'viewer');
  return asQuestion(user_id, async () => {
    // Asked once it is this question's turn: what was the present while it stood in line may be packed away by then.
    const rev = await parts.gateway.committed(doc_id);
    return { rev, runs_json: await attributionAt(parts.sql, doc_id, rev) };
  });
}
