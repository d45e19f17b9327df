import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { type Job, Queue } from 'bullmq';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { until } from '../../test/support/until.ts';
import { createLog } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { DASHBOARD_SESSION_S } from '../domain/dashboard-sessions.ts';
import { Passwords } from '../domain/passwords.ts';
import { connectRedis } from '../store/redis.ts';
import { insertUser, setUserRole } from '../store/users.ts';
import { bullConnection, QUEUE_PREFIX } from '../workers/queues.ts';

const PASSWORD = 'open sesame, says the test';
const BROWSER = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

let server: TestServer;
let redis: ReturnType<typeof connectRedis>;
let queue: Queue;
let admin: TestUser;
let user: TestUser;

beforeAll(async () => {
  server = await openTestServer();
  const log = createLog({ level: 'silent', service: 'test', node_id: 'test' });
  redis = connectRedis(server.redis_url, { name: 'test', kind: 'standing', log });
  queue = new Queue('snapshots', { connection: bullConnection(redis), prefix: QUEUE_PREFIX });
  [admin, user] = await Promise.all([server.register('Ada'), server.register('Bob')]);
});
afterAll(async () => {
  await queue.close();
  redis.disconnect();
  await server.stop();
});
beforeEach(() => setRole(admin, 'admin'));

const setRole = async (who: TestUser, role: string, at = server) =>
  void (await at.sql`UPDATE users SET role = ${role} WHERE id = ${who.user_id}`);

const ask = (method: string, path: string, headers: Record<string, string> = {}, body?: URLSearchParams | string) =>
  fetch(server.url + path, { method, headers, redirect: 'manual', ...(body === undefined ? {} : { body }) });

const signIn = (who: { email: string }, password = PASSWORD, headers = {}) =>
  ask('POST', '/admin/sign-in', headers, new URLSearchParams({ email: who.email, password }));

/** Signs in and returns what the browser would send from then on. */
const cookieOf = async (who: TestUser): Promise<string> => {
  const answer = await signIn(who);
  expect(answer.status).toBe(303);
  return answer.headers.get('set-cookie')?.split(';')[0] ?? '';
};

const bearer = ({ token }: TestUser) => ({ authorization: `Bearer ${token}` });

/** A job that is no document's and therefore fails. */
const failedJob = async (): Promise<Job> => {
  const job = await queue.add('snapshots', { doc_id: 'no document' });
  await until('the job to fail', () => job.isFailed());
  return job;
};

describe('signing in', () => {
  test('gives a cookie that no script, no other site and no other path gets, and nothing in the address', async () => {
    const answer = await signIn(admin);
    expect(answer.status).toBe(303);
    expect(answer.headers.get('location')).toBe('/admin/queues');
    expect(answer.headers.get('set-cookie')).toMatch(
      /^concord_admin=[\w-]{43}; Max-Age=28800; Path=\/admin; HttpOnly; SameSite=Strict$/,
    );
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  test('with a wrong password or an unknown e-mail is refused in the same words', async () => {
    const answers = await Promise.all([signIn(admin, 'not the password'), signIn({ email: 'nobody@example.org' })]);
    for (const answer of answers) {
      expect([answer.status, answer.headers.get('set-cookie')]).toEqual([401, null]);
      expect(await answer.text()).toContain('E-mail or password is wrong.');
    }
  });

  test('as an ordinary user is refused, and leaves no session behind', async () => {
    const sessions = () => server.call('GET', '/v1/auth/sessions', user.token).then((r) => r.body.data.items.length);
    const before = await sessions();
    const answer = await signIn(user);
    expect([answer.status, answer.headers.get('set-cookie')]).toEqual([403, null]);
    expect(await answer.text()).toContain('This account is not an admin.');
    expect(await sessions()).toBe(before);
  });

  test('takes a form with both fields, and no more than a form', async () => {
    const form = (fields: Record<string, string>) => ask('POST', '/admin/sign-in', {}, new URLSearchParams(fields));
    expect((await form({ email: admin.email })).status).toBe(422);
    expect((await form({ email: 'a\0@b.org', password: 'x' })).status).toBe(422);
    expect((await form({ email: 'x'.repeat(20_000), password: 'x' })).status).toBe(413);
    expect((await ask('POST', '/admin/sign-in', { 'content-type': 'application/json' }, '{}')).status).toBe(415);
  });

  test('shows what was typed as text', async () => {
    const answer = await signIn({ email: '"><b>x' });
    expect(await answer.text()).toContain('value="&quot;&gt;&lt;b&gt;x"');
  });

  test('from a page of another site is refused', async () => {
    expect((await signIn(admin, PASSWORD, { origin: 'https://evil.example' })).status).toBe(403);
    expect((await signIn(admin, PASSWORD, { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await signIn(admin, PASSWORD, { origin: server.url })).status).toBe(303);
  });
});

describe('a session of the dashboard', () => {
  test('shows among the sessions of its owner, and ending it there ends the dashboard', async () => {
    const cookie = await cookieOf(admin);
    expect((await ask('GET', '/admin/queues', { cookie })).status).toBe(200);
    const { body } = await server.call('GET', '/v1/auth/sessions', admin.token);
    const { id, created_at, expires_at } = body.data.items[0];
    expect(Date.parse(expires_at) - Date.parse(created_at)).toBe(DASHBOARD_SESSION_S * 1000);
    expect((await server.call('DELETE', `/v1/auth/sessions/${id}`, admin.token)).status).toBe(200);
    expect((await ask('GET', '/admin/queues', { cookie })).status).toBe(401);
  });

  test('ends with signing out, which takes the cookie away', async () => {
    const cookie = await cookieOf(admin);
    const page = await ask('GET', '/admin', { cookie });
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('Signed in as <strong>Ada')]);
    const answer = await ask('POST', '/admin/sign-out', { cookie });
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/admin']);
    expect(answer.headers.get('set-cookie')).toMatch(/^concord_admin=; Max-Age=0; Path=\/admin;/);
    expect((await ask('GET', '/admin/queues', { cookie })).status).toBe(401);
    expect((await ask('POST', '/admin/sign-out', { cookie })).status).toBe(303);
  });

  test('ends after eight hours', async () => {
    const cookie = await cookieOf(admin);
    await server.later(DASHBOARD_SESSION_S * 1000 - 60_000);
    expect((await ask('GET', '/admin/queues', { cookie })).status).toBe(200);
    await server.later(60_000);
    expect((await ask('GET', '/admin/queues', { cookie })).status).toBe(401);
    [admin, user] = await Promise.all([server.signIn(admin), server.signIn(user)]);
  });

  test('is over once somebody exchanges its token', async () => {
    const cookie = await cookieOf(admin);
    const refresh_token = cookie.split('=')[1];
    expect((await server.call('POST', '/v1/auth/refresh', undefined, { refresh_token })).status).toBe(200);
    expect((await ask('GET', '/admin/queues', { cookie })).status).toBe(401);
  });
});

describe('who may come to the dashboard', () => {
  const ROUTES: readonly (readonly [string, string])[] = [
    ['GET', '/admin/queues'],
    ['GET', '/admin/queues/'],
    ['GET', '/admin/queues/queue/snapshots'],
    ['GET', '/admin/queues/api/queues?activeQueue=snapshots&status=latest&page=1&jobsPerPage=10'],
    ['GET', '/admin/queues/static/images/logo.svg'],
    ['PUT', '/admin/queues/api/queues/versions/resume'],
  ];

  test.each(ROUTES)('%s %s: strangers 401, users 403, admins pass, demoted ones 403 at once', async (method, path) => {
    const status = (headers: Record<string, string>) => ask(method, path, headers).then((answer) => answer.status);
    const cookie = await cookieOf(admin);
    expect(await status({})).toBe(401);
    expect(await status({ cookie: `concord_admin=${'A'.repeat(43)}` })).toBe(401);
    expect(await status({ authorization: 'Bearer nonsense' })).toBe(401);
    expect(await status(bearer(user))).toBe(403);
    expect(await status({ cookie })).toBe(200);
    expect(await status(bearer(admin))).toBe(200);
    await setRole(admin, 'user');
    expect(await status({ cookie })).toBe(403);
    expect(await status(bearer(admin))).toBe(403);
  });

  test('a browser that is not signed in gets the sign-in page, one that may not an explanation', async () => {
    const stranger = await ask('GET', '/admin/queues/queue/snapshots', BROWSER);
    expect([stranger.status, stranger.headers.get('content-type')]).toEqual([401, 'text/html; charset=utf-8']);
    expect(await stranger.text()).toContain('<form method="post" action="/admin/sign-in">');
    const cookie = await cookieOf(admin);
    await setRole(admin, 'user');
    const demoted = await ask('GET', '/admin/queues', { ...BROWSER, cookie });
    expect([demoted.status, await demoted.text()]).toEqual([403, expect.stringContaining('not an admin')]);
    expect((await ask('GET', '/admin', { ...BROWSER, cookie })).status).toBe(403);
    expect((await ask('GET', '/admin', BROWSER)).status).toBe(200);
  });

  test('a program gets our envelope', async () => {
    expect(await server.call('GET', '/admin/queues/api/queues')).toMatchObject({
      status: 401,
      body: { success: false, error: { code: 'UNAUTHENTICATED' } },
    });
    expect((await server.call('GET', '/admin/queues/api/queues', user.token)).body.error.code).toBe('FORBIDDEN');
  });

  test('a change that a page of another site asks for is refused, whatever cookie comes with it', async () => {
    const cookie = await cookieOf(admin);
    const status = (headers: Record<string, string>) =>
      ask('PUT', '/admin/queues/api/queues/versions/resume', { cookie, ...headers }).then((answer) => answer.status);
    const other = 'https://evil.example';
    expect(await status({ origin: other })).toBe(403);
    expect(await status({ origin: 'null' })).toBe(403);
    expect(await status({ 'sec-fetch-site': 'cross-site', origin: server.url })).toBe(403);
    expect(await status({ 'sec-fetch-site': 'same-site' })).toBe(403);
    expect(await status({ 'sec-fetch-site': 'same-origin', origin: server.url })).toBe(200);
    expect(await status({ origin: server.url })).toBe(200);
  });
});

describe('the page', () => {
  test('loads nothing from elsewhere, and its policy allows nothing else', async () => {
    const answer = await ask('GET', '/admin/queues', { cookie: await cookieOf(admin) });
    const html = await answer.text();
    expect(html).toContain('<base href="/admin/queues/" />');
    expect(html).not.toMatch(/<%|(?:href|src)="(?:https?:)?\/\//);
    const policy = answer.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    for (const [, name] of html.matchAll(/(?:href|src)="(static\/[^"]+)"/g)) {
      const file = await ask('GET', `/admin/queues/${name}`, bearer(admin));
      expect([name, file.status]).toEqual([name, 200]);
    }
  });

  test('for signing in has a policy without any script, and a style sheet that strangers get', async () => {
    const answer = await ask('GET', '/admin', BROWSER);
    expect(await answer.text()).not.toContain('<script');
    expect(answer.headers.get('content-security-policy')).toBe(
      "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    );
    const style = await ask('GET', '/admin/style.css');
    expect([style.status, style.headers.get('content-type')]).toEqual([200, 'text/css; charset=utf-8']);
  });
});

test('it stands where the service worker runs, which needs no other, and nowhere else', async () => {
  const [worker, others] = await Promise.all([
    openTestServer({ SERVICES: 'worker' }),
    openTestServer({ SERVICES: 'users,documents,collaboration' }),
  ]);
  try {
    const email = 'grace@example.org';
    const password_hash = await new Passwords(systemRandom).hash(PASSWORD);
    const at = new Date(worker.clock.now());
    const grace = { id: systemRandom.id(), email, email_key: email, display_name: 'Grace', password_hash, at };
    await insertUser(worker.sql, grace);
    await setUserRole(worker.sql, email, 'admin', at);
    const body = new URLSearchParams({ email, password: PASSWORD });
    const signed_in = await fetch(`${worker.url}/admin/sign-in`, { method: 'POST', body, redirect: 'manual' });
    const cookie = signed_in.headers.get('set-cookie')?.split(';')[0] ?? '';
    expect((await fetch(`${worker.url}/admin/queues`, { headers: { cookie } })).status).toBe(200);
    for (const path of ['/admin', '/admin/queues', '/admin/queues/api/queues'])
      expect((await fetch(others.url + path)).status).toBe(404);
  } finally {
    await Promise.all([worker.stop(), others.stop()]);
  }
});

test('behind a proxy that ends TLS, and is believed, the cookie is for HTTPS alone', async () => {
  const secure = async (at: TestServer) => {
    const body = new URLSearchParams({ email: admin.email, password: PASSWORD });
    const headers = { 'x-forwarded-proto': 'https' };
    const answer = await fetch(`${at.url}/admin/sign-in`, { method: 'POST', body, headers, redirect: 'manual' });
    return answer.headers.get('set-cookie')?.endsWith('; SameSite=Strict; Secure');
  };
  expect(await secure(server)).toBe(false);
  const proxied = await openTestServer({ TRUST_PROXY: 'on' });
  try {
    await setRole(await proxied.register('Ada'), 'admin', proxied);
    expect(await secure(proxied)).toBe(true);
  } finally {
    await proxied.stop();
  }
});

describe('failed jobs', () => {
  const act = async (path: string) => {
    const answer = await ask('PUT', `/admin/queues/api/queues/snapshots/${path}`, {
      cookie: await cookieOf(admin),
      'sec-fetch-site': 'same-origin',
    });
    return answer.status;
  };

  test('are shown with the reason', async () => {
    const { id } = await failedJob();
    const path = '/admin/queues/api/queues?activeQueue=snapshots&status=failed&page=1&jobsPerPage=10';
    const { queues } = await (await ask('GET', path, bearer(admin))).json();
    const shown = queues.find((one: { name: string }) => one.name === 'snapshots');
    expect(shown.counts.failed).toBeGreaterThan(0);
    expect(shown.jobs.find((job: { id: string }) => job.id === id).failedReason).toContain('uuid');
    const one = await (await ask('GET', `/admin/queues/api/queues/snapshots/${id}`, bearer(admin))).json();
    expect(one).toMatchObject({ job: { id, data: { doc_id: 'no document' } }, status: 'failed' });
  });

  test('can be tried again', async () => {
    const { id = '' } = await failedJob();
    const doc_id = systemRandom.id();
    await (await queue.getJob(id))?.updateData({ doc_id });
    expect(await act(`${id}/retry`)).toBe(204);
    await until('the job to succeed', async () => (await queue.getJobState(id)) === 'completed');
  });

  test('can be cleaned, one or all', async () => {
    const [one, all] = [await failedJob(), await failedJob()];
    expect(await act(`${one.id}/clean`)).toBe(204);
    expect(await queue.getJob(one.id ?? '')).toBeUndefined();
    // bull-board spares what failed within the last seconds.
    await redis.zadd(`${QUEUE_PREFIX}:snapshots:failed`, 1, all.id ?? '');
    await redis.hset(`${QUEUE_PREFIX}:snapshots:${all.id}`, 'finishedOn', 1);
    expect(await act('clean/failed')).toBe(200);
    expect(await queue.getJob(all.id ?? '')).toBeUndefined();
  });

  test('and delayed ones can be promoted', async () => {
    const job = await queue.add('snapshots', { doc_id: systemRandom.id() }, { delay: 3_600_000 });
    expect(await act(`${job.id}/promote`)).toBe(204);
    await until('the job to run', () => job.isCompleted());
  });

  test('a body that is no JSON object, and a job that nobody knows, are refused', async () => {
    const headers = { ...bearer(admin), 'content-type': 'application/json' };
    const add = (body: string) => ask('POST', '/admin/queues/api/queues/snapshots/add', headers, body);
    expect((await add('[]')).status).toBe(422);
    expect((await add('{')).status).toBe(422);
    expect(await act('999999/retry')).toBe(404);
  });
});

test('while Redis does not answer the dashboard says so instead of waiting', async () => {
  const cookie = await cookieOf(admin);
  await redis.client('PAUSE', 2_000);
  let status = null as number | null;
  const answered = ask('GET', '/admin/queues/api/queues', { cookie }).then((answer) => {
    status = answer.status;
  });
  while (status === null) await server.later(1_000);
  await answered;
  expect(status).toBe(503);
});
