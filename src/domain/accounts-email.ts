/**
 * E-mail addresses. The grammar of RFC 5322 allows much that no mailbox uses; what is asked here is what catches a slip
 * of the keyboard: one `@`, a plain local part, a host made of proper labels. Only a mail that arrives proves more.
 */
import { invalidField } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';

const LOCAL_PART = /^[^\s\p{Cc}@"(),:;<>[\\\]]{1,64}$/u;
const LABEL = /^[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?$/u;

/** What e-mails are compared by: two that differ in case alone are one. */
export function emailKey(email: string): string {
  return email.normalize('NFC').toLowerCase();
}

/** Whether `email` has the form of an address. */
export function isEmail(email: string): boolean {
  if (email.length > LIMITS.email_chars_max) return false;
  const at = email.lastIndexOf('@');
  const local_part = email.slice(0, Math.max(at, 0));
  if (!LOCAL_PART.test(local_part) || /^\.|\.\.|\.$/.test(local_part)) return false;
  return email
    .slice(at + 1)
    .split('.')
    .every((label) => LABEL.test(label));
}

/** Refuses what is not an address. Errors: VALIDATION_ERROR. */
export function requireEmail(email: string, field: string): void {
  if (!isEmail(email)) throw invalidField(field, 'must be an e-mail address');
}
