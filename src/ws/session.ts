/**
 * One socket, from its upgrade to its close, whichever wire it speaks.
 *
 *   opening   The token, the rights and the document are being looked up. Frames that arrive meanwhile are kept, few and
 *             small, since nobody is authenticated yet.
 *   joining   The document has been asked; its greeting is the first thing that leaves. Frames still wait.
 *   open      A member of its document. Frames go straight to the wire.
 *   closed    Nothing is sent or taken any more.
 *
 * A refusal is upgraded and closed with its code, because a browser cannot read an HTTP status. Rights that change while
 * the socket is opening are looked up again before it joins; after that the document itself is told, so there is no
 * moment in which a change is missed.
 */
import type { ServerWebSocket } from 'bun';
import type { Entry } from '../actors/entries.ts';
import type { DocumentFinder, DocumentHandle, JoinRequest } from '../actors/handle.ts';
import type { Member } from '../actors/member.ts';
import type { Clock } from '../base/clock.ts';
import { isUuid } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Random } from '../base/random.ts';
import type { AuthResult, Caller } from '../domain/tokens.ts';
import { CLOSE, type CloseCode } from '../protocol/close.ts';
import { ConcordError } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { Role } from '../protocol/messages.ts';
import { findMember } from '../store/permissions.ts';
import { type Database, isStorageAway } from '../store/postgres.ts';
import type { SocketHub } from './hub.ts';

/** What a door needs of the node. */
export interface DoorParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly sql: Database;
  readonly documents: DocumentFinder;
  readonly hub: SocketHub;
  authenticate(token: string): Promise<AuthResult>;
  reportError(error: unknown, context: Readonly<Record<string, string>>): void;
}

/** What the upgrade request said. */
export interface Hello {
  readonly doc_id: string;
  readonly token: string | null;
  /** Query parameters. */
  readonly query: URLSearchParams;
  readonly request_id: string;
}

/** Hangs on every socket. */
export interface SocketData {
  readonly hello: Hello;
  /** Set when the socket opens. */
  session: Session | null;
  readonly makeSession: (socket: ServerWebSocket<SocketData>, hello: Hello) => Session;
}

/** Who is on the socket and what they may do. */
export interface Identity {
  readonly caller: Caller;
  readonly role: Role;
  readonly display_name: string;
}

type Frame = string | Uint8Array;

/** Frames that came too early. */
interface Early {
  readonly frames: Frame[];
  bytes: number;
}

type State =
  | { readonly kind: 'opening'; readonly early: Early }
  | { readonly kind: 'joining'; readonly early: Early; readonly document: DocumentHandle; readonly member: Member }
  | { readonly kind: 'open'; readonly document: DocumentHandle; readonly member: Member }
  | { readonly kind: 'closed' };

/** See the head of this file. Each wire extends it. */
export abstract class Session {
  readonly doc_id: string;
  protected readonly parts: DoorParts;
  protected readonly socket: ServerWebSocket<SocketData>;
  protected readonly hello: Hello;
  #state: State = { kind: 'opening', early: { frames: [], bytes: 0 } };
  #caller: Caller | null = null;
  #rights_changed = false;

  /** Which door, for metrics and logs. */
  abstract readonly door: 'json' | 'yjs';

  constructor(socket: ServerWebSocket<SocketData>, hello: Hello, parts: DoorParts) {
    this.socket = socket;
    this.hello = hello;
    this.parts = parts;
    this.doc_id = hello.doc_id.toLowerCase();
  }

  /** Made when something is to be said: most sockets come and go without a word. */
  protected get log(): Log {
    return this.parts.log.child({
      request_id: this.hello.request_id,
      doc_id: this.doc_id,
      user_id: this.#caller?.user_id,
    });
  }

  /** Who is on the socket, once that is known. */
  get caller(): Caller | null {
    return this.#caller;
  }

  /** Looks everything up and joins the document. */
  async begin(): Promise<void> {
    this.parts.hub.add(this);
    this.parts.metrics.sockets.inc({ door: this.door });
    try {
      await this.#open();
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** Takes a frame. */
  receive(frame: Frame): void {
    const state = this.#state;
    if (state.kind === 'open') return this.#guarded(() => this.take(frame, state.member));
    if (state.kind === 'closed') return;
    const { early } = state;
    early.bytes += typeof frame === 'string' ? Buffer.byteLength(frame) : frame.length;
    if (
      early.frames.length >= LIMITS.queued_frames_before_open_max ||
      early.bytes > LIMITS.queued_bytes_before_open_max
    )
      return this.close(CLOSE.OVERLOADED, 'too much was sent before the connection was open');
    early.frames.push(frame);
  }

  /** The socket is gone. */
  gone(): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    this.#state = { kind: 'closed' };
    this.#forget();
    if (state.kind !== 'opening') state.document.push({ kind: 'leave', member: state.member });
  }

  /** Closes a reader that is too slow: what waits to be sent to it has outgrown its bound. */
  checkBacklog(): void {
    if (this.socket.getBufferedAmount() > LIMITS.socket_backlog_bytes_max)
      this.close(CLOSE.OVERLOADED, 'too slow a reader; back off and come again');
  }

  /** Closes from our side; the member leaves its document. */
  close(code: CloseCode, reason: string): void {
    if (this.#state.kind === 'closed') return;
    this.gone();
    this.socket.close(code, reason);
  }

  /** The rights of this session's user on this document may have changed. */
  rightsChanged(): void {
    this.#rights_changed = true;
  }

  /** Sends something harmless when the line has been still for long. */
  abstract keepAlive(): void;

  /** Tells the client why it is refused, on wires that can. */
  protected abstract explain(error: ConcordError): void;

  /** Makes the member to join with. Throws VALIDATION_ERROR when the upgrade asked for something that makes no sense. */
  protected abstract join(identity: Identity): JoinRequest;

  /** Takes one frame of an open session. */
  protected abstract take(frame: Frame, member: Member): void;

  /** Hands an entry to the document; a document that moved on closes the socket, and the client comes back. */
  protected push(entry: Entry): void {
    if (this.#state.kind !== 'open') return;
    if (!this.#state.document.push(entry)) this.close(CLOSE.RESTART, 'the document moved; reconnect');
  }

  /** Counts and closes for a frame that a client should not have sent. */
  protected refuseFrame(reason: string, code: CloseCode, message: string): void {
    this.parts.metrics.frames_refused.inc({ door: this.door, reason });
    this.close(code, message);
  }

  /** A fresh token on the open socket. */
  protected async renew(token: string): Promise<ConcordError | null> {
    const result = await this.parts.authenticate(token);
    if (!result.ok) return new ConcordError(result.code);
    if (result.caller.user_id !== this.#caller?.user_id)
      return new ConcordError('FORBIDDEN', 'The token is of another user.');
    this.parts.hub.moved(this, () => {
      this.#caller = result.caller;
    });
    return null;
  }

  async #open(): Promise<void> {
    if (!isUuid(this.hello.doc_id)) throw new ConcordError('NOT_FOUND', 'The document id is not a UUID.');
    if (this.hello.token === null) throw new ConcordError('UNAUTHENTICATED');
    const result = await this.parts.authenticate(this.hello.token);
    if (!result.ok) throw new ConcordError(result.code);
    const { caller } = result;
    this.parts.hub.moved(this, () => {
      this.#caller = caller;
    });
    let identity = await this.#identify(caller);
    while (this.#state.kind === 'opening') {
      const document = await this.parts.documents.find(this.doc_id);
      if (this.#rights_changed) {
        this.#rights_changed = false;
        identity = await this.#identify(caller);
        continue;
      }
      const entry = await document.prepareJoin(this.join(identity));
      if (this.#rights_changed || this.#state.kind !== 'opening') continue;
      if (document.push(entry))
        this.#state = { kind: 'joining', early: this.#state.early, document, member: entry.member };
    }
  }

  /** The document has greeted its new member: what came early is handled now, in order. */
  protected joined(): void {
    const state = this.#state;
    if (state.kind !== 'joining') return;
    this.#state = { kind: 'open', document: state.document, member: state.member };
    for (const frame of state.early.frames) this.receive(frame);
  }

  async #identify(caller: Caller): Promise<Identity> {
    const found = await findMember(this.parts.sql, this.doc_id, caller.user_id);
    if (found === null || found.deleted) throw new ConcordError('NOT_FOUND', 'There is no such document.');
    return { caller, role: found.role, display_name: found.display_name };
  }

  #refuse(error: unknown): void {
    if (this.#state.kind === 'closed') return;
    if (!(error instanceof ConcordError) && !isStorageAway(error)) {
      this.log.error({ error }, 'a socket could not be opened');
      this.parts.reportError(error, { doc_id: this.doc_id, request_id: this.hello.request_id });
    }
    const told =
      error instanceof ConcordError ? error : new ConcordError(isStorageAway(error) ? 'UNAVAILABLE' : 'INTERNAL');
    this.explain(told);
    this.close(closeCodeOf(told), told.message);
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.log.error({ error }, 'a frame could not be handled');
      this.parts.reportError(error, { doc_id: this.doc_id });
      this.close(CLOSE.RESTART, 'something went wrong on our side; reconnect');
    }
  }

  #forget(): void {
    this.parts.hub.remove(this);
    this.parts.metrics.sockets.dec({ door: this.door });
  }
}

/** The close code that says what an error's holder should do. */
function closeCodeOf(error: ConcordError): CloseCode {
  switch (error.code) {
    case 'NOT_FOUND':
      return CLOSE.NOT_FOUND;
    case 'UNAUTHENTICATED':
    case 'TOKEN_EXPIRED':
    case 'TOKEN_REVOKED':
      return CLOSE.UNAUTHENTICATED;
    case 'FORBIDDEN':
      return CLOSE.FORBIDDEN;
    case 'VALIDATION_ERROR':
      return CLOSE.MALFORMED;
    case 'RATE_LIMITED':
      return CLOSE.OVERLOADED;
    default:
      return error.retry_after_s === 1 ? CLOSE.RESTART : CLOSE.OVERLOADED;
  }
}
