/**
 * The recent edits of a document, kept in memory so that a late edit can be carried over everything that happened since
 * the revision it was made against, and so that a client that was away for a moment gets what it missed.
 *
 * Revisions in the window are contiguous and end at the head. It is bounded in revisions and bytes; what falls out is in
 * the journal.
 */
import Delta from 'quill-delta';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { LIMITS } from '../protocol/limits.ts';

/** One edit, as it was applied. */
export interface WindowEntry {
  readonly rev: number;
  readonly epoch: number;
  readonly user_id: string;
  readonly client_id: string;
  readonly seq: number | null;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly delta: DeltaOps;
  /** Rough size of the delta, for the bound. */
  readonly bytes: number;
}

/** See the head of this file. */
export class EditWindow {
  #entries: WindowEntry[] = [];
  /** Index of the first live entry: shifting an array per edit would be linear. */
  #first = 0;
  #bytes = 0;
  #head: number;

  constructor(head: number) {
    this.#head = head;
  }

  /** The last revision. */
  get head(): number {
    return this.#head;
  }

  /** The oldest revision that an edit may be based on. */
  get start(): number {
    return this.#head - (this.#entries.length - this.#first);
  }

  /** Appends the edit that makes `head + 1`. */
  append(entry: WindowEntry): void {
    this.#head = entry.rev;
    this.#entries.push(entry);
    this.#bytes += entry.bytes;
    this.#trim();
  }

  #trim(): void {
    while (this.#entries.length - this.#first > LIMITS.window_revs_max || this.#bytes > LIMITS.window_bytes_max) {
      this.#bytes -= this.#entries[this.#first]?.bytes ?? 0;
      this.#first += 1;
    }
    // Half of them fell out: those that are moved were paid for, and what fell out is not held for long.
    if (this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Puts older entries before the window: they must end where it starts. */
  extendBack(older: readonly WindowEntry[]): void {
    const last = older.at(-1);
    if (last === undefined || last.rev !== this.start) return;
    this.#entries = [...older, ...this.#entries.slice(this.#first)];
    this.#first = 0;
    this.#bytes = this.#entries.reduce((sum, entry) => sum + entry.bytes, 0);
    this.#trim();
  }

  /** The edits after `rev`, oldest first, or null when `rev` is not within the window. */
  after(rev: number): readonly WindowEntry[] | null {
    if (rev > this.#head || rev < this.start) return null;
    return this.#entries.slice(this.#entries.length - (this.#head - rev));
  }

  /** The entry that made `rev`, or null. */
  at(rev: number): WindowEntry | null {
    if (rev > this.#head || rev <= this.start) return null;
    return this.#entries[this.#entries.length - (this.#head - rev) - 1] ?? null;
  }

  /** The edit of this author, client and seq, if it is recent. */
  find(user_id: string, client_id: string, seq: number): WindowEntry | null {
    for (let i = this.#entries.length - 1; i >= this.#first; i--) {
      const entry = this.#entries[i];
      if (entry !== undefined && entry.seq === seq && entry.client_id === client_id && entry.user_id === user_id)
        return entry;
    }
    return null;
  }

  /**
   * Carries an edit made at `base_rev` to the head. The earlier edit stays left: quill-delta's
   * `earlier.transform(later, true)`. Null when `base_rev` is outside the window.
   */
  transform(delta: DeltaOps, base_rev: number): DeltaOps | null {
    const missed = this.after(base_rev);
    if (missed === null) return null;
    if (missed.length === 0) return delta;
    let carried = new Delta(delta);
    for (const entry of missed) if (entry.delta.length > 0) carried = new Delta(entry.delta).transform(carried, true);
    return carried.ops as DeltaOps;
  }
}

/**
 * Rough bytes of a delta in memory; `json_length` is that of its JSON. An image is often a part of the text, as an embed or
 * as an attribute, so counting what is inserted as text would not do.
 */
export function deltaBytes(delta: DeltaOps, json_length: number): number {
  return 64 + delta.length * 64 + json_length * 2;
}
