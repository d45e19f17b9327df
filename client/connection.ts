/**
 * One socket after the other, so that the client above it sees a line that comes and goes.
 *
 *   closed      Nothing is open and nothing is tried: before the first `open`, after `close`, or after a code that
 *               coming back cannot help.
 *   connecting  An address is being asked for, or a socket is on its way up. The owner calls `established` once the server
 *               has said its first word; a line that is silent instead is given up like any other.
 *   open        Frames go both ways. A line that is silent is asked with a ping; one that stays silent is given up.
 *   waiting     The line broke; the next attempt comes after a random part of a time that doubles with every failure, so
 *               that the clients of a restarted node do not all come back in the same moment.
 *
 * A socket that was given up is not listened to any more, whatever it still delivers.
 */
import type { Environment, Socket } from './environment.ts';
import { CLOSE, isFinal } from './protocol.ts';

/** A line without any frame for this long is asked whether it lives. */
const IDLE_MS = 20_000;
/** How long the answer, or the first word of a new socket, may take. */
const SILENCE_MS_MAX = 10_000;
/** The first wait after a failure is a random part of this. */
const BACKOFF_MS = 500;
const BACKOFF_MS_MAX = 15_000;
/** What is added when the server said that it has too much to do. */
const OVERLOADED_MS = 1_000;

/** Where the line is; see the head of this file. */
export type ConnectionState =
  /** `code` is null when nobody but us closed it. */
  | { readonly kind: 'closed'; readonly code: number | null; readonly reason: string }
  | { readonly kind: 'connecting' }
  | { readonly kind: 'open' }
  | { readonly kind: 'waiting'; readonly delay_ms: number; readonly code: number; readonly reason: string };

/** What the owner of the line is asked and told. */
export interface ConnectionListener {
  /**
   * The address of the next attempt. `refused`: the last one was turned away with 4401, so a new token is needed. A
   * rejection counts as a failed attempt.
   */
  address(refused: boolean): Promise<string>;
  /** A frame came. */
  frame(data: unknown): void;
  /** The state is another. */
  changed(state: ConnectionState): void;
}

/** See the head of this file. */
export class Connection {
  readonly #environment: Environment;
  readonly #listener: ConnectionListener;
  #state: ConnectionState = { kind: 'closed', code: null, reason: '' };
  #socket: Socket | null = null;
  #cancelTimer: () => void = () => {};
  /** Counts attempts, so that an address that comes too late is not used. */
  #attempt = 0;
  #failures = 0;
  #refused = false;
  #heard_at = 0;
  #asked = false;

  constructor(environment: Environment, listener: ConnectionListener) {
    this.#environment = environment;
    this.#listener = listener;
  }

  /** Where the line is. */
  get state(): ConnectionState {
    return this.#state;
  }

  /** Attempts in a row that did not get as far as {@link established}. */
  get failures(): number {
    return this.#failures;
  }

  /** Connects, and again whenever the line breaks; at once when it was waiting. */
  open(): void {
    if (this.#state.kind === 'connecting' || this.#state.kind === 'open') return;
    void this.#connect();
  }

  /** Ends it for good, until the next `open`. */
  close(): void {
    if (this.#state.kind !== 'closed') this.#end(null, '', CLOSE.NORMAL);
  }

  /** Gives this socket up and tries a new one: what came over it makes no sense, or not any more. */
  restart(reason: string): void {
    if (this.#socket !== null) this.#broken(CLOSE.LOST, reason);
  }

  /** The server has accepted us. */
  established(): void {
    this.#failures = 0;
    this.#refused = false;
    if (this.#state.kind !== 'open') this.#change({ kind: 'open' });
  }

  /** Sends a frame; only while the line is open. */
  send(frame: string): void {
    if (this.#state.kind === 'open') this.#socket?.send(frame);
  }

  async #connect(): Promise<void> {
    const attempt = ++this.#attempt;
    this.#cancelTimer();
    this.#change({ kind: 'connecting' });
    let address: string;
    try {
      address = await this.#listener.address(this.#refused);
    } catch (error) {
      if (attempt === this.#attempt) this.#broken(CLOSE.LOST, `no token: ${reasonOf(error)}`);
      return;
    }
    if (attempt !== this.#attempt) return;
    try {
      this.#attach(this.#environment.openSocket(address));
    } catch (error) {
      this.#broken(CLOSE.LOST, `no socket: ${reasonOf(error)}`);
    }
  }

  #attach(socket: Socket): void {
    this.#socket = socket;
    this.#heard();
    this.#watch();
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#heard();
      this.#listener.frame(data);
    };
    socket.onclose = ({ code, reason }) => {
      if (socket !== this.#socket) return;
      this.#socket = null;
      this.#closed(code, reason);
    };
    // A close always follows; without a listener some platforms throw.
    socket.onerror = () => {};
  }

  #closed(code: number, reason: string): void {
    if (code === CLOSE.UNAUTHENTICATED && !this.#refused) {
      this.#refused = true;
      return void this.#connect();
    }
    // A token that was fetched for this very attempt was refused as well.
    if (isFinal(code) || code === CLOSE.UNAUTHENTICATED) return this.#end(code, reason);
    this.#broken(code, reason);
  }

  #broken(code: number, reason: string): void {
    this.#drop();
    const window = Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** this.#failures);
    const delay_ms = this.#environment.random() * window + (code === CLOSE.OVERLOADED ? OVERLOADED_MS : 0);
    this.#failures += 1;
    this.#cancelTimer = this.#environment.after(delay_ms, () => void this.#connect());
    this.#change({ kind: 'waiting', delay_ms, code, reason });
  }

  #end(code: number | null, reason: string, goodbye?: number): void {
    this.#drop(goodbye);
    this.#failures = 0;
    this.#refused = false;
    this.#change({ kind: 'closed', code, reason });
  }

  /** Lets go of the socket and of everything that is under way. */
  #drop(goodbye?: number): void {
    const socket = this.#socket;
    this.#attempt += 1;
    this.#cancelTimer();
    this.#cancelTimer = () => {};
    this.#socket = null;
    if (socket === null) return;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close(goodbye);
  }

  #heard(): void {
    this.#heard_at = this.#environment.now();
    this.#asked = false;
  }

  /** Looks at the line when it could have been silent for too long; a timer per frame would cost more than the frame. */
  #watch(): void {
    const left_ms = this.#heard_at + this.#patience() - this.#environment.now();
    this.#cancelTimer = this.#environment.after(Math.max(1, left_ms), () => this.#look());
  }

  #look(): void {
    if (this.#environment.now() - this.#heard_at < this.#patience()) return this.#watch();
    if (this.#asked || this.#state.kind !== 'open') return this.#broken(CLOSE.LOST, 'the server is silent');
    this.#asked = true;
    this.send('{"type":"ping"}');
    this.#watch();
  }

  /** How long the line may be silent before something has to be done. */
  #patience(): number {
    if (this.#state.kind !== 'open') return SILENCE_MS_MAX;
    return this.#asked ? IDLE_MS + SILENCE_MS_MAX : IDLE_MS;
  }

  #change(state: ConnectionState): void {
    this.#state = state;
    this.#listener.changed(state);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
