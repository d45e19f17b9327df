import { expect, test } from 'bun:test';
import { LIMITS } from '../protocol/limits.ts';
import { asQuestion } from './questions.ts';

const MAX = LIMITS.history_questions_per_user_max;

test(`a user may have history_questions_per_user_max (${MAX}) questions about the past under way; one more is RATE_LIMITED, and others are not`, async () => {
  const { promise: held, resolve: letGo } = Promise.withResolvers<string>();
  const many = Array.from({ length: MAX }, () => asQuestion('ada', () => held));
  const refused = (user_id: string) => asQuestion(user_id, async () => 'answered').catch((error) => error);
  expect(await refused('ada')).toMatchObject({ code: 'RATE_LIMITED', retry_after_s: 1 });
  expect(await refused('bob')).toBe('answered');
  letGo('held up');
  expect(await Promise.all(many)).toEqual(new Array(MAX).fill('held up'));
  expect(await refused('ada')).toBe('answered');
});

test('a question that fails is over like any other', async () => {
  for (let i = 0; i <= MAX; i++)
    expect(await asQuestion('ada', () => Promise.reject(new Error('no'))).catch(({ message }) => message)).toBe('no');
  expect(await asQuestion('ada', async () => 'answered')).toBe('answered');
});
