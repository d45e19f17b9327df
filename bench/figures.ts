/** What a replay measures. */

/** Times of edits, in milliseconds. */
export class Latencies {
  readonly #values: number[] = [];

  add(ms: number): void {
    this.#values.push(ms);
  }

  /** Such as `p50 1.2 ms, p95 3.4 ms, p99 5.6 ms`, nearest rank. */
  toString(): string {
    const sorted = Float64Array.from(this.#values).sort();
    const rank = (share: number): string => (sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0).toFixed(2);
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
