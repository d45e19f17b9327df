/**
 * Clients for tests, on real sockets: one that speaks JSON, one that sees every frame of the Yjs wire. They keep all that
 * arrives and wait for what a test names, never for time to pass.
 */
import * as decoding from 'lib0/decoding';
import * as Y from 'yjs';
import type { DeltaOps } from '../../src/protocol/content/delta.ts';
import type { EditEvent, ReadyEvent, ServerEvent } from '../../src/protocol/messages.ts';
import { TEXT_ROOT } from '../../src/protocol/snapshot.ts';
import {
  type AwarenessEntry,
  awarenessFrame,
  MESSAGE,
  readAwareness,
  SYNC,
  step1Frame,
  step2Frame,
  updateFrame,
} from '../../src/protocol/yjs-wire.ts';
import { Arrivals, type Closed, connect, type OpenOptions, sendFrame, type Who } from './arrivals.ts';
import type { TestServer } from './server.ts';

/** An `error` event. */
export interface ErrorEvent {
  readonly type: 'error';
  readonly code: string;
  readonly message: string;
  readonly details?: unknown;
  readonly seq?: number;
}

/** Whatever the JSON door sends. */
export type JsonEvent = ServerEvent | ErrorEvent | { readonly type: 'pong' };

type EventOf<T extends JsonEvent['type']> = Extract<JsonEvent, { readonly type: T }>;

/** A client of the JSON door that does as it is told; it numbers its edits and rebases nothing. */
export class JsonClient {
  /** Settles when the socket has closed, from whichever side. */
  readonly closed: Promise<Closed>;
  readonly socket: WebSocket;
  readonly #arrivals = new Arrivals<JsonEvent>();
  #seq = 0;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.onmessage = ({ data }) => this.#arrivals.add(JSON.parse(data as string) as JsonEvent);
    this.closed = new Promise((resolve) => {
      socket.onclose = ({ code, reason }) => {
        this.#arrivals.end({ code, reason });
        resolve({ code, reason });
      };
    });
  }

  /** Connects; `doc_id` goes into the address as it is. */
  static open(server: TestServer, doc_id: string, who: Who, options: OpenOptions = {}): JsonClient {
    return new JsonClient(connect(server, `/v1/collab/${doc_id}`, who, options));
  }

  /** Connects and waits for `ready`. */
  static async join(server: TestServer, doc_id: string, who: Who, options: OpenOptions = {}): Promise<JsonClient> {
    const client = JsonClient.open(server, doc_id, who, options);
    const ready = await client.take('ready');
    client.#seq = ready.last_seq;
    return client;
  }

  /** All that came, oldest first. */
  get events(): readonly JsonEvent[] {
    return this.#arrivals.all;
  }

  /** The `ready` that came last. */
  get ready(): ReadyEvent {
    const ready = this.events.findLast((event) => event.type === 'ready');
    if (ready === undefined) throw new Error('there was no ready yet');
    return ready;
  }

  /** All of one type that came so far. */
  of<T extends JsonEvent['type']>(type: T): EventOf<T>[] {
    return this.events.filter((event): event is EventOf<T> => event.type === type);
  }

  /** The next event of this type (and form) that was not taken before. */
  take<T extends JsonEvent['type']>(type: T, fits: (event: EventOf<T>) => boolean = () => true): Promise<EventOf<T>> {
    return this.#arrivals.take(type, (event): event is EventOf<T> => event.type === type && fits(event as EventOf<T>));
  }

  send(message: unknown): void {
    this.socket.send(JSON.stringify(message));
  }

  sendRaw(frame: string | Uint8Array): void {
    sendFrame(this.socket, frame);
  }

  /** Sends an edit under the next seq without waiting; returns the seq. */
  sendEdit(delta: unknown, base_rev: number = this.rev, seq: number = this.#seq + 1): number {
    this.#seq = seq;
    this.send({ type: 'edit', changes: { base_rev, delta }, seq });
    return seq;
  }

  /** Edits and waits for the edit to come back. */
  async edit(delta: DeltaOps, base_rev: number = this.rev): Promise<EditEvent> {
    const seq = this.sendEdit(delta, base_rev);
    return this.take('edit', (event) => event.seq === seq && event.client_id === this.ready.client_id);
  }

  /** Sends an edit that has to be refused, and waits for the refusal; the seq stays free. */
  async refused(delta: unknown, base_rev: number = this.rev): Promise<ErrorEvent> {
    const seq = this.sendEdit(delta, base_rev);
    this.#seq = seq - 1;
    return this.take('error', (event) => event.seq === seq);
  }

  /** The newest revision this client heard of. */
  get rev(): number {
    return this.of('edit').at(-1)?.changes.rev ?? this.ready.rev;
  }

  /** Everything up to `rev` is on disk. */
  async acked(rev: number): Promise<void> {
    await this.#arrivals.wait(`an ack of ${rev}`, () => (this.of('ack').some((ack) => ack.rev >= rev) ? true : null));
  }

  /**
   * Waits until the document has handled all that this client sent, and all that came of it has arrived: by an edit
   * that the document always refuses, since its seq skips.
   */
  async settled(): Promise<void> {
    const seq = Number.MAX_SAFE_INTEGER - (this.#arrivals.all.length % 1_000);
    this.send({ type: 'edit', changes: { base_rev: 0, delta: [{ insert: '-' }] }, seq });
    await this.take('error', (event) => event.seq === seq);
  }

  /** Sends a ping and waits for the answer: the socket is open and its session takes messages. */
  async ping(): Promise<void> {
    this.send({ type: 'ping' });
    await this.take('pong');
  }

  /** Hangs up and waits until that is done. */
  async leave(): Promise<void> {
    this.socket.close(1000);
    await this.closed;
  }
}

/** A frame of the Yjs wire, read. */
export type ServerFrame =
  | { readonly kind: 'step1'; readonly payload: Uint8Array }
  | { readonly kind: 'step2'; readonly payload: Uint8Array }
  | { readonly kind: 'update'; readonly payload: Uint8Array }
  | { readonly kind: 'awareness'; readonly entries: readonly AwarenessEntry[] }
  | { readonly kind: 'denied'; readonly reason: string }
  | { readonly kind: 'ack'; readonly epoch: number; readonly rev: number; readonly frames: number | null };

type FrameOf<K extends ServerFrame['kind']> = Extract<ServerFrame, { readonly kind: K }>;

/**
 * A client of the Yjs door that shows every frame. It has a document, into which it takes all that comes; it sends only
 * what it is told to.
 */
export class YjsClient {
  readonly doc: Y.Doc;
  readonly closed: Promise<Closed>;
  readonly socket: WebSocket;
  readonly #arrivals = new Arrivals<ServerFrame>();

  private constructor(socket: WebSocket, doc: Y.Doc) {
    this.doc = doc;
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      const frame = readServerFrame(new Uint8Array(data as ArrayBuffer));
      if (frame.kind === 'step2' || frame.kind === 'update') Y.applyUpdate(doc, frame.payload, this);
      this.#arrivals.add(frame);
    };
    this.closed = new Promise((resolve) => {
      socket.onclose = ({ code, reason }) => {
        this.#arrivals.end({ code, reason });
        resolve({ code, reason });
      };
    });
  }

  /** Connects; `doc_id` goes into the address as it is. */
  static open(
    server: TestServer,
    doc_id: string,
    who: Who,
    { doc = new Y.Doc(), ...options }: OpenOptions & { readonly doc?: Y.Doc } = {},
  ): YjsClient {
    return new YjsClient(connect(server, `/v1/yjs/${doc_id}`, who, options), doc);
  }

  /** Connects, waits for the server's question, and gets all that it has. */
  static async join(...args: Parameters<typeof YjsClient.open>): Promise<YjsClient> {
    const client = YjsClient.open(...args);
    await client.take('step1');
    await client.sync();
    return client;
  }

  /** All frames that came, oldest first. */
  get frames(): readonly ServerFrame[] {
    return this.#arrivals.all;
  }

  get text(): Y.Text {
    return this.doc.getText(TEXT_ROOT);
  }

  /** All of one kind that came so far. */
  of<K extends ServerFrame['kind']>(kind: K): FrameOf<K>[] {
    return this.frames.filter((frame): frame is FrameOf<K> => frame.kind === kind);
  }

  /** The next frame of this kind (and form) that was not taken before. */
  take<K extends ServerFrame['kind']>(kind: K, fits: (frame: FrameOf<K>) => boolean = () => true): Promise<FrameOf<K>> {
    return this.#arrivals.take(kind, (frame): frame is FrameOf<K> => frame.kind === kind && fits(frame as FrameOf<K>));
  }

  /** Waits until `holds` of what was received. */
  async until(what: string, holds: () => boolean): Promise<void> {
    await this.#arrivals.wait(what, () => (holds() ? true : null));
  }

  /** Waits until the text reads so. */
  reads(text: string): Promise<void> {
    return this.until(`the text ${JSON.stringify(text.slice(0, 60))}`, () => this.text.toString() === text);
  }

  send(frame: Uint8Array | string): void {
    sendFrame(this.socket, frame);
  }

  /** Asks for what this client lacks and waits for it. */
  async sync(): Promise<void> {
    this.send(step1Frame(Y.encodeStateVector(this.doc)));
    await this.take('step2');
  }

  /** Answers the server's last step 1: sends what this client has and the server lacked then. */
  answer(): void {
    const asked = this.frames.findLast((frame) => frame.kind === 'step1');
    this.send(step2Frame(Y.encodeStateAsUpdate(this.doc, asked?.payload)));
  }

  /** Changes the document and sends the update; returns it. */
  write(change: (text: Y.Text, doc: Y.Doc) => void): Uint8Array {
    const update = this.prepare(change);
    this.send(updateFrame(update));
    return update;
  }

  /** Changes the document and sends nothing; returns the update. */
  prepare(change: (text: Y.Text, doc: Y.Doc) => void): Uint8Array {
    const updates: Uint8Array[] = [];
    const note = (update: Uint8Array): void => void updates.push(update);
    this.doc.on('update', note);
    this.doc.transact(() => change(this.text, this.doc));
    this.doc.off('update', note);
    return Y.mergeUpdates(updates);
  }

  /** Shows awareness states: `[client, clock, state]`, a null state for one that goes. */
  show(...entries: readonly (readonly [client: number, clock: number, state: unknown])[]): void {
    this.send(
      awarenessFrame(entries.map(([client, clock, state]) => ({ client, clock, state: JSON.stringify(state) }))),
    );
  }

  /** What the last entry that came about this clientID says; undefined when none did. */
  awarenessOf(client: number): { readonly clock: number; readonly state: unknown } | undefined {
    const entry = this.of('awareness')
      .flatMap(({ entries }) => entries)
      .findLast((found) => found.client === client);
    return entry && { clock: entry.clock, state: JSON.parse(entry.state) };
  }

  /**
   * Waits until the document has handled all that this client sent, and all that came of it has arrived: by asking for
   * the difference to what it has, which is answered in turn.
   */
  settled(): Promise<void> {
    return this.sync();
  }

  /** Hangs up and waits until that is done. */
  async leave(): Promise<void> {
    this.socket.close(1000);
    await this.closed;
  }
}

function readServerFrame(frame: Uint8Array): ServerFrame {
  const decoder = decoding.createDecoder(frame);
  const type = decoding.readVarUint(decoder);
  switch (type) {
    case MESSAGE.SYNC: {
      const step = decoding.readVarUint(decoder);
      const kind = step === SYNC.STEP1 ? 'step1' : step === SYNC.STEP2 ? 'step2' : 'update';
      return { kind, payload: decoding.readVarUint8Array(decoder) };
    }
    case MESSAGE.AWARENESS:
      return {
        kind: 'awareness',
        entries: readAwareness(decoding.readVarUint8Array(decoder), Number.MAX_SAFE_INTEGER),
      };
    case MESSAGE.AUTH:
      if (decoding.readVarUint(decoder) !== 0) throw new Error('an auth message that does not deny');
      return { kind: 'denied', reason: decoding.readVarString(decoder) };
    case MESSAGE.ACK: {
      const [epoch, rev] = [decoding.readVarUint(decoder), decoding.readVarUint(decoder)];
      return { kind: 'ack', epoch, rev, frames: decoding.hasContent(decoder) ? decoding.readVarUint(decoder) : null };
    }
    default:
      throw new Error(`the server sent a message of type ${type}`);
  }
}
