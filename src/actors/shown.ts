/**
 * What one member shows of itself, and its cursor in the terms of each wire. It is kept as it was shown, and an edit costs
 * nothing here, however many are there: a cursor is brought to the text as it is now, and into the other wire's terms, when
 * somebody has to be told, many at a time, and at one revision once.
 */
import type { PresenceState } from '../protocol/messages.ts';

/** A stretch of the text, in UTF-16 units. */
export interface TextRange {
  readonly index: number;
  readonly length: number;
}

/** A stretch of the text between Yjs relative positions, as JSON. What an editor sent may be anything. */
export interface RelativeRange {
  readonly anchor: unknown;
  readonly head: unknown;
}

/** Turns cursors between the wires; makes the text live when it has to. */
export interface CursorTranslator {
  /** Whether the text is live, so that a question costs no more than a look at it. */
  readonly live: boolean;
  /** The revision of the text. */
  readonly rev: number;
  /** Where a range of the text at `rev` is now. */
  carry(range: TextRange, rev: number): TextRange;
  /** Each as Yjs relative positions, or null when it is outside the text. */
  toRelative(ranges: readonly TextRange[]): (RelativeRange | null)[];
  /** Each as index and length, or null when it cannot be resolved. */
  toAbsolute(cursors: readonly RelativeRange[]): (TextRange | null)[];
}

/** See the head of this file. */
export interface Shown {
  /** As the member shows it, but for its user, who is the authenticated one. */
  readonly state: PresenceState;
  /** Where its cursor was in the text, and at which revision; null for a Yjs member's while nobody had to know. */
  place: { readonly rev: number; readonly range: TextRange | null } | null;
}

/** Who shows it. */
interface Showing {
  readonly shown: Shown;
}

/** What a JSON member shows now. */
export function shownInText(state: PresenceState, { rev }: CursorTranslator): Shown {
  return { state, place: isRange(state.cursor) ? { rev, range: state.cursor } : null };
}

/** What JSON clients are told: the state, with its cursor in text positions where that is known. */
export function textState({ state, place }: Shown): PresenceState {
  return place !== null || isRelative(state.cursor) ? { ...state, cursor: place?.range ?? null } : state;
}

/** Finds where in the text the cursors of these are now. */
export function locate(all: Iterable<Showing>, cursors: CursorTranslator): void {
  const { rev } = cursors;
  const stale = Array.from(all, ({ shown }) => shown).filter(({ place }) => place?.rev !== rev);
  const relative = stale.flatMap(({ state }) => (isRelative(state.cursor) ? [state.cursor] : []));
  const ranges = cursors.toAbsolute(relative).values();
  for (const shown of stale) {
    const { state, place } = shown;
    if (isRelative(state.cursor)) shown.place = { rev, range: ranges.next().value ?? null };
    else if (place !== null && place.range !== null)
      shown.place = { rev, range: cursors.carry(place.range, place.rev) };
  }
}

/** The cursors that Yjs clients are told for what JSON members show; null where there is none. */
export function relativeCursors(all: readonly Showing[], cursors: CursorTranslator): (RelativeRange | null)[] {
  locate(all, cursors);
  const ranges = all.map(({ shown }) => shown.place?.range ?? null);
  const relative = cursors.toRelative(ranges.filter((range) => range !== null)).values();
  return ranges.map((range) => (range === null ? null : (relative.next().value ?? null)));
}

function isRange(value: unknown): value is TextRange {
  return typeof value === 'object' && value !== null && 'index' in value && 'length' in value;
}

function isRelative(value: unknown): value is RelativeRange {
  return typeof value === 'object' && value !== null && 'anchor' in value && 'head' in value;
}
