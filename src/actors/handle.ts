/**
 * A document as a connection sees it, wherever its actor is: on this node, or behind the owner's link (see remote/).
 * Doors know nothing else of documents.
 */
import type { DoorEntry, JoinEntry, ResumePoint } from './entries.ts';
import type { Member } from './member.ts';

/** What a connection wants to join with. */
export interface JoinRequest {
  readonly member: Member;
  /** Whether the client named its client_id, so that the document may hold edits of it already. */
  readonly named: boolean;
  /** Where the client stopped, if it says so; JSON clients only. */
  readonly point: ResumePoint | null;
}

/** See the head of this file. */
export interface DocumentHandle {
  /**
   * Looks up what a join needs. The entry is then pushed like any other; the member hears of its joining by
   * `member.subscribe`. Errors: UNAVAILABLE.
   */
  prepareJoin(request: JoinRequest): Promise<JoinEntry>;
  /** Puts an entry into the document's mailbox. False when it is not in service any more: the caller opens it anew. */
  push(entry: DoorEntry): boolean;
}

/** Finds documents for connections. */
export interface DocumentFinder {
  /**
   * The document in service, opened here if nobody has it.
   * Errors: NOT_FOUND; UNAVAILABLE while it is moving or cannot be opened.
   */
  find(doc_id: string): Promise<DocumentHandle>;
}
