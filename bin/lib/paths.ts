/** Where things lie in a checkout. All that the commands make lies in `.concord/`. */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dir, '../..');
export const STATE = join(ROOT, '.concord');
export const LOGS = join(STATE, 'logs');
/** Records of the processes of a running `bin/start`; see processes.ts. */
export const RUNNING = join(STATE, 'running');
/** Where the running `bin/start` has its database and Redis; `bin/admin` reads it. */
export const ENDPOINTS = join(STATE, 'endpoints.json');

export interface Endpoints {
  readonly database_url: string;
  readonly redis_url: string;
}

const SECRETS = join(STATE, 'secrets.json');

/** Passwords and keys of this checkout, made once. */
export interface Secrets {
  readonly jwt_secret: string;
  readonly postgres_password: string;
  readonly redis_password: string;
}

export function haveSecrets(): boolean {
  return existsSync(SECRETS);
}

/** Reads `.concord/secrets.json`, or makes it with mode 0600 and random values: JWTs and the database outlive a restart. */
export function secrets(): Secrets {
  try {
    return JSON.parse(readFileSync(SECRETS, 'utf8')) as Secrets;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const made: Secrets = { jwt_secret: randomKey(), postgres_password: randomKey(), redis_password: randomKey() };
  writePrivately(SECRETS, made);
  return made;
}

/** Writes JSON that only this user may read; a reader sees the old or the new file, never half of one. */
export function writePrivately(path: string, value: unknown): void {
  writeFileSync(`${path}.part`, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.part`, path);
}

/** Makes a folder that other users may pass through, whatever the umask: PostgreSQL runs as another user under root. */
export function makePassable(path: string): void {
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o755);
}

/** 32 random bytes in characters that need no escaping in a URL. */
export function randomKey(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64url');
}
