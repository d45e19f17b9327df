/**
 * A client of the Yjs door with `?acks=2`, as a stock provider would be: it sends its edits as it makes them, also before
 * it is synchronised; it answers the server's state vector with all that the server lacks; offline it types on. What an
 * acknowledgement covers it knows by counting its update frames.
 */
import * as decoding from 'lib0/decoding';
import * as Y from 'yjs';
import { MESSAGE, SYNC, step1Frame, step2Frame, updateFrame } from '../../src/protocol/yjs-wire.ts';
import { until } from '../support/until.ts';
import { afterThinking, type ClientParts, CONNECT_MS_MAX, comeBack, PATIENCE_MS } from './json-client.ts';
import { FILLER, nextPlace } from './ledger.ts';

/** An edit that is not acknowledged; `frame` counts from one on the present connection, null: not sent on it. */
interface Kept {
  readonly marker: string;
  frame: number | null;
}

/** See the head of this file. */
export class YjsClient {
  /** Whether it makes the next edit as soon as the last was acknowledged. */
  typing = false;
  /** Code of the last close. */
  closed_with: number | null = null;
  readonly doc = new Y.Doc();
  #n = 0;
  #kept: Kept[] = [];
  #frames = 0;
  #socket: WebSocket | null = null;
  #synced = false;
  #epoch = 0;
  #ended = false;
  #gone: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(private readonly parts: ClientParts) {
    this.doc.clientID = parts.random.uint32();
    this.doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== this) this.#sendUpdate(updateFrame(update));
    });
  }

  get name(): string {
    return this.parts.name;
  }

  /** The document that it edits. */
  get doc_id(): string {
    return this.parts.doc_id;
  }

  /** The text as the client shows it. */
  get text(): string {
    return this.doc.getText('content').toString();
  }

  /** Whether it is connected and was given everything. */
  get is_ready(): boolean {
    return this.#socket !== null && this.#synced;
  }

  /** Whether nothing of its own waits for anything. */
  get is_settled(): boolean {
    return this.#kept.length === 0;
  }

  /** Connects whenever the server lets clients in, until {@link leave}. */
  stay(): void {
    void this.#stay();
  }

  /** Connects once; rejects when the socket closes before it opens. */
  connect(): Promise<void> {
    const { concord, doc_id, person } = this.parts;
    const query = new URLSearchParams({ token: person.token, acks: '2' });
    const socket = new WebSocket(`${concord.ws_url}/v1/yjs/${doc_id}?${query}`);
    socket.binaryType = 'arraybuffer';
    this.#gone = Promise.withResolvers();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => socket.close(), CONNECT_MS_MAX);
      socket.onopen = () => {
        clearTimeout(timer);
        this.#socket = socket;
        this.#frames = 0;
        this.#synced = false;
        for (const kept of this.#kept) kept.frame = null;
        send(socket, step1Frame(Y.encodeStateVector(this.doc)));
        resolve();
        this.#typeOn();
      };
      socket.onmessage = ({ data }) => this.#take(new Uint8Array(data as ArrayBuffer));
      socket.onclose = ({ code }) => {
        clearTimeout(timer);
        this.closed_with = code;
        this.#socket = null;
        this.#synced = false;
        this.#gone.resolve();
        reject(new Error(`closed with ${code}`));
      };
    });
  }

  /** Makes one edit, connected or not: somewhere between markers, sometimes formatted, sometimes deleting a filler. */
  type(): string {
    const { ledger, doc_id, name, random } = this.parts;
    const content = this.doc.getText('content');
    const { text } = this;
    this.#n += 1;
    const marker = ledger.make(doc_id, name, this.#n);
    const place = nextPlace(text, Math.floor(random.float() * (text.length + 1)));
    const kept: Kept = { marker, frame: null };
    this.#kept.push(kept);
    this.doc.transact(() => {
      if (text[place] === FILLER) content.delete(place, 1);
      content.insert(place, marker, random.float() < 0.2 ? { italic: true } : {});
      if (random.float() < 0.3) content.insert(place, FILLER, {});
    });
    kept.frame = this.#socket === null ? null : this.#frames;
    return marker;
  }

  /** Leaves for good. */
  leave(): void {
    this.#ended = true;
    this.#socket?.close();
  }

  async #stay(): Promise<void> {
    const { concord, name, patience_ms = PATIENCE_MS } = this.parts;
    while (!this.#ended) {
      await concord.serving();
      await until(
        `${name} to connect`,
        async () => {
          if (concord.is_open && !this.#ended) await comeBack(this, this.parts);
          return true;
        },
        patience_ms,
      ).catch((error: Error) => this.#complain(error.message));
      if (this.#socket !== null) await this.#gone.promise;
    }
  }

  #take(frame: Uint8Array): void {
    const decoder = decoding.createDecoder(frame);
    switch (decoding.readVarUint(decoder)) {
      case MESSAGE.SYNC:
        return this.#sync(decoding.readVarUint(decoder), decoding.readVarUint8Array(decoder));
      case MESSAGE.AUTH:
        return this.#complain('permission denied');
      case MESSAGE.ACK: {
        const epoch = decoding.readVarUint(decoder);
        decoding.readVarUint(decoder); // the revision: this wire tells nobody which one an edit became
        if (epoch < this.#epoch) this.#complain(`the epoch fell from ${this.#epoch} to ${epoch}`);
        this.#epoch = epoch;
        return decoding.hasContent(decoder) ? this.#acked(decoding.readVarUint(decoder)) : undefined;
      }
      default:
        return;
    }
  }

  #sync(step: number, payload: Uint8Array): void {
    if (step === SYNC.STEP1) {
      const frame = this.#sendUpdate(step2Frame(Y.encodeStateAsUpdate(this.doc, payload)));
      for (const kept of this.#kept) kept.frame ??= frame;
      return;
    }
    Y.applyUpdate(this.doc, payload, this);
    if (step === SYNC.STEP2) {
      this.#synced = true;
      this.parts.ledger.count('joined');
    }
  }

  /** Sends a frame that counts; returns which one it is on this connection, null when there is none. */
  #sendUpdate(frame: Uint8Array): number | null {
    if (this.#socket === null) return null;
    send(this.#socket, frame);
    this.#frames += 1;
    this.parts.ledger.count('sent');
    return this.#frames;
  }

  #acked(frames: number): void {
    if (frames > this.#frames) this.#complain(`an ack of ${frames} frames, of which ${this.#frames} were sent`);
    const covered = this.#kept.filter(({ frame }) => frame !== null && frame <= frames);
    this.#kept = this.#kept.filter((kept) => !covered.includes(kept));
    for (const { marker } of covered) this.parts.ledger.ack(marker);
    if (this.#socket !== null && this.#kept.length === 0) this.#typeOn();
  }

  #typeOn(): void {
    if (this.typing) afterThinking(this.parts, () => this.typing && this.type());
  }

  #complain(what: string): void {
    this.parts.ledger.faults.push(`${this.parts.name}: ${what}`);
  }
}

/** lib0 types its frames as if they could lie in shared memory. */
function send(socket: WebSocket, frame: Uint8Array): void {
  socket.send(frame as Uint8Array<ArrayBuffer>);
}
