/**
 * A client of Concord's JSON door: one document, edited here and elsewhere at once.
 *
 * The application applies what its user types with {@link ConcordClient.apply} and shows what `change` events bring; the
 * two may come in any order, since changes of others arrive already carried over what was typed here. The text itself is
 * kept by {@link SharedText}, the line by {@link Connection}; this file is what the two say to each other, message by
 * message.
 *
 * One edit is in flight at a time, and what is typed meanwhile is composed into the next. Nothing is forgotten before the
 * server acked it: after a break the server says how far it holds this client's sequence (`last_seq`), and all above that
 * is sent again, whether it was confirmed or not. Whatever does not fit together (a missing revision, an edit that cannot
 * be placed) ends the connection, and the next one asks for the whole content.
 */
import type Delta from 'quill-delta';
import type { Op } from 'quill-delta';
import { Connection, type ConnectionState } from './connection.ts';
import { Emitter } from './emitter.ts';
import { type Environment, platform } from './environment.ts';
import {
  type AckEvent,
  type EditEvent,
  type ErrorEvent,
  type PresenceEntry,
  type PresenceEvent,
  type PresenceState,
  type ReadyEvent,
  type Role,
  readServerEvent,
  type SaveState,
  type ServerEvent,
  type StatusEvent,
} from './protocol.ts';
import { SharedText } from './text.ts';

/** What a client is made from. */
export interface ClientOptions {
  /** Where the server is, such as `https://concord.example`; `http`, `https`, `ws` and `wss` are all understood. */
  readonly url: string;
  readonly doc_id: string;
  /**
   * An access token, asked for at every attempt to connect. `refresh` is true when the server turned the last one away:
   * then only a new one helps. A rejection is taken for a failure of the network, and asked again later.
   */
  token(refresh: boolean): string | Promise<string>;
  /**
   * A UUID under which the document counts this client's edits; random when absent. Two clients that are connected with
   * the same one push each other out.
   */
  readonly client_id?: string;
  /** The platform, unless a test brings its own. */
  readonly environment?: Environment;
}

/** A change of the text that the user did not type. */
export interface ChangeEvent {
  /** Made for the text as it was: applied to it, it gives {@link ConcordClient.content}. */
  readonly delta: Delta;
  /** Whose edit it is; null when the content came whole, or when an edit of our own had to be taken back. */
  readonly author: { readonly user_id: string; readonly client_id: string } | null;
}

/** An edit that the server will not take. It is gone from the text; what can be saved of it is for the application to say. */
export interface RefusedEvent {
  readonly code: string;
  readonly message: string;
  readonly delta: Delta;
}

/** What a client tells. */
export interface ClientEvents {
  change: ChangeEvent;
  /** The line; see connection.ts. */
  connection: ConnectionState;
  /** How well the server keeps the text. */
  status: StatusEvent;
  /** Everything up to `rev` is on disk. */
  ack: AckEvent;
  role: { readonly role: Role };
  presence: PresenceEvent;
  refused: RefusedEvent;
  /** Something else than an edit was refused. */
  error: ErrorEvent;
}

/** The client will not connect again by itself: it was closed, or the server closed it for good. */
export class ClosedError extends Error {
  override readonly name = 'ClosedError';
  /** The close code; null when nobody but us closed it. */
  readonly code: number | null;

  constructor(code: number | null, reason: string) {
    super(code === null ? 'the client was closed' : `the server closed the connection for good: ${code} ${reason}`);
    this.code = code;
  }
}

/** Refusals after which the same edit may be taken later. */
const RETRY_CODES = new Set(['RATE_LIMITED', 'UNAVAILABLE', 'INTERNAL']);
/** The longest wait before such an edit is sent again; a random part of it is waited. */
const RETRY_MS = 2_000;
/** Failed attempts after which an epoch that fell is believed: the server's database was put back to an older state. */
const OLD_EPOCH_FAILURES_MAX = 8;

/** See the head of this file. */
export class ConcordClient extends Emitter<ClientEvents> {
  readonly doc_id: string;
  readonly client_id: string;
  readonly #options: ClientOptions;
  readonly #environment: Environment;
  readonly #connection: Connection;
  readonly #text = new SharedText();
  readonly #presence = new Map<string, PresenceEntry>();
  #user_id: string | null = null;
  #role: Role | null = null;
  #save_state: SaveState = 'saved';
  #shown: PresenceState | null = null;
  /** Whether the next connection has to bring the whole content. */
  #start_over = false;
  #cancelRetry: (() => void) | null = null;
  #settling: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];

  constructor(options: ClientOptions) {
    super();
    this.#options = options;
    this.#environment = options.environment ?? platform;
    this.doc_id = options.doc_id;
    this.client_id = (options.client_id ?? this.#environment.randomId()).toLowerCase();
    this.#connection = new Connection(this.#environment, {
      address: (refused) => this.#address(refused),
      frame: (data) => this.#frame(data),
      changed: (state) => this.#connectionChanged(state),
    });
  }

  /** The text as the user sees it. Do not change it. */
  get content(): Delta {
    return this.#text.content;
  }

  /** The last revision that we have; 0 before the first. */
  get rev(): number {
    return this.#text.rev;
  }

  /** Own edits that the server did not confirm; what is being typed counts as one. */
  get unconfirmed(): number {
    return this.#text.unconfirmed;
  }

  /** Own edits that are not known to be on disk. While there are any, closing the page may lose them. */
  get unacked(): number {
    return this.#text.unacked;
  }

  /** Who we are on this document; null before the first connection. */
  get user_id(): string | null {
    return this.#user_id;
  }

  /** What we may do; null before the first connection. */
  get role(): Role | null {
    return this.#role;
  }

  /** How well the server keeps the text, as last heard. */
  get save_state(): SaveState {
    return this.#save_state;
  }

  /** Where the line is. */
  get connection(): ConnectionState {
    return this.#connection.state;
  }

  /** Everybody on the document, ourselves included, by client_id. */
  get presence(): ReadonlyMap<string, PresenceEntry> {
    return this.#presence;
  }

  /** Connects, and comes back after every break until `close` or a refusal for good. */
  connect(): void {
    this.#connection.open();
  }

  /** Ends the connection. What was not acked stays here and is sent when `connect` is called again. */
  close(): void {
    this.#connection.close();
  }

  /**
   * Applies what the user typed; it may be called in any state of the line. Throws a RangeError when the edit does not fit
   * {@link content}, a TypeError when it is not a delta, an Error for a viewer.
   */
  apply(edit: Delta | readonly Op[]): void {
    if (this.#role === 'viewer') throw new Error('a viewer cannot edit this document');
    this.#text.edit(edit);
    this.#flush();
  }

  /** Shows others where we are; `cursor` is `{index, length}` in our text. Said again after every break. */
  show(state: PresenceState): void {
    this.#shown = state;
    this.#say({ type: 'presence', status: 'active', state });
  }

  /** Gives the open connection a fresh token of the same user, so that it need not end with the old one. */
  authenticate(token: string): void {
    this.#say({ type: 'auth', token });
  }

  /** Resolves once every own edit is on disk; rejects with {@link ClosedError} when that will not happen any more. */
  settled(): Promise<void> {
    if (this.#text.unacked === 0) return Promise.resolve();
    const { state } = this.#connection;
    if (state.kind === 'closed') return Promise.reject(new ClosedError(state.code, state.reason));
    return new Promise((resolve, reject) => {
      this.#settling.push({ resolve, reject });
    });
  }

  async #address(refused: boolean): Promise<string> {
    const url = new URL(`v1/collab/${this.doc_id}`, this.#options.url.replace(/\/*$/, '/'));
    url.protocol = url.protocol.replace('http', 'ws');
    url.searchParams.set('token', await this.#options.token(refused));
    url.searchParams.set('client_id', this.client_id);
    if (this.#text.known && !this.#start_over) {
      url.searchParams.set('epoch', String(this.#text.epoch));
      url.searchParams.set('rev', String(this.#text.rev));
    }
    return url.href;
  }

  #connectionChanged(state: ConnectionState): void {
    if (state.kind !== 'open') {
      this.#text.disconnected();
      this.#cancelRetry?.();
      this.#cancelRetry = null;
    }
    if (state.kind === 'closed') {
      const error = new ClosedError(state.code, state.reason);
      for (const waiter of this.#settling.splice(0)) waiter.reject(error);
    }
    this.emit('connection', state);
  }

  #frame(data: unknown): void {
    let event: ServerEvent | null;
    try {
      event = readServerEvent(data);
    } catch {
      return this.#connection.restart('a frame of the server is not JSON');
    }
    if (event === null) return;
    // The first word of a connection is `ready`, or why there will be none.
    if (this.#connection.state.kind !== 'open' && event.type !== 'ready' && event.type !== 'error') return;
    this.#take(event);
    this.#flush();
    if (this.#text.unacked === 0) for (const waiter of this.#settling.splice(0)) waiter.resolve();
  }

  #take(event: ServerEvent): void {
    switch (event.type) {
      case 'ready':
        return this.#ready(event);
      case 'edit':
        return this.#edit(event);
      case 'ack':
        this.#text.acked(event.epoch, event.rev);
        return this.emit('ack', event);
      case 'status':
        this.#save_state = event.state;
        return this.emit('status', event);
      case 'presence':
        return this.#somebody(event);
      case 'role':
        this.#role = event.role;
        return this.emit('role', event);
      case 'error':
        return this.#error(event);
      case 'pong':
        return;
    }
  }

  #ready(event: ReadyEvent): void {
    // An epoch never falls: this owner was replaced and does not know it yet. What it would confirm could not be kept.
    if (event.epoch < this.#text.epoch && this.#connection.failures < OLD_EPOCH_FAILURES_MAX)
      return this.#connection.restart('the server has lost this document to another');
    let change: Delta | null = null;
    if (event.content !== undefined) change = this.#text.replace(event.epoch, event.rev, event.last_seq, event.content);
    else if (this.#text.resume(event.epoch, event.last_seq) === 'content_needed')
      return this.#startOver('our edits and the history of the server do not fit together');
    this.#start_over = false;
    this.#user_id = event.user_id;
    const role_changed = this.#role !== event.role;
    this.#role = event.role;
    this.#presence.clear();
    for (const entry of event.presence) this.#presence.set(entry.client_id, entry);
    this.#connection.established();
    if (change !== null) this.#changed(change, null);
    if (role_changed) this.emit('role', { role: event.role });
    if (this.#shown !== null) this.show(this.#shown);
  }

  #edit(event: EditEvent): void {
    const { rev, delta } = event.changes;
    // The answer to an edit that was sent twice, when its event had come before.
    if (rev <= this.#text.rev) return;
    if (rev !== this.#text.rev + 1) return this.#connection.restart('a revision is missing');
    const ours =
      event.seq !== null &&
      event.seq === this.#text.in_flight_seq &&
      event.client_id === this.client_id &&
      event.user_id === this.#user_id;
    const { user_id, client_id } = event;
    this.#changed(ours ? this.#text.landed(rev, delta) : this.#text.remote(rev, delta), { user_id, client_id });
  }

  #somebody(event: PresenceEvent): void {
    const { client_id, user_id, state, status } = event;
    const known = this.#presence.get(client_id);
    // Everybody sees the others' client_ids, and may come with one of them.
    if (known !== undefined && known.user_id !== user_id) return;
    if (status === 'left') this.#presence.delete(client_id);
    else
      this.#presence.set(client_id, {
        client_id,
        user_id,
        state,
        status,
        display_name: event.display_name ?? known?.display_name ?? '',
        since: known?.since ?? event.timestamp,
      });
    this.emit('presence', event);
  }

  #error(event: ErrorEvent): void {
    const { code, message, seq } = event;
    if (seq === undefined || seq !== this.#text.in_flight_seq) return this.emit('error', event);
    // A `ready` with the content follows, after which the edit is sent again.
    if (code === 'STALE_REVISION') return;
    if (RETRY_CODES.has(code)) return this.#retryLater();
    if (code === 'CONFLICT' || isAboutSeq(event)) return this.#startOver(`seq ${seq} does not fit: ${message}`);
    const { change, lost } = this.#text.refused();
    this.#changed(change, null);
    this.emit('refused', { code, message, delta: lost });
  }

  #retryLater(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = this.#environment.after(this.#environment.random() * RETRY_MS, () => {
      this.#cancelRetry = null;
      this.#text.takeBack();
      this.#flush();
    });
  }

  #startOver(reason: string): void {
    this.#start_over = true;
    this.#connection.restart(reason);
  }

  #changed(delta: Delta, author: ChangeEvent['author']): void {
    if (delta.ops.length > 0) this.emit('change', { delta, author });
  }

  /** Sends the next edit, if its turn has come. */
  #flush(): void {
    if (this.#connection.state.kind !== 'open') return;
    const next = this.#text.take();
    if (next === null) return;
    const { seq, base_rev, delta } = next;
    this.#say({ type: 'edit', changes: { base_rev, delta: delta.ops }, seq });
  }

  #say(message: object): void {
    this.#connection.send(JSON.stringify(message));
  }
}

/** Whether an edit was refused for its place in the sequence, not for what it is. */
function isAboutSeq({ details }: ErrorEvent): boolean {
  return (
    Array.isArray(details) && details.some((issue: unknown) => (issue as { path?: unknown } | null)?.path === '/seq')
  );
}
