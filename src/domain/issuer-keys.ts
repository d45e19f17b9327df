/**
 * The public keys of an identity provider, as its JWKS address tells them (RFC 7517).
 *
 * They are asked for when the first token comes, and again every ten minutes while tokens come; meanwhile, and for as long
 * as the provider does not answer, those of before are good. A token that names a key which is not among them may have been
 * signed with a new one, so it has them asked for at once; but no more than once in ten seconds, since anybody may send
 * such tokens.
 */
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { unavailable } from '../protocol/errors.ts';

/** How old keys may be before they are asked for again. */
export const KEYS_GOOD_MS = 600_000;
/** How long after one question the next is asked, whatever tokens say. */
export const KEYS_REST_MS = 10_000;
/** The same while there are no keys at all, and so nobody can come in. */
export const NO_KEYS_REST_MS = 1_000;

const ANSWER_MS_MAX = 5_000;
const ANSWER_BYTES_MAX = 256 * 1024;

type FindKey = ReturnType<typeof createLocalJWKSet>;
type KeyQuestion = Parameters<JWTVerifyGetKey>;

/** What the keys are made of. */
export interface IssuerKeyParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly url: string;
}

/** See the head of this file. */
export class IssuerKeys {
  readonly #parts: IssuerKeyParts;
  #find: FindKey | null = null;
  /** The keys as text, to tell whether they changed. */
  #text = '';
  #revision = 0;
  #got_at = 0;
  #asked_at = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | null = null;

  constructor(parts: IssuerKeyParts) {
    this.#parts = parts;
  }

  /** Grows when the keys are others than before: what was good by them may not be any more. */
  get revision(): number {
    return this.#revision;
  }

  /** Asks for the keys in the background if they are old. */
  freshen(): void {
    if (this.#find !== null && this.#parts.clock.monotonic() - this.#got_at >= KEYS_GOOD_MS) void this.#ask();
  }

  /**
   * The key that a token names, for jose. Throws jose's own errors when there is none, UNAVAILABLE when no keys were ever
   * got.
   */
  async find(...question: KeyQuestion) {
    if (this.#find === null) await this.#ask();
    if (this.#find === null) throw unavailable('The identity provider does not answer.');
    try {
      return await this.#find(...question);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.#ask();
      return await this.#find(...question);
    }
  }

  /** Asks for the keys unless that was done a moment ago; whoever comes meanwhile waits for the same answer. Never rejects. */
  #ask(): Promise<void> {
    if (this.#asking !== null) return this.#asking;
    const now = this.#parts.clock.monotonic();
    if (now - this.#asked_at < (this.#find === null ? NO_KEYS_REST_MS : KEYS_REST_MS)) return Promise.resolve();
    this.#asked_at = now;
    this.#asking = this.#fetch()
      .then((jwks) => this.#take(jwks))
      .catch((error: unknown) => {
        const kept = this.#find === null ? 'nobody can come in' : 'the keys of before are used';
        this.#parts.log.warn({ error }, `the identity provider gave no keys; ${kept}`);
      })
      .finally(() => {
        this.#asking = null;
      });
    return this.#asking;
  }

  #take(jwks: JSONWebKeySet): void {
    const text = JSON.stringify(jwks.keys);
    this.#got_at = this.#parts.clock.monotonic();
    if (text === this.#text) return;
    this.#find = createLocalJWKSet(jwks);
    this.#text = text;
    this.#revision += 1;
    this.#parts.log.info({ keys: jwks.keys.length }, 'the identity provider has other keys');
  }

  async #fetch(): Promise<JSONWebKeySet> {
    const abort = new AbortController();
    const timer = this.#parts.clock.after(ANSWER_MS_MAX, () => abort.abort(new Error('no answer in time')));
    try {
      const response = await fetch(this.#parts.url, {
        headers: { accept: 'application/jwk-set+json, application/json' },
        redirect: 'error',
        signal: abort.signal,
      });
      if (response.status !== 200) throw new Error(`status ${response.status}`);
      return readKeys(await readText(response));
    } finally {
      timer.cancel();
    }
  }
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`an answer of more than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Only what checks signatures: a secret key has no place there, and must not become one that tokens are checked with. */
function readKeys(text: string): JSONWebKeySet {
  const { keys } = JSON.parse(text) as { keys?: unknown };
  if (!Array.isArray(keys)) throw new Error('an answer that is no key set');
  const usable = keys.filter((key: { kty?: unknown } | null) => ['RSA', 'EC', 'OKP'].includes(String(key?.kty)));
  if (usable.length === 0) throw new Error('a key set without a public key');
  return { keys: usable };
}
