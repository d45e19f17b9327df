/**
 * The last long answers about the past, by what was asked. What a committed revision was never changes, so they stay right
 * for as long as they are kept; how much is kept is bounded in bytes, and the one that was asked for longest ago goes first.
 * Who may see one is asked before anybody gets here.
 */
import type { Parts } from './parts.ts';

/** See the head of this file. */
export class LastAnswers {
  readonly #answers = new Map<string, Parts>();
  #bytes = 0;

  constructor(private readonly bytes_max: number) {}

  /** The answer that was kept under this name; null when it was not, or is gone. */
  get(name: string): Parts | null {
    const answer = this.#answers.get(name);
    if (answer === undefined) return null;
    this.#answers.delete(name);
    this.#answers.set(name, answer);
    return answer;
  }

  /** Keeps an answer that is whole, if it is not too long to be kept at all. */
  keep(name: string, answer: Parts): void {
    this.#drop(name);
    if (answer.bytes > this.bytes_max) return;
    this.#answers.set(name, answer);
    this.#bytes += answer.bytes;
    for (const oldest of this.#answers.keys()) {
      if (this.#bytes <= this.bytes_max) return;
      this.#drop(oldest);
    }
  }

  #drop(name: string): void {
    const answer = this.#answers.get(name);
    if (answer === undefined) return;
    this.#answers.delete(name);
    this.#bytes -= answer.bytes;
  }
}
