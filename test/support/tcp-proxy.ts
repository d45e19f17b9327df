/**
 * A TCP proxy, for what a network can do between a client and its server: lose the answers, hold back what was sent, break.
 */
import type { Socket } from 'bun';

interface Pair {
  client: Socket<unknown> | null;
  server: Socket<Pair> | null;
  /** Of this connection: bytes that are on their way to a side, because its socket is not open or not writable yet. */
  readonly toServer: Uint8Array[];
  readonly toClient: Uint8Array[];
  /** What was held back of the client's bytes. */
  readonly held: Uint8Array[];
}

/** See the head of this file. */
export class TcpProxy {
  /** Connections on which the server answered what was delivered late. */
  answered = 0;
  #loses_answers = false;
  #holds: string | null = null;
  readonly #pairs = new Set<Pair>();
  readonly #held = new Set<Pair>();
  readonly #delivered = new Set<Pair>();
  readonly #listener;

  constructor(private readonly target: { readonly hostname: string; readonly port: number }) {
    this.#listener = Bun.listen<Pair>({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        open: (client) => void this.#accept(client),
        data: (client, bytes) => this.#fromClient(client.data, bytes),
        drain: (client) => flush(client, client.data.toClient),
        close: (client) => {
          client.data.client = null;
          // What is held back shall still arrive: the server's side stays open then.
          if (client.data.held.length === 0) client.data.server?.end();
        },
        error() {},
      },
    });
  }

  get port(): number {
    return this.#listener.port;
  }

  /** Answers of the server no longer reach anybody. */
  loseAnswers(): void {
    this.#loses_answers = true;
  }

  /**
   * Holds back, until {@link deliver}, whatever a connection sends from the moment on that it sends something with `text`
   * in it. {@link pass} ends it for connections that did not.
   */
  hold(text: string): void {
    this.#holds = text;
  }

  /** Holds back nothing more; what is held stays so, and what follows it on the same connection. */
  pass(): void {
    this.#holds = null;
  }

  /** Sends on to the server what was held back, though its client may be gone. */
  deliver(): void {
    this.#holds = null;
    for (const pair of this.#held) {
      this.#delivered.add(pair);
      for (const bytes of pair.held.splice(0)) this.#toServer(pair, bytes);
    }
    this.#held.clear();
  }

  /** Connections that are held back. */
  get held(): number {
    return this.#held.size;
  }

  /** Breaks every connection; answers of new ones arrive again. */
  cut(): void {
    this.#loses_answers = false;
    for (const pair of this.#pairs) {
      pair.client?.terminate();
      pair.server?.terminate();
    }
    this.#pairs.clear();
  }

  /** Ends all of it. */
  close(): void {
    this.cut();
    this.#listener.stop(true);
  }

  async #accept(client: Socket<Pair>): Promise<void> {
    const pair: Pair = { client, server: null, toServer: [], toClient: [], held: [] };
    client.data = pair;
    this.#pairs.add(pair);
    try {
      pair.server = await Bun.connect<Pair>({
        ...this.target,
        data: pair,
        socket: {
          data: (_server, bytes) => {
            if (this.#delivered.delete(pair)) this.answered += 1;
            if (this.#loses_answers || pair.client === null) return;
            pair.toClient.push(Uint8Array.from(bytes));
            flush(pair.client, pair.toClient);
          },
          drain: (server) => flush(server, pair.toServer),
          close: () => {
            this.#pairs.delete(pair);
            pair.client?.end();
          },
          error() {},
        },
      });
      flush(pair.server, pair.toServer);
    } catch {
      client.terminate();
    }
  }

  #fromClient(pair: Pair, bytes: Uint8Array): void {
    const copy = Uint8Array.from(bytes);
    if (this.#holds !== null && Buffer.from(copy).includes(this.#holds)) this.#held.add(pair);
    if (this.#held.has(pair)) pair.held.push(copy);
    else this.#toServer(pair, copy);
  }

  #toServer(pair: Pair, bytes: Uint8Array): void {
    pair.toServer.push(bytes);
    if (pair.server !== null) flush(pair.server, pair.toServer);
  }
}

/** Writes as much as the socket takes now; it calls `drain` when it takes more. */
function flush(socket: Socket<never> | Socket<unknown> | Socket<Pair>, queue: Uint8Array[]): void {
  for (let bytes = queue[0]; bytes !== undefined; bytes = queue[0]) {
    const taken = socket.write(bytes);
    if (taken < bytes.length) {
      queue[0] = bytes.subarray(Math.max(taken, 0));
      return;
    }
    queue.shift();
  }
}
