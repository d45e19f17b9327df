/**
 * All sockets of this node, and all who are on a document through them, by session and by document, so that what changes
 * elsewhere reaches them: a role, a deleted document, a session that ended, a token whose time is up.
 */
import type { Signal } from '../actors/gateway.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { Caller } from '../domain/tokens.ts';
import { CLOSE, type CloseCode } from '../protocol/close.ts';
import { TIMES } from '../protocol/limits.ts';
import type { Role } from '../protocol/messages.ts';
import { SlowReaders } from './slow-readers.ts';

/** How often tokens and backlogs are looked at. */
const SWEEP_MS = 1_000;
/** How long an ended session is remembered for sockets whose token was being looked up at that moment. */
const ENDED_KEPT_MS = 30_000;

/** A socket, as the hub sees it. */
export interface WatchedSocket {
  /** Bytes that wait to be sent. */
  readonly unsent: number;
  keepAlive(): void;
  /** Looks whether the socket may stay open, if that depends on more than its reading. */
  sweep?(): void;
  close(code: CloseCode, reason: string): void;
  /** Ends the line without a word; nothing that waits is sent. */
  cut(): void;
}

/** Somebody's connection on a document, as the hub sees it. A socket has one, or on the Hocuspocus door any number. */
export interface WatchedMember {
  readonly doc_id: string;
  /** Null until the token was checked. */
  readonly caller: Caller | null;
  /** This user has another role on the document now, or with null none. */
  rightsChanged(user_id: string, role: Role | null): void;
  close(code: CloseCode, reason: string): void;
}

/** The documents that sockets are on, as far as they need to hear of signals. */
export interface OpenDocuments {
  role(doc_id: string, user_id: string, role: Role | null): void;
  deleted(doc_id: string): void;
}

/** See the head of this file. */
export class SocketHub {
  readonly #sockets = new Set<WatchedSocket>();
  readonly #members = new Set<WatchedMember>();
  readonly #by_login = new Map<string, Set<WatchedMember>>();
  readonly #by_document = new Map<string, Set<WatchedMember>>();
  /** Sessions that ended a moment ago, and when. */
  readonly #ended = new Map<string, number>();
  readonly #slow_readers = new SlowReaders<WatchedSocket>();
  readonly #timers: Timer[];

  constructor(
    private readonly clock: Clock,
    private readonly documents: OpenDocuments,
  ) {
    this.#timers = [
      clock.every(SWEEP_MS, () => this.#sweep()),
      clock.every(TIMES.keep_alive_ms, () => {
        for (const socket of this.#sockets) socket.keepAlive();
      }),
    ];
  }

  /** How many sockets there are. */
  get size(): number {
    return this.#sockets.size;
  }

  /** All who are on a document, to look at. */
  get members(): Iterable<WatchedMember> {
    return this.#members;
  }

  /** Takes a socket in. */
  addSocket(socket: WatchedSocket): void {
    this.#sockets.add(socket);
  }

  /** Lets a socket go; its members are let go one by one. */
  removeSocket(socket: WatchedSocket): void {
    this.#sockets.delete(socket);
  }

  /** Takes a member in; its user is not known yet. */
  add(member: WatchedMember): void {
    this.#members.add(member);
    put(this.#by_document, member.doc_id, member);
  }

  /** Lets a member go. */
  remove(member: WatchedMember): void {
    this.#members.delete(member);
    drop(this.#by_document, member.doc_id, member);
    if (member.caller !== null) drop(this.#by_login, member.caller.session_id, member);
  }

  /** The member's caller changes by `change`. */
  moved(member: WatchedMember, change: () => void): void {
    if (member.caller !== null) drop(this.#by_login, member.caller.session_id, member);
    change();
    if (member.caller === null || !this.#members.has(member)) return;
    put(this.#by_login, member.caller.session_id, member);
    if (this.#ended.has(member.caller.session_id)) member.close(CLOSE.UNAUTHENTICATED, 'signed out');
  }

  /** Acts on what changed. */
  signal(signal: Signal): void {
    switch (signal.type) {
      case 'role': {
        for (const member of this.#by_document.get(signal.doc_id) ?? [])
          member.rightsChanged(signal.user_id, signal.role);
        this.documents.role(signal.doc_id, signal.user_id, signal.role);
        return;
      }
      case 'document_deleted': {
        for (const member of [...(this.#by_document.get(signal.doc_id) ?? [])])
          member.close(CLOSE.NOT_FOUND, 'the document was deleted');
        this.documents.deleted(signal.doc_id);
        return;
      }
      case 'session_ended': {
        this.#ended.set(signal.session_id, this.clock.now());
        for (const member of [...(this.#by_login.get(signal.session_id) ?? [])])
          member.close(CLOSE.UNAUTHENTICATED, 'signed out');
        return;
      }
    }
  }

  /**
   * Closes every socket, spread over `spread_ms` so that the clients do not all come back in the same moment.
   * Resolves when the last was told.
   */
  async closeAll(spread_ms: number): Promise<void> {
    const sockets = [...this.#sockets];
    const steps = Math.min(sockets.length, 20);
    for (let step = 0; step < steps; step++) {
      for (let i = step; i < sockets.length; i += steps)
        sockets[i]?.close(CLOSE.RESTART, 'the node is restarting; reconnect');
      if (step < steps - 1) await new Promise<void>((resolve) => this.clock.after(spread_ms / steps, resolve));
    }
  }

  /** Stops its timers. */
  stop(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  #sweep(): void {
    const now = this.clock.now();
    for (const member of [...this.#members])
      if (member.caller !== null && member.caller.expires_at <= now / 1000)
        member.close(CLOSE.UNAUTHENTICATED, 'the token has expired');
    for (const socket of [...this.#sockets]) socket.sweep?.();
    const { slow, surplus } = this.#slow_readers.look(this.#sockets, now);
    for (const socket of slow) socket.close(CLOSE.OVERLOADED, 'too slow a reader; back off and come again');
    for (const socket of surplus) socket.cut();
    for (const [session_id, ended_at] of this.#ended)
      if (now - ended_at > ENDED_KEPT_MS) this.#ended.delete(session_id);
  }
}

function put(map: Map<string, Set<WatchedMember>>, key: string, member: WatchedMember): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([member]));
  else set.add(member);
}

function drop(map: Map<string, Set<WatchedMember>>, key: string, member: WatchedMember): void {
  const set = map.get(key);
  set?.delete(member);
  if (set?.size === 0) map.delete(key);
}
