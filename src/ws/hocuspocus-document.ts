/**
 * A document on a Hocuspocus socket: a Yjs member whose frames carry the document's name in front. What the actor sends
 * is put under the name; its acks become SyncStatus messages, counted as the provider counts (sync-count.ts).
 *
 * What is refused for good ends this document and leaves the rest of the socket alone, since a provider whose socket is
 * closed connects again at once with all of its documents. What a client should come back for (the document moved, the
 * node stops) closes the socket, since a provider comes back for nothing less. A document that cannot be had for the moment
 * is waited for.
 */
import type { ServerWebSocket } from 'bun';
import type { JoinRequest } from '../actors/handle.ts';
import { type Member, nextMemberId, type YjsMember } from '../actors/member.ts';
import { CLOSE, type CloseCode } from '../protocol/close.ts';
import type { ConcordError } from '../protocol/errors.ts';
import {
  authenticatedFrame,
  closeFrame,
  type DocumentName,
  type HocuspocusMessage,
  named,
  permissionDeniedFrame,
  readMessage,
  type Scope,
  syncStatusFrame,
} from '../protocol/hocuspocus-wire.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import { type Role, roleAllows } from '../protocol/messages.ts';
import { MESSAGE, readAckFrames } from '../protocol/yjs-wire.ts';
import { Attendance, closeCodeOf, type Waiting } from './attendance.ts';
import type { NamedTopic } from './named-topics.ts';
import type { DoorParts, Frame, Hello, Identity, SocketData } from './parts.ts';
import { SyncCount } from './sync-count.ts';
import type { PublishingMember } from './topics.ts';

/** The socket, as its documents see it. */
export interface Line {
  readonly socket: ServerWebSocket<SocketData>;
  /** What it keeps for documents that are not open yet. */
  readonly waiting: Waiting;
  /** Somebody was let in. */
  signedIn(): void;
  /** The document is over; its name is free. */
  forget(document: HocuspocusDocument): void;
  /** Takes a message once more, for whichever document has the name now. */
  dispatch(name: DocumentName, message: Uint8Array): void;
  /** Ends the socket for a message that cannot be read. */
  malformed(reason: string, message: string): void;
  close(code: CloseCode, reason: string): void;
}

/** See the head of this file. */
export class HocuspocusDocument extends Attendance {
  readonly door = 'hocuspocus';
  readonly name: DocumentName;
  readonly #line: Line;
  readonly #count = new SyncCount();
  #topic: NamedTopic | null = null;
  #scope: Scope = 'readonly';
  /** Whether the provider's first step 1 came: the server's own, at the join, goes with it. */
  #asked = false;
  /** How often it could not be had so far. */
  #attempts = 0;
  #renewing = false;
  /** The last token that came while another one was being checked. */
  #fresh: string | null = null;

  constructor(name: DocumentName, hello: Hello, line: Line, parts: DoorParts) {
    super(hello, parts, line.waiting, hello.token?.length ?? 0);
    this.name = name;
    this.#line = line;
  }

  /** Looks everything up and joins the document. */
  begin(): void {
    void this.attend();
  }

  /** The others on the socket need not suffer with this document, as they would if the client had to come back. */
  protected override patience(): number {
    this.#attempts += 1;
    return Math.min(TIMES.reopen_min_ms * 2 ** (this.#attempts - 1), TIMES.reopen_max_ms);
  }

  override rightsChanged(user_id: string, role: Role | null): void {
    super.rightsChanged(user_id, role);
    if (role === null || user_id !== this.caller?.user_id || scopeOf(role) === this.#scope) return;
    this.#scope = scopeOf(role);
    if (this.#topic !== null) this.#greet();
  }

  protected hangUp(code: CloseCode, reason: string, unheard: readonly Frame[]): void {
    const was_open = this.#topic !== null;
    this.#leave();
    if (!endsDocument(code)) return this.#line.close(code, reason);
    const { socket } = this.#line;
    const told = `${code}: ${reason}`;
    socket.sendBinary(permissionDeniedFrame(this.name, told));
    if (was_open) socket.sendBinary(closeFrame(this.name, told));
    // Another provider may have taken the name meanwhile, with a token of its own.
    for (const message of unheard) this.#line.dispatch(this.name, message as Uint8Array);
  }

  /** The socket is gone, or the client is done with the document. */
  gone(): void {
    this.end();
    this.#leave();
  }

  protected explain(_error: ConcordError): void {
    // The refusal itself carries the reason.
  }

  protected join(identity: Identity): JoinRequest {
    this.#scope = scopeOf(identity.role);
    return { member: this.#member(identity), named: false, point: null };
  }

  /** By way of the socket: the provider that sent the first of them may be done, and the rest be another one's. */
  protected override resume(frames: readonly Frame[]): void {
    for (const frame of frames) this.#line.dispatch(this.name, frame as Uint8Array);
  }

  protected take(frame: Frame, member: Member): void {
    let read: HocuspocusMessage;
    try {
      read = readMessage(frame as Uint8Array, LIMITS.awareness_clients_per_frame_max);
    } catch {
      return this.#line.malformed('undecodable', 'a message does not decode');
    }
    const yjs = member as YjsMember;
    switch (read.kind) {
      case 'step1': {
        this.#count.restarted();
        const again = this.#asked;
        this.#asked = true;
        return this.push({
          kind: 'sync',
          member: yjs,
          state_vector: read.state_vector,
          ...(again ? { ask: true } : {}),
        });
      }
      case 'update':
        this.#count.handed(read.whole);
        return this.push({ kind: 'update', member: yjs, update: read.update, whole: read.whole });
      case 'awareness':
        return this.push({ kind: 'awareness', member: yjs, entries: read.entries });
      case 'query_awareness':
        return this.push({ kind: 'query_awareness', member: yjs });
      case 'token':
        this.#fresh = read.token;
        if (!this.#renewing) void this.#renewAll();
        return;
      case 'close':
        return this.gone();
      case 'unknown':
        return this.countRefused('unknown_type');
    }
  }

  /** Checks fresh tokens one after the other. Of those that come while one is being checked, the last one counts. */
  async #renewAll(): Promise<void> {
    this.#renewing = true;
    for (let token = this.#fresh; token !== null; token = this.#fresh) {
      this.#fresh = null;
      try {
        const refusal = await this.renew(token);
        if (refusal !== null) this.close(closeCodeOf(refusal), refusal.message);
        else if (this.#topic !== null) this.#greet();
      } catch (error) {
        // The token that it has is still good, or the next sweep of the hub will say so.
        this.log.warn({ error }, 'a fresh token could not be checked');
      }
    }
    this.#renewing = false;
  }

  #greet(): void {
    this.#line.socket.sendBinary(authenticatedFrame(this.name, this.#scope));
  }

  #leave(): void {
    const topic = this.#topic;
    this.#topic = null;
    this.#line.forget(this);
    if (topic === null) return;
    this.#line.socket.unsubscribe(topic.topic);
    this.parts.names.release(this.doc_id, topic);
  }

  /** Sends what the document says to this member. */
  #send(frame: Uint8Array): void {
    const { socket } = this.#line;
    if (frame[0] === MESSAGE.AUTH) return void socket.sendBinary(syncStatusFrame(this.name, false));
    if (frame[0] !== MESSAGE.ACK) return void socket.sendBinary(named(this.name, frame));
    const saved = this.#count.covered(readAckFrames(frame) ?? 0);
    if (saved === 0) return;
    const message = syncStatusFrame(this.name, true);
    socket.cork(() => {
      for (let i = 0; i < saved; i++) socket.sendBinary(message);
    });
  }

  #member(identity: Identity): PublishingMember {
    const document = this;
    const { socket } = this.#line;
    return {
      wire: 'yjs',
      door: this.door,
      acks: true,
      socket,
      get named() {
        return document.#topic;
      },
      member_id: nextMemberId(),
      place: 'here',
      user_id: identity.caller.user_id,
      display_name: identity.display_name,
      client_id: this.parts.random.id(),
      role: identity.role,
      subscribe: () => this.#subscribe(),
      send: (frame) => this.#send(frame),
      close: (code, reason) => this.close(code, reason),
    };
  }

  #subscribe(): void {
    if (!this.joining) return;
    this.#topic = this.parts.names.use(this.doc_id, this.name);
    this.#line.socket.subscribe(this.#topic.topic);
    this.#line.signedIn();
    this.#greet();
    this.joined();
  }
}

function scopeOf(role: Role): Scope {
  return roleAllows(role, 'editor') ? 'read-write' : 'readonly';
}

/** Whether a code means that the client is to stop, for this document alone. */
function endsDocument(code: CloseCode): boolean {
  return code === CLOSE.UNAUTHENTICATED || code === CLOSE.FORBIDDEN || code === CLOSE.NOT_FOUND;
}
