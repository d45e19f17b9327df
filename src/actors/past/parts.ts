/**
 * A long answer in parts: whoever asked reads the first ones while the last are still being written, and whoever asks the
 * same later reads the same parts. An answer only grows, so every reader has a place of its own and none waits for another.
 */
export class Parts {
  readonly #parts: Uint8Array[] = [];
  #whole = false;
  #error: unknown = null;
  #bytes = 0;
  #more = Promise.withResolvers<void>();

  /** What is held, in bytes: all of each part's buffer, however little of it is used. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds what follows; not to be changed any more. */
  add(part: Uint8Array): void {
    this.#parts.push(part);
    this.#bytes += part.buffer.byteLength;
    this.#tell();
  }

  /** Nothing more comes. */
  end(): void {
    this.#whole = true;
    this.#tell();
  }

  /** What is missing will never come: readers reject with `error`. */
  fail(error: unknown): void {
    this.#error = error;
    this.end();
  }

  /** Resolves once there is something to read. Rejects when nothing ever will be. */
  async begun(): Promise<void> {
    for await (const _ of this) return;
  }

  /** All of it from the beginning. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    for (let i = 0; ; i++) {
      while (i === this.#parts.length && !this.#whole) await this.#more.promise;
      const part = this.#parts[i];
      if (part === undefined) break;
      yield part;
    }
    if (this.#error !== null) throw this.#error;
  }

  #tell(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers<void>();
  }
}
