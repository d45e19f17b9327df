/** Waiting for something to become true in a system that runs by itself, for as long as it takes and no longer. */

const LOOK_EVERY_MS = 10;

/**
 * Resolves with what `look` returns as soon as that is truthy; looks again at once while the system changes, with a short
 * breath in between. When the deadline passes first, throws `what`, together with the last failure of `look` if it threw.
 *
 * @param what what is waited for, as it shall read in the failure: "waited for <what>"
 */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  within_ms = 10_000,
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const deadline = performance.now() + within_ms;
  let failure: unknown;
  for (;;) {
    try {
      const seen = await look();
      failure = undefined;
      if (seen) return seen as Exclude<T, false | null | undefined | 0 | ''>;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > deadline) {
      const last =
        failure === undefined ? '' : `; the last look failed: ${failure instanceof Error ? failure.message : failure}`;
      throw new Error(`waited ${within_ms} ms for ${what}${last}`, { cause: failure });
    }
    await Bun.sleep(LOOK_EVERY_MS);
  }
}
