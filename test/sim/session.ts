/**
 * A socket on a node, as src/ws has it, without what the simulation has no use for: who the client is, is believed. It
 * finds the document, joins, and hands frames on; frames that come before it has joined wait.
 */
import type { DoorEntry } from '../../src/actors/entries.ts';
import type { DocumentFinder, DocumentHandle } from '../../src/actors/handle.ts';
import { type Fanout, type JsonMember, type Member, nextMemberId, type YjsMember } from '../../src/actors/member.ts';
import type { Clock, Timer } from '../../src/base/clock.ts';
import { CLOSE } from '../../src/protocol/close.ts';
import type { DeltaOps } from '../../src/protocol/content/delta.ts';
import { ConcordError, errorBody } from '../../src/protocol/errors.ts';
import { TIMES } from '../../src/protocol/limits.ts';
import { awarenessFrame, readYjsFrame } from '../../src/protocol/yjs-wire.ts';
import type { End, Frame, Line } from './line.ts';

/** What a client says when it connects. */
export interface Hello {
  readonly wire: 'json' | 'yjs';
  readonly doc_id: string;
  readonly user_id: string;
  readonly client_id: string;
  readonly point: { readonly epoch: number; readonly rev: number } | null;
}

/** What a session needs of its node. */
export interface SessionParts {
  readonly documents: DocumentFinder;
  readonly rooms: Rooms;
  readonly clock: Clock;
  /** The session is over. */
  over(session: Session): void;
  /** Something was thrown that should not have been. */
  bug(error: unknown): void;
}

/** Who of this node hears what is fanned out for a document. */
export class Rooms {
  readonly #rooms = new Map<string, Set<Session>>();

  enter(topic: string, session: Session): void {
    const room = this.#rooms.get(topic);
    if (room === undefined) this.#rooms.set(topic, new Set([session]));
    else room.add(session);
  }

  leave(session: Session): void {
    for (const room of this.#rooms.values()) room.delete(session);
  }

  /** The fan-out to this node's sockets. */
  fanout(remote: Fanout['remote']): Fanout {
    const publish = (topic: string, frame: Frame, except: Member | null): void => {
      for (const session of this.#rooms.get(topic) ?? []) if (session.member !== except) session.send(frame);
    };
    return {
      yjs: (doc_id, frame, except) => publish(`y:${doc_id}`, frame, except),
      acks: (doc_id, frame) => publish(`y:${doc_id}`, frame, null),
      json: (doc_id, text) => publish(`j:${doc_id}`, text, null),
      remote,
    };
  }
}

/** See the head of this file. */
export class Session implements End {
  member: Member | null = null;
  #document: DocumentHandle | null = null;
  #early: Frame[] | null = [];
  #closed = false;
  readonly #opened_at: number;
  readonly #keep_alive: Timer | null;

  constructor(
    readonly hello: Hello,
    private readonly line: Line,
    private readonly parts: SessionParts,
  ) {
    this.#opened_at = parts.clock.monotonic();
    // A provider that hears nothing takes the line for dead; the JSON client asks by itself.
    this.#keep_alive =
      hello.wire === 'yjs' ? parts.clock.every(TIMES.keep_alive_ms, () => this.send(awarenessFrame([]))) : null;
    this.#open().catch((error: unknown) => this.#refuse(error));
  }

  receive(frame: Frame): void {
    if (this.#closed) return;
    if (this.#early !== null) this.#early.push(frame);
    else this.#take(frame);
  }

  closed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#keep_alive?.cancel();
    this.parts.rooms.leave(this);
    this.parts.over(this);
    if (this.member !== null) this.#document?.push({ kind: 'leave', member: this.member });
  }

  send(frame: Frame): void {
    if (!this.#closed) this.line.fromServer(typeof frame === 'string' ? frame : frame.slice());
  }

  close(code: number, reason: string): void {
    if (this.#closed) return;
    this.closed();
    this.line.closeFromServer(code, reason);
  }

  async #open(): Promise<void> {
    const { doc_id, point } = this.hello;
    while (!this.#closed && this.#document === null) {
      const document = await this.parts.documents.find(doc_id);
      const entry = await document.prepareJoin({ member: this.#member(), named: true, point });
      if (this.#closed) return;
      if (!document.push(entry)) continue;
      this.#document = document;
      this.member = entry.member;
    }
  }

  #refuse(error: unknown): void {
    if (!(error instanceof ConcordError)) this.parts.bug(error);
    const told = error instanceof ConcordError ? error : new ConcordError('INTERNAL');
    this.#explain(told);
    this.close(told.retry_after_s === 1 ? CLOSE.RESTART : CLOSE.OVERLOADED, told.message);
  }

  #explain(error: ConcordError, seq?: number): void {
    if (this.hello.wire === 'json') this.send(JSON.stringify({ type: 'error', ...errorBody(error).error, seq }));
  }

  #joined(topic: string): void {
    this.parts.rooms.enter(topic, this);
    const early = this.#early ?? [];
    this.#early = null;
    for (const frame of early) this.receive(frame);
  }

  #take(frame: Frame): void {
    if (typeof frame === 'string') this.#json(JSON.parse(frame), this.member as JsonMember);
    else this.#yjs(frame, this.member as YjsMember);
  }

  #json(
    message: { type: string; seq: number; changes: { base_rev: number; delta: DeltaOps } },
    member: JsonMember,
  ): void {
    if (message.type === 'ping') return this.send('{"type":"pong"}');
    if (message.type !== 'edit') return;
    const { user_id, client_id } = member;
    const { seq, changes } = message;
    this.#push({
      kind: 'edit',
      author: member,
      edit: { user_id, client_id, seq, base_rev: changes.base_rev, delta: changes.delta, door: 'json' },
      outcome: {
        applied: (_rev, event, duplicate) => {
          if (duplicate) this.send(event);
        },
        refused: (error) => this.#explain(error, seq),
      },
    });
  }

  #yjs(frame: Uint8Array, member: YjsMember): void {
    const read = readYjsFrame(frame, 100);
    if (read.kind === 'step1') this.#push({ kind: 'sync', member, state_vector: read.state_vector });
    if (read.kind === 'update') this.#push({ kind: 'update', member, update: read.update, whole: read.whole });
  }

  #push(entry: DoorEntry): void {
    if (!this.#document?.push(entry)) this.close(CLOSE.RESTART, 'the document moved; reconnect');
  }

  #member(): Member {
    const { wire, doc_id, user_id, client_id } = this.hello;
    const base = {
      member_id: nextMemberId(),
      place: 'here' as const,
      user_id,
      display_name: 'Ada',
      client_id,
      role: 'editor' as const,
      send: (frame: Frame) => this.send(frame),
      close: (code: number, reason: string) => this.close(code, reason),
    };
    if (wire === 'json')
      return { ...base, wire, opened_at: this.#opened_at, subscribe: () => this.#joined(`j:${doc_id}`) };
    return { ...base, wire, door: 'yjs', acks: true, subscribe: () => this.#joined(`y:${doc_id}`) };
  }
}
