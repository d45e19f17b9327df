/** What a replay and the benchmark measure, and how many numbers become a few. */

/** Times, in milliseconds. */
export class Latencies {
  readonly #values: number[] = [];
  #sorted: Float64Array | null = null;

  add(ms: number): void {
    this.#values.push(ms);
    this.#sorted = null;
  }

  addAll(others: Latencies): void {
    for (const ms of others.#values) this.add(ms);
  }

  get count(): number {
    return this.#values.length;
  }

  /** The nearest rank: 0.99 is the time that 99 % of all took at most. 0 where nothing was measured. */
  quantile(share: number): number {
    this.#sorted ??= Float64Array.from(this.#values).sort();
    return this.#sorted[Math.max(0, Math.ceil(this.#sorted.length * share) - 1)] ?? 0;
  }

  /** Such as `p50 1.20 ms, p95 3.40 ms, p99 5.60 ms`. */
  toString(): string {
    const rank = (share: number): string => this.quantile(share).toFixed(2);
    return `p50 ${rank(0.5)} ms, p95 ${rank(0.95)} ms, p99 ${rank(0.99)} ms`;
  }
}

/** How a replay went. */
export interface Figures {
  /** Edits that were sent, each in a frame of its own. */
  readonly edits: number;
  /** From the first edit sent to the last acknowledged. */
  readonly ms: number;
  /** From sending an edit to the ack that covers it. */
  readonly acks: Latencies;
}
