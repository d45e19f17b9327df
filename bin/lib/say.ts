/**
 * What the commands tell their user. Progress goes to stderr, so that stdout holds results only; a failure that the user
 * can do something about is a Problem, whose message is a sentence that says what.
 */
import { readFileSync, writeSync } from 'node:fs';

/** A failure whose message tells the user what to do; it is printed without a stack. */
export class Problem extends Error {}

/** Prints one line of progress. Never throws: the terminal may be gone while we still have servers to stop. */
export function say(line: string): void {
  write(2, `concord: ${line}\n`);
}

/** Passes on what another process wrote, to stderr. Never throws, as above. */
export function passOn(text: string): void {
  write(2, text);
}

/** Prints a result to stdout. Never throws, as above. */
export function print(text: string): void {
  write(1, `${text}\n`);
}

function write(fd: 1 | 2, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
    }
  }
}

/** Prints why a command failed: a Problem's sentence, or the stack of anything else. */
export function sayFailure(error: unknown): void {
  if (error instanceof Problem) say(error.message);
  else say(error instanceof Error ? (error.stack ?? error.message) : String(error));
}

/** The last `lines` lines of a file, or nothing if it cannot be read: for showing why a server did not start. */
export function tail(path: string, lines: number): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '';
  }
}

/** Adds to a failure what can be done about it, where its text shows that. */
export function explain(failure: string, text: string): string {
  if (/No space left on device|ENOSPC/.test(text)) return `${failure} The disk is full: free some space and try again.`;
  const running = /postmaster \(PID (\d+)\) running/.exec(text)?.[1];
  if (running)
    return `${failure} A PostgreSQL still uses this data: stop it with "kill -INT ${running}" and try again.`;
  if (/Permission denied/i.test(text))
    return `${failure} Its user may not reach the data: move the checkout out of folders that only their owner may enter.`;
  return failure;
}
