/**
 * The shapes on the JSON door's wire (CONTRACT.md section 3), as types and, for what comes from outside, as compiled
 * schemas. The delta inside an edit is checked by content/delta.ts, by hand, because it is read at every keystroke.
 */
import Type from 'typebox';
import { compileShape } from './check.ts';
import type { DeltaOps } from './content/delta.ts';
import type { FieldIssue } from './errors.ts';

/** What a user may do with a document, from least to most. */
export const ROLES = ['viewer', 'editor', 'owner'] as const;

/** One of {@link ROLES}. */
export type Role = (typeof ROLES)[number];

/** Whether `role` includes everything that `needed` allows. */
export function roleAllows(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

/** How well the present text is kept: see `status` in CONTRACT.md. */
export type SaveState = 'saved' | 'saving' | 'unsaved' | 'read_only';

/** One person or program on a document, as `ready`, REST and presence events show it. */
export interface PresenceEntry {
  readonly user_id: string;
  readonly display_name: string;
  readonly client_id: string;
  readonly status: 'joined' | 'active';
  readonly state: PresenceState;
  /** ISO 8601, when this connection joined. */
  readonly since: string;
}

/** Whatever a client shows of itself; `cursor` is in UTF-16 units of the text. */
export type PresenceState = { readonly [key: string]: unknown };

/** An edit as every client of the document sees it. */
export interface EditEvent {
  readonly type: 'edit';
  readonly user_id: string;
  readonly doc_id: string;
  readonly client_id: string;
  readonly seq: number | null;
  readonly changes: { readonly rev: number; readonly delta: DeltaOps };
  readonly timestamp: string;
}

/** First event of a connection. `content` is absent when the missed edits follow instead. */
export interface ReadyEvent {
  readonly type: 'ready';
  readonly doc_id: string;
  readonly user_id: string;
  readonly client_id: string;
  readonly role: Role;
  readonly epoch: number;
  readonly rev: number;
  readonly content?: DeltaOps;
  readonly presence: readonly PresenceEntry[];
  readonly last_seq: number;
  readonly timestamp: string;
}

/** Everything up to `rev` is committed in PostgreSQL. */
export interface AckEvent {
  readonly type: 'ack';
  readonly doc_id: string;
  readonly epoch: number;
  readonly rev: number;
}

/** A change of {@link SaveState}. */
export interface StatusEvent {
  readonly type: 'status';
  readonly doc_id: string;
  readonly state: SaveState;
  readonly since: string;
}

/** Somebody came, went or moved. */
export interface PresenceEvent {
  readonly type: 'presence';
  readonly user_id: string;
  readonly doc_id: string;
  readonly client_id: string;
  readonly display_name: string;
  readonly status: 'joined' | 'left' | 'active';
  readonly state: PresenceState;
  readonly timestamp: string;
}

/** The caller's rights on the document changed. */
export interface RoleEvent {
  readonly type: 'role';
  readonly doc_id: string;
  readonly role: Role;
}

/** Something to look out for, while nothing is refused yet: the document is near the size that it may have. */
export interface WarningEvent {
  readonly type: 'warning';
  readonly doc_id: string;
  readonly code: 'DOCUMENT_TOO_LARGE';
  readonly message: string;
  readonly details: { readonly bytes: number; readonly bytes_max: number };
}

/** Whatever the JSON door says. */
export type ServerEvent = ReadyEvent | EditEvent | AckEvent | StatusEvent | PresenceEvent | RoleEvent | WarningEvent;

const Uuid = Type.String({ pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' });
const Strict = { additionalProperties: false } as const;

/** What clients may say of themselves in every message; the server's own values replace it. */
const Envelope = {
  doc_id: Type.Optional(Uuid),
  user_id: Type.Optional(Uuid),
  timestamp: Type.Optional(Type.String()),
};

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

const Cursor = Type.Union([Type.Null(), Type.Object({ index: Count, length: Count }, Strict)]);

const MESSAGES = {
  edit: Type.Object(
    {
      type: Type.Literal('edit'),
      ...Envelope,
      changes: Type.Object({ base_rev: Count, delta: Type.Unknown() }, Strict),
      seq: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    },
    Strict,
  ),
  presence: Type.Object(
    {
      type: Type.Literal('presence'),
      ...Envelope,
      status: Type.Literal('active'),
      state: Type.Object({ cursor: Type.Optional(Cursor) }),
    },
    Strict,
  ),
  auth: Type.Object({ type: Type.Literal('auth'), token: Type.String({ minLength: 1 }) }, Strict),
  ping: Type.Object({ type: Type.Literal('ping') }, Strict),
};

type Messages = typeof MESSAGES;

/** What a client of the JSON door may send. An edit's delta is still to be read by `parseDelta`. */
export type ClientMessage = { [Name in keyof Messages]: Type.Static<Messages[Name]> }[keyof Messages];

/** Outcome of {@link readClientMessage}. */
export type ReadMessage =
  | { readonly ok: true; readonly message: ClientMessage }
  | { readonly ok: false; readonly issues: readonly FieldIssue[]; readonly seq: number | null };

const checks = {
  edit: compileShape(MESSAGES.edit),
  presence: compileShape(MESSAGES.presence),
  auth: compileShape(MESSAGES.auth),
  ping: compileShape(MESSAGES.ping),
};

/** Checks the form of a message. A refused one gives its `seq` where it had one, so that the error can name it. */
export function readClientMessage(value: unknown): ReadMessage {
  const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
  if (type !== 'edit' && type !== 'presence' && type !== 'auth' && type !== 'ping')
    return { ok: false, issues: [{ path: '/type', message: 'must be one of edit, presence, auth, ping' }], seq: null };
  const issues = checks[type](value);
  if (issues === null) return { ok: true, message: value as ClientMessage };
  const seq = 'seq' in (value as object) ? (value as { seq: unknown }).seq : null;
  return { ok: false, issues, seq: typeof seq === 'number' ? seq : null };
}
