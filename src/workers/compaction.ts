/**
 * Compaction: revisions that left the window are packed into segments, which keep each of them exactly at a hundredth of
 * the space. A segment takes the place of its journal rows in one transaction, so a crash at any moment leaves either
 * the rows or the segment. The head is neither locked nor read again: what is packed lies far behind it.
 *
 * A document may be edited meanwhile. So the packing is done on a thread, segments are small, and after each one there
 * is a pause, which leaves the processor and the disk to those who type.
 */
import type { PackedPage } from '../actors/past/packer.ts';
import { type Clock, TIMED_OUT, within } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import {
  type Compacted,
  holdCompaction,
  type JournalPage,
  packable,
  readCompacted,
  readPage,
  replaceBySegment,
  type Segment,
  segmentsFromStart,
  sinceCheckpoint,
} from '../store/history.ts';
import type { Database } from '../store/postgres.ts';

/** How much is packed when, in revisions. */
export interface CompactionPace {
  /** The last ones stay in the journal, where resuming clients and late edits look for them. */
  readonly keep: number;
  /** Of a segment: as many as may have to be gone through one by one to reach one of them. */
  readonly segment: number;
  /** What nobody holds open is packed in smaller segments too, down to this. */
  readonly quiet_segment: number;
  /** The whole text is kept after so many, or when what changed since is larger than it. */
  readonly checkpoint: number;
}

/** The pace of a server. */
export const COMPACTION_PACE: CompactionPace = { keep: 1_000, segment: 2_000, quiet_segment: 500, checkpoint: 16_000 };

/** What changed since the last checkpoint may always be as large as this, in bytes. */
const CHECKPOINT_BYTES_MIN = 256 * 1024;
/** The pause after a segment, as a part of the time it took. */
const PAUSE_PART = 0.5;
/** Segments of one job, some twenty seconds' worth: nobody's other document is to wait for a very long one. */
export const SEGMENTS_MAX = 64;
/** A segment that takes longer than this never ends. */
const PACK_MS_MAX = 120_000;

/** What compaction works with. */
export interface CompactionParts {
  readonly sql: Database;
  readonly clock: Clock;
  readonly log: Log;
}

/** Where a document stands. */
export interface CompactionState {
  readonly head_rev: number;
  readonly snapshot_rev: number;
  readonly compacted_rev: number;
  /** Whether nobody holds it open. */
  readonly free: boolean;
}

/** What the thread is told. */
export type ToPacker =
  | { readonly begin: Compacted }
  | { readonly recall: Pick<Segment, 'meta' | 'deltas'> }
  | { readonly page: JournalPage; readonly with_checkpoint: boolean };

/** Revisions that may be packed now and are enough for a segment; 0 for none. Opening starts from the snapshot, so it bounds them. */
function revsToPack({ head_rev, snapshot_rev, compacted_rev, free }: CompactionState, pace: CompactionPace): number {
  const revs = Math.min(snapshot_rev, head_rev - pace.keep) - compacted_rev;
  if (revs >= pace.segment) return pace.segment;
  return free && revs >= pace.quiet_segment ? revs : 0;
}

/** Whether {@link compactDocument} would do something. */
export function compactionDue(state: CompactionState, pace = COMPACTION_PACE): boolean {
  return revsToPack(state, pace) > 0;
}

/**
 * Packs what may be packed of a document, {@link SEGMENTS_MAX} segments at most. Returns how many it made. Safe to run at
 * any time, any number of times; of two at once the second does nothing.
 */
export async function compactDocument(parts: CompactionParts, doc_id: string, pace = COMPACTION_PACE): Promise<number> {
  const state = await packable(parts.sql, doc_id);
  if (state === null || !compactionDue(state, pace)) return 0;
  const held = await holdCompaction(parts.sql, doc_id);
  if (held === null) return 0;
  try {
    return await packAll(parts, doc_id, pace);
  } finally {
    await held.release();
  }
}

async function packAll({ sql, clock, log }: CompactionParts, doc_id: string, pace: CompactionPace): Promise<number> {
  const begin = await readCompacted(sql, doc_id, 'both');
  const thread = new PackingThread(clock, begin);
  try {
    if (begin.attribution === null) for await (const segment of segmentsFromStart(sql, doc_id)) thread.recall(segment);
    for (let made = 0; ; made++) {
      const state = await packable(sql, doc_id);
      const revs = state === null ? 0 : revsToPack(state, pace);
      if (state === null || revs === 0 || made === SEGMENTS_MAX) return made;
      const started = clock.monotonic();
      const after_rev = state.compacted_rev;
      const page = await readPage(sql, doc_id, after_rev, after_rev + revs, true);
      const packed = await thread.pack(page, await wantsCheckpoint(sql, doc_id, page.to_rev, pace));
      if (packed.mended)
        log.error(
          { doc_id, from_rev: page.from_rev, to_rev: page.to_rev },
          'the journal told the effect of a revision wrongly; behind the last of this segment the text is right again',
        );
      // Another compactor that was not held off: its work is as good.
      if (!(await replaceBySegment(sql, doc_id, packed))) return made;
      const pause_ms = (clock.monotonic() - started) * PAUSE_PART;
      await new Promise<void>((resolve) => clock.after(pause_ms, resolve));
    }
  } finally {
    thread.end();
  }
}

async function wantsCheckpoint(sql: Database, doc_id: string, to_rev: number, pace: CompactionPace): Promise<boolean> {
  const { rev, checkpoint_bytes, total_bytes } = await sinceCheckpoint(sql, doc_id);
  return to_rev - rev >= pace.checkpoint || total_bytes > Math.max(CHECKPOINT_BYTES_MIN, 2 * checkpoint_bytes);
}

/** The thread of one compaction; see compaction-thread.ts. */
class PackingThread {
  readonly #worker = new Worker(new URL('./compaction-thread.ts', import.meta.url).href);
  #waiting = Promise.withResolvers<PackedPage>();

  constructor(
    private readonly clock: Clock,
    begin: Compacted,
  ) {
    this.#worker.onmessage = ({ data }: MessageEvent<PackedPage>) => this.#waiting.resolve(data);
    this.#worker.onerror = ({ message }) => this.#waiting.reject(new Error(`packing history failed: ${message}`));
    // Whoever waits is told; before anybody does, nobody has to be.
    this.#waiting.promise.catch(() => {});
    this.#tell({ begin });
  }

  async pack(page: JournalPage, with_checkpoint: boolean): Promise<PackedPage> {
    this.#waiting = Promise.withResolvers<PackedPage>();
    this.#tell({ page, with_checkpoint });
    const packed = await within(this.clock, PACK_MS_MAX, this.#waiting.promise);
    if (packed === TIMED_OUT) throw new Error('packing history took too long');
    return packed;
  }

  /** Tells it of a segment that is there; see {@link Packer.recall}. */
  recall({ meta, deltas }: Pick<Segment, 'meta' | 'deltas'>): void {
    this.#tell({ recall: { meta, deltas } });
  }

  end(): void {
    this.#worker.terminate();
  }

  #tell(message: ToPacker): void {
    this.#worker.postMessage(message);
  }
}
