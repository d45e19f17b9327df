/** A whole server whose people are signed in by their organisation's own identity provider. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { SignJWT } from 'jose';
import { CLOSE } from '../src/protocol/close.ts';
import { TestIssuer } from './support/issuer.ts';
import { conformityFaults } from './support/openapi-conformity.ts';
import { openTestServer, type TestServer } from './support/server.ts';
import { JsonClient, YjsClient } from './support/sockets.ts';

/** Somebody as the provider knows them, with a token. */
interface Person {
  readonly sub: string;
  readonly email: string;
  readonly token: string;
  readonly user_id: string;
}

const issuer = new TestIssuer();
let server: TestServer;
let published: Parameters<typeof conformityFaults>[0];
let key: Awaited<ReturnType<TestIssuer['makeKey']>>;
let people = 0;
let [ada, bob] = [{} as Person, {} as Person];

beforeAll(async () => {
  key = await issuer.makeKey();
  server = await openTestServer(issuer.env);
  published = (await (await fetch(`${server.url}/docs/json`)).json()) as typeof published;
});
afterAll(async () => {
  expect(server.errors()).toEqual([]);
  await server.stop();
  await issuer.stop();
});
beforeEach(async () => {
  [ada, bob] = [await person(), await person()];
});

const exp = (seconds = 600) => Math.floor(server.clock.now() / 1000) + seconds;

async function call(method: string, path: string, token?: string, body?: unknown) {
  const answer = await server.call(method, path, token, body);
  if (answer.status !== 404) expect(conformityFaults(published, method, path, answer)).toEqual([]);
  return answer;
}

async function person(more: object = {}): Promise<Person> {
  const sub = `person-${++people}`;
  const email = `${sub}@example.org`;
  const token = await issuer.sign(key, { sub, sid: sub, exp: exp(), name: sub, email, email_verified: true, ...more });
  const { data } = (await call('GET', '/v1/users/me', token)).body;
  return { sub, email, token, user_id: data.id };
}

const codeOf = async (...asked: Parameters<typeof call>) => (await call(...asked)).body.error?.code ?? 'done';

async function sharedDocument(): Promise<string> {
  const { data } = (await call('POST', '/v1/documents', ada.token, { title: 'Plans' })).body;
  const shared = await call('POST', `/v1/documents/${data.id}/permissions`, ada.token, {
    email: bob.email,
    role: 'editor',
  });
  expect(shared.status).toBe(201);
  return data.id;
}

test('they have accounts as soon as they are seen, and share and edit as anybody does', async () => {
  expect((await call('GET', '/v1/users/me', ada.token)).body.data).toMatchObject({
    id: ada.user_id,
    email: ada.email,
    display_name: ada.sub,
    role: 'user',
  });
  const doc_id = await sharedDocument();
  const [json, yjs] = [await JsonClient.join(server, doc_id, ada), await YjsClient.join(server, doc_id, bob)];
  await json.edit([{ insert: 'Hello' }]);
  await yjs.reads('Hello');
  await Promise.all([json.leave(), yjs.leave()]);
  const { items } = (await call('GET', `/v1/documents/${doc_id}/history`, bob.token)).body.data;
  expect(items[0].user_id).toBe(ada.user_id);
});

test('somebody without a verified e-mail is listed with none', async () => {
  const doc_id = await sharedDocument();
  const eve = await person({ email_verified: false });
  const { token } = (await call('POST', `/v1/documents/${doc_id}/links`, ada.token, { role: 'viewer' })).body.data;
  expect((await call('POST', '/v1/links/redeem', eve.token, { token })).body.data).toMatchObject({ email: '' });
  const { items } = (await call('GET', `/v1/documents/${doc_id}/permissions`, ada.token)).body.data;
  expect(items.map(({ email }: { email: string }) => email)).toEqual([ada.email, bob.email, '']);
});

describe('what signs people in here', () => {
  test.each([
    ['POST', '/v1/auth/register'],
    ['POST', '/v1/auth/login'],
    ['POST', '/v1/auth/refresh'],
    ['POST', '/v1/auth/logout'],
    ['POST', '/v1/users/me/password'],
  ])('%s %s is no address', async (method, path) => {
    expect((await call(method, path, ada.token, {})).status).toBe(404);
    expect(JSON.stringify(published)).not.toContain(`"${path}"`);
  });

  test('is not believed: a token of our own key is refused on every door', async () => {
    const claims = {
      sub: ada.user_id,
      sid: ada.user_id,
      jti: ada.user_id,
      role: 'user',
      iss: 'concord',
      aud: 'concord',
    };
    const token = await new SignJWT({ ...claims, exp: exp() })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(new TextEncoder().encode('a secret for tests, of at least 32 bytes'));
    expect(await codeOf('GET', '/v1/users/me', token)).toBe('UNAUTHENTICATED');
    const doc_id = await sharedDocument();
    for (const client of [JsonClient.open(server, doc_id, { token }), YjsClient.open(server, doc_id, { token })])
      expect((await client.closed).code).toBe(CLOSE.UNAUTHENTICATED);
  });
});

describe('open sockets', () => {
  test('are closed when their session is ended here, and its tokens are refused from then on', async () => {
    const doc_id = await sharedDocument();
    const clients = [await JsonClient.join(server, doc_id, ada), await YjsClient.join(server, doc_id, ada)];
    const { items } = (await call('GET', '/v1/auth/sessions', ada.token)).body.data;
    expect(items).toMatchObject([{ current: true, ip: null, user_agent: null }]);
    await call('DELETE', `/v1/auth/sessions/${items[0].id}`, ada.token);
    for (const client of clients) expect((await client.closed).code).toBe(CLOSE.UNAUTHENTICATED);
    expect(await codeOf('GET', '/v1/users/me', ada.token)).toBe('TOKEN_REVOKED');
    const fresh = await issuer.sign(key, { sub: ada.sub, sid: ada.sub, exp: exp(700) });
    expect(await codeOf('GET', '/v1/users/me', fresh)).toBe('TOKEN_REVOKED');
    const signed_in_again = await issuer.sign(key, { sub: ada.sub, sid: 'another', exp: exp() });
    expect(await codeOf('GET', '/v1/users/me', signed_in_again)).toBe('done');
  });

  test('are closed when their token expires, unless a fresh one came', async () => {
    const doc_id = await sharedDocument();
    const [ends, goes_on] = [await YjsClient.join(server, doc_id, ada), await JsonClient.join(server, doc_id, bob)];
    goes_on.send({ type: 'auth', token: await issuer.sign(key, { sub: bob.sub, sid: bob.sub, exp: exp(7_200) }) });
    await goes_on.ping();
    await server.later(700_000);
    expect((await ends.closed).code).toBe(CLOSE.UNAUTHENTICATED);
    await goes_on.ping();
    await goes_on.leave();
  });
});

test('an account is erased with the empty password, as it has none, and no other', async () => {
  const doc_id = await sharedDocument();
  const client = await JsonClient.join(server, doc_id, bob);
  expect(await codeOf('DELETE', '/v1/users/me', ada.token, { password: 'a guess' })).toBe('INVALID_CREDENTIALS');
  expect(await codeOf('DELETE', '/v1/users/me', ada.token, { password: '' })).toBe('done');
  expect((await client.closed).code).toBe(CLOSE.NOT_FOUND);
  expect(await codeOf('GET', '/v1/users/me', ada.token)).toBe('TOKEN_REVOKED');
  expect((await call('GET', `/v1/users/${ada.user_id}`, bob.token)).body.data.display_name).toBe('Deleted user');
  const [row] = await server.sql`SELECT 1 FROM user_identities WHERE subject = ${ada.sub}`;
  expect(row).toBeUndefined();
});
