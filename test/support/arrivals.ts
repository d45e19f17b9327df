/**
 * What a test's socket received, and waiting for more of it: for what a test names, never for time to pass. And how the
 * sockets of tests connect.
 */
import type { TestServer, TestUser } from './server.ts';

/** Beyond this a wait has failed. */
export const WAIT_MS_MAX = 5_000;

/** How a socket ended. */
export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** What arrived, and who waits for more of it. */
export class Arrivals<Item> {
  readonly all: Item[] = [];
  readonly #taken = new Set<Item>();
  readonly #looks = new Set<() => boolean>();
  #ended: Closed | null = null;

  add(item: Item): void {
    this.all.push(item);
    this.look();
  }

  end(closed: Closed): void {
    this.#ended = closed;
    this.look();
  }

  look(): void {
    for (const look of [...this.#looks]) if (look()) this.#looks.delete(look);
  }

  /** Waits until `seek` finds something; rejects when time is up or the socket has closed without it. */
  wait<Found>(what: string, seek: () => Found | null): Promise<Found> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        clearTimeout(timer);
        this.#looks.delete(look);
        const seen = this.all.slice(-20).map((item) => JSON.stringify(item).slice(0, 300));
        reject(new Error(`${why} while waiting for ${what}; the last that came:\n${seen.join('\n')}`));
      };
      const look = (): boolean => {
        const found = seek();
        if (found !== null) {
          clearTimeout(timer);
          resolve(found);
          return true;
        }
        if (this.#ended !== null) fail(`closed with ${this.#ended.code} (${this.#ended.reason})`);
        return false;
      };
      const timer = setTimeout(() => fail(`${WAIT_MS_MAX} ms passed`), WAIT_MS_MAX);
      this.#looks.add(look);
      if (look()) this.#looks.delete(look);
    });
  }

  /** The first item that `fits` and was not taken before: one that is here, else one that is still to come. */
  take<Wanted extends Item>(what: string, fits: (item: Item) => item is Wanted): Promise<Wanted> {
    return this.wait(what, () => {
      const found = this.all.find((item): item is Wanted => !this.#taken.has(item) && fits(item));
      if (found === undefined) return null;
      this.#taken.add(found);
      return found;
    });
  }
}

/** How to come in. */
export interface OpenOptions {
  /** Query parameters besides the token. */
  readonly query?: Readonly<Record<string, string | number>>;
  /** Sent as soon as the connection stands, before anything was received. */
  readonly first?: readonly (string | Uint8Array)[];
  /** Where the token goes; `query` unless said. */
  readonly token_in?: 'query' | 'header';
}

/** Whose token a socket shows. */
export type Who = TestUser | { readonly token: string | null };

/** Opens a socket. */
export function connect(
  server: TestServer,
  path: string,
  who: Who,
  { query, first, token_in }: OpenOptions,
): WebSocket {
  const url = new URL(server.ws_url + path);
  for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, String(value));
  const in_header = token_in === 'header' && who.token !== null;
  if (who.token !== null && !in_header) url.searchParams.set('token', who.token);
  // Bun's client takes headers, which the DOM's type does not know of.
  const options = in_header ? { headers: { authorization: `Bearer ${who.token}` } } : {};
  const socket = new WebSocket(url, options as never);
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => {
    for (const frame of first ?? []) sendFrame(socket, frame);
  };
  return socket;
}

/** Sends a frame of either kind. */
export function sendFrame(socket: WebSocket, frame: string | Uint8Array): void {
  socket.send(frame as string | Uint8Array<ArrayBuffer>);
}
