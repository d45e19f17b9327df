/**
 * A network between one client and the server that the fuzz can hold up and cut. Real sockets lie below it; what is held
 * waits in order on either side, as it would on a slow line, and what is held when the line is cut is lost, as it would
 * be with the machine in between. The client, whichever it is, sees a WebSocket.
 */

type Data = string | Uint8Array<ArrayBuffer> | ArrayBuffer;

/** What the JSON client and y-websocket assign. */
type Handler<Event> = ((event: Event) => void) | null;

/** See the head of this file. */
export class Line {
  #held = false;
  #socket: LineSocket | null = null;

  /** Whether frames wait. */
  get held(): boolean {
    return this.#held;
  }

  /** Opens a socket that goes over this line. */
  openSocket(url: string): LineSocket {
    this.#socket = new LineSocket(url, this);
    return this.#socket;
  }

  /** The same as a constructor, which is how y-websocket wants it. */
  get WebSocket(): typeof WebSocket {
    const line = this;
    class Socket extends LineSocket {
      constructor(url: string) {
        super(url, line);
        line.#socket = this;
      }
    }
    return Socket as unknown as typeof WebSocket;
  }

  /** Frames wait from now on, in both directions. */
  hold(): void {
    this.#held = true;
  }

  /** Lets everything that waited through, in order. */
  release(): void {
    this.#held = false;
    this.#socket?.flush();
  }

  /** The line breaks; neither side hears why, and what waited is lost. */
  cut(): void {
    this.#held = false;
    this.#socket?.cut();
  }
}

/** The client's end of a socket on a {@link Line}. */
class LineSocket {
  readonly OPEN = WebSocket.OPEN;
  binaryType = 'arraybuffer';
  onopen: Handler<Event> = null;
  onmessage: Handler<{ data: unknown }> = null;
  onclose: Handler<{ code: number; reason: string }> = null;
  onerror: Handler<Event> = null;
  readonly #inner: WebSocket;
  readonly #line: Line;
  readonly #inbox: { data: unknown }[] = [];
  readonly #outbox: Data[] = [];
  #dead = false;

  constructor(url: string, line: Line) {
    this.#line = line;
    this.#inner = new WebSocket(url);
    this.#inner.binaryType = 'arraybuffer';
    this.#inner.onopen = (event) => this.onopen?.(event);
    this.#inner.onerror = (event) => this.onerror?.(event);
    this.#inner.onmessage = ({ data }) => {
      if (line.held || this.#inbox.length > 0) this.#inbox.push({ data });
      else this.onmessage?.({ data });
    };
    this.#inner.onclose = ({ code, reason }) => {
      this.flush();
      this.onclose?.({ code, reason });
    };
  }

  get readyState(): number {
    return this.#dead ? WebSocket.CLOSED : this.#inner.readyState;
  }

  send(data: Data): void {
    if (this.#line.held) this.#outbox.push(data);
    else this.#inner.send(data);
  }

  close(code?: number): void {
    if (code === undefined) this.#inner.close();
    else this.#inner.close(code);
  }

  flush(): void {
    if (this.#dead) return;
    for (let event = this.#inbox.shift(); event !== undefined; event = this.#inbox.shift()) this.onmessage?.(event);
    for (let data = this.#outbox.shift(); data !== undefined; data = this.#outbox.shift())
      if (this.#inner.readyState === WebSocket.OPEN) this.#inner.send(data);
  }

  cut(): void {
    if (this.#dead || this.#inner.readyState === WebSocket.CLOSED) return;
    this.#dead = true;
    this.#inner.onopen = null;
    this.#inner.onmessage = null;
    this.#inner.onclose = null;
    this.#inner.onerror = () => {};
    (this.#inner as WebSocket & { terminate(): void }).terminate();
    this.#inbox.length = 0;
    this.#outbox.length = 0;
    this.onclose?.({ code: 1006, reason: 'the line was cut' });
  }
}
