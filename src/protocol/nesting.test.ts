import { expect, test } from 'bun:test';
import { nestsDeeperThan } from './nesting.ts';

test.each([
  ['text', 'a', 0],
  ['null', null, 0],
  ['an empty object', {}, 1],
  ['an object in an array', [{ a: 1 }], 2],
  ['the deepest of many branches', { a: 1, b: [1, { c: [] }], d: [] }, 4],
])('%s is as deep as it looks', (_what, value, depth) => {
  expect(nestsDeeperThan(value, depth)).toBe(false);
  if (depth > 0) expect(nestsDeeperThan(value, depth - 1)).toBe(true);
});

test('any depth can be asked about', () => {
  const value = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
  expect([nestsDeeperThan(value, 99_999), nestsDeeperThan(value, 100_000)]).toEqual([true, false]);
});
