/**
 * Passwords: what is accepted, how it is kept, and how it is checked without telling more than yes or no.
 *
 * They are kept as bcrypt hashes of cost 10 made by Bun, off the event loop. bcrypt itself reads 72 bytes; Bun hashes
 * longer passwords with SHA-512 first, so every byte of a long passphrase counts.
 *
 * A sign-in with an unknown e-mail checks the password all the same, against the hash of a secret that nobody knows:
 * otherwise the time it takes would tell which e-mails have accounts.
 */
import type { Random } from '../base/random.ts';
import { ConcordError } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';

/** bcrypt's work factor: 2^10 rounds, some 60 ms of one core. */
const COST = 10;

/**
 * The most used passwords of at least ten characters, as published analyses of leaked sets agree on them; shorter ones
 * are refused by their length.
 */
const COMMON = new Set([
  '0123456789',
  '0987654321',
  '1029384756',
  '12345678900',
  '1234567890',
  '12345678910',
  '123456789a',
  '1q2w3e4r5t',
  '1q2w3e4r5t6y',
  '1qaz2wsx3edc',
  '9876543210',
  'abcdefghij',
  'abcdefghijk',
  'administrator',
  'asdfghjkl1',
  'asdfghjkl;',
  'baseball123',
  'basketball',
  'changeme123',
  'chocolate1',
  'football123',
  'iloveyou123',
  'iloveyou12',
  'letmein123',
  'liverpool1',
  'manchester',
  'myspace123',
  'p@ssw0rd123',
  'passw0rd123',
  'password01',
  'password10',
  'password11',
  'password12',
  'password123',
  'password1234',
  'password12345',
  'princess123',
  'q1w2e3r4t5',
  'q1w2e3r4t5y6',
  'qazwsxedcrfv',
  'qwerty1234',
  'qwerty12345',
  'qwerty123456',
  'qwertyuiop',
  'qwertyuiop123',
  'qwertyuiop[]',
  'secret1234',
  'sunshine123',
  'superman123',
  'welcome123',
  'welcome1234',
  'zaq12wsxcde3',
  'zxcvbnm123',
]);

/**
 * Refuses a password that is easy to guess. `field` is the JSON pointer of where it came from, `email_key` the
 * account's e-mail, lower-cased. Errors: WEAK_PASSWORD.
 */
export function requireStrong(password: string, email_key: string, field: string): void {
  const fault = weakness(password, email_key);
  if (fault === null) return;
  throw new ConcordError('WEAK_PASSWORD', `The password ${fault}.`, [{ path: field, message: fault }]);
}

function weakness(password: string, email_key: string): string | null {
  const lower = password.toLowerCase();
  const local_part = email_key.slice(0, email_key.lastIndexOf('@'));
  if ([...password].length < LIMITS.password_chars_min)
    return `must have at least ${LIMITS.password_chars_min} characters`;
  if (new Set(lower).size === 1) return 'must not repeat one character';
  if (COMMON.has(lower)) return 'is one of the most used ones';
  if (lower.includes(email_key) || lower === local_part) return 'must not contain your e-mail';
  return null;
}

/** Hashes and checks passwords. */
export class Passwords {
  readonly #nobodys: Promise<string>;

  constructor(random: Random) {
    this.#nobodys = this.hash(Buffer.from(random.bytes(32)).toString('base64url'));
  }

  /** The hash to keep. */
  hash(password: string): Promise<string> {
    return Bun.password.hash(password, { algorithm: 'bcrypt', cost: COST });
  }

  /** Whether it is the password of this hash; null is nobody's, and takes as long to refuse. */
  async matches(password: string, hash: string | null): Promise<boolean> {
    const same = await Bun.password.verify(password, hash ?? (await this.#nobodys));
    return same && hash !== null;
  }
}
