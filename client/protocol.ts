/**
 * The messages of the JSON door as the client reads them. Unknown types and fields are passed over, so that a newer
 * server may say more than this client knows.
 */
import type { Op } from 'quill-delta';

/** What a user may do with a document. */
export type Role = 'viewer' | 'editor' | 'owner';

/** How well the present text is kept by the server. */
export type SaveState = 'saved' | 'saving' | 'unsaved' | 'read_only';

/** Whatever a client shows of itself; `cursor` is in UTF-16 code units of the text. */
export type PresenceState = { readonly [key: string]: unknown };

/** Somebody who is on the document now. */
export interface PresenceEntry {
  readonly user_id: string;
  readonly display_name: string;
  readonly client_id: string;
  readonly status: 'joined' | 'active';
  readonly state: PresenceState;
  readonly since: string;
}

/** First event of a connection, and the answer to an edit whose base is too old. */
export interface ReadyEvent {
  readonly type: 'ready';
  readonly user_id: string;
  readonly client_id: string;
  readonly role: Role;
  readonly epoch: number;
  readonly rev: number;
  /** Absent when the missed edits follow instead. */
  readonly content?: Op[];
  readonly presence: readonly PresenceEntry[];
  readonly last_seq: number;
}

/** One revision of the document, whoever made it. */
export interface EditEvent {
  readonly type: 'edit';
  readonly user_id: string;
  readonly client_id: string;
  readonly seq: number | null;
  readonly changes: { readonly rev: number; readonly delta: Op[] };
  readonly timestamp: string;
}

/** Everything up to `rev` is on disk. */
export interface AckEvent {
  readonly type: 'ack';
  readonly epoch: number;
  readonly rev: number;
}

/** A change of {@link SaveState}. */
export interface StatusEvent {
  readonly type: 'status';
  readonly state: SaveState;
  /** ISO 8601. */
  readonly since: string;
}

/** Somebody came, went or moved. */
export interface PresenceEvent {
  readonly type: 'presence';
  readonly user_id: string;
  readonly client_id: string;
  readonly display_name?: string;
  readonly status: 'joined' | 'left' | 'active';
  readonly state: PresenceState;
  readonly timestamp: string;
}

/** The user's rights on the document changed. */
export interface RoleEvent {
  readonly type: 'role';
  readonly role: Role;
}

/** Something was refused; with `seq`, that edit. */
export interface ErrorEvent {
  readonly type: 'error';
  readonly code: string;
  readonly message: string;
  readonly details?: unknown;
  readonly seq?: number;
}

/** Whatever the server says. */
export type ServerEvent =
  | ReadyEvent
  | EditEvent
  | AckEvent
  | StatusEvent
  | PresenceEvent
  | RoleEvent
  | ErrorEvent
  | { readonly type: 'pong' };

const KNOWN = new Set(['ready', 'edit', 'ack', 'status', 'presence', 'role', 'error', 'pong']);

/** Reads a frame; null when it is of a type that this client does not know. Throws when it is not JSON. */
export function readServerEvent(frame: unknown): ServerEvent | null {
  const value: unknown = JSON.parse(String(frame));
  if (typeof value !== 'object' || value === null || !('type' in value)) return null;
  return KNOWN.has(String(value.type)) ? (value as ServerEvent) : null;
}

/** The close codes that the client tells apart: CONTRACT.md section 6. */
export const CLOSE = {
  NORMAL: 1000,
  /** What a socket reports that ended without a goodbye. */
  LOST: 1006,
  RESTART: 1012,
  OVERLOADED: 1013,
  UNAUTHENTICATED: 4401,
} as const;

/** Whether coming back cannot help: all of 4400–4499 but a token that can be replaced. */
export function isFinal(code: number): boolean {
  return code >= 4400 && code <= 4499 && code !== CLOSE.UNAUTHENTICATED;
}
