/** What every page says to the browser that shows it, on a whole server. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';

const FRIEND = 'https://editor.example.org';
const PAGES = ['/', '/d/0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10', '/docs', '/admin', '/admin/queues'];
let server: TestServer;
let ada: TestUser;

beforeAll(async () => {
  server = await openTestServer({ CORS_ORIGINS: FRIEND });
  ada = await server.register('ada');
});

afterAll(async () => {
  await server.stop();
  expect(server.errors()).toEqual([]);
});

const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(server.url + path, { headers: { accept: 'text/html', ...headers } });

describe.each(PAGES)('the page at %s', (path) => {
  test('runs and loads what this server serves and nothing else, and stands in no frame', async () => {
    const page = await get(path);
    const policy = page.headers.get('content-security-policy') ?? '';
    const directives = new Map(policy.split('; ').map((part) => part.split(/ (.*)/s) as [string, string]));
    expect(directives.get('default-src')).toBe("'none'");
    expect(directives.get('frame-ancestors')).toBe("'none'");
    expect(directives.has('base-uri')).toBe(true);
    expect(directives.has('form-action')).toBe(true);
    expect(policy).not.toMatch(/https?:|\*|unsafe-eval|unsafe-hashes/);
    expect(directives.get('script-src') ?? "'self'").toBe("'self'");
    const html = await page.text();
    expect(html).toContain('<html');
    expect(html).not.toMatch(/<script(?![^>]*\ssrc=)[^>]*>\s*\S|\son\w+=|(?:src|href)="(?:https?:)?\/\//);
  });

  test('says so in headers too, and sets no cookie', async () => {
    const { headers } = await get(path);
    expect(Object.fromEntries(headers)).toMatchObject({
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    });
    expect(headers.get('permissions-policy')).toContain('camera=()');
    expect(headers.get('set-cookie')).toBeNull();
    expect(headers.get('x-powered-by') ?? headers.get('server')).toBeNull();
  });
});

test('what browsers refuse to hear over plain HTTP from another name than this machine’s is not said there', async () => {
  const told = async (headers: Record<string, string>) =>
    (await get('/', headers)).headers.get('cross-origin-opener-policy');
  expect(await told({ host: 'docs.example.org' })).toBeNull();
  expect(await told({ host: 'docs.example.org', 'x-forwarded-proto': 'https' })).toBe('same-origin');
});

test('a page that comes compressed varies by that and by its origin', async () => {
  const { headers } = await get('/', { origin: FRIEND, 'accept-encoding': 'gzip' });
  expect(headers.get('vary')).toBe('accept-encoding, origin');
  expect(headers.get('access-control-allow-origin')).toBe(FRIEND);
});

test('no answer lets a browser send cookies or other credentials along from elsewhere', async () => {
  const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' };
  for (const origin of [FRIEND, 'https://evil.example', 'null'])
    for (const path of ['/v1/users/me', '/admin/sign-in', '/admin/queues', '/v1/auth/login']) {
      const asked = await fetch(server.url + path, { method: 'OPTIONS', headers: { origin, ...preflight } });
      const got = await get(path, { origin, authorization: `Bearer ${ada.token}` });
      for (const { headers } of [asked, got]) {
        expect(headers.get('access-control-allow-credentials')).toBeNull();
        expect(headers.get('access-control-allow-origin')).toBe(origin === FRIEND ? FRIEND : null);
      }
    }
});

test('nobody but the admin’s dashboard sets a cookie, and that one is out of reach for scripts and other sites', async () => {
  await server.sql`UPDATE users SET role = 'admin' WHERE id = ${ada.user_id}`;
  const body = new URLSearchParams({ email: ada.email, password: 'open sesame, says the test' });
  const post = (headers: Record<string, string>) =>
    fetch(`${server.url}/admin/sign-in`, { method: 'POST', body, headers, redirect: 'manual' });
  const cookie = (await post({ 'sec-fetch-site': 'same-origin' })).headers.get('set-cookie') ?? '';
  expect(cookie).toMatch(/^concord_admin=[^;]+; Max-Age=\d+; Path=\/admin; HttpOnly; SameSite=Strict/);
  // A form on another site's page, an allowed origin's among them, signs nobody in and out.
  for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }, { origin: FRIEND }]) {
    const refused = await post(headers as Record<string, string>);
    expect([refused.status, refused.headers.get('set-cookie')]).toEqual([403, null]);
  }
  const login = await server.call('POST', '/v1/auth/login', undefined, {
    email: ada.email,
    password: 'open sesame, says the test',
  });
  expect(login.status).toBe(200);
});
