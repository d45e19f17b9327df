/**
 * One connection on a document, as its actor sees it, whichever wire it speaks. A member belongs to exactly one socket:
 * when a client reconnects it is a new member, so a late close of the old socket can never end the new session.
 */
import type { CloseCode } from '../protocol/close.ts';
import type { Role, ServerEvent } from '../protocol/messages.ts';

let next_member_id = 1;

/** Draws a number that no other member of this process has. */
export function nextMemberId(): number {
  return next_member_id++;
}

/** What all members have. */
interface MemberBase {
  /** Unique within the process. */
  readonly member_id: number;
  /** Whether its socket is on this node, or on one that hears this document's channel. */
  readonly place: 'here' | 'elsewhere';
  readonly user_id: string;
  readonly display_name: string;
  readonly client_id: string;
  /** Changes when permissions do. */
  role: Role;
  /** Starts receiving what is fanned out for the document. Called in the turn of the join. */
  subscribe(): void;
  /** Ends the connection with a code of CONTRACT.md section 6. */
  close(code: CloseCode, reason: string): void;
}

/** A member that speaks JSON. */
export interface JsonMember extends MemberBase {
  readonly wire: 'json';
  /** When its client connected, on this node's monotonic clock. */
  readonly opened_at: number;
  /** Sends one event; `text` is its JSON where the caller has it already. */
  send(text: string): void;
}

/** A member that speaks the y-websocket wire, or has it behind the names of documents. */
export interface YjsMember extends MemberBase {
  readonly wire: 'yjs';
  /** Through which it came in, for what is counted by door. */
  readonly door: 'yjs' | 'hocuspocus';
  /** Whether it asked for durable acks. */
  readonly acks: boolean;
  send(frame: Uint8Array): void;
}

/** Any connection on a document. */
export type Member = JsonMember | YjsMember;

/** Fan-out to all local members of a document: one encode, one native publish. */
export interface Fanout {
  /** To every Yjs member, except perhaps the author. */
  yjs(doc_id: string, frame: Uint8Array, except: YjsMember | null): void;
  /** To Yjs members that asked for acks. */
  acks(doc_id: string, frame: Uint8Array): void;
  /** To every JSON member. */
  json(doc_id: string, text: string): void;
  /**
   * To other nodes and outside subscribers: the channel `collab:<doc_id>`. `heard`: somebody is known to listen there.
   * `done` is told how many did; not at all when Redis is away.
   */
  remote(doc_id: string, text: string, heard: boolean, done: (listeners: number) => void): void;
}

/** Sends an event to one JSON member. */
export function tell(member: JsonMember, event: ServerEvent): void {
  member.send(JSON.stringify(event));
}
