/**
 * Going back to an earlier state. History is never rewritten: the difference between the present and the past is an edit
 * like any other, which live editors receive, can undo, and go on typing through.
 *
 * 1. The change is made against the head that is on disk, and carries that as its base, so whatever is typed between then
 *    and its turn is carried over it and stays.
 * 2. Two restores that were made against the same head would put the old text there twice. So a document has one at a
 *    time, and the next is made against what the one before left. In this process they stand in line; a lock in
 *    PostgreSQL that is only tried keeps other processes out. And the edit has a name that follows from what it does, so
 *    that one which was given up, and reaches the document late, is not taken for another.
 * 3. Where the document is already what it was, nothing is edited. That is what a caller finds who repeats a call that was
 *    answered 503: its edit was taken and is in the text by now, or was not and never will be.
 * 4. The other roots go back in the same revision (see past/roots.ts), type by type. A shared type that stood in the text
 *    itself is beyond what a delta can say: one that is still there stays as it is, one that went comes back as the
 *    object that stands for it in deltas.
 * 5. The version, and the event for the audit, are written together once the edit is on disk.
 */
import type { DocumentGateway, TextAt } from '../actors/gateway.ts';
import { diffBetween, rootsBetween } from '../actors/past/reader.ts';
import type { Clock } from '../base/clock.ts';
import { Line } from '../base/line.ts';
import type { Random } from '../base/random.ts';
import { type DeltaOps, docLength } from '../protocol/content/delta.ts';
import { difference } from '../protocol/content/difference.ts';
import { ConcordError, invalidField, unavailable } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import { lockDocument } from '../store/documents.ts';
import { recordEvent, type Source } from '../store/outbox.ts';
import type { Database, Sql } from '../store/postgres.ts';
import { findRestore, lockRestore } from '../store/versions.ts';
import { requireRole } from './access.ts';
import { eventOf } from './audit.ts';
import { asQuestion } from './questions.ts';
import { knownVersion, newVersion } from './versions.ts';

/** What a {@link Restores} works with. */
export interface RestoreParts {
  readonly sql: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly gateway: Pick<DocumentGateway, 'committed' | 'text' | 'hasOtherRoots' | 'edit'>;
}

/** Where to go back to: exactly one of the two. */
export interface RestoreTarget {
  readonly rev?: number | undefined;
  readonly version_id?: string | undefined;
}

/** What came of it. */
export interface Restored {
  readonly rev: number;
  readonly version_id: string;
}

/** Lines that documents are spread over. Each holds a connection while it works, and the pool has other users. */
const LINES = 4;
/** Restores that may wait in one line. */
const WAITING_MAX = 50;
/** When those who are sent away may come again, seconds. */
const RETRY_AFTER_S = 5;
/** Heads that a restore is made against before it gives up: each was left behind by more edits than an owner remembers. */
const TRIES_MAX = 3;
/** Steps of comparing texts; beyond this the history tells the difference. Two million take some 30 ms. */
const COMPARE_COST_MAX = 2_000_000;

/** Takes documents back. One per process. */
export class Restores {
  readonly #lines = Array.from(
    { length: LINES },
    () =>
      new Line({
        running_max: 1,
        waiting_max: WAITING_MAX,
        full: () => new ConcordError('RATE_LIMITED', 'Too many restores at once; try again.', undefined, RETRY_AFTER_S),
      }),
  );

  constructor(private readonly parts: RestoreParts) {}

  /**
   * Makes the text what it was at a revision, or in a version, and keeps the result as a version; editors may.
   * Errors: VALIDATION_ERROR (not exactly one target), NOT_FOUND (document, version, or a revision beyond the head),
   * FORBIDDEN, STALE_REVISION (the document changes faster than it can be restored), RATE_LIMITED, UNAVAILABLE.
   */
  async restore(user_id: string, doc_id: string, target: RestoreTarget, source: Source): Promise<Restored> {
    const { sql } = this.parts;
    await requireRole(sql, doc_id, user_id, 'editor');
    const rev = await targetRev(sql, doc_id, target);
    const line = this.#lines[Number.parseInt(doc_id.slice(-4), 16) % LINES] as Line;
    const goBackNow = async (): Promise<Restored> => {
      const done = await sql.begin(async (step) => {
        if (!(await lockRestore(step, doc_id))) throw unavailable('The document is being restored already.', 1);
        const head = await goBack(this.parts, user_id, doc_id, rev);
        return {
          version_id: await keepRestore(this.parts, step, { user_id, doc_id, head, from_rev: rev }, source),
          head,
        };
      });
      return { rev: done.head, version_id: done.version_id };
    };
    return asQuestion(user_id, () => line.run(goBackNow));
  }
}

async function targetRev(sql: Sql, doc_id: string, { rev, version_id }: RestoreTarget): Promise<number> {
  if (rev !== undefined && version_id === undefined) return rev;
  if (rev === undefined && version_id !== undefined) return (await knownVersion(sql, doc_id, version_id)).rev;
  const issue = 'must be there, or version_id in its place, and not both';
  throw invalidField('/rev', issue);
}

/** Makes the document what it was at `rev`; resolves to the revision in which that stands, once it is on disk. */
async function goBack(parts: RestoreParts, user_id: string, doc_id: string, rev: number): Promise<number> {
  const { gateway } = parts;
  const past = await gateway.text(doc_id, rev);
  for (let tries = 1; ; tries += 1) {
    const present = await gateway.text(doc_id, await gateway.committed(doc_id));
    const delta = Bun.deepEquals(present.ops, past.ops) ? [] : await change(parts.sql, doc_id, present, past);
    const roots = await rootsBack(parts, doc_id, present.rev, rev);
    if (delta.length === 0 && roots === undefined) return present.rev;
    const client_id = restoreId(doc_id, user_id, rev, present.rev);
    const edit = { doc_id, user_id, client_id, seq: 1, base_rev: present.rev, roots };
    try {
      return (await gateway.edit({ ...edit, delta })).rev;
    } catch (error) {
      const code = error instanceof ConcordError ? error.code : null;
      // A Yjs client may have cut a surrogate pair in two, which no delta may do: then the whole text is replaced.
      if (code === 'VALIDATION_ERROR') return (await gateway.edit({ ...edit, delta: replacement(present, past) })).rev;
      if (code !== 'STALE_REVISION' || tries === TRIES_MAX) throw error;
    }
  }
}

/** What takes the other roots back, where there are any; undefined when they are what they were. */
async function rootsBack(
  { gateway, sql }: RestoreParts,
  doc_id: string,
  head: number,
  rev: number,
): Promise<Uint8Array | undefined> {
  if (!(await gateway.hasOtherRoots(doc_id))) return undefined;
  const roots = await rootsBetween(sql, doc_id, head, rev);
  // One frame to everybody who is on the document, and one they must be able to send back.
  if (roots !== null && roots.length > LIMITS.yjs_frame_bytes_max)
    throw new ConcordError('DOCUMENT_TOO_LARGE', 'Too much of the document was lost since to be brought back at once.');
  return roots ?? undefined;
}

/**
 * Names the edit of one restore against one head. However often and late it reaches the document, it is recognised as the
 * same; and after it the head is another.
 */
function restoreId(doc_id: string, user_id: string, rev: number, head: number): string {
  const hash = new Bun.CryptoHasher('sha256').update(`restore ${doc_id} ${user_id} ${rev} ${head}`).digest('hex');
  // The form of a UUID of version 8, which leaves its bits to whoever makes it (RFC 9562).
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}

/**
 * The ops that turn the present into the past: by comparing the texts, which finds what is there in both however it came
 * there, or, where that would take long, by undoing the edits in between.
 */
async function change(sql: Database, doc_id: string, present: TextAt, past: TextAt): Promise<DeltaOps> {
  const edited = await diffBetween(sql, doc_id, present.rev, past.rev);
  const cheap = compareCost(present.ops, past.ops, edited.inserted + edited.deleted) <= COMPARE_COST_MAX;
  const delta = cheap ? difference(present.ops, past.ops) : (JSON.parse(edited.delta_json) as DeltaOps);
  return delta.map(wellFormed);
}

/** Steps that comparing takes at most: the length of what differs, times the `edited` characters that can differ. */
function compareCost(from: DeltaOps, to: DeltaOps, edited: number): number {
  const [one, other] = [flat(from), flat(to)];
  const shorter = Math.min(one.length, other.length);
  let start = 0;
  while (start < shorter && one[start] === other[start]) start += 1;
  let end = 0;
  while (end < shorter - start && one.at(-1 - end) === other.at(-1 - end)) end += 1;
  if (start + end === shorter) return 0;
  const length = one.length + other.length - 2 * (start + end);
  return length * Math.min(length, edited);
}

function flat(ops: DeltaOps): string {
  return ops.map(({ insert }) => (typeof insert === 'string' ? insert : '\ufffc')).join('');
}

function replacement(present: TextAt, past: TextAt): DeltaOps {
  return [...past.ops.map(wellFormed), { delete: docLength(present.ops) }];
}

/** Half a surrogate pair, which a Yjs client can leave in a text, comes back as what it would be on any wire: U+FFFD. */
function wellFormed(op: DeltaOps[number]): DeltaOps[number] {
  return typeof op.insert === 'string' ? { ...op, insert: op.insert.toWellFormed() } : op;
}

/** Keeps the version of a restore, or finds the one that this user's same restore left there, and returns its id. */
async function keepRestore(
  parts: RestoreParts,
  sql: Sql,
  { user_id, doc_id, head, from_rev }: { user_id: string; doc_id: string; head: number; from_rev: number },
  source: Source,
): Promise<string> {
  await lockDocument(sql, doc_id);
  const known = await findRestore(sql, doc_id, head, user_id);
  if (known !== null) return known.id;
  const made = { rev: head, name: null, kind: 'restore', created_by: user_id } as const;
  const version = await newVersion(parts, sql, doc_id, made);
  const details = { rev: head, from_rev };
  const happening = { actor_id: user_id, document_id: doc_id, target_id: version.id, details };
  await recordEvent(sql, eventOf(parts, source, { action: 'document.restored', ...happening }));
  return version.id;
}
