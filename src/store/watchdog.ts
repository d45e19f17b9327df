/**
 * Ends what a hung PostgreSQL will never answer.
 *
 * A server that is paused or cut off closes nothing: a statement that was sent on an open connection waits for it, and so
 * does everybody behind. The driver has no bound for that, so the server is asked a trivial question on a connection of its
 * own, again and again; when it stays silent twice in a row, the pool is replaced. Its statements fail, their callers say
 * UNAVAILABLE, and whoever comes next meets a connection that cannot be opened, which is bounded. Twice, because a process
 * that was itself held up finds its own timer due before the answer that has long arrived.
 */
import { type Clock, TIMED_OUT, within } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { RenewablePool } from './pool.ts';

/** How long one answer may take, and how often the question is asked. */
const ANSWER_WITHIN_MS = 2_000;
const ASK_EVERY_MS = 1_000;

/** Watches the server through `probe` and replaces `pool`. */
export function watchPool(
  pool: RenewablePool,
  probe: RenewablePool,
  clock: Clock,
  log: Log,
): { stop(): Promise<void> } {
  let asking = false;
  let silences = 0;
  const ask = async (): Promise<void> => {
    asking = true;
    // An error is an answer: a connection that breaks fails its statements by itself.
    const answer = await within(clock, ANSWER_WITHIN_MS, probe.current()`SELECT 1`).catch(() => null);
    silences = answer === TIMED_OUT ? silences + 1 : 0;
    if (silences >= 2) {
      log.warn({ silences }, 'PostgreSQL hangs; giving up the statements under way');
      pool.renew();
      probe.renew();
      silences = 0;
    }
    asking = false;
  };
  const timer = clock.every(ASK_EVERY_MS, () => {
    if (!asking) void ask();
  });
  return {
    async stop() {
      timer.cancel();
      await probe.close();
    },
  };
}
