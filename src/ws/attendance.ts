/**
 * One connection on one document, whichever wire it speaks. On the JSON and the Yjs door a socket has one of these
 * (session.ts), on the Hocuspocus door as many as its client wants.
 *
 *   opening   The token, the rights and the document are being looked up. Frames that arrive meanwhile are kept, few and
 *             small, since nobody is authenticated yet.
 *   joining   The document has been asked; its greeting is the first thing that leaves. Frames still wait.
 *   open      A member of its document. Frames go straight to the wire.
 *   closed    Nothing is sent or taken any more.
 *
 * Rights that change while it is opening are looked up again before it joins; after that the document itself is told, so
 * there is no moment in which a change is missed.
 */
import type { DoorEntry } from '../actors/entries.ts';
import type { DocumentHandle, JoinRequest } from '../actors/handle.ts';
import type { Member } from '../actors/member.ts';
import { isUuid } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { tooOften } from '../domain/rate-limits.ts';
import type { Caller } from '../domain/tokens.ts';
import { CLOSE, type CloseCode } from '../protocol/close.ts';
import { ConcordError } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { Role } from '../protocol/messages.ts';
import { findMember } from '../store/permissions.ts';
import { isStorageAway } from '../store/postgres.ts';
import type { WatchedMember } from './hub.ts';
import type { DoorParts, Frame, Hello, Identity } from './parts.ts';

/** What a socket keeps for documents that are not open yet, of all its documents together. */
export interface Waiting {
  bytes: number;
}

/** Frames that came too early. */
interface Early {
  readonly frames: Frame[];
  /** Theirs, and those that {@link Hello} holds. */
  bytes: number;
}

type State =
  | { readonly kind: 'opening'; readonly early: Early }
  | { readonly kind: 'joining'; readonly early: Early; readonly document: DocumentHandle; readonly member: Member }
  | { readonly kind: 'open'; readonly document: DocumentHandle; readonly member: Member }
  | { readonly kind: 'closed' };

const NOTHING: readonly Frame[] = [];

/** See the head of this file. Each wire extends it. */
export abstract class Attendance implements WatchedMember {
  readonly doc_id: string;
  protected readonly parts: DoorParts;
  protected readonly hello: Hello;
  readonly #waiting: Waiting;
  #state: State;
  #caller: Caller | null = null;
  #rights_changed = false;

  /** Which door, for metrics and logs. */
  abstract readonly door: 'json' | 'yjs' | 'hocuspocus';

  /** `hello_bytes`: how much of the hello counts as waiting. */
  constructor(hello: Hello, parts: DoorParts, waiting: Waiting = { bytes: 0 }, hello_bytes = 0) {
    this.hello = hello;
    this.parts = parts;
    this.doc_id = hello.doc_id.toLowerCase();
    this.#waiting = waiting;
    waiting.bytes += hello_bytes;
    this.#state = { kind: 'opening', early: { frames: [], bytes: hello_bytes } };
  }

  /** Made when something is to be said: most come and go without a word. */
  protected get log(): Log {
    return this.parts.log.child({
      request_id: this.hello.request_id,
      doc_id: this.doc_id,
      user_id: this.#caller?.user_id,
    });
  }

  /** Who it is, once that is known. */
  get caller(): Caller | null {
    return this.#caller;
  }

  /** Whether the document has been asked and did not greet yet. */
  protected get joining(): boolean {
    return this.#state.kind === 'joining';
  }

  /** Looks everything up and joins the document. */
  protected async attend(): Promise<void> {
    this.parts.hub.add(this);
    while (this.#state.kind === 'opening') {
      try {
        return await this.#open();
      } catch (error) {
        const pause_ms = isUnavailable(error) ? this.patience() : null;
        if (pause_ms === null) return this.#refuse(error);
        await new Promise<void>((resolve) => this.parts.clock.after(pause_ms, resolve));
      }
    }
  }

  /** How long to wait with a document that cannot be had for the moment before trying again; null: send the client away. */
  protected patience(): number | null {
    return null;
  }

  /** Takes a frame. */
  receive(frame: Frame): void {
    const state = this.#state;
    if (state.kind === 'open') return this.#guarded(() => this.take(frame, state.member));
    if (state.kind === 'closed') return;
    const { early } = state;
    const bytes = typeof frame === 'string' ? Buffer.byteLength(frame) : frame.length;
    early.bytes += bytes;
    this.#waiting.bytes += bytes;
    if (
      early.frames.length >= LIMITS.queued_frames_before_open_max ||
      this.#waiting.bytes > LIMITS.queued_bytes_before_open_max
    ) {
      this.explain(new ConcordError('RATE_LIMITED', 'Too much was sent before the connection was open.'));
      return this.close(CLOSE.OVERLOADED, 'too much was sent before the connection was open');
    }
    early.frames.push(frame);
  }

  /** It is over; the member leaves its document. Returns the frames that nobody has taken. */
  end(): readonly Frame[] {
    const state = this.#state;
    if (state.kind === 'closed') return NOTHING;
    this.#state = { kind: 'closed' };
    this.parts.hub.remove(this);
    if (state.kind !== 'opening') state.document.push({ kind: 'leave', member: state.member });
    if (state.kind === 'open') return NOTHING;
    this.#waiting.bytes -= state.early.bytes;
    return state.early.frames;
  }

  /** Closes from our side. */
  close(code: CloseCode, reason: string): void {
    if (this.#state.kind !== 'closed') this.hangUp(code, reason, this.end());
  }

  /** The rights of this user on this document may have changed. */
  rightsChanged(_user_id: string, _role: Role | null): void {
    this.#rights_changed = true;
  }

  /** Tells the client that it is over, on the wire; `unheard` are the frames that nobody has taken. */
  protected abstract hangUp(code: CloseCode, reason: string, unheard: readonly Frame[]): void;

  /** Tells the client why it is refused, on wires that can. */
  protected abstract explain(error: ConcordError): void;

  /** Makes the member to join with. Throws VALIDATION_ERROR when the upgrade asked for something that makes no sense. */
  protected abstract join(identity: Identity): JoinRequest;

  /** Takes one frame of an open connection. */
  protected abstract take(frame: Frame, member: Member): void;

  /** Takes frames that had to wait, in order. */
  protected resume(frames: readonly Frame[]): void {
    for (const frame of frames) this.receive(frame);
  }

  /** Hands an entry to the document; a document that moved on closes the connection, and the client comes back. */
  protected push(entry: DoorEntry): void {
    if (this.#state.kind !== 'open') return;
    if (!this.#state.document.push(entry)) this.close(CLOSE.RESTART, 'the document moved; reconnect');
  }

  /** Counts a frame that a client should not have sent. */
  protected countRefused(reason: string): void {
    this.parts.metrics.frames_refused.inc({ door: this.door, reason });
  }

  /** Takes a fresh token in place of the one that it came with; answers why not. */
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
    const { visit } = this.hello;
    if (visit?.admitted === false) throw tooOften(1);
    if (!isUuid(this.hello.doc_id)) throw new ConcordError('NOT_FOUND', 'The document id is not a UUID.');
    if (this.hello.token === null) throw new ConcordError('UNAUTHENTICATED');
    const result = await this.parts.authenticate(this.hello.token);
    if (!result.ok) throw new ConcordError(result.code);
    const { caller } = result;
    visit?.known(caller.user_id);
    this.parts.hub.moved(this, () => {
      this.#caller = caller;
    });
    let [identity, refusal] = await Promise.all([this.#identify(caller), this.parts.limits?.join(caller.user_id)]);
    if (refusal) throw refusal;
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
    this.#waiting.bytes -= state.early.bytes;
    this.resume(state.early.frames);
  }

  async #identify(caller: Caller): Promise<Identity> {
    const found = await findMember(this.parts.sql, this.doc_id, caller.user_id);
    if (found === null || found.deleted) throw new ConcordError('NOT_FOUND', 'There is no such document.');
    return { caller, role: found.role, display_name: found.display_name };
  }

  #refuse(error: unknown): void {
    if (this.#state.kind === 'closed') return;
    if (!(error instanceof ConcordError) && !isStorageAway(error)) {
      this.log.error({ error }, 'a connection to a document could not be opened');
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
}

function isUnavailable(error: unknown): boolean {
  return error instanceof ConcordError ? error.code === 'UNAVAILABLE' : isStorageAway(error);
}

/** The close code that says what an error's holder should do. */
export function closeCodeOf(error: ConcordError): CloseCode {
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
