/**
 * Server and driver on cores of their own, so that neither waits for the other's turn. PostgreSQL and Redis go to the
 * driver's core, as though they were on a machine of their own; what they take there, the driver lacks.
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
    ? `servers on core ${server_core}, the driver, PostgreSQL and Redis on core ${driver_core}`
    : `nothing is pinned to a core, as ${taskset === null ? 'there is no taskset' : 'this process may use only one'}`;

/** The command that runs `cmd` on the servers' core. `taskset` becomes the command itself: no process stands between. */
export function onServerCore(cmd: readonly string[]): readonly string[] {
  return driver_core === undefined ? cmd : ['taskset', '-c', String(server_core), ...cmd];
}

/** Moves processes, with all their threads, to the driver's core. What they start from then on runs there too. */
export function moveToDriverCore(pids: readonly number[]): void {
  if (driver_core === undefined) return;
  for (const pid of pids)
    Bun.spawnSync(['taskset', '-a', '-c', '-p', String(driver_core), String(pid)], {
      stdout: 'ignore',
      stderr: 'ignore',
    });
}

/** Moves this process to the driver's core. To be called before a contender is started. */
export function pinDriver(): void {
  moveToDriverCore([process.pid]);
}

/** Read once at the start: later this process may have pinned itself. The list reads like `0-3,6`. */
function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
