/**
 * Clients of the Hocuspocus door for tests: the stock provider, several of which may share a socket, and a socket that
 * shows every frame.
 */
import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider';
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import * as Y from 'yjs';
import { HOCUSPOCUS, HOCUSPOCUS_AUTH, PING_FRAME } from '../../src/protocol/hocuspocus-wire.ts';
import { SYNC } from '../../src/protocol/yjs-wire.ts';
import { Arrivals, type Closed, connect, sendFrame, type Who } from './arrivals.ts';
import type { TestServer } from './server.ts';
import { StockEditor } from './stock-editor.ts';

/** Where to connect. */
type Place = Pick<TestServer, 'ws_url'>;

/** The address of the door. */
const doorOf = (server: Place): string => `${server.ws_url}/v1/hocuspocus`;

/** A socket that stock providers share. */
export function stockSocket(server: Place): HocuspocusProviderWebsocket {
  return new HocuspocusProviderWebsocket({ url: doorOf(server), delay: 20, minDelay: 20, maxDelay: 50 });
}

/** What a stock client may be told. */
export interface StockOptions {
  /** Shared with others; without it, one of its own. */
  readonly socket?: HocuspocusProviderWebsocket;
  readonly sessions?: boolean;
  readonly doc?: Y.Doc;
}

/** The stock provider of Hocuspocus, with its document, as an editor would set it up. */
export class StockHocuspocus extends StockEditor {
  override readonly doc: Y.Doc;
  readonly socket: HocuspocusProviderWebsocket;
  override readonly provider: HocuspocusProvider;
  /** Why it was refused, each time; and why the server closed the document. */
  readonly refusals: string[] = [];
  readonly closes: string[] = [];
  /** What the scope was, each time that it was told. */
  readonly scopes: string[] = [];
  /** Every count of changes that were not saved. */
  readonly unsynced: number[] = [];
  readonly #own_socket: boolean;

  constructor(server: Place, doc_id: string, who: Who, options: StockOptions = {}) {
    super();
    this.doc = options.doc ?? new Y.Doc();
    this.socket = options.socket ?? stockSocket(server);
    this.#own_socket = options.socket === undefined;
    this.provider = new HocuspocusProvider({
      websocketProvider: this.socket,
      name: doc_id,
      document: this.doc,
      token: who.token,
      sessionAwareness: options.sessions ?? false,
      onAuthenticated: ({ scope }) => void this.scopes.push(scope),
      onAuthenticationFailed: ({ reason }) => void this.refusals.push(reason),
      onClose: ({ event }) => void this.closes.push(event.reason),
      onUnsyncedChanges: ({ number }) => void this.unsynced.push(number),
    });
    this.provider.attach();
  }

  get awareness(): NonNullable<HocuspocusProvider['awareness']> {
    const { awareness } = this.provider;
    if (awareness === null) throw new Error('this provider has no awareness');
    return awareness;
  }

  /** Whether it calls everything saved. */
  get saved(): boolean {
    return this.provider.synced && !this.provider.hasUnsyncedChanges;
  }

  protected override watch(look: () => void): () => void {
    this.doc.on('update', look);
    for (const event of EVENTS) this.provider.on(event, look);
    return () => {
      this.doc.off('update', look);
      for (const event of EVENTS) this.provider.off(event, look);
    };
  }

  /** Ends provider, awareness and document, and the socket if it is its own. */
  destroy(): void {
    this.provider.destroy();
    if (this.#own_socket) this.socket.destroy();
    this.doc.destroy();
  }
}

const EVENTS = [
  'synced',
  'status',
  'close',
  'authenticated',
  'authenticationFailed',
  'unsyncedChanges',
  'awarenessUpdate',
] as const;

/** A frame of the server, read. */
export type NamedFrame =
  | { readonly kind: 'ping' }
  | { readonly name: string; readonly kind: 'step1' | 'step2' | 'update' | 'awareness'; readonly payload: Uint8Array }
  | { readonly name: string; readonly kind: 'denied' | 'authenticated' | 'close'; readonly text: string }
  | { readonly name: string; readonly kind: 'status'; readonly saved: boolean };

/** A frame of this kind. */
type FrameOf<K extends NamedFrame['kind']> = NamedFrame extends infer F
  ? F extends { readonly kind: infer Has }
    ? K extends Has
      ? F & { readonly kind: K }
      : never
    : never
  : never;

/** A socket on the Hocuspocus door that shows every frame and sends only what it is told to. */
export class RawHocuspocus {
  readonly closed: Promise<Closed>;
  readonly socket: WebSocket;
  /** Bytes received. */
  received = 0;
  readonly #arrivals = new Arrivals<NamedFrame>();

  constructor(server: TestServer, first: readonly (string | Uint8Array)[] = []) {
    this.socket = connect(server, '/v1/hocuspocus', { token: null }, { first });
    this.socket.onmessage = ({ data }) => {
      this.received += (data as ArrayBuffer).byteLength;
      this.#arrivals.add(readFrame(new Uint8Array(data as ArrayBuffer)));
    };
    this.closed = new Promise((resolve) => {
      this.socket.onclose = ({ code, reason }) => {
        this.#arrivals.end({ code, reason });
        resolve({ code, reason });
      };
    });
  }

  /** Connects, signs in to a document and waits for the server's question. */
  static async join(server: TestServer, doc_id: string, who: Who, name = doc_id): Promise<RawHocuspocus> {
    const client = new RawHocuspocus(server, [tokenFrame(name, who.token ?? '')]);
    await client.take('step1', (frame) => frame.name === name);
    return client;
  }

  get frames(): readonly NamedFrame[] {
    return this.#arrivals.all;
  }

  /** All of one kind that came so far. */
  of<K extends NamedFrame['kind']>(kind: K): FrameOf<K>[] {
    return this.frames.filter((frame): frame is FrameOf<K> => frame.kind === kind);
  }

  /** The next frame of this kind (and form) that was not taken before. */
  take<K extends NamedFrame['kind']>(kind: K, fits: (frame: FrameOf<K>) => boolean = () => true): Promise<FrameOf<K>> {
    return this.#arrivals.take(kind, (frame): frame is FrameOf<K> => frame.kind === kind && fits(frame as FrameOf<K>));
  }

  send(...frames: readonly (Uint8Array | string)[]): void {
    for (const frame of frames) sendFrame(this.socket, frame);
  }

  /** Waits until the document of this name has handled all that was sent, and what came of it has arrived. */
  async settled(name: string): Promise<void> {
    this.send(messageFrame(name, HOCUSPOCUS.SYNC, Uint8Array.of(SYNC.STEP1, 1, 0)));
    await this.take('step2', (frame) => frame.name === name);
  }

  /** Waits until the socket was opened and all that was sent on it has left. */
  async open(): Promise<void> {
    if (this.socket.readyState === WebSocket.OPEN) return;
    await new Promise((resolve) => this.socket.addEventListener('open', resolve));
  }

  async leave(): Promise<void> {
    this.socket.close(1000);
    await this.closed;
  }
}

/** The sockets of one test. */
export class RawSockets {
  readonly #all: RawHocuspocus[] = [];

  constructor(private readonly server: () => TestServer) {}

  /** A socket that sends these frames first. */
  open(...first: readonly (string | Uint8Array)[]): RawHocuspocus {
    const socket = new RawHocuspocus(this.server(), first);
    this.#all.push(socket);
    return socket;
  }

  /** A socket that is on these documents. */
  async join(who: Who, ...names: readonly string[]): Promise<RawHocuspocus> {
    const socket = this.open(...names.map((name) => tokenFrame(name, who.token ?? '')));
    for (const name of names) await socket.take('step1', (frame) => frame.name === name);
    return socket;
  }

  /** Closes all that are open, and waits for none. */
  close(): void {
    for (const { socket } of this.#all.splice(0)) socket.close();
  }
}

/** A message under a name; `payload` as it is. */
export function messageFrame(name: string, type: number, payload: Uint8Array = new Uint8Array()): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarString(encoder, name);
  encoding.writeVarUint(encoder, type);
  encoding.writeUint8Array(encoder, payload);
  return encoding.toUint8Array(encoder);
}

/** Signs in. */
export function tokenFrame(name: string, token: string): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, HOCUSPOCUS_AUTH.TOKEN);
  encoding.writeVarString(encoder, token);
  encoding.writeVarString(encoder, '4.8.0');
  return messageFrame(name, HOCUSPOCUS.AUTH, encoding.toUint8Array(encoder));
}

/** A sync message: an update, or with `step` another. */
export function syncFrame(name: string, payload: Uint8Array, step: number = SYNC.UPDATE): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, step);
  encoding.writeVarUint8Array(encoder, payload);
  return messageFrame(name, HOCUSPOCUS.SYNC, encoding.toUint8Array(encoder));
}

function readFrame(frame: Uint8Array): NamedFrame {
  if (Buffer.compare(frame, PING_FRAME) === 0) return { kind: 'ping' };
  const decoder = decoding.createDecoder(frame);
  const name = decoding.readVarString(decoder);
  const type = decoding.readVarUint(decoder);
  switch (type) {
    case HOCUSPOCUS.SYNC: {
      const step = decoding.readVarUint(decoder);
      const kind = step === SYNC.STEP1 ? 'step1' : step === SYNC.STEP2 ? 'step2' : 'update';
      return { name, kind, payload: decoding.readVarUint8Array(decoder) };
    }
    case HOCUSPOCUS.AWARENESS:
      return { name, kind: 'awareness', payload: decoding.readVarUint8Array(decoder) };
    case HOCUSPOCUS.AUTH: {
      const kind = decoding.readVarUint(decoder) === HOCUSPOCUS_AUTH.AUTHENTICATED ? 'authenticated' : 'denied';
      return { name, kind, text: decoding.readVarString(decoder) };
    }
    case HOCUSPOCUS.CLOSE:
      return { name, kind: 'close', text: decoding.readVarString(decoder) };
    case HOCUSPOCUS.SYNC_STATUS:
      return { name, kind: 'status', saved: decoding.readVarInt(decoder) === 1 };
    default:
      throw new Error(`the server sent a message of type ${type}`);
  }
}
