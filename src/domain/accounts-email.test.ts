import { expect, test } from 'bun:test';
import { LIMITS } from '../protocol/limits.ts';
import { emailKey, isEmail, requireEmail } from './accounts-email.ts';

test('an e-mail is one @ between a plain local part and a host of proper labels', () => {
  const good = [
    'ada@example.org',
    'Ada.Lovelace+notes@mail.example.co.uk',
    "o'neil_1!#$%&*/=?^`{|}~-@example.org",
    'x@localhost',
    'bücher@käse.example',
    `${'a'.repeat(64)}@example.org`,
    `a@${'b'.repeat(63)}.org`,
  ];
  const bad = [
    '',
    'ada',
    'ada@',
    '@example.org',
    'ada@@example.org',
    'ada@example@org',
    'a da@example.org',
    'ada@exa mple.org',
    ' ada@example.org',
    'ada@example.org\n',
    'ada@.org',
    'ada@example.',
    'ada@example..org',
    'ada@-example.org',
    'ada@example-.org',
    'ada@exam_ple.org',
    '.ada@example.org',
    'ada.@example.org',
    'a..da@example.org',
    '<ada@example.org>',
    'ada\\@example.org',
    'ada\u0000@example.org',
    `${'a'.repeat(65)}@example.org`,
    `a@${'b'.repeat(64)}.org`,
    `a@${'bb.'.repeat(100)}org`,
  ];
  expect(good.filter((email) => !isEmail(email))).toEqual([]);
  expect(bad.filter((email) => isEmail(email))).toEqual([]);
});

test(`an e-mail has email_chars_max (${LIMITS.email_chars_max}) characters and not one more`, () => {
  const [local, label] = ['a'.repeat(64), 'b'.repeat(63)];
  const longest = `${local}@${label}.${label}.${'c'.repeat(LIMITS.email_chars_max - 193)}`;
  expect(longest).toHaveLength(LIMITS.email_chars_max);
  expect([isEmail(longest), isEmail(`${longest}c`)]).toEqual([true, false]);
});

test('e-mails that differ in case, or in how an accent is composed, are one', () => {
  expect(emailKey('Ada@Example.ORG')).toBe('ada@example.org');
  expect(emailKey('Ju\u0308rgen@example.org')).toBe(emailKey('JÜRGEN@example.org'));
});

test('what is not an e-mail is refused by the name of its field', () => {
  expect(() => requireEmail('ada', '/email')).toThrow('/email must be an e-mail address');
  expect(() => requireEmail('ada@example.org', '/email')).not.toThrow();
});
