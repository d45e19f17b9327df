/**
 * What one member shows of itself, and its cursor in the terms of each wire. It is kept as it was shown; a cursor is put into
 * the other wire's terms when somebody has to be told, many at a time.
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
  /** Each as Yjs relative positions, or null when it is outside the text. */
  toRelative(ranges: readonly TextRange[]): (RelativeRange | null)[];
  /** Each as index and length, or null when it cannot be resolved. */
  toAbsolute(cursors: readonly RelativeRange[]): (TextRange | null)[];
}

/** See the head of this file. */
export interface Shown {
  /** As the member shows it, but for its user, who is the authenticated one. */
  readonly state: PresenceState;
  /** Where a cursor of relative positions was found in the text; null while nobody had to know. */
  found: { readonly range: TextRange | null } | null;
}

/** Who shows it. */
interface Showing {
  readonly shown: Shown;
}

/** What JSON clients are told: the state, with its cursor in text positions where that is known. */
export function textState({ state, found }: Shown): PresenceState {
  return isRelative(state.cursor) ? { ...state, cursor: found?.range ?? null } : state;
}

/** Finds in the text what of these was not yet. */
export function locate(all: Iterable<Showing>, cursors: CursorTranslator): void {
  const sought = Array.from(all, ({ shown }) => shown).filter(({ found }) => found === null);
  const lost = sought.flatMap(({ state }) => (isRelative(state.cursor) ? [state.cursor] : []));
  const ranges = cursors.toAbsolute(lost).values();
  for (const shown of sought) if (isRelative(shown.state.cursor)) shown.found = { range: ranges.next().value ?? null };
}

/** The cursors that Yjs clients are told for what JSON members show; null where there is none. */
export function relativeCursors(all: readonly Showing[], cursors: CursorTranslator): (RelativeRange | null)[] {
  const ranges = all.flatMap(({ shown }) => (isRange(shown.state.cursor) ? [shown.state.cursor] : []));
  const found = cursors.toRelative(ranges).values();
  return all.map(({ shown }) => (isRange(shown.state.cursor) ? (found.next().value ?? null) : null));
}

function isRange(value: unknown): value is TextRange {
  return typeof value === 'object' && value !== null && 'index' in value && 'length' in value;
}

function isRelative(value: unknown): value is RelativeRange {
  return typeof value === 'object' && value !== null && 'anchor' in value && 'head' in value;
}
