/**
 * A Yjs client without a document: it opens the socket as a stock provider with an empty document does, sends frames,
 * keeps what comes and counts what was confirmed. The servers speak y-websocket's wire or a dialect of it; what differs
 * is told by a {@link Dialect}.
 */
import * as decoding from 'lib0/decoding';
import { awarenessFrame, MESSAGE, SYNC, step1Frame, step2Frame, updateFrame } from '../../src/protocol/yjs-wire.ts';
import type { ConnectOptions, YjsClient } from '../contender.ts';
import type { Confirmations } from './confirmations.ts';

/** State vector and update of a document that holds nothing. */
const EMPTY_STATE_VECTOR = Uint8Array.of(0);
const EMPTY_UPDATE = Uint8Array.of(0, 0);
/** Hocuspocus' own number for a sync message that is an answer. */
const SYNC_REPLY = 4;

/** How one socket of one server is talked on. */
export interface Dialect {
  /** What the socket is opened with. */
  readonly address: string;
  /** What every frame begins with, both ways. */
  readonly prefix: Uint8Array;
  /** Sent first, without the prefix. */
  readonly hello: readonly Uint8Array[];
  /** Whether the server is asked for its state; otherwise it sends it unasked. */
  readonly asks: boolean;
  readonly confirmations: Confirmations;
}

/** Connects and resolves once the first state is here; rejects when the socket closes before that. */
export async function connectYjs(dialect: Dialect, options: ConnectOptions): Promise<YjsClient> {
  const client = new Client(dialect, options);
  await client.synced.promise;
  return client;
}

class Client implements YjsClient {
  readonly synced = Promise.withResolvers<void>();
  readonly received: Uint8Array[] = [];
  readonly #socket: WebSocket;
  readonly #closed = Promise.withResolvers<void>();
  #bytes_in = 0;
  #states_in = 0;
  #asked = false;
  #awareness_clock = 0;
  #confirmed = 0;
  #failure: Error | null = null;

  constructor(
    private readonly dialect: Dialect,
    private readonly options: ConnectOptions,
  ) {
    this.#socket = new WebSocket(dialect.address);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onopen = () => this.#open();
    this.#socket.onmessage = ({ data }) => this.#take(data as ArrayBuffer);
    this.#socket.onclose = ({ code, reason }) => {
      this.#fail(new Error(`the server closed the socket with ${code} ${reason}`));
      this.#closed.resolve();
    };
  }

  get client_id(): number {
    return this.options.client_id;
  }

  get bytes_in(): number {
    return this.#bytes_in;
  }

  get states_in(): number {
    return this.#states_in;
  }

  sendUpdate(update: Uint8Array): void {
    this.dialect.confirmations.sentEdit(update);
    this.#send(updateFrame(update));
  }

  sendPresence(state: object): void {
    this.#awareness_clock += 1;
    const entry = { client: this.client_id, clock: this.#awareness_clock, state: JSON.stringify(state) };
    this.#send(awarenessFrame([entry]));
  }

  /** Rejects when the socket had closed before, or something came that the wire does not allow. */
  async close(): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    this.#socket.onclose = () => this.#closed.resolve();
    this.#socket.close();
    await this.#closed.promise;
  }

  #open(): void {
    for (const frame of this.dialect.hello) this.#send(frame);
    if (this.dialect.asks) this.#send(step1Frame(EMPTY_STATE_VECTOR));
  }

  #take(data: ArrayBuffer): void {
    const at = performance.now();
    const frame = new Uint8Array(data);
    this.#bytes_in += frame.length;
    const decoder = decoding.createDecoder(frame);
    decoder.pos = this.dialect.prefix.length;
    const type = decoding.readVarUint(decoder);
    if (type === MESSAGE.SYNC || type === SYNC_REPLY) this.#sync(decoder, at);
    else if (type === MESSAGE.AWARENESS) this.#presence(decoding.readVarUint8Array(decoder), at);
    else {
      const answer = this.dialect.confirmations.message(type, decoder);
      if (answer instanceof Error) this.#fail(answer);
      else if (answer !== null) this.#confirm(answer, at);
    }
  }

  #sync(decoder: decoding.Decoder, at: number): void {
    const step = decoding.readVarUint(decoder);
    const payload = decoding.readVarUint8Array(decoder);
    if (step === SYNC.STEP1) return this.#answer();
    if (payload.length > EMPTY_UPDATE.length) {
      if (this.options.keep !== false) this.received.push(payload);
      this.options.onUpdates?.([payload], at);
    }
    if (step === SYNC.STEP2) {
      this.#states_in += 1;
      this.synced.resolve();
    } else {
      const edits = this.dialect.confirmations.update(payload);
      if (edits !== null) this.#confirm(edits, at);
    }
  }

  /** Answers the server's question for what it lacks, which has no other answer than nothing. */
  #answer(): void {
    // A server asks again when something is missing that an edit builds on; what has no document cannot help it.
    if (this.#asked) return this.#fail(new Error('the server asks for edits that it did not get'));
    this.#asked = true;
    this.dialect.confirmations.sentState();
    this.#send(step2Frame(EMPTY_UPDATE));
  }

  #presence(payload: Uint8Array, at: number): void {
    // One of nobody keeps the line alive.
    if (payload[0] !== 0) this.options.onPresence?.(payload, at);
  }

  #confirm(edits: number, at: number): void {
    if (edits <= this.#confirmed) return;
    this.#confirmed = edits;
    this.options.onConfirmed?.(edits, at);
  }

  #send(frame: Uint8Array): void {
    if (this.#failure !== null) throw this.#failure;
    const { prefix } = this.dialect;
    if (prefix.length === 0) {
      this.#socket.send(frame as Uint8Array<ArrayBuffer>);
      return;
    }
    const addressed = new Uint8Array(prefix.length + frame.length);
    addressed.set(prefix);
    addressed.set(frame, prefix.length);
    this.#socket.send(addressed);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.synced.reject(this.#failure);
  }
}
