/** What a {@link Line} is made of. */
export interface LineParts {
  /** So many are at it at a time. */
  readonly running_max: number;
  /** So many wait for their turn. */
  readonly waiting_max: number;
  /** What whoever comes to a line that is too long is told. */
  full(): Error;
}

/** Lets a few at a time do something; the others wait, first come, first served. */
export class Line {
  readonly #parts: LineParts;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(parts: LineParts) {
    this.#parts = parts;
  }

  /** Whether nobody is at it. */
  get idle(): boolean {
    return this.#running === 0;
  }

  /** Does `work` when it is its turn. Rejects with `full()` when the line is too long, and as `work` does. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const { running_max, waiting_max, full } = this.#parts;
    if (this.#running < running_max) this.#running += 1;
    else if (this.#waiting.length >= waiting_max) throw full();
    // Whoever ends hands its place over, so it is not counted anew.
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
