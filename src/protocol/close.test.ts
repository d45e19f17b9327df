import { expect, test } from 'bun:test';
import { CLOSE } from './close.ts';

test('codes that stock providers take as final are 4400 to 4499, and those after which they come back are not', () => {
  const { GOING_AWAY, RESTART, OVERLOADED, ...final } = CLOSE;
  for (const code of Object.values(final)) expect(code >= 4400 && code < 4500).toBe(true);
  expect([GOING_AWAY, RESTART, OVERLOADED]).toEqual([1001, 1012, 1013]);
  expect(final).toEqual({
    MALFORMED: 4400,
    UNAUTHENTICATED: 4401,
    FORBIDDEN: 4403,
    NOT_FOUND: 4404,
    REPLACED: 4409,
    TOO_LARGE: 4413,
  });
});
