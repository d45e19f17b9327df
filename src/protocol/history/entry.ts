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

/** Author, time and revision of a stretch of the text. */
export interface AttributionRun {
  /** UTF-16 units. */
  readonly length: number;
  readonly rev: number;
}
