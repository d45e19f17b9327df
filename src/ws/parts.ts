/** What doors are made of and told, whichever wire they speak. */
import type { ServerWebSocket } from 'bun';
import type { DocumentFinder } from '../actors/handle.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Random } from '../base/random.ts';
import type { AuthResult, Caller } from '../domain/tokens.ts';
import type { Role } from '../protocol/messages.ts';
import type { Database } from '../store/postgres.ts';
import type { SocketHub } from './hub.ts';
import type { NamedTopics } from './named-topics.ts';
import type { SocketLimits, Visit } from './socket-limits.ts';

/** What a door needs of the node. */
export interface DoorParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly sql: Database;
  readonly documents: DocumentFinder;
  readonly hub: SocketHub;
  /** The names that documents have on Hocuspocus sockets. */
  readonly names: NamedTopics;
  /** Origins whose pages may connect, besides our own. */
  readonly cors_origins: readonly string[];
  /** Null when limits are off. */
  readonly limits: SocketLimits | null;
  authenticate(token: string): Promise<AuthResult>;
  reportError(error: unknown, context: Readonly<Record<string, string>>): void;
}

/** What somebody said who wants a document. */
export interface Hello {
  readonly doc_id: string;
  readonly token: string | null;
  /** Query parameters of the upgrade. */
  readonly query: URLSearchParams;
  readonly request_id: string;
  /** What the socket may ask of the node; null when limits are off. */
  readonly visit: Visit | null;
}

/** Who is there and what they may do. */
export interface Identity {
  readonly caller: Caller;
  readonly role: Role;
  readonly display_name: string;
}

export type Frame = string | Uint8Array;

/** What a socket's events go to. */
export interface SocketHandler {
  /** The socket is open. */
  begin(): void;
  /** Takes a frame. */
  receive(frame: Frame): void;
  /** Does not take a frame, because it is over a limit; with `last` the socket has to go. */
  overLimit(frame: Frame, last: boolean): void;
  /** The socket is gone. */
  gone(): void;
}

/** Hangs on every socket. */
export interface SocketData {
  readonly hello: Hello;
  /** Set when the socket opens. */
  handler: SocketHandler | null;
  readonly makeHandler: (socket: ServerWebSocket<SocketData>, hello: Hello) => SocketHandler;
}
