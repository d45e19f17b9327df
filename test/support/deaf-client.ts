/** A client that opens a WebSocket by hand, says something perhaps, and then reads nothing, or slowly, or when it is told to. */
import { createConnection, type Socket } from 'node:net';

/** See the head of this file. */
export class DeafClient {
  readonly #socket: Socket;
  readonly #closed: Promise<void>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  /** Connects to a server of this machine, and sends these binary frames of at most 64 KiB once it is connected. */
  static async open(port: number, path: string, ...frames: readonly Uint8Array[]): Promise<DeafClient> {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.on('error', () => {});
    const client = new DeafClient(socket);
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n',
    );
    await new Promise((resolve) => socket.once('data', resolve));
    socket.pause();
    for (const frame of frames) socket.write(masked(frame));
    return client;
  }

  /** Reads all that is left, until the line ends; the last bytes, in hex. */
  async readOn(): Promise<string> {
    let last = Buffer.alloc(0);
    this.#socket.on('data', (data: Buffer) => {
      last = Buffer.concat([last, data.subarray(-64)]).subarray(-64);
    });
    this.#socket.resume();
    await this.#closed;
    return last.toString('hex');
  }

  /** Reads so many bytes in all, at this rate. Throws when the line ends before that. */
  async readSlowly(bytes: number, bytes_per_s: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const began = performance.now();
    let read = 0;
    const mayRead = (): boolean => read < ((performance.now() - began) / 1_000) * bytes_per_s;
    this.#socket.on('data', (data: Buffer) => {
      read += data.length;
      if (read >= bytes) resolve();
      if (!mayRead()) this.#socket.pause();
    });
    void this.#closed.then(() => reject(new Error(`the line ended after ${read} bytes`)));
    const reading = setInterval(() => mayRead() && this.#socket.resume(), 10);
    await promise.finally(() => clearInterval(reading));
    this.#socket.removeAllListeners('data').pause();
  }

  /** Hangs up without a word. */
  destroy(): void {
    this.#socket.destroy();
  }
}

/** A frame: binary, final, masked with zeros. */
function masked(payload: Uint8Array): Uint8Array {
  const { length } = payload;
  const size = length < 126 ? [0x80 | length] : [0x80 | 126, length >> 8, length & 0xff];
  return Uint8Array.of(0x82, ...size, 0, 0, 0, 0, ...payload);
}
