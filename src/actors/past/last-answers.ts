/**
 * The last long answers about the past, by what was asked. What a committed revision was never changes, so they stay right
 * for as long as they are kept; how much is kept is bounded in bytes, and the one that was asked for longest ago goes first.
 * Who may see one is asked before anybody gets here.
 */
export class LastAnswers {
  readonly #answers = new Map<string, Uint8Array>();
  #bytes = 0;

  constructor(private readonly bytes_max: number) {}

  /** The answer that was kept under this name; null when it was not, or is gone. Not to be changed. */
  get(name: string): Uint8Array | null {
    const answer = this.#answers.get(name);
    if (answer === undefined) return null;
    this.#answers.delete(name);
    this.#answers.set(name, answer);
    return answer;
  }

  /** Keeps an answer if it is not too long to be kept at all. */
  keep(name: string, answer: Uint8Array): void {
    this.#drop(name);
    // What is held is the whole buffer, however little of it is used.
    if (answer.buffer.byteLength > this.bytes_max) return;
    this.#answers.set(name, answer);
    this.#bytes += answer.buffer.byteLength;
    for (const oldest of this.#answers.keys()) {
      if (this.#bytes <= this.bytes_max) return;
      this.#drop(oldest);
    }
  }

  #drop(name: string): void {
    const answer = this.#answers.get(name);
    if (answer === undefined) return;
    this.#answers.delete(name);
    this.#bytes -= answer.buffer.byteLength;
  }
}
