/**
 * What is asked of the past, and the pieces of storage that answer it. Both cross to a thread as they are: bytes and
 * strings, nothing taken apart, so that all decoding is done where the work is.
 */
import type { EditRun } from '../../protocol/history/runs.ts';
import type { JournalPage } from '../../store/history.ts';

/** A question. Its pieces come in the order of the revisions, unless it says otherwise. */
export type Question =
  /** The text, as the JSON of its ops. */
  | { readonly kind: 'text' }
  /** The Yjs state, as an update. */
  | { readonly kind: 'state' }
  /** What takes the other roots back: the state then comes first, a `turn` parts it from the state now. */
  | { readonly kind: 'roots' }
  /** What all effects fed amount to. */
  | { readonly kind: 'diff' }
  /** The same undone: the text before comes first, a `turn` parts it from the effects. */
  | { readonly kind: 'undone' }
  /** Who wrote what. */
  | { readonly kind: 'attribution' }
  /** Runs of edits, `limit` at least if there are so many; newest pieces first. */
  | { readonly kind: 'runs'; readonly limit: number };

/** The revisions of a piece that count: those after `after_rev` up to `to_rev`. */
export interface Range {
  readonly after_rev: number;
  readonly to_rev: number;
}

/** A piece of storage. */
export type Piece =
  /** The text to begin with: JSON of ops. */
  | { readonly kind: 'text'; readonly json: string }
  /** The same as segments keep it. */
  | { readonly kind: 'checkpoint'; readonly bytes: Uint8Array }
  /** The Yjs state to begin with. */
  | { readonly kind: 'state'; readonly state: Uint8Array; readonly compressed: boolean }
  /** The attribution to begin with. */
  | { readonly kind: 'attribution'; readonly bytes: Uint8Array }
  /** A whole segment's effect. */
  | { readonly kind: 'total'; readonly bytes: Uint8Array }
  /** Columns of a segment; those that are not needed are empty. */
  | ({
      readonly kind: 'segment';
      readonly from_rev: number;
      readonly deltas: Uint8Array;
      readonly updates: Uint8Array;
      readonly meta: Uint8Array;
    } & Range)
  /** A page of the journal. */
  | ({ readonly kind: 'journal'; readonly page: JournalPage } & Range)
  | { readonly kind: 'turn' };

/** An answer, by the kind of the question. */
export interface Answers {
  readonly text: { readonly ops_json: string };
  readonly state: { readonly update: Uint8Array };
  /** Null when they are what they were. */
  readonly roots: { readonly update: Uint8Array | null };
  readonly diff: DiffAnswer;
  readonly undone: DiffAnswer;
  /** The runs as the API shows them, as JSON in parts: a long text has a long one. */
  readonly attribution: null;
  /** Newest first; the oldest may go on further back. */
  readonly runs: { readonly runs: readonly EditRun[] };
}

/** Takes the next part of an answer that comes in parts, and its whole buffer with it. */
export type Emit = (part: Uint8Array) => void;

/** A change with what it adds and takes away, in UTF-16 units. */
export interface DiffAnswer {
  readonly delta_json: string;
  readonly inserted: number;
  readonly deleted: number;
}

/** Rough cost of a piece: bytes, and far more for what is compressed. */
export function weightOf(piece: Piece): number {
  const compressed = 20;
  switch (piece.kind) {
    case 'text':
      return piece.json.length;
    case 'checkpoint':
    case 'attribution':
    case 'total':
      return compressed * piece.bytes.length;
    case 'state':
      return compressed * piece.state.length;
    case 'segment':
      return compressed * (piece.deltas.length + piece.updates.length + piece.meta.length);
    case 'journal':
      return piece.page.deltas.length + 4 * piece.page.updates.length + piece.page.metas.length;
    case 'turn':
      return 0;
  }
}
