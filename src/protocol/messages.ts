/**
 * The shapes on the JSON door's wire (CONTRACT.md section 3), as types and, for what comes from outside, as compiled
 * schemas. The delta inside an edit is checked by content/delta.ts, by hand, because it is read at every keystroke.
 */
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import type { DeltaOps } from './content/delta.ts';

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

/** Whatever the JSON door says. */
export type ServerEvent = ReadyEvent | EditEvent | AckEvent | StatusEvent | PresenceEvent | RoleEvent;

const Uuid = Type.String({ pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' });

const ClientMessage = Type.Union([
  Type.Object(
    {
      type: Type.Literal('edit'),
      doc_id: Type.Optional(Uuid),
      user_id: Type.Optional(Uuid),
      timestamp: Type.Optional(Type.String()),
      changes: Type.Object(
        { base_rev: Type.Integer({ minimum: 0 }), delta: Type.Array(Type.Unknown()) },
        { additionalProperties: false },
      ),
      seq: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      type: Type.Literal('presence'),
      doc_id: Type.Optional(Uuid),
      user_id: Type.Optional(Uuid),
      timestamp: Type.Optional(Type.String()),
      status: Type.Literal('active'),
      state: Type.Object({
        cursor: Type.Optional(
          Type.Union([
            Type.Null(),
            Type.Object({ index: Type.Integer({ minimum: 0 }), length: Type.Integer({ minimum: 0 }) }),
          ]),
        ),
      }),
    },
    { additionalProperties: false },
  ),
  Type.Object({ type: Type.Literal('auth'), token: Type.String({ minLength: 1 }) }, { additionalProperties: false }),
  Type.Object({ type: Type.Literal('ping') }, { additionalProperties: false }),
]);

/** What a client of the JSON door may send. */
export type ClientMessage = Type.Static<typeof ClientMessage>;

/** Compiled check of {@link ClientMessage}; `Check` narrows, `Errors` explains. */
export const clientMessage = Compile(ClientMessage);
