import { expect, test } from 'bun:test';
import { LIMITS } from '../protocol/limits.ts';
import { asQuestion } from './questions.ts';

const AT_ONCE = LIMITS.history_questions_per_user_max;
const WAITING = LIMITS.history_questions_per_user_waiting_max;

test(`history_questions_per_user_max (${AT_ONCE}) questions of a user are under way at a time and history_questions_per_user_waiting_max (${WAITING}) wait; one more is RATE_LIMITED, and others are not`, async () => {
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
  let begun = 0;
  const ask = () =>
    asQuestion('ada', async () => {
      begun += 1;
      await held;
      return 'held up';
    });
  const many = Array.from({ length: AT_ONCE + WAITING }, ask);
  const one = (user_id: string) => asQuestion(user_id, async () => 'answered').catch((error) => error);
  expect(await one('ada')).toMatchObject({ code: 'RATE_LIMITED', retry_after_s: 1 });
  expect(await one('bob')).toBe('answered');
  expect(begun).toBe(AT_ONCE);
  letGo();
  expect(await Promise.all(many)).toEqual(new Array(AT_ONCE + WAITING).fill('held up'));
  expect(await one('ada')).toBe('answered');
});

test('a question that fails is over like any other', async () => {
  for (let i = 0; i <= AT_ONCE + WAITING; i++)
    expect(await asQuestion('ada', () => Promise.reject(new Error('no'))).catch(({ message }) => message)).toBe('no');
  expect(await asQuestion('ada', async () => 'answered')).toBe('answered');
});
