/** Makes tokens by hand, byte for byte, as no library would: for tests that try to pass them off as real ones. */
import { createHmac } from 'node:crypto';

/** Header and claims of a token, as they stand in it. */
export interface Parts {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** JSON, or text as it is, in base64url. */
export const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** What a token says. */
export function readToken(token: string): Parts {
  const [header = '', claims = ''] = token.split('.');
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());
  return { header: read(header), claims: read(claims) };
}

/** Signs by HMAC with this key, whatever the header says of an algorithm. */
export function signed({ header, claims }: Parts, key: string | Uint8Array, hash = 'sha256'): string {
  const said = `${encode(header)}.${encode(claims)}`;
  return `${said}.${createHmac(hash, key).update(said).digest('base64url')}`;
}

/** A copy without these fields. */
export function without<Value extends object>(value: Value, ...names: readonly string[]): Value {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name))) as Value;
}
