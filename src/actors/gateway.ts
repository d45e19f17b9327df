/**
 * What the floors above may ask of a document, wherever its actor is. REST routes and programs go through here; editors
 * hold a session with the actor itself (see session.ts).
 */
import type { DeltaOps } from '../protocol/content/delta.ts';
import type { PresenceEntry, Role } from '../protocol/messages.ts';

/** An edit that comes from outside a socket. */
export interface EditRequest {
  readonly doc_id: string;
  /** The authenticated author. */
  readonly user_id: string;
  readonly client_id: string;
  /** Position in the client's own sequence, or null when the caller keeps none. */
  readonly seq: number | null;
  /** The revision that `delta` was made against; null means the head. */
  readonly base_rev: number | null;
  /** Checked for form (parseDelta), not yet against the document. */
  readonly delta: DeltaOps;
  /** A Yjs update of other roots that becomes part of the same revision: see past/roots.ts. It must not touch the text. */
  readonly roots?: Uint8Array | undefined;
}

/** The text at one revision. */
export interface TextAt {
  readonly rev: number;
  readonly ops: DeltaOps;
}

/** The whole Yjs state at one revision, as an update (version 1). */
export interface StateAt {
  readonly rev: number;
  readonly update: Uint8Array;
}

/** The documents of this system. Every method throws `ConcordError`: NOT_FOUND, UNAVAILABLE and those named. */
export interface DocumentGateway {
  /**
   * Applies an edit through the document's actor and resolves once it is on disk.
   * Errors: VALIDATION_ERROR (does not fit the text, seq skips), STALE_REVISION, RATE_LIMITED, UNAVAILABLE (not durable in 5 s).
   */
  edit(request: EditRequest): Promise<{ readonly rev: number }>;
  /** The text now, edits that are not on disk yet included, or at a past `rev`. NOT_FOUND beyond the head. */
  text(doc_id: string, rev?: number): Promise<TextAt>;
  /** The Yjs state now or at a past `rev`. NOT_FOUND beyond the head. */
  state(doc_id: string, rev?: number): Promise<StateAt>;
  /** Whether the document holds, or ever held, anything beside the text. Opens it. */
  hasOtherRoots(doc_id: string): Promise<boolean>;
  /** The head revision now. */
  rev(doc_id: string): Promise<number>;
  /** `rev`, or the head as it is now, once that is on disk and so a part of history. NOT_FOUND beyond the head. */
  committed(doc_id: string, rev?: number): Promise<number>;
  /** Who is on the document. */
  presence(doc_id: string): Promise<readonly PresenceEntry[]>;
}

/** Something outside a document that its open sockets must hear of within a second. */
export type Signal =
  /** `role` null: no longer allowed at all. */
  | { readonly type: 'role'; readonly doc_id: string; readonly user_id: string; readonly role: Role | null }
  | { readonly type: 'document_deleted'; readonly doc_id: string }
  /** Sign-out, or the end of one session. */
  | { readonly type: 'session_ended'; readonly session_id: string };

/** Carries signals to every node. Called after the transaction that makes them true has committed. */
export interface Signals {
  send(signal: Signal): void;
}
