/** What this node cannot do with a document because another owns it, or nobody does for the moment. */
import { ConcordError, unavailable } from '../protocol/errors.ts';
import type { NodeIdentity } from '../store/heads.ts';

/** UNAVAILABLE to whoever cannot reach the owner; who can, asks there. */
export class ElsewhereError extends ConcordError {
  constructor(readonly owner: NodeIdentity) {
    super('UNAVAILABLE', 'The document is open on another node; try again.', undefined, 1);
  }
}

/** UNAVAILABLE to whose request met a document between two owners, or on the way to one. Nothing was applied. */
export function notServed(): ConcordError {
  return unavailable('The document cannot be served just now; try again.', 1);
}
