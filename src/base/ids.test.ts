import { expect, test } from 'bun:test';
import { isUuid } from './ids.ts';

const ID = '0198c5c2-7a5e-7b3c-9f00-0123456789ab';

test('a UUID of any version in either case is one', () => {
  for (const id of [ID, ID.toUpperCase(), '00000000-0000-0000-0000-000000000000', crypto.randomUUID()])
    expect(isUuid(id)).toBe(true);
});

test('anything else is not, also what only holds one', () => {
  const others = [
    '',
    ID.slice(1),
    `${ID}0`,
    ` ${ID.slice(1)}`,
    `${ID}\n`,
    ID.replaceAll('-', ''),
    `{${ID}}`,
    ID.replace('0', 'g'),
    ID.replace('-', '0'),
    'ａ198c5c2-7a5e-7b3c-9f00-0123456789ab',
  ];
  for (const text of others) expect([text, isUuid(text)]).toEqual([text, false]);
});
