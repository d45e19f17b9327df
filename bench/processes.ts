/**
 * What processes use: processor time and memory, read from outside.
 *
 * Processor time comes from the clock that POSIX gives every process (`clock_getcpuclockid`), in nanoseconds. The other
 * ways lose some of it: `schedstat` of the threads forgets threads that have ended, and `utime` and `stime` of
 * `/proc/<pid>/stat` count in ticks of 10 ms. Only for children that have ended, which have no clock any more, those
 * ticks are what is left.
 */
import { dlopen, FFIType, ptr } from 'bun:ffi';
import { readFileSync } from 'node:fs';

/** A tick of `/proc`: USER_HZ is 100 on every processor that Bun runs on. */
const TICK_MS = 10;
/** The clock that counts what the scheduler gave to a whole process; see `include/linux/posix-timers.h`. */
const CPUCLOCK_SCHED = 2;

const libc = dlopen('libc.so.6', {
  clock_gettime: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
});
const timespec = new BigInt64Array(2);

/** These processes and all that they started, as far as they run. */
export function processTrees(pids: readonly number[]): number[] {
  return pids.flatMap((pid) => [pid, ...processTrees(childrenOf(pid))]);
}

/** Processor time of these processes, of all that they started and of what of that has ended, in milliseconds. */
export function processorMs(pids: readonly number[]): number {
  return processTrees(pids).reduce((sum, pid) => sum + clockMs(pid) + endedChildrenMs(pid), 0);
}

/** Resident memory of these processes and of all that they started, in bytes. */
export function residentBytes(pids: readonly number[]): number {
  return processTrees(pids).reduce((sum, pid) => {
    const kilobytes = /^VmRSS:\s*(\d+) kB/m.exec(readOr(`/proc/${pid}/status`))?.[1] ?? 0;
    return sum + Number(kilobytes) * 1024;
  }, 0);
}

function clockMs(pid: number): number {
  // Fails for a process that has just ended: its time is then among that of its parent's ended children.
  if (libc.symbols.clock_gettime((~pid << 3) | CPUCLOCK_SCHED, ptr(timespec)) !== 0) return 0;
  return Number(timespec[0] ?? 0n) * 1_000 + Number(timespec[1] ?? 0n) / 1e6;
}

function endedChildrenMs(pid: number): number {
  // The name of the command, in brackets, may hold anything. From the state on, cutime and cstime are the 14th and 15th.
  const fields = readOr(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[13] ?? 0) + Number(fields[14] ?? 0)) * TICK_MS;
}

function childrenOf(pid: number): number[] {
  // Of every thread: a child belongs to the thread that started it.
  return readOr(`/proc/${pid}/task/${pid}/children`).trim().split(/\s+/).filter(Boolean).map(Number);
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // Ended in between.
  }
}
