/** Keeps the automatic versions of a document: see src/domain/auto-versions.ts for which those are. */
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { dueVersions, type VersionPace } from '../domain/auto-versions.ts';
import { lockDocument } from '../store/documents.ts';
import { readHead } from '../store/heads.ts';
import type { Database, Sql } from '../store/postgres.ts';
import { authorship, insertVersion, versionedRevBefore } from '../store/versions.ts';

/** Revisions looked at in one transaction: more than any setting lets pass without a version. */
const REVS_MAX = 20_000;

/** What the job works with. */
export interface VersionJobParts {
  readonly sql: Database;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Stores the versions that are due up to the committed head. Safe to run at any time, any number of times: it begins at
 * the last version there is, under the lock that every version is made under, and dies without a trace before its commit.
 */
export async function keepVersions(parts: VersionJobParts, pace: VersionPace, doc_id: string): Promise<void> {
  for (let done = false; !done; ) {
    const step = await parts.sql.begin(async (sql) => ({ done: await keepSome(parts, sql, pace, doc_id) }));
    done = step.done;
  }
}

/** The next {@link REVS_MAX} revisions; tells whether those were all. */
async function keepSome(parts: VersionJobParts, sql: Sql, pace: VersionPace, doc_id: string): Promise<boolean> {
  await lockDocument(sql, doc_id);
  const head = await readHead(sql, doc_id);
  if (head === null) return true;
  const { head_rev } = head;
  const edits = await authorship(sql, doc_id, await versionedRevBefore(sql, doc_id, head_rev + 1), head_rev, REVS_MAX);
  const last = edits.at(-1);
  if (last === undefined) return true;
  const all = last.rev === head_rev;
  const now = parts.clock.now();
  const due = dueVersions(edits, all ? now : last.at, pace);
  for (const version of due) {
    const created_at = new Date(now);
    const id = parts.random.id();
    await insertVersion(sql, { ...version, id, document_id: doc_id, kind: 'auto', name: null, created_at });
  }
  return all || due.length === 0;
}
