import { expect, test } from 'bun:test';
import { LastAnswers } from './last-answers.ts';
import { Parts } from './parts.ts';

function answerOf(bytes: number): Parts {
  const answer = new Parts();
  answer.add(new Uint8Array(bytes));
  answer.end();
  return answer;
}

test('what is kept is bounded in bytes, and what was asked for longest ago goes first', () => {
  const answers = new LastAnswers(10);
  answers.keep('a', answerOf(4));
  answers.keep('b', answerOf(4));
  expect(answers.get('a')?.bytes).toBe(4);
  answers.keep('c', answerOf(5));
  expect(['a', 'b', 'c'].map((name) => answers.get(name)?.bytes)).toEqual([4, undefined, 5]);
  answers.keep('a', answerOf(6));
  expect(['a', 'c'].map((name) => answers.get(name)?.bytes)).toEqual([6, undefined]);
});

test('one that is too long is not kept', () => {
  const answers = new LastAnswers(10);
  answers.keep('a', answerOf(11));
  expect(answers.get('a')).toBeNull();
});
