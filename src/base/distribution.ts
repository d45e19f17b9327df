/**
 * A histogram without labels for what is measured at every edit: prom-client's own looks its labels and buckets up anew at
 * each observation, which costs more than sending the edit on.
 */
import type { MetricObjectWithValues, MetricType, MetricValue, Registry } from 'prom-client';

type Shown = MetricObjectWithValues<MetricValue<string>>;

/** See the head of this file. A registry prints it like any other histogram. */
export class Distribution {
  readonly name: string;
  readonly help: string;
  readonly #bounds: readonly number[];
  /** Per bucket, the last for what is above all bounds. */
  readonly #counts: number[];
  #sum = 0;

  /** `buckets` are upper bounds, ascending. */
  constructor(config: {
    readonly name: string;
    readonly help: string;
    readonly buckets: readonly number[];
    readonly registers: readonly Registry[];
  }) {
    this.name = config.name;
    this.help = config.help;
    this.#bounds = config.buckets;
    this.#counts = new Array<number>(config.buckets.length + 1).fill(0);
    // What a registry asks of a metric is a name and `get`.
    for (const registry of config.registers)
      registry.registerMetric(this as unknown as Parameters<Registry['registerMetric']>[0]);
  }

  /** Counts one value. */
  observe(value: number): void {
    const bounds = this.#bounds;
    let i = 0;
    while (i < bounds.length && value > (bounds[i] as number)) i += 1;
    this.#counts[i] = (this.#counts[i] ?? 0) + 1;
    this.#sum += value;
  }

  /** What a registry prints: each bucket counts what is below it, too. */
  get(): Promise<Shown> {
    const values: MetricValue<string>[] = [];
    let count = 0;
    const add = (metricName: string, labels: Record<string, string | number>, value: number): void => {
      values.push({ metricName, labels, value } as MetricValue<string>);
    };
    for (const [i, own] of this.#counts.entries()) {
      count += own;
      add(`${this.name}_bucket`, { le: this.#bounds[i] ?? '+Inf' }, count);
    }
    add(`${this.name}_sum`, {}, this.#sum);
    add(`${this.name}_count`, {}, count);
    const type = 'histogram' as unknown as MetricType;
    return Promise.resolve({ name: this.name, help: this.help, type, aggregator: 'sum', values } as Shown);
  }
}
