/**
 * What reaches a document's mailbox. Doors put entries in as frames arrive; the actor gets all of one event-loop turn at
 * once. Everything here has a known author: authentication is done before a member exists.
 */

import type { DeltaOps } from '../protocol/content/delta.ts';
import type { ConcordError } from '../protocol/errors.ts';
import type { PresenceState, Role } from '../protocol/messages.ts';
import type { AwarenessEntry } from '../protocol/yjs-wire.ts';
import type { JsonMember, Member, YjsMember } from './member.ts';

/** Where a returning JSON client stopped. */
export interface ResumePoint {
  readonly epoch: number;
  readonly rev: number;
}

/** An edit in delta form, from a JSON socket or REST. */
export interface DeltaEdit {
  readonly user_id: string;
  readonly client_id: string;
  /** Null when the caller keeps no sequence. */
  readonly seq: number | null;
  /** Null means the head. */
  readonly base_rev: number | null;
  /** Well-formed (parseDelta); whether it fits the text is for the actor to say. */
  readonly delta: DeltaOps;
  /** What the edit does beside the text: a Yjs update of other roots, made of durable revisions. */
  readonly roots?: Uint8Array | undefined;
  readonly door: 'json' | 'rest';
}

/** How a delta edit ends, exactly one call. `refused` says why and whether the client has to start over. */
export interface EditOutcome {
  /** Applied, or known already (`duplicate`): it is revision `rev`; `event` is its event as JSON. */
  applied(rev: number, event: string, duplicate: boolean): void;
  refused(error: ConcordError): void;
}

/** One thing to do; see the head of this file. */
export type Entry =
  | {
      readonly kind: 'join_json';
      readonly member: JsonMember;
      readonly resume: ResumePoint | null;
      /** As the journal has it; what memory knows better counts. */
      readonly last_seq: number;
    }
  | { readonly kind: 'join_yjs'; readonly member: YjsMember }
  | { readonly kind: 'leave'; readonly member: Member }
  | { readonly kind: 'role'; readonly user_id: string; readonly role: Role | null }
  /** `author` is null for an edit that came over REST. */
  | {
      readonly kind: 'edit';
      readonly author: JsonMember | null;
      readonly edit: DeltaEdit;
      readonly outcome: EditOutcome;
    }
  /** `whole`: it is a SyncStep2, everything that the server lacked when it asked. */
  | { readonly kind: 'update'; readonly member: YjsMember; readonly update: Uint8Array; readonly whole: boolean }
  /** `ask`: the member wants to be asked in turn for what it has and the server lacks. */
  | { readonly kind: 'sync'; readonly member: YjsMember; readonly state_vector: Uint8Array; readonly ask?: boolean }
  /** A member whose edit was stale starts over. The document puts it in itself. */
  | { readonly kind: 'start_over'; readonly member: JsonMember }
  | { readonly kind: 'awareness'; readonly member: YjsMember; readonly entries: readonly AwarenessEntry[] }
  | { readonly kind: 'query_awareness'; readonly member: YjsMember }
  | { readonly kind: 'presence'; readonly member: JsonMember; readonly state: PresenceState };

/** The entries that make a connection a member. */
export type JoinEntry = Extract<Entry, { readonly kind: 'join_json' | 'join_yjs' }>;

/** The entry that asks for what a member lacks. */
export type SyncEntry = Extract<Entry, { readonly kind: 'sync' }>;

/** What is answered with the whole document, or what a member lacks of it. */
export type QuestionEntry = Extract<Entry, { readonly kind: 'sync' | 'start_over' }>;

/** What doors put in. */
export type DoorEntry = Exclude<Entry, { readonly kind: 'start_over' }>;
