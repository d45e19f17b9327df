/** A client of the JSON door that makes one edit at a time and tells how long it took; and a look into a Redis. */
import type { DeltaOps } from '../src/protocol/content/delta.ts';
import { doorUrl, type Place } from './place.ts';

/** How long an edit took, in milliseconds. */
export interface Took {
  /** Until its own event was back. */
  readonly event_ms: number;
  /** Until an acknowledgement covered it. */
  readonly ack_ms: number;
}

interface Waiting {
  readonly seq: number;
  readonly begun: number;
  rev: number | null;
  event_ms: number;
  readonly done: PromiseWithResolvers<Took>;
}

/** See the head of this file. */
export class Client {
  #rev = 0;
  #seq = 0;
  #waiting: Waiting | null = null;
  #client_id = '';

  private constructor(private readonly socket: WebSocket) {}

  /** Connects and waits for `ready`; rejects when it is closed before. */
  static connect(place: Place, doc_id: string): Promise<Client> {
    const socket = new WebSocket(doorUrl(place, 'collab', doc_id, {}));
    const client = new Client(socket);
    return new Promise((resolve, reject) => {
      socket.onmessage = ({ data }) => {
        const event = JSON.parse(data as string);
        if (event.type === 'ready') resolve(client);
        client.#take(event);
      };
      socket.onclose = ({ code }) => {
        const lost = new Error(`closed with ${code}`);
        client.#waiting?.done.reject(lost);
        reject(lost);
      };
    });
  }

  /** Makes an edit; resolves when it is acknowledged, rejects when the connection ends before that. */
  edit(delta: DeltaOps): Promise<Took> {
    this.#seq += 1;
    const done = Promise.withResolvers<Took>();
    this.#waiting = { seq: this.#seq, begun: performance.now(), rev: null, event_ms: 0, done };
    const changes = { base_rev: this.#rev, delta };
    this.socket.send(JSON.stringify({ type: 'edit', changes, seq: this.#seq }));
    return done.promise;
  }

  /** Leaves. */
  leave(): void {
    this.socket.onclose = null;
    this.socket.close();
  }

  // biome-ignore lint/suspicious/noExplicitAny: what comes over a wire, of every shape
  #take(event: any): void {
    const waiting = this.#waiting;
    if (event.type === 'ready') [this.#rev, this.#client_id] = [event.rev, event.client_id];
    if (event.type === 'error') waiting?.done.reject(new Error(`${event.code}: ${event.message}`));
    if (event.type === 'edit') {
      this.#rev = event.changes.rev;
      if (waiting === null || event.client_id !== this.#client_id || event.seq !== waiting.seq) return;
      waiting.rev = event.changes.rev;
      waiting.event_ms = performance.now() - waiting.begun;
    }
    if (event.type === 'ack' && waiting !== null && waiting.rev !== null && event.rev >= waiting.rev) {
      this.#waiting = null;
      waiting.done.resolve({ event_ms: waiting.event_ms, ack_ms: performance.now() - waiting.begun });
    }
  }
}
