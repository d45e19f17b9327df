/**
 * Questions about the past are the dearest that a user can ask: each may read all of a document's history and keep a thread
 * busy. How many are answered at a time is bounded for the node (src/actors/past/threads.ts); here, how many of them one user
 * may have under way on it, so that nobody fills the line for all the others. How often is a matter of rate limits.
 */
import { ConcordError } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';

/** When who is sent away may come again, seconds. */
const RETRY_AFTER_S = 1;

/** Questions that are under way, of those users who have any. */
const under_way = new Map<string, number>();

/** Does `ask` as a question of this user. Errors: RATE_LIMITED (the user has too many under way), and those of `ask`. */
export async function asQuestion<T>(user_id: string, ask: () => Promise<T>): Promise<T> {
  const others = under_way.get(user_id) ?? 0;
  if (others >= LIMITS.history_questions_per_user_max)
    throw new ConcordError('RATE_LIMITED', 'Too many questions about the past at once.', undefined, RETRY_AFTER_S);
  under_way.set(user_id, others + 1);
  try {
    return await ask();
  } finally {
    const left = (under_way.get(user_id) ?? 1) - 1;
    if (left === 0) under_way.delete(user_id);
    else under_way.set(user_id, left);
  }
}
