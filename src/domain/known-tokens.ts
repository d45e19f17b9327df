/**
 * What tokens say, remembered: to check the signature of one costs more than all else that a request needs of it. Only
 * tokens that were found good are kept, by their whole text, and the oldest go first.
 */

/** Tokens that are remembered. */
const REMEMBERED_MAX = 10_000;

/** See the head of this file. */
export class KnownTokens<Said> {
  readonly #known = new Map<string, Said>();

  /** What a token says that was remembered. */
  recall(token: string): Said | undefined {
    return this.#known.get(token);
  }

  /** Remembers a token that was found good. */
  remember(token: string, said: Said): void {
    this.#known.set(token, said);
    if (this.#known.size > REMEMBERED_MAX)
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
  }

  /** Forgets all: what made them good may have changed. */
  clear(): void {
    this.#known.clear();
  }
}
