import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemRandom } from '../base/random.ts';
import { ConcordError } from '../protocol/errors.ts';
import { Passwords, requireStrong } from './passwords.ts';

const EMAIL = 'ada.lovelace@example.org';

function refusal(password: string, email = EMAIL): unknown {
  try {
    requireStrong(password, email, '/password');
    return null;
  } catch (error) {
    if (!(error instanceof ConcordError)) throw error;
    return [error.code, error.details];
  }
}

const weak = (message: string): unknown => ['WEAK_PASSWORD', [{ path: '/password', message }]];

describe('a password', () => {
  test('has at least ten characters, counted as people count', () => {
    expect(refusal('ninechars')).toEqual(weak('must have at least 10 characters'));
    expect(refusal('ten chars!')).toBeNull();
    expect(refusal('😀😁😂😃😄')).toEqual(weak('must have at least 10 characters'));
    expect(refusal('')).toEqual(weak('must have at least 10 characters'));
  });

  test('is none of the most used ones, in any case', () => {
    const list = readFileSync(join(import.meta.dir, 'common-passwords.txt'), 'utf8').split('\n');
    const all = list.filter((line) => line !== '' && !line.startsWith('#'));
    expect(all.length).toBeGreaterThan(1_500);
    for (const common of all) expect(refusal(common)).not.toBeNull();
    for (const common of ['1234567890', 'qwertyuiop', 'Password123', 'ILOVEYOU123', 'Manchester', '1Q2w3e4r5t'])
      expect(refusal(common)).toEqual(weak('is one of the most used ones'));
    expect(refusal('zzzzzzzzzzzzzz')).toEqual(weak('must not repeat one character'));
  });

  test('does not hold the e-mail, nor is it the part before the @ with digits or signs around it', () => {
    expect(refusal('my Ada.Lovelace@example.org!')).toEqual(weak('must not contain your e-mail'));
    expect(refusal('ADA.LOVELACE')).toEqual(weak('must not contain your e-mail'));
    for (const named of ['ada.lovelace1815', '!!Ada.Lovelace!!', 'ada.lovelace'])
      expect(refusal(named)).toEqual(weak('must not contain your e-mail'));
    expect(refusal('ada.lovelace wrote programs')).toBeNull();
    expect(refusal('an empty name has no part', '@example.org')).toBeNull();
  });
});

describe('a kept password', () => {
  const passwords = new Passwords(systemRandom);

  test('is a bcrypt hash of cost 10, never twice the same', async () => {
    const [one, two] = await Promise.all([passwords.hash('correct horse'), passwords.hash('correct horse')]);
    expect(one).toMatch(/^\$2[aby]\$10\$/);
    expect(one).not.toBe(two);
    expect(await passwords.matches('correct horse', one)).toBe(true);
    expect(await passwords.matches('Correct horse', one)).toBe(false);
  });

  test('counts in all its bytes, past the 72 that bcrypt reads', async () => {
    const long = 'x'.repeat(100);
    const hash = await passwords.hash(`${long}a`);
    expect(await passwords.matches(`${long}a`, hash)).toBe(true);
    expect(await passwords.matches(`${long}b`, hash)).toBe(false);
    expect(await passwords.matches(long.slice(0, 72), hash)).toBe(false);
  });

  test('of nobody matches nothing', async () => {
    expect(await passwords.matches('', null)).toBe(false);
    expect(await passwords.matches('anything at all', null)).toBe(false);
  });
});
