/** Tokens that are not what they say: none of them opens anything, through any door, and none is a bug of ours. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { RawHocuspocus, tokenFrame } from '../support/hocuspocus.ts';
import { TEST_JWT_SECRET } from '../support/processes.ts';
import type { TestUser } from '../support/server.ts';
import { JsonClient, YjsClient } from '../support/sockets.ts';
import { type Callers, openCallers } from './callers.ts';
import { encode, type Parts, readToken, signed, without } from './forge.ts';
import { speak } from './raw-http.ts';
import { NO_SUCH_ID } from './routes.ts';

let callers: Callers;
let owner: TestUser;
let doc_id: string;
/** What a good token of the owner says. */
let good: Parts;

beforeAll(async () => {
  callers = await openCallers();
  ({ owner } = callers.by_name);
  doc_id = await callers.sharedDocument();
  good = readToken(owner.token);
});
afterAll(async () => {
  expect(callers.server.errors()).toEqual([]);
  await callers.server.stop();
});

const withHeader = (more: object): Parts => ({ ...good, header: { ...good.header, ...more } });
const withClaims = (more: object): Parts => ({ ...good, claims: { ...good.claims, ...more } });
const ours = (parts: Parts): string => signed(parts, TEST_JWT_SECRET);
const unsigned = (alg: string): string => `${encode({ ...good.header, alg })}.${encode(good.claims)}.`;
const now_s = (): number => Math.floor(callers.server.clock.now() / 1000);

/** A token with another payload under the signature of a good one. */
function tampered(claims: object): string {
  const [header, , signature] = owner.token.split('.');
  return `${header}.${encode({ ...good.claims, ...claims })}.${signature}`;
}

type Code = 'UNAUTHENTICATED' | 'TOKEN_EXPIRED' | 'TOKEN_REVOKED';
type Forgery = readonly [what: string, make: () => string, code?: Code];

const ALGORITHMS: readonly Forgery[] = [
  ...['none', 'None', 'NONE', 'nOnE', ''].map((alg): Forgery => [`alg '${alg}', no signature`, () => unsigned(alg)]),
  ['alg none with the signature of a good token', () => `${unsigned('none')}${owner.token.split('.')[2]}`],
  ['alg none, two parts alone', () => unsigned('none').slice(0, -1)],
  ['HS256 with another key', () => signed(good, 'another secret, also of at least 32 bytes')],
  ['HS256 with an empty key', () => signed(good, '')],
  ['HS256 with a key of zeros', () => signed(good, new Uint8Array(32))],
  ['HS384 with our key', () => signed(withHeader({ alg: 'HS384' }), TEST_JWT_SECRET, 'sha384')],
  ['HS512 with our key', () => signed(withHeader({ alg: 'HS512' }), TEST_JWT_SECRET, 'sha512')],
  ...['RS256', 'PS256', 'ES256', 'EdDSA', 'HS1', '__proto__'].map(
    (alg): Forgery => [`${alg} in the header of an HMAC by our key`, () => ours(withHeader({ alg }))],
  ),
  ['no alg', () => ours({ ...good, header: without(good.header, 'alg') })],
  ['alg as a list', () => ours(withHeader({ alg: ['HS256'] }))],
  ['a critical header that nobody knows', () => ours(withHeader({ crit: ['exp'], exp: 1 }))],
  ['an unencoded payload', () => ours(withHeader({ crit: ['b64'], b64: false }))],
  ['a key of its own in the header', () => signed(withHeader({ jwk: { kty: 'oct', k: encode('mine') } }), 'mine')],
];

const CLAIMS: readonly Forgery[] = [
  ...['sub', 'sid', 'role', 'exp', 'jti', 'iss', 'aud'].map(
    (name): Forgery => [`without ${name}`, () => ours({ ...good, claims: without(good.claims, name) })],
  ),
  ['another issuer', () => ours(withClaims({ iss: 'https://concord.example' }))],
  ['another audience', () => ours(withClaims({ aud: 'concord-admin' }))],
  ['expired a second ago', () => ours(withClaims({ exp: now_s() - 1 })), 'TOKEN_EXPIRED'],
  ['expired before there was time', () => ours(withClaims({ exp: -1e9 }))],
  ['exp as text', () => ours(withClaims({ exp: String(now_s() + 900) }))],
  ['exp null', () => ours(withClaims({ exp: null }))],
  ['good from tomorrow on', () => ours(withClaims({ nbf: now_s() + 86_400 }))],
  ['sub that is no UUID', () => ours(withClaims({ sub: "x' OR '1'='1" }))],
  ['sub as a list', () => ours(withClaims({ sub: [owner.user_id] }))],
  ['sid that is no UUID', () => ours(withClaims({ sid: 'session:*' }))],
  ['a session that never was', () => ours(withClaims({ sid: NO_SUCH_ID })), 'TOKEN_REVOKED'],
  ['a role that nobody has', () => ours(withClaims({ role: 'superadmin' }))],
  ['claims that are no object', () => ours({ ...good, claims: [] as never })],
];

const BYTES: readonly Forgery[] = [
  ['another user under the signature of a good one', () => tampered({ sub: callers.by_name.admin.user_id })],
  ['an admin under the signature of a user', () => tampered({ role: 'admin' })],
  ['a later end under the signature of a good one', () => tampered({ exp: now_s() + 1e6 })],
  ['a signature that is cut', () => owner.token.slice(0, -4)],
  ['a signature that is longer', () => `${owner.token}AAAA`],
  ['four parts', () => `${owner.token}.${encode('more')}`],
  ['five parts, as what is encrypted has', () => `${owner.token}..${encode('more')}`],
  ['dots alone', () => '..'],
  ['JSON instead of dots', () => encode({ payload: encode(good.claims), protected: encode(good.header) })],
  ['a refresh token', () => owner.refresh_token],
  ['the token of a session that was ended', () => callers.by_name.signed_out.token, 'TOKEN_REVOKED'],
  ['the token of an erased account', () => callers.by_name.erased.token, 'TOKEN_REVOKED'],
  ['a token of 6 KB', () => ours(withClaims({ more: 'x'.repeat(4_500) })).slice(0, -1)],
];

const KIDS: readonly Forgery[] = [
  ...[
    '../../../../../../dev/null',
    '/proc/self/environ',
    "' UNION SELECT 'known' --",
    'http://127.0.0.1:1/keys',
    '__proto__',
    'constructor',
    'x'.repeat(2_000),
    '',
    null,
    0,
    {},
    ['a'],
  ].map((kid): Forgery => [`kid ${JSON.stringify(kid).slice(0, 40)}, no key`, () => signed(withHeader({ kid }), '')]),
  ['kid unknown, under our key', () => ours(withHeader({ kid: 'unknown' }))],
  ['keys to be fetched from elsewhere', () => signed(withHeader({ jku: 'http://127.0.0.1:1/', x5u: 'file:///' }), 'x')],
];

/** What each door says to a token: the code of REST, and 4401 of the sockets. */
async function refusals(token: string): Promise<readonly string[]> {
  const { server } = callers;
  const [rest, json, yjs, hocuspocus] = await Promise.all([
    server.call('GET', '/v1/users/me', token),
    JsonClient.open(server, doc_id, { token }).closed,
    YjsClient.open(server, doc_id, { token }).closed,
    onHocuspocus(token),
  ]);
  return [rest.body.error?.code ?? `${rest.status}`, String(json.code), String(yjs.code), hocuspocus];
}

async function onHocuspocus(token: string): Promise<string> {
  const client = new RawHocuspocus(callers.server, [tokenFrame(doc_id, token)]);
  const { text } = await client.take('denied');
  await client.leave();
  return text.slice(0, 4);
}

describe.each([
  ['the algorithm', ALGORITHMS],
  ['the claims', CLAIMS],
  ['the bytes', BYTES],
  ['the key', KIDS],
] as const)('no token passes that plays with %s', (_, forgeries) => {
  test.each(forgeries)('%s', async (_, make, code = 'UNAUTHENTICATED') => {
    expect(await refusals(make())).toEqual([code, '4401', '4401', '4401']);
  });

  test('neither on a socket that is open', async () => {
    const client = await JsonClient.join(callers.server, doc_id, owner);
    for (const [what, make, code = 'UNAUTHENTICATED'] of forgeries) {
      client.send({ type: 'auth', token: make() || '-' });
      expect([what, (await client.take('error')).code]).toEqual([what, code]);
    }
    await client.ping();
    await client.leave();
  });
});

test('the way that these are forged is right: what is signed with our key and says what it should is taken', async () => {
  expect((await callers.server.call('GET', '/v1/users/me', ours(good))).status).toBe(200);
  const unnamed = ours({ ...good, header: without(good.header, 'kid') });
  expect((await callers.server.call('GET', '/v1/users/me', unnamed)).status).toBe(200);
});

test('a token that calls itself an admin’s is one for nothing that only admins may', async () => {
  const token = ours(withClaims({ role: 'admin' }));
  for (const name of ['audit', 'nodes', 'actors'])
    expect((await callers.server.call('GET', `/v1/admin/${name}`, token)).status).toBe(403);
});

test('tokens of several hundred KB are refused or cut off, on every door', async () => {
  const token = ours(withClaims({ more: 'x'.repeat(400_000) })).slice(0, -1);
  const client = new RawHocuspocus(callers.server, [tokenFrame(doc_id, token)]);
  expect((await client.take('denied')).text).toStartWith('4401');
  await client.leave();
  const open = await JsonClient.join(callers.server, doc_id, owner);
  open.send({ type: 'auth', token });
  expect((await open.take('error')).code).toBe('UNAUTHENTICATED');
  await open.leave();
  const { status } = await speak(callers.server.url, [
    'GET /v1/users/me HTTP/1.1',
    'Host: x',
    `Authorization: Bearer ${token}`,
  ]);
  expect(status).toBe(431);
});

describe('where a token may stand', () => {
  const me = (...lines: readonly string[]) =>
    speak(callers.server.url, [lines[0] ?? '', 'Host: x', ...lines.slice(1)]).then(({ status }) => status);
  const asked = (): readonly (readonly [string, number, readonly string[]])[] => [
    ['in the header, the scheme in any case', 200, [GET, `Authorization: bEARER ${owner.token}`]],
    ['not in the query of a call', 401, [`GET /v1/users/me?token=${owner.token} HTTP/1.1`]],
    [
      'not in the query beside a header that is no token',
      401,
      [`GET /v1/users/me?token=${owner.token} HTTP/1.1`, 'Authorization: Bearer x'],
    ],
    ['not in a cookie', 401, [GET, `Cookie: token=${owner.token}; access_token=${owner.token}`]],
    ['not under another scheme', 401, [GET, `Authorization: Basic ${btoa(`${owner.token}:`)}`]],
    ['not without a scheme', 401, [GET, `Authorization: ${owner.token}`]],
    ['not twice', 401, [GET, `Authorization: Bearer ${owner.token}`, `Authorization: Bearer ${owner.token}`]],
    ['not behind another one', 401, [GET, 'Authorization: Bearer x', `Authorization: Bearer ${owner.token}`]],
    ['not before another one', 401, [GET, `Authorization: Bearer ${owner.token}`, 'Authorization: Bearer x']],
    ['not in a list', 401, [GET, `Authorization: Bearer ${owner.token}, Bearer ${owner.token}`]],
  ];
  const GET = 'GET /v1/users/me HTTP/1.1';
  test('of a call: in one Authorization header', async () => {
    for (const [what, status, lines] of asked()) expect([what, await me(...lines)]).toEqual([what, status]);
  });

  test('of a socket: in the query or the header, and a query with a bad one is not saved by the header', async () => {
    const { server } = callers;
    for (const token_in of ['query', 'header'] as const) {
      const client = await JsonClient.join(server, doc_id, owner, { token_in });
      await client.leave();
    }
    const both = JsonClient.open(server, doc_id, owner, { token_in: 'header', query: { token: 'x' } });
    expect((await both.closed).code).toBe(4401);
  });
});

test('a refresh token is good for one thing, and an access token is not good for it', async () => {
  const { server } = callers;
  const user = await callers.fresh('stranger');
  const refresh = (refresh_token: string) => server.call('POST', '/v1/auth/refresh', undefined, { refresh_token });
  for (const token of [
    user.token,
    '',
    ' ',
    `${user.refresh_token} `,
    user.refresh_token.toUpperCase(),
    'x'.repeat(512),
  ])
    expect((await refresh(token)).status).toBeOneOf([401, 422]);
  const pair = (await refresh(user.refresh_token)).body.data;
  // Used twice: whoever has it, one of the two is a thief, and the whole family dies.
  expect((await refresh(user.refresh_token)).body.error.code).toBe('TOKEN_REVOKED');
  expect((await refresh(pair.refresh_token)).body.error.code).toBe('TOKEN_REVOKED');
  expect((await server.call('GET', '/v1/users/me', pair.access_token)).body.error.code).toBe('TOKEN_REVOKED');
});
