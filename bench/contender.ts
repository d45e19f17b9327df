/**
 * What the benchmark compares: servers that are started alike, and clients that speak each server's own wire.
 *
 * A client here is a socket and a few counters, no `Y.Doc`: what an editor would do with the frames is the same whoever
 * sent them, and would cost the driver more than the server spends. Frames are kept and merged after the clock stopped;
 * then every replica must equal every other.
 */

/** Processor time that processes have used since they began, in milliseconds. */
export interface CpuTimes {
  /** The server itself: for peers everything they run. */
  readonly server_ms: number;
  /** PostgreSQL and Redis, where the server leans on them. */
  readonly stores_ms: number;
}

/** A server under test. */
export interface RunningServer {
  /** Where its clients connect, such as `ws://127.0.0.1:1234`. */
  readonly url: string;
  cpu(): CpuTimes;
  /** Resident memory of the server's processes, in bytes, after a garbage collection where the server can be asked for one. */
  rss(): Promise<number>;
  /** Makes a document, with this Yjs state if there is one, and returns the name that {@link YjsContender.connect} takes. */
  createDocument(state?: Uint8Array): Promise<string>;
  /**
   * Ends the server's process and starts it on the same data: nothing is open. Documents are as their storage has them,
   * which for the peers is what {@link createDocument} was given.
   */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** What a client tells of, each with `performance.now()` of the frame it came in. */
export interface ClientEvents {
  /** A frame that carries document updates arrived: Yjs updates, or JSON operations of others. */
  onUpdates?(updates: readonly Uint8Array[], at: number): void;
  /** A frame that carries awareness or presence arrived; `frame` is what it holds, in the wire's own form. */
  onPresence?(frame: Uint8Array | string, at: number): void;
  /** The socket is open and authenticated where that is needed, and the question for the first state was sent. */
  onAsked?(at: number): void;
  /** The server confirmed this many edits of this client in all. */
  onConfirmed?(edits: number, at: number): void;
}

/** One socket on one document, synced. */
export interface YjsClient {
  /** The clientID that its own updates and awareness carry. */
  readonly client_id: number;
  /** Sends one edit, a Yjs update, in a frame of its own. */
  sendUpdate(update: Uint8Array): void;
  /** Sends the client's awareness state in a frame of its own. */
  sendPresence(state: object): void;
  /** Every update received so far, the first state included, in order. Some servers send the client its own edits too. */
  readonly received: readonly Uint8Array[];
  /** Bytes received so far, WebSocket payloads only. */
  readonly bytes_in: number;
  /** How many times the server sent a whole answer to the client's first question (sync step 2). */
  readonly states_in: number;
  /** Resolves when the socket is closed. Rejects when that had happened before, or the server had refused something. */
  close(): Promise<void>;
}

/** Options of one connection. */
export interface ConnectOptions extends ClientEvents {
  readonly client_id: number;
  /** False: updates are counted, not kept (for crowds whose members are checked by sample). Default true. */
  readonly keep?: boolean;
}

/** A server that may be started. */
export interface YjsContender {
  /** Such as `concord`, `hocuspocus on bun`. */
  readonly name: string;
  readonly wire: 'yjs';
  /** What its confirmation of an edit means, in words for the page: on disk, taken in, seen. */
  readonly confirms: string;
  start(): Promise<RunningServer>;
  /** Connects, authenticates where that is needed, and resolves once the first state is here. */
  connect(server: RunningServer, document: string, options: ConnectOptions): Promise<YjsClient>;
}

/** One client of a JSON document: one edit in flight, as both protocols have it. */
export interface JsonClient {
  /** Inserts `text` at the start; resolves when the server confirmed it (on disk for ours). */
  insertAtStart(text: string): Promise<void>;
  /** The text as this client has it, once nothing is in flight, `edits` edits of everybody arrived and, where the server says, are on disk. */
  settled(edits: number): Promise<string>;
  close(): Promise<void>;
}

/** See {@link YjsContender}. */
export interface JsonContender {
  readonly name: string;
  readonly wire: 'json';
  readonly confirms: string;
  start(): Promise<RunningServer>;
  connect(server: RunningServer, document: string): Promise<JsonClient>;
}

/** One figure of one run. */
export interface Figure {
  /** What is measured, such as `edits/s`. */
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  /** Which way is good. */
  readonly better: 'more' | 'less';
}

/** A scenario: one run of it against one contender. Throws when replicas differ, or anything is missing. */
export interface Scenario<C = YjsContender> {
  /** Such as `hot-50`; what `--only=` names. */
  readonly name: string;
  /** One sentence for the page. */
  readonly what: string;
  run(contender: C, size: 'full' | 'quick'): Promise<readonly Figure[]>;
}
