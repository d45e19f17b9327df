/** Tokens that pretend to be an identity provider's: with a public key known to everybody, none can be made of it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { exportSPKI, importJWK, type JWK } from 'jose';
import { RawHocuspocus, tokenFrame } from '../support/hocuspocus.ts';
import { TestIssuer } from '../support/issuer.ts';
import { TEST_JWT_SECRET } from '../support/processes.ts';
import { openTestServer, type TestServer } from '../support/server.ts';
import { JsonClient, YjsClient } from '../support/sockets.ts';
import { encode, type Parts, readToken, signed, without } from './forge.ts';

const issuer = new TestIssuer();
/** Somebody else's, who would like to be asked for keys. */
const thief = new TestIssuer();
let server: TestServer;
let [rsa, stolen] = [{} as Key, {} as Key];
let token: string;
let doc_id: string;
let good: Parts;
let pem: string;

type Key = Awaited<ReturnType<TestIssuer['makeKey']>>;

beforeAll(async () => {
  rsa = await issuer.makeKey('RS256');
  await issuer.makeKey('ES256');
  stolen = await thief.makeKey('RS256');
  server = await openTestServer(issuer.env);
  token = await issuer.sign(rsa, { sub: 'ada', sid: 'one', exp: now_s() + 600, name: 'Ada' });
  const made = await server.call('POST', '/v1/documents', token, { title: 'Ada’s' });
  doc_id = made.body.data.id;
  good = readToken(token);
  const told = issuer.told.find(({ kid }) => kid === rsa.kid) as JWK;
  pem = await exportSPKI((await importJWK(told, 'RS256', { extractable: true })) as CryptoKey);
});
afterAll(async () => {
  expect(server.errors()).toEqual([]);
  await server.stop();
  await Promise.all([issuer.stop(), thief.stop()]);
});

const now_s = (): number => Math.floor(server.clock.now() / 1000);
const told = (): JWK => issuer.told[0] as JWK;
const withHeader = (more: object): Parts => ({ ...good, header: { ...good.header, ...more } });
const byThief = (claims: object = {}, header: Readonly<Record<string, unknown>> = {}): Promise<string> =>
  thief.sign(stolen, { ...good.claims, iss: issuer.issuer, aud: issuer.audience, ...claims }, header);
const byIssuer = (claims: Readonly<Record<string, unknown>>): Promise<string> =>
  issuer.sign(rsa, { sub: 'ada', sid: 'one', exp: now_s() + 600, ...claims });

type Forgery = readonly [
  what: string,
  make: () => string | Promise<string>,
  code?: 'UNAUTHENTICATED' | 'TOKEN_EXPIRED',
];

const FORGERIES: readonly Forgery[] = [
  ['HS256 with the public key’s PEM for a secret', () => signed(withHeader({ alg: 'HS256' }), pem)],
  ['HS256 with the PEM, without its last line end', () => signed(withHeader({ alg: 'HS256' }), pem.trim())],
  ['HS256 with the public key’s JSON', () => signed(withHeader({ alg: 'HS256' }), JSON.stringify(told()))],
  ['HS256 with the modulus', () => signed(withHeader({ alg: 'HS256' }), Buffer.from(told().n ?? '', 'base64url'))],
  ['RS256 in the header of an HMAC with the PEM', () => signed(good, pem)],
  ['HS256 with our own secret', () => signed(withHeader({ alg: 'HS256' }), TEST_JWT_SECRET)],
  [
    'a token as we would issue',
    () =>
      signed({ header: { alg: 'HS256' }, claims: { ...good.claims, iss: 'concord', aud: 'concord' } }, TEST_JWT_SECRET),
  ],
  ['alg none', () => `${encode({ ...good.header, alg: 'none' })}.${encode(good.claims)}.`],
  ['a stranger’s key under the name of the provider’s', () => byThief({}, { kid: rsa.kid })],
  ['a stranger’s key under its own name', () => byThief()],
  ['a stranger’s key that comes along', () => byThief({}, { kid: rsa.kid, jwk: thief.told[0] })],
  ['a stranger’s key that is to be fetched', () => byThief({}, { jku: thief.jwks_url, x5u: thief.jwks_url })],
  ['PS256 for a key of RS256', () => signed(withHeader({ alg: 'PS256' }), pem)],
  ['the name of the elliptic key', () => signed(withHeader({ kid: 'key-2' }), pem)],
  ['the algorithm of the elliptic key', () => signed(withHeader({ alg: 'ES256', kid: 'key-2' }), pem)],
  ['no name of a key, by a stranger', () => byThief({}, { kid: undefined })],
  ['another issuer', () => byIssuer({ iss: 'https://id.example.org' })],
  ['another audience', () => byIssuer({ aud: 'another' })],
  ['no audience', () => byIssuer({ aud: [] })],
  ['no subject', () => byIssuer({ sub: undefined })],
  ['an empty subject', () => byIssuer({ sub: '' })],
  ['a subject with NUL', () => byIssuer({ sub: 'a\0b' })],
  ['a subject of 300 characters', () => byIssuer({ sub: 'x'.repeat(300) })],
  ['no end', () => byIssuer({ exp: undefined })],
  ['expired a minute ago', () => byIssuer({ exp: now_s() - 60 }), 'TOKEN_EXPIRED'],
  ['good from tomorrow on', () => byIssuer({ nbf: now_s() + 86_400 })],
  [
    'another subject under the signature of a good one',
    () => {
      const [header, , signature] = token.split('.');
      return `${header}.${encode({ ...good.claims, sub: 'eve' })}.${signature}`;
    },
  ],
  ['no signature', () => `${token.slice(0, token.lastIndexOf('.'))}.`],
  ['a header without anything', () => signed({ ...good, header: without(good.header, 'alg', 'kid') }, pem)],
];

describe('no token passes for the provider’s', () => {
  test.each(FORGERIES)('%s', async (_, make, code = 'UNAUTHENTICATED') => {
    const forged = await make();
    const hocuspocus = new RawHocuspocus(server, [tokenFrame(doc_id, forged)]);
    const [rest, json, yjs, denied] = await Promise.all([
      server.call('GET', '/v1/users/me', forged),
      JsonClient.open(server, doc_id, { token: forged }).closed,
      YjsClient.open(server, doc_id, { token: forged }).closed,
      hocuspocus.take('denied'),
    ]);
    await hocuspocus.leave();
    expect([rest.body.error?.code, json.code, yjs.code, denied.text.slice(0, 4)]).toEqual([code, 4401, 4401, '4401']);
  });

  test('while a good one does, and no stranger was asked for keys', async () => {
    expect((await server.call('GET', '/v1/users/me', token)).body.data.display_name).toBe('Ada');
    const client = await JsonClient.join(server, doc_id, { token });
    await client.leave();
    expect(thief.asked).toBe(0);
    const [{ users }] = (await server.sql`SELECT count(*)::int AS users FROM users`) as unknown as [{ users: number }];
    expect(users).toBe(1);
  });
});
