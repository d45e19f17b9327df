/**
 * Makes segments out of pages of the journal, one after the other: a pure function of bytes, in steps, so that it runs on a
 * thread. The document is lived through meanwhile, so that effects which nobody computed are found out, those that are
 * wrong are put right, and who wrote what is known at the end of each segment.
 */
import type { DeltaOps } from '../../protocol/content/delta.ts';
import { AttributionFold, DiffFold } from '../../protocol/history/pieces.ts';
import {
  packAttribution,
  packDeltas,
  packMeta,
  packOps,
  packUpdates,
  unpackAttribution,
} from '../../protocol/history/segment.ts';
import type { Compacted, JournalPage, PackedStep } from '../../store/history.ts';
import { cutUpdates, parseDeltas, parseMetas } from './effects.ts';
import { Replayed } from './replayed.ts';

/** A segment and what goes with it. */
export interface PackedPage extends PackedStep {
  /** Revisions whose effect the journal told wrongly. */
  readonly corrected: readonly number[];
}

/** Longer than any text. */
const ANY_LENGTH = 2 ** 52;

/** See the head of this file. */
export class Packer {
  readonly #replayed: Replayed;
  readonly #attribution: AttributionFold;

  /** Goes on from what the last compaction left. */
  constructor({ state, attribution }: Compacted) {
    this.#replayed = new Replayed(state === null ? null : Bun.zstdDecompressSync(state as Uint8Array<ArrayBuffer>));
    this.#attribution = new AttributionFold(attribution === null ? [] : unpackAttribution(attribution));
  }

  /** Packs the page that follows; `with_checkpoint`: the text after it is kept too. */
  pack(page: JournalPage, with_checkpoint: boolean): PackedPage {
    const updates = cutUpdates(page);
    const { deltas, corrected } = this.#replayed.advance(updates, parseDeltas(page));
    const segment = {
      from_rev: page.from_rev,
      to_rev: page.to_rev,
      meta: packMeta(parseMetas(page)),
      deltas: packDeltas(deltas),
      updates: packUpdates(updates),
      total: packOps(totalOf(deltas)),
      checkpoint: with_checkpoint ? packOps(this.#replayed.ops()) : null,
    };
    for (const [i, delta] of deltas.entries()) this.#attribution.apply(delta, page.from_rev + i);
    return {
      segment,
      state: Bun.zstdCompressSync(this.#replayed.state() as Uint8Array<ArrayBuffer>),
      attribution: packAttribution(this.#attribution.runs()),
      corrected: corrected.map((i) => page.from_rev + i),
    };
  }
}

function totalOf(deltas: readonly DeltaOps[]): DeltaOps {
  const fold = new DiffFold(ANY_LENGTH);
  for (const delta of deltas) fold.apply(delta);
  return fold.delta();
}
