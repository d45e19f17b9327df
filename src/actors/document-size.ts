/**
 * How large a document may become: a bound on the bytes of its Yjs state, which is what everybody who opens it is sent, and
 * on the items that it consists of, which is what its owner holds in memory: each counts for 24 bytes beside its own. What
 * was deleted and still leaves its trace (tombstones) is part of that, so a document whose text stays short and whose past
 * does not is bounded too.
 *
 * Nothing is encoded to find out. The size is counted from above, as the state that was encoded last and all updates since
 * (kept-state.ts). Only when that count crosses a line is the state encoded anew, which merges and forgets. No more of the
 * time than a twentieth goes into that, so that whoever keeps knocking at a full document takes little from others; unless
 * a sixteenth of the bound was deleted meanwhile, for then people wait for the room.
 *
 *   - At four fifths people are warned, once, and whoever joins later is.
 *   - An edit that would lead beyond the bound is refused, on every door. What a delta will add is estimated from above;
 *     what an update brings can be measured. Reading goes on.
 *   - The way out is to take something away. So an edit that only deletes, or that deletes more characters than it adds
 *     bytes, is taken beyond the bound too, into a reserve of an eighth: deleting is never refused because the document
 *     is full, unless the reserve is full of nothing but traces. Then only a new document with the same text helps.
 */
import type { Clock } from '../base/clock.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { ConcordError } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { WarningEvent } from '../protocol/messages.ts';
import type { Replica } from './replica.ts';

/** What an item counts for beside what it holds: its ids, its neighbours' and its lengths, from above. */
const ITEM_BYTES = 40 + LIMITS.document_item_bytes_min;
/** An update has at least so many bytes for an item, and so may count for this many times its length. */
const GROWTH_PER_BYTE_MAX = 1 + LIMITS.document_item_bytes_min / 3;
/** The share of the bound that only edits which take something away may use, beyond it. */
export const RESERVE_SHARE = 1 / 8;
/** The state is encoded anew no sooner than this many times as long after the last time as that took. */
const PAUSE_SHARE = 20;
/** ... unless so much of the bound was deleted since. */
const FREED_SHARE = 1 / 16;
/** People are warned at this share of the bound, and once more when it was less than the other in between. */
const WARN_SHARE = 0.8;
const CALM_SHARE = 0.75;

/** What is told of a document's size. */
export type SizeNews = 'warned' | 'refused';

/** What a {@link DocumentSize} is made of. */
export interface SizeParts {
  readonly doc_id: string;
  readonly clock: Clock;
  readonly replica: Pick<Replica, 'size' | 'measure' | 'growth' | 'covers'>;
  /** The bound. */
  readonly bytes_max: number;
  /** The document came near its bound, or an edit was refused. */
  noticed(news: SizeNews, bytes: number): void;
}

/** See the head of this file. */
export class DocumentSize {
  readonly #parts: SizeParts;
  #is_near: boolean;
  /** When the state may be encoded anew, on the monotonic clock. */
  #measurable_at = Number.NEGATIVE_INFINITY;
  /** Characters that were deleted since. */
  #freed = 0;

  constructor(parts: SizeParts) {
    this.#parts = parts;
    this.#is_near = parts.replica.size > parts.bytes_max * WARN_SHARE;
  }

  /** Why this delta (and an update of other roots beside it) is not taken, or null when it is. */
  refusesDelta(delta: DeltaOps, roots: Uint8Array | undefined): ConcordError | null {
    const growth = growthOf(delta) + (roots?.length ?? 0);
    if (this.#hasRoom(growth)) return null;
    const { units, ops } = deletionsOf(delta);
    if (growth <= units && this.#hasReserve(growth + ops * ITEM_BYTES)) return null;
    this.#parts.noticed('refused', this.#parts.replica.size);
    return this.#refusal();
  }

  /**
   * Those of a Yjs member's updates that are taken; all, unless the document is full. `refused`: some of the others would
   * have changed something.
   */
  admit(updates: readonly Uint8Array[]): { readonly taken: readonly Uint8Array[]; readonly refused: boolean } {
    const { replica, bytes_max } = this.#parts;
    if (replica.size + lengthOf(updates) * GROWTH_PER_BYTE_MAX <= bytes_max) return { taken: updates, refused: false };
    const growth = replica.growth(updates);
    const added = growth.reduce((sum, bytes) => sum + (Number.isFinite(bytes) ? bytes : 0), 0);
    if (this.#hasRoom(added)) return { taken: updates, refused: false };
    // What cannot be read is taken, too: it is refused for that, and its sender with it.
    const taken = updates.filter(
      (update, i) =>
        growth[i] === Number.POSITIVE_INFINITY || ((growth[i] ?? 0) <= 0 && this.#hasReserve(update.length)),
    );
    const refused = updates.some((update) => !taken.includes(update) && !replica.covers(update));
    if (refused) this.#parts.noticed('refused', replica.size);
    return { taken, refused };
  }

  /** An edit was taken; this is what it did to the text. */
  took(effect: DeltaOps): void {
    this.#freed += deletionsOf(effect).units;
  }

  /** Looks again after a turn; the warning as an event in JSON when it is due. */
  warning(): string | null {
    const { replica, bytes_max } = this.#parts;
    const bytes = replica.size;
    if (this.#is_near) {
      this.#is_near = bytes > bytes_max * CALM_SHARE;
      return null;
    }
    if (bytes <= bytes_max * WARN_SHARE || this.#measured() <= bytes_max * WARN_SHARE) return null;
    this.#is_near = true;
    this.#parts.noticed('warned', replica.size);
    return this.event();
  }

  /** The warning for somebody who joins; null while there is nothing to warn of. */
  get standing(): string | null {
    return this.#is_near ? this.event() : null;
  }

  /** The warning, as an event in JSON. */
  event(): string {
    const { doc_id, replica, bytes_max } = this.#parts;
    const message = 'The document is near the size that it may have; beyond it, edits that add something are refused.';
    const details = { bytes: replica.size, bytes_max };
    const event: WarningEvent = { type: 'warning', doc_id, code: 'DOCUMENT_TOO_LARGE', message, details };
    return JSON.stringify(event);
  }

  #refusal(): ConcordError {
    const { replica, bytes_max } = this.#parts;
    const message = 'The document is full: take something out first, or begin another document.';
    return new ConcordError('DOCUMENT_TOO_LARGE', message, { bytes: replica.size, bytes_max });
  }

  #hasRoom(growth: number): boolean {
    const { replica, bytes_max } = this.#parts;
    return replica.size + growth <= bytes_max || this.#measured() + growth <= bytes_max;
  }

  #hasReserve(growth: number): boolean {
    return this.#parts.replica.size + growth <= this.#parts.bytes_max * (1 + RESERVE_SHARE);
  }

  /** The size, measured if it is time for that. */
  #measured(): number {
    const { clock, replica, bytes_max } = this.#parts;
    const now = clock.monotonic();
    if (now >= this.#measurable_at || this.#freed >= bytes_max * FREED_SHARE) {
      this.#freed = 0;
      replica.measure();
      const done = clock.monotonic();
      this.#measurable_at = done + PAUSE_SHARE * (done - now);
    }
    return replica.size;
  }
}

/** Bytes that a delta adds to the state, from above. */
export function growthOf(delta: DeltaOps): number {
  let bytes = 0;
  for (const { insert, attributes } of delta) {
    if (insert !== undefined)
      bytes +=
        ITEM_BYTES +
        LIMITS.document_item_bytes_min +
        Buffer.byteLength(typeof insert === 'string' ? insert : JSON.stringify(insert));
    // Formatting is a mark where it begins and one where it ends.
    for (const [name, value] of Object.entries(attributes ?? {}))
      bytes += 2 * (ITEM_BYTES + Buffer.byteLength(name) + Buffer.byteLength(JSON.stringify(value)));
  }
  return bytes;
}

function deletionsOf(delta: DeltaOps): { readonly units: number; readonly ops: number } {
  const deletions = delta.filter((op) => op.delete !== undefined);
  return { units: deletions.reduce((sum, op) => sum + (op.delete ?? 0), 0), ops: deletions.length };
}

function lengthOf(updates: readonly Uint8Array[]): number {
  return updates.reduce((sum, update) => sum + update.length, 0);
}
