/**
 * The JSON door, CONTRACT.md section 3: plain objects in text frames, for editors and programs that know deltas.
 *
 * A frame that is not JSON ends the connection; a message of unknown type or shape gets an `error` and the connection
 * stays, so that a newer client can try something on an older server.
 */
import type { ServerWebSocket } from 'bun';
import type { ResumePoint } from '../actors/entries.ts';
import type { JoinRequest } from '../actors/handle.ts';
import { type JsonMember, type Member, nextMemberId } from '../actors/member.ts';
import { isUuid } from '../base/ids.ts';
import { tooOften } from '../domain/rate-limits.ts';
import { textIssue } from '../protocol/check.ts';
import { CLOSE, type CloseCode } from '../protocol/close.ts';
import { type DeltaOps, parseDelta } from '../protocol/content/delta.ts';
import { ConcordError, errorBody, invalid, invalidField } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import { type ClientMessage, type PresenceState, readClientMessage } from '../protocol/messages.ts';
import type { DoorParts, Frame, Hello, Identity, SocketData } from './parts.ts';
import { Session } from './session.ts';
import { topics } from './topics.ts';

/** See the head of this file. */
export class JsonSession extends Session {
  readonly door = 'json';
  readonly #opened_at = this.parts.clock.monotonic();
  #renewals: Promise<void> = Promise.resolve();
  #renewals_waiting = 0;

  static readonly make = (parts: DoorParts) => (socket: ServerWebSocket<SocketData>, hello: Hello) =>
    new JsonSession(socket, hello, parts);

  keepAlive(): void {
    // WebSocket pings do it: any client of this door answers them without knowing.
  }

  protected explain(error: ConcordError, seq: number | null = null): void {
    const { code, message, details } = errorBody(error).error;
    this.socket.sendText(
      JSON.stringify({
        type: 'error',
        code,
        message,
        ...(details === undefined ? {} : { details }),
        ...(seq === null ? {} : { seq }),
      }),
    );
  }

  protected join(identity: Identity): JoinRequest {
    const { query } = this.hello;
    const named = query.get('client_id');
    if (named !== null && !isUuid(named)) throw invalidField('/client_id', 'is not a UUID');
    const client_id = named === null ? this.parts.random.id() : named.toLowerCase();
    return { member: this.#member(identity, client_id), named: named !== null, point: readPoint(query) };
  }

  /** A client whose edit was not taken may send it again, under the same seq. */
  override overLimit(frame: Frame, last: boolean): void {
    const error = tooOften(1);
    if (!last && typeof frame === 'string' && frame.length <= LIMITS.json_frame_bytes_max)
      return this.#complain('rate', error, seqIn(frame));
    this.explain(error);
    super.overLimit(frame, last);
  }

  protected take(frame: string | Uint8Array, member: Member): void {
    if (typeof frame !== 'string') return this.#end('binary', CLOSE.MALFORMED, 'is binary; this door speaks JSON text');
    if (frame.length > LIMITS.json_frame_bytes_max || Buffer.byteLength(frame) > LIMITS.json_frame_bytes_max)
      return this.#end('too_large', CLOSE.TOO_LARGE, `is larger than ${LIMITS.json_frame_bytes_max} bytes`);
    let value: unknown;
    try {
      value = JSON.parse(frame);
    } catch {
      return this.#end('not_json', CLOSE.MALFORMED, 'is not JSON');
    }
    const read = readClientMessage(value);
    if (read.ok) this.#message(read.message, member as JsonMember);
    else this.#complain('shape', invalid(read.issues), read.seq);
  }

  #message(message: ClientMessage, member: JsonMember): void {
    if ('doc_id' in message && message.doc_id !== undefined && message.doc_id.toLowerCase() !== this.doc_id)
      return this.#complain(
        'other_document',
        invalidField('/doc_id', 'is not the document of this connection'),
        seqOf(message),
      );
    if ('user_id' in message && message.user_id !== undefined && message.user_id.toLowerCase() !== member.user_id)
      return this.#complain('other_user', new ConcordError('FORBIDDEN', 'user_id is not yours.'), seqOf(message));
    switch (message.type) {
      case 'edit':
        return this.#edit(message, member);
      case 'presence':
        return this.#presence(message.state, member);
      case 'auth':
        return this.#auth(message.token);
      case 'ping':
        this.socket.sendText('{"type":"pong"}');
        return;
    }
  }

  #edit(message: ClientMessage & { readonly type: 'edit' }, member: JsonMember): void {
    const { seq } = message;
    const parsed = parseDelta(message.changes.delta);
    if (!parsed.ok) return this.#complain('delta', invalidField(`/changes/delta${parsed.path}`, parsed.message), seq);
    const { user_id, client_id } = member;
    const delta = parsed.delta.ops as DeltaOps;
    this.push({
      kind: 'edit',
      author: member,
      edit: { user_id, client_id, seq, base_rev: message.changes.base_rev, delta, door: 'json' },
      outcome: {
        // Everybody hears of a new edit, its author included; of a resend only the author.
        applied: (_rev, event, duplicate) => {
          if (duplicate) this.socket.sendText(event);
        },
        refused: (error) => this.#complain('edit', error, seq),
      },
    });
  }

  #presence(state: PresenceState, member: JsonMember): void {
    // Depth first: encoding what is nested without measure would run out of stack.
    const flaw = textIssue(state);
    if (flaw !== null) return this.#complain('presence', invalidField(`/state${flaw.path}`, flaw.message));
    if (Buffer.byteLength(JSON.stringify(state)) > LIMITS.presence_state_bytes_max)
      return this.#complain(
        'presence',
        invalidField('/state', `is larger than ${LIMITS.presence_state_bytes_max} bytes`),
      );
    this.push({ kind: 'presence', member, state });
  }

  /** Fresh tokens are looked at one after the other, so that the last one sent is the one that counts. */
  #auth(token: string): void {
    if (this.#renewals_waiting >= LIMITS.auth_messages_waiting_max)
      return this.#complain('auth', new ConcordError('RATE_LIMITED', 'Too many tokens at once.', undefined, 1));
    this.#renewals_waiting += 1;
    this.#renewals = this.#renewals
      .then(() => this.#renew(token))
      .finally(() => {
        this.#renewals_waiting -= 1;
      });
  }

  async #renew(token: string): Promise<void> {
    try {
      const refusal = await this.renew(token);
      if (refusal !== null) this.#complain('auth', refusal);
    } catch (error) {
      this.log.warn({ error }, 'a fresh token could not be checked');
      this.#complain('auth', new ConcordError('UNAVAILABLE'));
    }
  }

  /** Says what is wrong with a frame, and closes. */
  #end(reason: string, code: CloseCode, flaw: string): void {
    this.explain(
      new ConcordError(code === CLOSE.TOO_LARGE ? 'PAYLOAD_TOO_LARGE' : 'VALIDATION_ERROR', `The frame ${flaw}.`),
    );
    this.refuseFrame(reason, code, `a frame ${flaw}`);
  }

  #complain(reason: string, error: ConcordError, seq: number | null = null): void {
    this.parts.metrics.frames_refused.inc({ door: this.door, reason });
    this.explain(error, seq);
  }

  #member(identity: Identity, client_id: string): JsonMember {
    const { socket, doc_id } = this;
    return {
      wire: 'json',
      opened_at: this.#opened_at,
      member_id: nextMemberId(),
      place: 'here',
      user_id: identity.caller.user_id,
      display_name: identity.display_name,
      client_id,
      role: identity.role,
      subscribe: () => {
        socket.subscribe(topics.json(doc_id));
        this.joined();
      },
      send: (text) => {
        socket.sendText(text);
      },
      close: (code, reason) => this.close(code, reason),
    };
  }
}

/** The seq of the edit that a frame holds. */
function seqIn(frame: string): number | null {
  try {
    const read = readClientMessage(JSON.parse(frame));
    return read.ok ? seqOf(read.message) : read.seq;
  } catch {
    return null;
  }
}

function seqOf(message: ClientMessage): number | null {
  return message.type === 'edit' ? message.seq : null;
}

/** Where a returning client stopped; null when it says nothing, or half of it. */
function readPoint(query: URLSearchParams): ResumePoint | null {
  const epoch = query.get('epoch');
  const rev = query.get('rev');
  if (epoch === null || rev === null) return null;
  for (const [name, text] of [
    ['epoch', epoch],
    ['rev', rev],
  ] as const)
    if (!/^\d{1,15}$/.test(text)) throw invalidField(`/${name}`, 'must be a whole number');
  return { epoch: Number(epoch), rev: Number(rev) };
}
