/**
 * Where a delta edit belongs: is it new, does it fit the text that it was made against, and what is it by now?
 *
 * The order of the questions matters. A resend is recognised before its base is looked at, because by then the base may
 * have left the window; and whether a delta reaches past the end is asked at its own `base_rev`, whether it splits a
 * surrogate pair at the head, where the text is: no accepted edit ever puts something inside a pair, so the two agree.
 */

import { type DeltaOps, lengthChange, reach } from '../protocol/content/delta.ts';
import { ConcordError, invalidField } from '../protocol/errors.ts';
import type { EditLog } from './edit-log.ts';
import type { DeltaEdit } from './entries.ts';
import type { Replica } from './replica.ts';

/** The answer. */
export type Placed =
  /** To be applied at the head as `delta`; empty when nothing of it is left. */
  | { readonly kind: 'new'; readonly delta: DeltaOps }
  | { readonly kind: 'duplicate'; readonly seq: number }
  | { readonly kind: 'refused'; readonly error: ConcordError };

/** See the head of this file. The author's last seq must be known to the log when the edit carries one. */
export function placeEdit(log: EditLog, replica: Replica, edit: DeltaEdit): Placed {
  if (edit.seq !== null) {
    const last = log.knownSeq(edit.user_id, edit.client_id) ?? 0;
    if (edit.seq <= last) return { kind: 'duplicate', seq: edit.seq };
    if (edit.seq > last + 1) return refused(invalidField('/seq', `skips: the next is ${last + 1}`));
  }
  const base_rev = edit.base_rev ?? log.head;
  const missed = log.window.after(base_rev);
  if (missed === null) {
    const where = base_rev > log.head ? `beyond the head, ${log.head}` : `older than ${log.window.start}`;
    return refused(new ConcordError('STALE_REVISION', `base_rev ${base_rev} is ${where}; read the document again.`));
  }
  const grown = missed.reduce((sum, entry) => sum + lengthChange(entry.delta), 0);
  const base_length = replica.length() - grown;
  if (reach(edit.delta) > base_length)
    return refused(
      invalidField('/changes/delta', `reaches past the end: the text has ${base_length} code units at rev ${base_rev}`),
    );
  const delta = log.window.transform(edit.delta, base_rev) ?? [];
  if (delta.length > 0) {
    const flaw = replica.unfit(delta);
    if (flaw !== null) return refused(invalidField('/changes/delta', flaw));
  }
  return { kind: 'new', delta };
}

function refused(error: ConcordError): Placed {
  return { kind: 'refused', error };
}
