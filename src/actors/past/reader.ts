/**
 * The past of a document as storage has it: the text and the Yjs state at any committed revision, what changed between
 * two, who wrote what, and runs of edits. It begins at the last thing kept at or before the revision in question (a
 * checkpoint, the snapshot, what compaction left) and goes on with totals of whole segments, then single revisions, then
 * the journal. Everything is read under one snapshot of the database, so a compaction meanwhile is not seen.
 *
 * Every revision that is named here must be committed; who may ask, and what is beyond the head, is others' concern.
 */
import type { DeltaOps } from '../../protocol/content/delta.ts';
import { unavailable } from '../../protocol/errors.ts';
import type { EditRun } from '../../protocol/history/runs.ts';
import {
  compactedRev,
  lastCheckpoint,
  readCompacted,
  readPage,
  readPast,
  segmentEffects,
  segmentsBack,
  segmentsFromStart,
  segmentUpdates,
  snapshotBefore,
} from '../../store/history.ts';
import type { Database, Sql } from '../../store/postgres.ts';
import type { StateAt, TextAt } from '../gateway.ts';
import { LastAnswers } from './last-answers.ts';
import { Parts } from './parts.ts';
import type { DiffAnswer } from './pieces.ts';
import { answer, type Feed } from './threads.ts';

/** Segments fetched at a time. */
const SEGMENTS_AT_ONCE = 16;
/** Revisions of the journal that are looked back over at a time, at most. */
const LOOK_BACK_REVS = 1_000;
const NONE = new Uint8Array();
/** Attributions that are kept, in bytes. */
const KEPT_BYTES_MAX = 32 * 1024 * 1024;
/** By where they were read: a document is one of a database. */
const attributions = new WeakMap<Database, LastAnswers>();

/** The text at a committed revision. */
export async function textAt(sql: Database, doc_id: string, rev: number): Promise<TextAt> {
  const { ops_json } = await answer({ kind: 'text' }, (feed) => within(sql, doc_id, feed, (past) => past.text(rev)));
  return { rev, ops: JSON.parse(ops_json) as DeltaOps };
}

/** The Yjs state at a committed revision. */
export async function stateAt(sql: Database, doc_id: string, rev: number): Promise<StateAt> {
  const { update } = await answer({ kind: 'state' }, (feed) => within(sql, doc_id, feed, (past) => past.state(rev)));
  return { rev, update };
}

/** The update that takes all roots but the text from what they are at `head` to what they were at `rev`; null for none. */
export async function rootsBetween(
  sql: Database,
  doc_id: string,
  head: number,
  rev: number,
): Promise<Uint8Array | null> {
  const { update } = await answer({ kind: 'roots' }, (feed) =>
    within(sql, doc_id, feed, async (past) => {
      await past.state(rev);
      await feed({ kind: 'turn' });
      await past.state(head);
    }),
  );
  return update;
}

/**
 * What turns the text at revision `from` into that at `to`. Forwards it is all edits in between as one, so what was there all
 * along is retained and not found by comparing; backwards (`from` > `to`) it is the same undone.
 */
export function diffBetween(sql: Database, doc_id: string, from: number, to: number): Promise<DiffAnswer> {
  if (from <= to)
    return answer({ kind: 'diff' }, (feed) => within(sql, doc_id, feed, (past) => past.effects(from, to)));
  return answer({ kind: 'undone' }, (feed) =>
    within(sql, doc_id, feed, async (past) => {
      await past.text(to);
      await feed({ kind: 'turn' });
      await past.effects(to, from);
    }),
  );
}

/**
 * Who wrote each stretch of the text at `rev`, which should be near the head: JSON as the API shows it, of which there is a
 * beginning. The last ones are kept: everybody who looks at a document asks for the same one.
 * Errors: UNAVAILABLE (`rev` is packed away).
 */
export async function attributionAt(sql: Database, doc_id: string, rev: number): Promise<Parts> {
  const kept = attributions.get(sql) ?? new LastAnswers(KEPT_BYTES_MAX);
  attributions.set(sql, kept);
  const known = kept.get(`${doc_id} ${rev}`);
  if (known !== null) return known;
  const parts = new Parts();
  const gather = (feed: Feed): Promise<void> => within(sql, doc_id, feed, (past) => past.attribution(rev));
  void answer({ kind: 'attribution' }, gather, (part) => parts.add(part)).then(
    () => {
      parts.end();
      kept.keep(`${doc_id} ${rev}`, parts);
    },
    (error: unknown) => parts.fail(error),
  );
  await parts.begun();
  return parts;
}

/**
 * Runs of edits among the revisions after `after_rev` up to `to_rev`, newest first: `limit` of them, or all there are.
 * The run that holds `after_rev + 1` begins there.
 */
export async function runsBetween(
  sql: Database,
  doc_id: string,
  after_rev: number,
  to_rev: number,
  limit: number,
): Promise<readonly EditRun[]> {
  if (to_rev <= after_rev) return [];
  const { runs } = await answer({ kind: 'runs', limit }, (feed) =>
    within(sql, doc_id, feed, (past) => past.runs(after_rev, to_rev)),
  );
  return runs.slice(0, limit);
}

function within(sql: Database, doc_id: string, feed: Feed, gather: (past: Past) => Promise<void>): Promise<void> {
  return readPast(sql, async (tx) => gather(new Past(tx, doc_id, feed, await compactedRev(tx, doc_id))));
}

/** Feeds the pieces of one document under one snapshot. */
class Past {
  constructor(
    private readonly sql: Sql,
    private readonly doc_id: string,
    private readonly feed: Feed,
    private readonly compacted: number,
  ) {}

  /** The text to begin with, and what leads from there to `rev`. */
  async text(rev: number): Promise<void> {
    const { sql, doc_id } = this;
    const snapshot = await snapshotBefore(sql, doc_id, rev, 'text');
    const checkpoint = snapshot === null ? await lastCheckpoint(sql, doc_id, rev) : null;
    if (snapshot !== null) await this.feed({ kind: 'text', json: snapshot.text });
    else if (checkpoint !== null) await this.feed({ kind: 'checkpoint', bytes: checkpoint.checkpoint });
    await this.effects(snapshot?.rev ?? checkpoint?.rev ?? 0, rev);
  }

  /** What the revisions after `after_rev` up to `to_rev` did. */
  async effects(after_rev: number, to_rev: number): Promise<void> {
    const { sql, doc_id, feed, compacted } = this;
    const packed = Math.min(to_rev, compacted);
    for (let at = after_rev; at < packed; ) {
      const segments = await segmentEffects(sql, doc_id, at, packed, SEGMENTS_AT_ONCE);
      for (const { from_rev, to_rev: last, whole, effect } of segments) {
        if (whole) await feed({ kind: 'total', bytes: effect });
        else
          await feed({ kind: 'segment', from_rev, deltas: effect, updates: NONE, meta: NONE, after_rev: at, to_rev });
        at = Math.min(last, packed);
      }
      if (segments.length === 0) throw new Error(`no segment of document ${doc_id} holds revision ${at + 1}`);
    }
    await this.#journal(Math.max(after_rev, compacted), to_rev);
  }

  async state(rev: number): Promise<void> {
    const { sql, doc_id, feed } = this;
    let at = await this.#begin(rev);
    while (at < Math.min(rev, this.compacted)) {
      const segments = await segmentUpdates(sql, doc_id, at, rev, SEGMENTS_AT_ONCE);
      for (const { from_rev, to_rev, updates } of segments) {
        await feed({ kind: 'segment', from_rev, deltas: NONE, updates, meta: NONE, after_rev: at, to_rev: rev });
        at = Math.min(to_rev, rev);
      }
      if (segments.length === 0) throw new Error(`no segment of document ${doc_id} holds revision ${at + 1}`);
    }
    while (at < rev) {
      const page = await readPage(sql, doc_id, at, rev, true);
      await feed({ kind: 'journal', page, after_rev: at, to_rev: rev });
      at = page.to_rev;
    }
  }

  async attribution(rev: number): Promise<void> {
    const { sql, doc_id, feed, compacted } = this;
    // Whoever asked has waited for longer than it takes to type and pack that much.
    if (rev < compacted) throw unavailable('The document changes too fast; try again.', 1);
    // Who asks waits for all of it: what comes second is read while what comes first is.
    const [{ attribution }, page] = await Promise.all([
      readCompacted(sql, doc_id, 'attribution'),
      compacted < rev ? readPage(sql, doc_id, compacted, rev, false) : null,
    ]);
    if (attribution !== null) await feed({ kind: 'attribution', bytes: attribution });
    else
      for await (const { from_rev, meta, deltas } of segmentsFromStart(sql, doc_id))
        await feed({ kind: 'segment', from_rev, deltas, updates: NONE, meta, after_rev: 0, to_rev: compacted });
    if (page === null) return;
    await feed({ kind: 'journal', page, after_rev: compacted, to_rev: rev });
    await this.#journal(page.to_rev, rev);
  }

  async runs(after_rev: number, to_rev: number): Promise<void> {
    const { sql, doc_id, feed, compacted } = this;
    const tail = Math.max(after_rev, compacted);
    for (let at = to_rev, revs = LOOK_BACK_REVS; at > tail; ) {
      const before = Math.max(at - revs, tail);
      const page = await readPage(sql, doc_id, before, at, false);
      if (page.to_rev < at) {
        // They are large, and a page ended before the newest, which have to come first: fewer at a time then.
        revs = page.to_rev - before;
        continue;
      }
      if (await feed({ kind: 'journal', page, after_rev: before, to_rev: at })) return;
      at = before;
      revs = Math.min(revs * 2, LOOK_BACK_REVS);
    }
    if (after_rev < compacted) await this.#segmentsBack(after_rev, Math.min(to_rev, compacted));
  }

  async #journal(after_rev: number, to_rev: number): Promise<void> {
    const { sql, doc_id, feed } = this;
    for (let at = after_rev; at < to_rev; ) {
      const page = await readPage(sql, doc_id, at, to_rev, false);
      await feed({ kind: 'journal', page, after_rev, to_rev });
      at = page.to_rev;
    }
  }

  /** Feeds the last Yjs state that was kept at or before `rev`; returns its revision. */
  async #begin(rev: number): Promise<number> {
    const { sql, doc_id, feed, compacted } = this;
    const snapshot = await snapshotBefore(sql, doc_id, rev, 'state');
    if (snapshot !== null) {
      await feed({ kind: 'state', state: snapshot.state, compressed: false });
      return snapshot.rev;
    }
    const { state } = compacted <= rev ? await readCompacted(sql, doc_id, 'state') : { state: null };
    await feed({ kind: 'state', state: state ?? EMPTY_STATE, compressed: state !== null });
    return state === null ? 0 : compacted;
  }

  async #segmentsBack(after_rev: number, to_rev: number): Promise<void> {
    const { sql, doc_id, feed } = this;
    for (let at = to_rev; at > after_rev; ) {
      const segments = await segmentsBack(sql, doc_id, at, SEGMENTS_AT_ONCE);
      for (const { from_rev, meta, deltas } of segments) {
        if (await feed({ kind: 'segment', from_rev, deltas, updates: NONE, meta, after_rev, to_rev: at })) return;
        at = from_rev - 1;
        if (at <= after_rev) return;
      }
      if (segments.length === 0) return;
    }
  }
}

const EMPTY_STATE = Uint8Array.of(0, 0);
