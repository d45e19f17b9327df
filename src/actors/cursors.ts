/**
 * Cursors between the two wires: `{index, length}` in UTF-16 units on the JSON side, Yjs relative positions on the other.
 * Only a live text is asked: a reader's cursor is no reason to build a document.
 */
import * as Y from 'yjs';
import { TEXT_ROOT } from '../protocol/snapshot.ts';
import type { CursorTranslator } from './presence.ts';
import type { Replica } from './replica.ts';

/** The translator of a document's root text. */
export function textCursors(replica: Replica): CursorTranslator {
  return {
    toRelative({ index, length }) {
      if (!replica.live) return null;
      return replica.readText((_doc, text) => {
        if (index + length > text.length) return null;
        const anchor = Y.createRelativePositionFromTypeIndex(text, index);
        const head = Y.createRelativePositionFromTypeIndex(text, index + length);
        return { anchor: Y.relativePositionToJSON(anchor), head: Y.relativePositionToJSON(head) };
      });
    },
    toAbsolute(anchor, head) {
      if (!replica.live) return null;
      return replica.readText((doc, text) => {
        const from = absolute(doc, text, anchor);
        const to = absolute(doc, text, head);
        if (from === null || to === null) return null;
        return { index: Math.min(from, to), length: Math.abs(to - from) };
      });
    },
  };
}

/** An index of the text, or null. A position that names another root is not looked up: Yjs would create that root. */
function absolute(doc: Y.Doc, text: Y.Text, json: unknown): number | null {
  if (typeof json !== 'object' || json === null) return null;
  try {
    const relative = Y.createRelativePositionFromJSON(json);
    if (relative.item === null && (relative.type !== null || relative.tname !== TEXT_ROOT)) return null;
    const position = Y.createAbsolutePositionFromRelativePosition(relative, doc, false);
    return position?.type === text && Number.isInteger(position.index) ? position.index : null;
  } catch {
    return null; // whatever the editor sent, it is not a position of this document
  }
}
