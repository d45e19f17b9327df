/**
 * Cursors between the two wires: `{index, length}` in UTF-16 units on the JSON side, Yjs relative positions on the other.
 * The text becomes live when the first one is put into the other's terms, and only if there is something to resolve; whoever
 * asks sees to it that somebody needs to know. Many are looked up at a time, in one walk over the text: Yjs would walk for
 * each end of each, and five hundred cursors on a large text would stop everybody for seconds.
 */
import * as Y from 'yjs';
import { transformIndex } from '../protocol/content/delta.ts';
import { TEXT_ROOT } from '../protocol/snapshot.ts';
import type { Replica } from './replica.ts';
import type { CursorTranslator, TextRange } from './shown.ts';
import type { EditWindow } from './window.ts';

/** The translator of a document's root text. */
export function textCursors(replica: Replica, window: EditWindow): CursorTranslator {
  return {
    get live() {
      return replica.live;
    },
    get rev() {
      return window.head;
    },
    carry({ index, length }, rev) {
      let [from, to] = [index, index + length];
      const missed = window.after(rev);
      // Nobody knows any more where it went; at least it is to be within the text.
      if (missed === null) [from, to] = [Math.min(from, replica.length()), Math.min(to, replica.length())];
      else for (const { delta } of missed) [from, to] = [transformIndex(delta, from), transformIndex(delta, to)];
      return { index: from, length: to - from };
    },
    toRelative(ranges) {
      if (ranges.length === 0) return [];
      return replica.readText((_doc, text) => {
        const places = relativePlaces(
          text,
          ranges.flatMap(({ index, length }) => [index, index + length]),
        );
        return ranges.map(({ index, length }) => {
          if (index + length > text.length) return null;
          return { anchor: places.get(index), head: places.get(index + length) };
        });
      });
    },
    toAbsolute(cursors) {
      const ends = cursors.flatMap(({ anchor, head }) => [position(anchor), position(head)]);
      if (ends.every((end) => end === null)) return cursors.map(() => null);
      return replica.readText((doc, text) => {
        const indices = absoluteIndices(doc, text, ends);
        return cursors.map((_cursor, i) => rangeBetween(indices[2 * i] ?? null, indices[2 * i + 1] ?? null));
      });
    },
  };
}

/** Relative positions, as JSON, of these indices; one past the text stands at its end. */
function relativePlaces(text: Y.Text, indices: readonly number[]): Map<number, unknown> {
  const places = new Map<number, unknown>();
  const place = (index: number, id: Y.ID | null): void =>
    void places.set(index, Y.relativePositionToJSON(new Y.RelativePosition(null, TEXT_ROOT, id)));
  const waiting = [...new Set(indices)].sort((one, other) => other - one);
  let passed = 0;
  for (let item = text._start; item !== null && waiting.length > 0; item = item.right) {
    if (item.deleted || !item.countable) continue;
    for (let next = waiting.at(-1); next !== undefined && next < passed + item.length; next = waiting.at(-1)) {
      place(next, Y.createID(item.id.client, item.id.clock + next - passed));
      waiting.pop();
    }
    passed += item.length;
  }
  for (const index of waiting) place(index, null);
  return places;
}

/** What an editor sent, if it has the form of a position of the text; one that names another root has not. */
function position(json: unknown): Y.RelativePosition | null {
  if (typeof json !== 'object' || json === null) return null;
  const relative = Y.createRelativePositionFromJSON(json);
  const { item, type, tname } = relative;
  if (item === null) return type === null && tname === TEXT_ROOT ? relative : null;
  return Number.isInteger(item.client) && Number.isInteger(item.clock) && item.clock >= 0 ? relative : null;
}

/** Where these positions are in the text now; null for those that are of no item of it. */
function absoluteIndices(doc: Y.Doc, text: Y.Text, positions: readonly (Y.RelativePosition | null)[]) {
  const found = positions.map((relative) => {
    if (relative === null || relative.item === null) return null;
    const { client, clock } = relative.item;
    if (clock >= Y.getState(doc.store, client)) return null;
    const struct = Y.getItem(doc.store, Y.createID(client, clock)) as Y.Item | Y.GC;
    return struct instanceof Y.Item && struct.parent === text ? struct : null;
  });
  const starts = itemStarts(text, new Set(found.filter((item) => item !== null)));
  return positions.map((relative, i) => {
    if (relative === null) return null;
    const before = relative.assoc >= 0;
    if (relative.item === null) return before ? text.length : 0;
    const item = found[i] ?? null;
    const start = item === null ? undefined : starts.get(item);
    if (item === null || start === undefined) return null;
    // Of what was deleted, the place is left.
    return item.deleted || !item.countable ? start : start + relative.item.clock - item.id.clock + (before ? 0 : 1);
  });
}

/** The indices at which these items begin. */
function itemStarts(text: Y.Text, items: ReadonlySet<Y.Item>): Map<Y.Item, number> {
  const starts = new Map<Y.Item, number>();
  let passed = 0;
  for (let item = text._start; item !== null && starts.size < items.size; item = item.right) {
    if (items.has(item)) starts.set(item, passed);
    if (!item.deleted && item.countable) passed += item.length;
  }
  return starts;
}

function rangeBetween(from: number | null, to: number | null): TextRange | null {
  return from === null || to === null ? null : { index: Math.min(from, to), length: Math.abs(to - from) };
}
