/**
 * A document's state as bytes: what was encoded last (the base) and the updates since (the tail). Together they are the
 * whole state, at every moment and without asking Yjs.
 *
 * What they come to is also the document's size, as it is limited: see document-size.ts. It is an upper bound, since
 * encoding anew merges the tail into fewer bytes and drops what was deleted. To their length comes a price for each item:
 * a live one takes some 280 bytes of memory and a microsecond of every opening, and may be three bytes of state.
 */

import type { DeltaOps } from '../protocol/content/delta.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { EncodedState } from '../protocol/snapshot.ts';
import { mergeAll } from './updates.ts';

/** The tail becomes part of the base when it has outgrown it by this much, so that encoding costs a constant per byte. */
const TAIL_BYTES_BEYOND_BASE = 256 * 1024;
/** Tail updates after which a join re-encodes the state instead of sending base and tail. */
const TAIL_UPDATES_MAX = 512;

/** See the head of this file. */
export class KeptState {
  #base: EncodedState;
  #tail: Uint8Array[];
  #tail_bytes: number;
  /** Items of both; those of the base are known once the document was built. */
  #items = 0;

  constructor(base: EncodedState, tail: readonly { readonly update: Uint8Array }[]) {
    this.#base = base;
    this.#tail = tail.map(({ update }) => update);
    this.#tail_bytes = this.#tail.reduce((sum, update) => sum + update.length, 0);
  }

  /** What was encoded last. */
  get base(): EncodedState {
    return this.#base;
  }

  /** See the head of this file. */
  get size(): number {
    return this.#base.state.length + this.#tail_bytes + this.#items * LIMITS.document_item_bytes_min;
  }

  /** Whether nothing came since the base was encoded, so that {@link size} is exact. */
  get is_whole(): boolean {
    return this.#tail.length === 0;
  }

  /** Whether a join should encode anew before it is answered. */
  get is_scattered(): boolean {
    return this.#tail.length > TAIL_UPDATES_MAX;
  }

  /** Whether the tail is so long that it is time to encode anew. */
  get is_outgrown(): boolean {
    return this.#tail_bytes > this.#base.state.length + TAIL_BYTES_BEYOND_BASE;
  }

  /** The updates since the base as one; null for none. */
  tail(): Uint8Array | null {
    return mergeAll(this.#tail);
  }

  /** One more update, which made at most so many items. */
  add(update: Uint8Array, items: number): void {
    this.#tail.push(update);
    this.#tail_bytes += update.length;
    this.#items += items;
  }

  /** The document was built: it has so many items. */
  counted(items: number): void {
    this.#items = items;
  }

  /** The state was encoded anew, everything that came so far included. */
  replace(base: EncodedState, items: number): void {
    this.#base = base;
    this.#items = items;
    this.#tail = [];
    this.#tail_bytes = 0;
  }
}

/** How many items a delta makes at most: an insert may split what it stands in, and formatting is two marks. */
export function itemsOf(delta: DeltaOps): number {
  return delta.reduce((sum, op) => sum + 2 + 2 * Object.keys(op.attributes ?? {}).length, 0);
}
