/** What this node cannot do with a document because a living other node owns it. */
import { ConcordError } from '../protocol/errors.ts';
import type { NodeIdentity } from '../store/heads.ts';

/** UNAVAILABLE to whoever cannot reach the owner; who can, asks there. */
export class ElsewhereError extends ConcordError {
  constructor(readonly owner: NodeIdentity) {
    super('UNAVAILABLE', 'The document is open on another node; try again.', undefined, 1);
  }
}
