/**
 * Edits in the audit: a run of them is one event. A run is told once it is over, which is when somebody else's edit or a
 * long pause follows it, when it has grown to so many edits that it is cut, when nothing has followed it for a pause, or
 * when the document was given up, since nobody was there any more.
 *
 * `document_history.audited_rev` says up to where runs were told. It moves in the transaction that writes their events and
 * only from where it was seen, so whoever else tells the same runs at the same time finds it moved and writes nothing: each
 * revision is in exactly one event.
 */
import { runsBetween } from '../actors/past/reader.ts';
import { type Clock, isoTime } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { type EditRun, RUN_PAUSE_MS } from '../protocol/history/runs.ts';
import { advanceAudited, readAudited } from '../store/audit-runs.ts';
import { type AuditEvent, recordEvents } from '../store/outbox.ts';
import type { Database } from '../store/postgres.ts';

/** A run is cut after so many edits. */
export const RUN_EDITS_MAX = 500;

/** What this works with. */
export interface AuditRunParts {
  readonly sql: Database;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Writes the events of all runs of a document that are over; the last one of a document that is held is over after
 * `pause_ms` without an edit, five minutes at most. Gives how many.
 */
export async function auditRuns(parts: AuditRunParts, pause_ms: number, doc_id: string): Promise<number> {
  const { sql, clock } = parts;
  let told = 0;
  for (;;) {
    const { audited_rev, head_rev, free } = await readAudited(sql, doc_id);
    const to_rev = Math.min(head_rev, audited_rev + RUN_EDITS_MAX);
    const runs = (await runsBetween(sql, doc_id, audited_rev, to_rev, RUN_EDITS_MAX)).toReversed();
    const last = runs.at(-1);
    if (last === undefined) return told;
    const rests = free || clock.now() - last.ended_at >= Math.min(pause_ms, RUN_PAUSE_MS);
    const is_still = rests && to_rev === head_rev;
    const over = is_still || editsIn(last) === RUN_EDITS_MAX ? runs : runs.slice(0, -1);
    const next_rev = over.at(-1)?.to_rev;
    if (next_rev === undefined) return told;
    const moved = await sql.begin(async (sql) => {
      if (!(await advanceAudited(sql, doc_id, audited_rev, next_rev))) return false;
      await recordEvents(
        sql,
        over.map((run) => eventOfRun(parts.random, doc_id, run)),
      );
      return true;
    });
    if (!moved) return told;
    told += over.length;
  }
}

function editsIn(run: EditRun): number {
  return run.to_rev - run.from_rev + 1;
}

function eventOfRun(random: Random, document_id: string, run: EditRun): AuditEvent {
  const { from_rev, to_rev, user_id: actor_id, started_at, ended_at, inserted, deleted } = run;
  const details = { from_rev, to_rev, started_at: isoTime(started_at), ended_at: isoTime(ended_at), inserted, deleted };
  const at = new Date(ended_at);
  const nowhere = { target_id: null, ip: null, request_id: null };
  return { id: random.id(), at, action: 'document.edited', actor_id, document_id, ...nowhere, details };
}
