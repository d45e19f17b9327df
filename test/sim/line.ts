/**
 * The line between a client and a node: frames arrive in order, each after its time, until somebody closes it or it is
 * cut. Of a cut either end may hear late; what was under way is lost. Where the machine behind it vanished, nobody tells.
 */
import type { Dice } from '../fuzz/edits.ts';
import { type Host, Lane, type Time } from './time.ts';

/** What a frame is. */
export type Frame = string | Uint8Array;

/** Either end of a line. */
export interface End {
  receive(frame: Frame): void;
  /** The line is closed by the other end, or was cut (1006). */
  closed(code: number, reason: string): void;
}

/** Milliseconds that a frame is on its way. */
const WAY_MS = 6;
/** How long a node may take to notice that a client's line is dead. */
const UNNOTICED_MS_MAX = 12_000;

/** See the head of this file. */
export class Line {
  #client: End | null;
  #server: End | null = null;
  readonly #up: Lane;
  readonly #down: Lane;

  constructor(
    private readonly client_host: Host,
    readonly server_host: Host,
    client: End,
    private readonly dice: Dice,
    time: Time,
  ) {
    this.#client = client;
    this.#up = new Lane(time, dice);
    this.#down = new Lane(time, dice);
  }

  /** Has the node take the line; `accept` gives its end. */
  connect(accept: (line: Line) => End): void {
    this.server_host.receive(this.#up.delay(WAY_MS), () => {
      if (this.#client !== null) this.#server = accept(this);
    });
    if (this.server_host.gone) this.lose(true);
  }

  fromClient(frame: Frame): void {
    this.server_host.receive(this.#up.delay(WAY_MS), () => this.#server?.receive(frame));
  }

  fromServer(frame: Frame): void {
    if (this.#server === null && this.#client === null) return;
    this.client_host.receive(this.#down.delay(WAY_MS), () => this.#client?.receive(frame));
  }

  /** The client closes it. */
  closeFromClient(): void {
    this.#client = null;
    this.server_host.receive(this.#up.delay(WAY_MS), () => this.#endServer(1000, ''));
  }

  /** The node closes it; what it said before arrives first. */
  closeFromServer(code: number, reason: string): void {
    this.#server = null;
    this.client_host.receive(this.#down.delay(WAY_MS), () => this.#endClient(code, reason));
  }

  /** The line is cut: what is under way is lost, and either end hears of it in its own time. */
  cut(): void {
    const [client, server] = [this.#client, this.#server];
    this.#client = null;
    this.#server = null;
    const late = (): number => (this.dice.once(3) ? this.dice.below(UNNOTICED_MS_MAX) : this.dice.below(20));
    if (client !== null) this.client_host.receive(late(), () => client.closed(1006, 'cut'));
    if (server !== null) this.server_host.receive(late(), () => server.closed(1006, 'cut'));
  }

  /** The node's process is gone. Its machine says so, unless that went too. */
  lose(told: boolean): void {
    this.#server = null;
    if (told) this.client_host.receive(this.#down.delay(WAY_MS), () => this.#endClient(1006, 'gone'));
  }

  /** Nothing passes for a while. */
  block(duration_ms: number): void {
    this.#up.block(duration_ms);
    this.#down.block(duration_ms);
  }

  #endClient(code: number, reason: string): void {
    const client = this.#client;
    this.#client = null;
    client?.closed(code, reason);
  }

  #endServer(code: number, reason: string): void {
    const server = this.#server;
    this.#server = null;
    server?.closed(code, reason);
  }
}
