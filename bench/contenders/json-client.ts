/**
 * A client of a document that is edited by operations against revisions, one edit in flight at a time. Concord's JSON
 * door and ShareDB work alike: the server puts edits in an order, of two at one place the earlier stays left, and each
 * client carries what it has in flight over what arrives. So both are spoken to by this one client, and only the words
 * differ ({@link JsonWire}).
 */
import Delta from 'quill-delta';
import type { DeltaOps } from '../../src/protocol/content/delta.ts';
import type { JsonClient } from '../contender.ts';

/** How long the edits of others may take to arrive. */
const SETTLED_MS_MAX = 30_000;

/** What a message of the server means. */
export type JsonEvent =
  /** The text and the revision it is of. */
  | { readonly kind: 'ready'; readonly rev: number; readonly content: DeltaOps }
  /** The next edit of somebody else; `rev` is what the text is at with it. */
  | { readonly kind: 'edit'; readonly rev: number; readonly delta: DeltaOps }
  /** The client's own edit has its place in the order. */
  | { readonly kind: 'placed'; readonly rev: number }
  /** Everything up to `rev` is confirmed. */
  | { readonly kind: 'confirmed'; readonly rev: number }
  /** Everything up to `rev` is on disk. */
  | { readonly kind: 'durable'; readonly rev: number }
  | { readonly kind: 'failed'; readonly reason: string };

/** The words of one server. */
export interface JsonWire {
  /** What the socket is opened with. */
  readonly address: string;
  /** Whether the server says what is on disk. */
  readonly durable: boolean;
  /** Sent once it is open. */
  readonly hello: readonly object[];
  /** The `seq`th edit, counted from 1, made on `base_rev`. */
  edit(ops: DeltaOps, base_rev: number, seq: number): object;
  /** What a message means, in order; nothing for what is not of interest. */
  read(message: string): readonly JsonEvent[];
}

/** Connects and resolves once the text is here. */
export async function connectJson(wire: JsonWire): Promise<JsonClient> {
  const client = new Client(wire);
  await client.ready.promise;
  return client;
}

class Client implements JsonClient {
  readonly ready = Promise.withResolvers<void>();
  readonly #socket: WebSocket;
  #text = new Delta();
  #rev = 0;
  #first_rev = 0;
  #seq = 0;
  #pending: Delta | null = null;
  /** The revision that the edit in flight became. */
  #placed_rev: number | null = null;
  #confirmed_rev = 0;
  #durable_rev = 0;
  #failure: Error | null = null;
  #wake: () => void = () => {};

  constructor(private readonly wire: JsonWire) {
    this.#socket = new WebSocket(wire.address);
    this.#socket.onopen = () => {
      for (const message of wire.hello) this.#socket.send(JSON.stringify(message));
    };
    this.#socket.onmessage = ({ data }) => {
      for (const event of wire.read(data as string)) this.#take(event);
      this.#wake();
    };
    this.#socket.onclose = ({ code, reason }) => this.#fail(`the server closed the socket with ${code} ${reason}`);
  }

  async insertAtStart(text: string): Promise<void> {
    const delta = new Delta().insert(text);
    this.#text = this.#text.compose(delta);
    this.#pending = delta;
    this.#placed_rev = null;
    this.#seq += 1;
    this.#socket.send(JSON.stringify(this.wire.edit(delta.ops as DeltaOps, this.#rev, this.#seq)));
    await this.#until(() => this.#placed_rev !== null && this.#placed_rev <= this.#confirmed_rev);
  }

  async settled(edits: number): Promise<string> {
    const patience = setTimeout(
      () => this.#fail(`only ${this.#rev - this.#first_rev} of ${edits} edits arrived`),
      SETTLED_MS_MAX,
    );
    const settled = (): boolean =>
      this.#pending === null &&
      this.#rev - this.#first_rev >= edits &&
      (!this.wire.durable || this.#durable_rev >= this.#rev);
    await this.#until(settled).finally(() => clearTimeout(patience));
    return this.#text.ops.map(({ insert }) => (typeof insert === 'string' ? insert : '\ufffc')).join('');
  }

  close(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve) => {
      this.#socket.onclose = () => resolve();
      this.#socket.close();
    });
  }

  #take(event: JsonEvent): void {
    switch (event.kind) {
      case 'ready':
        this.#text = new Delta(event.content);
        this.#rev = this.#first_rev = event.rev;
        return this.ready.resolve();
      case 'edit':
        // ShareDB answers an edit with those that it missed, which also come by themselves.
        if (event.rev <= this.#rev) return;
        if (event.rev > this.#rev + 1) return this.#fail(`edit ${this.#rev + 1} did not arrive`);
        this.#rev = event.rev;
        return this.#arrived(new Delta(event.delta));
      case 'placed':
        if (event.rev !== this.#rev + 1) return this.#fail(`edit ${this.#rev + 1} did not arrive`);
        this.#rev = this.#placed_rev = event.rev;
        this.#pending = null;
        return;
      case 'confirmed':
        this.#confirmed_rev = Math.max(this.#confirmed_rev, event.rev);
        return;
      case 'durable':
        this.#durable_rev = Math.max(this.#durable_rev, event.rev);
        return;
      case 'failed':
        return this.#fail(event.reason);
    }
  }

  #arrived(delta: Delta): void {
    let shown = delta;
    if (this.#pending !== null) {
      shown = this.#pending.transform(delta, false);
      this.#pending = delta.transform(this.#pending, true);
    }
    this.#text = this.#text.compose(shown);
  }

  #fail(reason: string): void {
    this.#failure ??= new Error(reason);
    this.ready.reject(this.#failure);
    this.#wake();
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#failure !== null) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
