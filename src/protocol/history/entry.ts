/** One revision of a document, as history knows it: who changed it when, and how. */
import type { DeltaOps } from '../content/delta.ts';

/** What is known of a revision beside its effect. */
export interface EntryMeta {
  readonly rev: number;
  readonly epoch: number;
  /** The authenticated author. */
  readonly user_id: string;
  readonly client_id: string;
  readonly seq: number | null;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** A revision with its effect on the text and its bytes. */
export interface HistoryEntry extends EntryMeta {
  /** Effect on the text; empty for one that left it as it was. */
  readonly delta: DeltaOps;
  /** Yjs update, version 1. */
  readonly update: Uint8Array;
}

/** Who wrote each stretch of a text, side by side, since there may be hundreds of thousands. */
export interface Stretches {
  /** Whoever wrote some of it. */
  readonly users: readonly string[];
  /** UTF-16 units of each. */
  readonly lengths: Float64Array;
  /** The revision of each. */
  readonly revs: Float64Array;
  /** Which of `users` made that. */
  readonly authors: Float64Array;
  /** And when, epoch milliseconds. */
  readonly times: Float64Array;
}

/** No text. */
export const NO_STRETCHES: Stretches = {
  users: [],
  lengths: new Float64Array(),
  revs: new Float64Array(),
  authors: new Float64Array(),
  times: new Float64Array(),
};
