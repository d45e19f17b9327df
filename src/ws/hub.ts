/**
 * All sockets of this node, by session and by document, so that what changes elsewhere reaches them: a role, a deleted
 * document, a session that ended, a token whose time is up.
 */
import type { Signal } from '../actors/gateway.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { Caller } from '../domain/tokens.ts';
import { CLOSE, type CloseCode } from '../protocol/close.ts';
import { TIMES } from '../protocol/limits.ts';
import type { Role } from '../protocol/messages.ts';

/** How often tokens and backlogs are looked at. */
const SWEEP_MS = 1_000;
/** How long an ended session is remembered for sockets whose token was being looked up at that moment. */
const ENDED_KEPT_MS = 30_000;

/** A socket, as the hub sees it. */
export interface WatchedSocket {
  readonly doc_id: string;
  /** Null until the token was checked. */
  readonly caller: Caller | null;
  rightsChanged(): void;
  keepAlive(): void;
  checkBacklog(): void;
  close(code: CloseCode, reason: string): void;
}

/** The documents that sockets are on, as far as they need to hear of signals. */
export interface OpenDocuments {
  role(doc_id: string, user_id: string, role: Role | null): void;
  deleted(doc_id: string): void;
}

/** See the head of this file. */
export class SocketHub {
  readonly #all = new Set<WatchedSocket>();
  readonly #by_login = new Map<string, Set<WatchedSocket>>();
  readonly #by_document = new Map<string, Set<WatchedSocket>>();
  /** Sessions that ended a moment ago, and when. */
  readonly #ended = new Map<string, number>();
  readonly #timers: Timer[];

  constructor(
    private readonly clock: Clock,
    private readonly documents: OpenDocuments,
  ) {
    this.#timers = [
      clock.every(SWEEP_MS, () => this.#sweep()),
      clock.every(TIMES.keep_alive_ms, () => {
        for (const session of this.#all) session.keepAlive();
      }),
    ];
  }

  /** How many sockets there are. */
  get size(): number {
    return this.#all.size;
  }

  /** All of them, to look at. */
  get members(): Iterable<WatchedSocket> {
    return this.#all;
  }

  /** Takes a socket in; its user is not known yet. */
  add(session: WatchedSocket): void {
    this.#all.add(session);
    put(this.#by_document, session.doc_id, session);
  }

  /** Lets a socket go. */
  remove(session: WatchedSocket): void {
    this.#all.delete(session);
    drop(this.#by_document, session.doc_id, session);
    if (session.caller !== null) drop(this.#by_login, session.caller.session_id, session);
  }

  /** The socket's caller changes by `change`. */
  moved(session: WatchedSocket, change: () => void): void {
    if (session.caller !== null) drop(this.#by_login, session.caller.session_id, session);
    change();
    if (session.caller === null || !this.#all.has(session)) return;
    put(this.#by_login, session.caller.session_id, session);
    if (this.#ended.has(session.caller.session_id)) session.close(CLOSE.UNAUTHENTICATED, 'signed out');
  }

  /** Acts on what changed. */
  signal(signal: Signal): void {
    switch (signal.type) {
      case 'role': {
        for (const session of this.#by_document.get(signal.doc_id) ?? []) session.rightsChanged();
        this.documents.role(signal.doc_id, signal.user_id, signal.role);
        return;
      }
      case 'document_deleted': {
        for (const session of [...(this.#by_document.get(signal.doc_id) ?? [])])
          session.close(CLOSE.NOT_FOUND, 'the document was deleted');
        this.documents.deleted(signal.doc_id);
        return;
      }
      case 'session_ended': {
        this.#ended.set(signal.session_id, this.clock.now());
        for (const session of [...(this.#by_login.get(signal.session_id) ?? [])])
          session.close(CLOSE.UNAUTHENTICATED, 'signed out');
        return;
      }
    }
  }

  /**
   * Closes every socket, spread over `spread_ms` so that the clients do not all come back in the same moment.
   * Resolves when the last was told.
   */
  async closeAll(spread_ms: number): Promise<void> {
    const sessions = [...this.#all];
    const steps = Math.min(sessions.length, 20);
    for (let step = 0; step < steps; step++) {
      for (let i = step; i < sessions.length; i += steps)
        sessions[i]?.close(CLOSE.RESTART, 'the node is restarting; reconnect');
      if (step < steps - 1) await new Promise<void>((resolve) => this.clock.after(spread_ms / steps, resolve));
    }
  }

  /** Stops its timers. */
  stop(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  #sweep(): void {
    const now = this.clock.now();
    for (const session of [...this.#all]) {
      if (session.caller !== null && session.caller.expires_at <= now / 1000)
        session.close(CLOSE.UNAUTHENTICATED, 'the token has expired');
      else session.checkBacklog();
    }
    for (const [session_id, ended_at] of this.#ended)
      if (now - ended_at > ENDED_KEPT_MS) this.#ended.delete(session_id);
  }
}

function put(map: Map<string, Set<WatchedSocket>>, key: string, session: WatchedSocket): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([session]));
  else set.add(session);
}

function drop(map: Map<string, Set<WatchedSocket>>, key: string, session: WatchedSocket): void {
  const set = map.get(key);
  set?.delete(session);
  if (set?.size === 0) map.delete(key);
}
