/**
 * Server and driver on cores of their own, so that neither waits for the other's turn. PostgreSQL and Redis are not bound:
 * they take what either leaves.
 *
 * Where there is one core, or no `taskset` (util-linux), nothing is pinned, and {@link PINNING} says so.
 */
import { readFileSync } from 'node:fs';

const cores = allowedCores();
const taskset = Bun.which('taskset');
const [server_core, driver_core] = taskset === null ? [] : cores;

/** How processes are spread, as a sentence for the output. */
export const PINNING =
  driver_core !== undefined
    ? `servers on core ${server_core}, the driver on core ${driver_core}, PostgreSQL and Redis on either`
    : `nothing is pinned to a core, as ${taskset === null ? 'there is no taskset' : 'this process may use only one'}`;

/** The command that runs `cmd` on the servers' core. `taskset` becomes the command itself: no process stands between. */
export function onServerCore(cmd: readonly string[]): readonly string[] {
  return driver_core === undefined ? cmd : ['taskset', '-c', String(server_core), ...cmd];
}

/** Binds this process to the driver's core. To be called before a contender is started. */
export function pinDriver(): void {
  if (driver_core !== undefined) bind([process.pid], String(driver_core));
}

/** Lets processes run anywhere, though a bound one started them. */
export function unbind(pids: readonly number[]): void {
  if (driver_core !== undefined) bind(pids, cores.join(','));
}

/** With all their threads. What they start from then on is bound alike. */
function bind(pids: readonly number[], list: string): void {
  for (const pid of pids)
    Bun.spawnSync(['taskset', '-a', '-c', '-p', list, String(pid)], { stdout: 'ignore', stderr: 'ignore' });
}

/** Read once at the start: later this process may have pinned itself. The list reads like `0-3,6`. */
function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
