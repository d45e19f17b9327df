/** How many questions about the past a node answers at a time, and how many wait. */
import { expect, test } from 'bun:test';
import { LIMITS } from '../../protocol/limits.ts';
import { answer } from './threads.ts';

const RUNNING = LIMITS.history_questions_at_once_max;
const WAITING = LIMITS.history_questions_waiting_max;

test(`history_questions_at_once_max (${RUNNING}) are answered at a time and history_questions_waiting_max (${WAITING}) wait; one more is RATE_LIMITED`, async () => {
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
  let begun = 0;
  const ask = () =>
    answer({ kind: 'text' }, async () => {
      begun += 1;
      await held;
    });
  const taken = Array.from({ length: RUNNING + WAITING }, ask);
  expect(await ask().catch((error) => error)).toMatchObject({ code: 'RATE_LIMITED', retry_after_s: 5 });
  expect(begun).toBe(RUNNING);
  letGo();
  expect(await Promise.all(taken)).toHaveLength(RUNNING + WAITING);
  expect(begun).toBe(RUNNING + WAITING);
  expect(await ask()).toBeDefined();
});
