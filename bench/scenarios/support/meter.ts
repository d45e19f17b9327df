/** What a stretch of a run cost everybody, and the figures made of that. */
import type { CpuTimes, Figure, RunningServer } from '../../contender.ts';
import type { Latencies } from '../../figures.ts';

/** The figure by which a run is marked whose driver, rather than the server, may have been the slowest part. */
export const DRIVER_CPU = 'driver CPU';

/** A stretch that is over. */
export interface Cost extends CpuTimes {
  readonly ms: number;
  /** Of one core; the driver has one to itself and the databases. */
  readonly driver_percent: number;
}

/** Begins a stretch; the function that is returned ends it. */
export function meter(server: RunningServer): () => Cost {
  const [begun, cpu, driver] = [performance.now(), server.cpu(), process.cpuUsage()];
  return () => {
    const ms = performance.now() - begun;
    const now = server.cpu();
    const used = process.cpuUsage(driver);
    return {
      ms,
      server_ms: now.server_ms - cpu.server_ms,
      stores_ms: now.stores_ms - cpu.stores_ms,
      driver_percent: (used.user + used.system) / ms / 10,
    };
  };
}

export function less(name: string, unit: string, value: number): Figure {
  return { name, unit, value, better: 'less' };
}

export function more(name: string, unit: string, value: number): Figure {
  return { name, unit, value, better: 'more' };
}

export function driverFigure({ driver_percent }: Cost): Figure {
  return less(DRIVER_CPU, '%', driver_percent);
}

/** Processor time of a server and its stores for each edit. */
export function cpuPerEdit({ server_ms, stores_ms }: CpuTimes, edits: number): Figure[] {
  return [
    less('server CPU', 'µs/edit', (server_ms * 1000) / edits),
    less('stores CPU', 'µs/edit', (stores_ms * 1000) / edits),
  ];
}

/** Such as `delivery p50` and `delivery p99`, in milliseconds. */
export function quantiles(name: string, times: Latencies, shares: readonly number[] = [0.5, 0.99]): Figure[] {
  return shares.map((share) => less(`${name} p${share * 100}`, 'ms', times.quantile(share)));
}
