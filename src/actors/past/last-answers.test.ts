import { expect, test } from 'bun:test';
import { LastAnswers } from './last-answers.ts';

test('what is kept is bounded in bytes, and what was asked for longest ago goes first', () => {
  const answers = new LastAnswers(10);
  answers.keep('a', new Uint8Array(4));
  answers.keep('b', new Uint8Array(4));
  expect(answers.get('a')).toHaveLength(4);
  answers.keep('c', new Uint8Array(5));
  expect(['a', 'b', 'c'].map((name) => answers.get(name)?.length)).toEqual([4, undefined, 5]);
  answers.keep('a', new Uint8Array(6));
  expect(['a', 'c'].map((name) => answers.get(name)?.length)).toEqual([6, undefined]);
});

test('an answer is counted with all of its buffer, and one that is too long is not kept', () => {
  const answers = new LastAnswers(10);
  answers.keep('a', new Uint8Array(11).subarray(0, 1));
  expect(answers.get('a')).toBeNull();
});
