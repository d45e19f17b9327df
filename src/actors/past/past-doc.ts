/** A Yjs document that past updates are applied to, for it to be what it was. */
import * as Y from 'yjs';
import { TEXT_ROOT } from '../../protocol/snapshot.ts';

/** An empty one. Nothing is added to what was journaled: Yjs would clean up formatting on its own, and the document has not. */
export function createPastDoc(): Y.Doc {
  const doc = new Y.Doc({ gc: true });
  // Before anything is applied: a text that is typed only afterwards does not know that it has formatting.
  doc.getText(TEXT_ROOT);
  doc.on('afterTransaction', (transaction: Y.Transaction) => {
    transaction._needFormattingCleanup = false;
  });
  return doc;
}
