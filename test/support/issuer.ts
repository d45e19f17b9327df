/** An identity provider of the test's own: it has keys, tells the public ones, signs what it is asked to, and can be away. */
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';

type Algorithm = 'RS256' | 'ES256' | 'EdDSA';

interface IssuerKey {
  readonly alg: Algorithm;
  readonly kid: string;
  readonly jwk: JWK;
  readonly secret: CryptoKey;
}

/** See the head of this file. */
export class TestIssuer {
  /** What its tokens say of who signed them, and for whom. */
  readonly issuer = 'https://id.example.org/';
  readonly audience = 'concord-of-example';
  /** Times that somebody asked for the keys. */
  asked = 0;
  /** What is answered instead of the keys. */
  instead: (() => Response | Promise<Response>) | null = null;
  /** Keys that are told. */
  told: JWK[] = [];
  readonly #server;
  #made = 0;

  constructor() {
    this.#server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () => {
        this.asked += 1;
        return this.instead?.() ?? Response.json({ keys: this.told });
      },
    });
  }

  get jwks_url(): string {
    return new URL('/keys', this.#server.url).href;
  }

  /** Settings of a server that takes this one's tokens. */
  get env(): Readonly<Record<string, string>> {
    return { AUTH_JWKS_URL: this.jwks_url, AUTH_ISSUER: this.issuer, AUTH_AUDIENCE: this.audience };
  }

  /** Makes a key, and tells it unless `told` is false. */
  async makeKey(alg: Algorithm = 'ES256', told = true): Promise<IssuerKey> {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    this.#made += 1;
    const kid = `key-${this.#made}`;
    const jwk = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' };
    if (told) this.told.push(jwk);
    return { alg, kid, jwk, secret: privateKey };
  }

  /** Signs a token that says this, `iss` and `aud` being its own unless told otherwise. */
  sign(key: IssuerKey, claims: JWTPayload, header: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const payload = { iss: this.issuer, aud: this.audience, ...claims };
    return new SignJWT(payload).setProtectedHeader({ alg: key.alg, kid: key.kid, ...header }).sign(key.secret);
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }
}
