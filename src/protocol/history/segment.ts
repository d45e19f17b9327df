/**
 * What a segment of history holds, in the sealed forms that are stored: see columns.ts for what they have in common. Every
 * `pack…` is exact: `unpack…` gives back what it was given, bytes for bytes and op for op. Every `unpack…` throws DamagedColumns when it is
 * given anything else.
 */
import type { DeltaOps } from '../content/delta.ts';
import * as attribution from './attribution-columns.ts';
import { DamagedColumns, isSealed } from './columns.ts';
import { sealDeltas, unsealDeltas } from './delta-columns.ts';
import type { EntryMeta, Stretches } from './entry.ts';
import { type Authors, sealMeta, unsealAuthors, unsealMeta } from './meta-columns.ts';
import { sealUpdates, unsealUpdates } from './update-columns.ts';

/** Who made each revision, and when. */
export function packMeta(entries: readonly EntryMeta[]): Uint8Array {
  return sealMeta(entries);
}

export function unpackMeta(packed: Uint8Array): EntryMeta[] {
  return unsealMeta(packed);
}

/** Who made each revision, and when, and no more of what {@link packMeta} was given. */
export function unpackAuthors(packed: Uint8Array): Authors {
  return unsealAuthors(packed);
}

/** What each revision did to the text. */
export function packDeltas(deltas: readonly DeltaOps[]): Uint8Array {
  return sealDeltas('deltas', deltas);
}

/** Equal attributes and embeds come back as one object, so they may not be changed. */
export function unpackDeltas(packed: Uint8Array): DeltaOps[] {
  return unsealDeltas('deltas', packed);
}

/** The Yjs updates (version 1) of the revisions; an empty one is allowed, and so is anything else. */
export function packUpdates(updates: readonly Uint8Array[]): Uint8Array {
  return sealUpdates(updates);
}

export function unpackUpdates(packed: Uint8Array): Uint8Array[] {
  return unsealUpdates(packed);
}

/** One delta, or one text. */
export function packOps(ops: DeltaOps): Uint8Array {
  return sealDeltas('ops', [ops]);
}

export function unpackOps(packed: Uint8Array): DeltaOps {
  const deltas = unsealDeltas('ops', packed);
  const [ops] = deltas;
  if (ops === undefined || deltas.length > 1)
    throw new DamagedColumns(`${deltas.length} deltas stand where one should`);
  return ops;
}

/** Who wrote each stretch of a text, in which revision, and when. Users that wrote none of it do not come back. */
export function packAttribution(stretches: Stretches): Uint8Array {
  return attribution.sealAttribution(stretches);
}

export function unpackAttribution(packed: Uint8Array): Stretches {
  return attribution.unsealAttribution(packed);
}

/** False for what a version of this program kept that knew no authors and times: segments tell the same then. */
export function isAttribution(packed: Uint8Array): boolean {
  return isSealed('attribution', packed);
}
