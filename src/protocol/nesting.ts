/**
 * How deeply JSON is nested. JSON that is nested tens of thousands deep can be read, but writing it again takes seconds
 * and then fails; so whoever takes in values that were not checked at a door looks here first.
 */

/** Whether objects and arrays stand in one another more than `levels` deep. Without recursion: depth is the sender's. */
export function nestsDeeperThan(value: unknown, levels: number): boolean {
  let items: readonly unknown[] = [value];
  for (let depth = 0; ; depth++) {
    const containers = items.filter(isContainer);
    if (containers.length === 0) return false;
    if (depth === levels) return true;
    items = containers.flatMap((container) => Object.values(container));
  }
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
