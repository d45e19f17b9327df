/** When things happen: a timetable that does not wait for answers, deadlines, and so many at once. */

/**
 * Acts `count` times at an even rate, whatever the answers do, and resolves after the last. What is late because the
 * driver was busy is done at once and keeps its due time, which is where a latency begins: so a server that stalls cannot
 * hide the edits that were held up meanwhile.
 *
 * Between two acts it sleeps a whole millisecond at least, though up to that much comes late then: a shorter sleep is none,
 * and a driver that turns in circles takes the core that PostgreSQL shares with it.
 */
export async function timetable(
  count: number,
  per_second: number,
  act: (k: number, due_at: number) => void,
): Promise<void> {
  const begun = performance.now();
  const due = (k: number): number => begun + (k * 1000) / per_second;
  for (let k = 0; k < count; ) {
    for (; k < count && due(k) <= performance.now(); k++) act(k, due(k));
    if (k < count) await Bun.sleep(Math.max(1, Math.ceil(due(k) - performance.now())));
  }
}

/** The promise's value, or an error that says what did not happen in time; `state` may say how far it came. */
export async function within<T>(ms: number, what: string, promise: Promise<T>, state = () => ''): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`not within ${ms / 1000} s: ${what}${state()}`)), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Makes `count` things, at most `at_once` at a time; in order. The first failure fails all. */
export async function pooled<T>(count: number, at_once: number, make: (i: number) => Promise<T>): Promise<T[]> {
  const made = new Array<T>(count);
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) {
      const i = next++;
      made[i] = await make(i);
    }
  };
  await Promise.all(Array.from({ length: Math.min(at_once, count) }, work));
  return made;
}
