/**
 * Makes segments out of pages of the journal, one after the other: a pure function of bytes, in steps, so that it runs on a
 * thread. The document is lived through meanwhile, in Yjs and, beside it, as the text that the deltas tell; so both are
 * known at the end of each segment, and it is found out there when they differ.
 */
import { isDeepStrictEqual } from 'node:util';
import Delta from 'quill-delta';
import * as Y from 'yjs';
import type { DeltaOps } from '../../protocol/content/delta.ts';
import { difference } from '../../protocol/content/difference.ts';
import { type EntryMeta, NO_STRETCHES } from '../../protocol/history/entry.ts';
import { AttributionFold, DiffFold, TextFold } from '../../protocol/history/pieces.ts';
import {
  packAttribution,
  packDeltas,
  packMeta,
  packOps,
  packUpdates,
  unpackAttribution,
  unpackDeltas,
  unpackMeta,
} from '../../protocol/history/segment.ts';
import { TEXT_ROOT } from '../../protocol/snapshot.ts';
import { textOps } from '../../protocol/text-ops.ts';
import type { Compacted, JournalPage, PackedStep, Segment } from '../../store/history.ts';
import { cutUpdates, parseDeltas, parseMetas } from './effects.ts';
import { createPastDoc } from './past-doc.ts';

/** A segment and what goes with it. */
export interface PackedPage extends PackedStep {
  /** Whether the journal's deltas told another text than its updates make; the last one was mended. */
  readonly mended: boolean;
}

/** Longer than any text. */
const ANY_LENGTH = 2 ** 52;

/** See the head of this file. */
export class Packer {
  readonly #doc = createPastDoc();
  readonly #attribution: AttributionFold;
  #text: TextFold;

  /** Goes on from what the last compaction left. */
  constructor({ state, attribution }: Compacted) {
    if (state !== null) Y.applyUpdate(this.#doc, Bun.zstdDecompressSync(state as Uint8Array<ArrayBuffer>));
    this.#attribution = new AttributionFold(attribution === null ? NO_STRETCHES : unpackAttribution(attribution));
    this.#text = new TextFold(this.#ops());
  }

  /** Takes in who wrote a segment that is packed already, where the last compaction did not leave it; oldest first. */
  recall({ meta, deltas }: Pick<Segment, 'meta' | 'deltas'>): void {
    this.#attribute(unpackDeltas(deltas), unpackMeta(meta));
  }

  /** Packs the page that follows; `with_checkpoint`: the text after it is kept too. Throws when a delta does not fit the text. */
  pack(page: JournalPage, with_checkpoint: boolean): PackedPage {
    const updates = cutUpdates(page);
    Y.transact(
      this.#doc,
      () => {
        for (const update of updates) Y.applyUpdate(this.#doc, update);
      },
      null,
      false,
    );
    const ops = this.#ops();
    const told = parseDeltas(page);
    const deltas = this.#mend(told, ops);
    const metas = parseMetas(page);
    const segment = {
      from_rev: page.from_rev,
      to_rev: page.to_rev,
      meta: packMeta(metas),
      deltas: packDeltas(deltas),
      updates: packUpdates(updates),
      total: packOps(totalOf(deltas)),
      checkpoint: with_checkpoint ? packOps(ops) : null,
    };
    this.#attribute(deltas, metas);
    return {
      segment,
      state: Bun.zstdCompressSync(Y.encodeStateAsUpdate(this.#doc) as Uint8Array<ArrayBuffer>),
      attribution: packAttribution(this.#attribution.stretches()),
      mended: deltas !== told,
    };
  }

  #attribute(deltas: readonly DeltaOps[], metas: readonly EntryMeta[]): void {
    for (const [i, made] of metas.entries()) this.#attribution.apply(deltas[i] ?? [], made);
  }

  /** The deltas, when they lead to this text; otherwise with a last one that does, so that no error goes on beyond its segment. */
  #mend(deltas: readonly DeltaOps[], ops: DeltaOps): readonly DeltaOps[] {
    for (const delta of deltas) this.#text.apply(delta);
    const told = this.#text.ops();
    if (isDeepStrictEqual(told, ops)) return deltas;
    this.#text = new TextFold(ops);
    const last = new Delta(deltas.at(-1) ?? []).compose(new Delta(difference(told, ops)));
    return [...deltas.slice(0, -1), last.ops as DeltaOps];
  }

  #ops(): DeltaOps {
    return textOps(this.#doc.getText(TEXT_ROOT));
  }
}

function totalOf(deltas: readonly DeltaOps[]): DeltaOps {
  const fold = new DiffFold(ANY_LENGTH);
  for (const delta of deltas) fold.apply(delta);
  return fold.delta();
}
