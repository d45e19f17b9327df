/**
 * Passwords: what is accepted, how it is kept, and how it is checked without telling more than yes or no.
 *
 * They are kept as bcrypt hashes of cost 10 made by Bun, off the event loop. bcrypt itself reads 72 bytes; Bun hashes
 * longer passwords with SHA-512 first, so every byte of a long passphrase counts.
 *
 * A sign-in with an unknown e-mail checks the password all the same, against the hash of a secret that nobody knows:
 * otherwise the time it takes would tell which e-mails have accounts.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Random } from '../base/random.ts';
import { ConcordError } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';

/** bcrypt's work factor: 2^10 rounds, some 60 ms of one core. */
const COST = 10;

/** Passwords of at least ten characters that everybody tries first, in lower case; the file says where they are from. */
const COMMON: ReadonlySet<string> = new Set(
  readFileSync(join(import.meta.dir, 'common-passwords.txt'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#')),
);

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
  if (lower.includes(email_key) || isDecorated(lower, local_part)) return 'must not contain your e-mail';
  return null;
}

/** Whether `text` is `name` but for digits and signs: with a year behind it a name is guessed as fast as without. */
function isDecorated(text: string, name: string): boolean {
  return text === name || (letters(name) !== '' && letters(text) === letters(name));
}

function letters(text: string): string {
  return text.replace(/[^\p{L}]+/gu, '');
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
