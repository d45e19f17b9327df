/**
 * Who waits when there is not enough processor for all. A node has one event loop for everybody who types, and threads
 * beside it for what nobody waits for at the keyboard. Left alone the system deals the processor out evenly, and a letter
 * waits until a segment of history is packed.
 */
import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';

/** How far threads step back that nobody waits for (a Unix `nice` value). */
const BEHIND = 15;

/**
 * Lets all others have the processor before this thread, and before it alone. Linux gives every thread a priority of its
 * own; elsewhere it is the whole process that has one, so nothing is done there.
 */
export function stepBehind(nice = BEHIND): void {
  try {
    setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), nice);
  } catch {
    // No such system, or it does not allow it: then everything takes its share, as it would have.
  }
}
