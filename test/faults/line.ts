/**
 * A line from one node to one store: a TCP proxy that can be slow, go dead with its connections open, or break. The other
 * nodes have lines of their own and notice nothing.
 */
import type { Socket } from 'bun';

/** What a line does with bytes: passes them on (late by `delay_ms`), keeps them until it heals, or has broken. */
type State = { readonly kind: 'up'; readonly delay_ms: number } | { readonly kind: 'dead' } | { readonly kind: 'down' };

interface Pair {
  client: Socket<Pair> | null;
  store: Socket<Pair> | null;
  readonly to_client: Chunk[];
  readonly to_store: Chunk[];
}

/** Bytes, and when they may arrive: never before those that were sent before them. */
interface Chunk {
  bytes: Uint8Array;
  readonly due: number;
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'redis:': 6379, 'postgres:': 5432, 'postgresql:': 5432 };

/** See the head of this file. */
export class Line {
  /** The store's URL with this line's address in it. */
  readonly url: string;
  #state: State = { kind: 'up', delay_ms: 0 };
  readonly #pairs = new Set<Pair>();
  readonly #listener;
  readonly #target: { readonly hostname: string; readonly port: number };

  constructor(store_url: string) {
    const url = new URL(store_url);
    this.#target = { hostname: url.hostname, port: Number(url.port) || (DEFAULT_PORTS[url.protocol] ?? 0) };
    this.#listener = Bun.listen<Pair>({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        open: (client) => void this.#accept(client),
        data: (client, bytes) => this.#pass(client.data, 'to_store', bytes),
        drain: (client) => this.#flush(client.data),
        close: ({ data }) => {
          data.client = null;
          data.store?.end();
          this.#pairs.delete(data);
        },
        error() {},
      },
    });
    url.hostname = '127.0.0.1';
    url.port = String(this.#listener.port);
    this.url = url.href;
  }

  /** Everything arrives `delay_ms` late from now on. */
  slow(delay_ms: number): void {
    this.#state = { kind: 'up', delay_ms };
  }

  /** Nothing arrives any more, and nobody is told. */
  die(): void {
    this.#state = { kind: 'dead' };
  }

  /** Every connection breaks, and new ones too. */
  cut(): void {
    this.#state = { kind: 'down' };
    for (const { client, store } of this.#pairs) {
      client?.terminate();
      store?.terminate();
    }
    this.#pairs.clear();
  }

  /** All is well again; what was kept back arrives. */
  heal(): void {
    this.#state = { kind: 'up', delay_ms: 0 };
    for (const pair of this.#pairs) this.#flush(pair);
  }

  /** Ends it. */
  close(): void {
    this.cut();
    this.#listener.stop(true);
  }

  async #accept(client: Socket<Pair>): Promise<void> {
    const pair: Pair = { client, store: null, to_client: [], to_store: [] };
    client.data = pair;
    if (this.#state.kind === 'down') return void client.terminate();
    this.#pairs.add(pair);
    try {
      pair.store = await Bun.connect<Pair>({
        ...this.#target,
        data: pair,
        socket: {
          data: (store, bytes) => this.#pass(store.data, 'to_client', bytes),
          drain: (store) => this.#flush(store.data),
          close: ({ data }) => {
            data.store = null;
            data.client?.end();
            this.#pairs.delete(data);
          },
          error() {},
        },
      });
      this.#flush(pair);
    } catch {
      client.terminate();
    }
  }

  #pass(pair: Pair, way: 'to_client' | 'to_store', bytes: Uint8Array): void {
    const delay_ms = this.#state.kind === 'up' ? this.#state.delay_ms : 0;
    const last = pair[way].at(-1)?.due ?? 0;
    pair[way].push({ bytes: Uint8Array.from(bytes), due: Math.max(last, performance.now() + delay_ms) });
    this.#flush(pair);
    if (delay_ms > 0) setTimeout(() => this.#flush(pair), delay_ms + 1);
  }

  #flush({ client, store, to_client, to_store }: Pair): void {
    if (this.#state.kind !== 'up') return;
    if (client !== null) flush(client, to_client);
    if (store !== null) flush(store, to_store);
  }
}

/** Writes as much of what is due as the socket takes now; it calls `drain` when it takes more. */
function flush(socket: Socket<Pair>, queue: Chunk[]): void {
  const now = performance.now();
  for (let [next] = queue; next !== undefined && next.due <= now; [next] = queue) {
    const taken = socket.write(next.bytes);
    if (taken < next.bytes.length) {
      next.bytes = next.bytes.subarray(Math.max(taken, 0));
      return;
    }
    queue.shift();
  }
}
