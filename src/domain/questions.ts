/**
 * Questions about the past are the dearest that a user can ask: each may read all of a document's history and keep a thread
 * busy. How many are answered at a time is bounded for the node (src/actors/past/threads.ts); here, how many of those are one
 * user's, so that nobody fills the line for all the others. Whoever asks many at once is answered a few at a time. How
 * often somebody may ask is a matter of rate limits.
 */
import { Line } from '../base/line.ts';
import { ConcordError } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';

/** When who is sent away may come again, seconds. */
const RETRY_AFTER_S = 1;

/** The lines of those users who have questions under way. */
const lines = new Map<string, Line>();

/**
 * Does `ask`, which asks no question itself, as a question of this user, when it is its turn.
 * Errors: RATE_LIMITED (the user has too many waiting), and those of `ask`.
 */
export async function asQuestion<T>(user_id: string, ask: () => Promise<T>): Promise<T> {
  let line = lines.get(user_id);
  if (line === undefined) {
    line = new Line({
      running_max: LIMITS.history_questions_per_user_max,
      waiting_max: LIMITS.history_questions_per_user_waiting_max,
      full: () =>
        new ConcordError('RATE_LIMITED', 'Too many questions about the past at once.', undefined, RETRY_AFTER_S),
    });
    lines.set(user_id, line);
  }
  try {
    return await line.run(ask);
  } finally {
    if (line.idle) lines.delete(user_id);
  }
}
