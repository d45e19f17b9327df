/** What people do leaves one row each, with who, on what, to whom, from where; and who may read it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { openTestServer, type TestServer, type TestUser } from './support/server.ts';
import { until } from './support/until.ts';

const IP = '203.0.113.9';
const MISTYPED = 'close sesame, says the test';
const PASSWORD = 'open sesame, says the test';

let server: TestServer;
let people = 0;
beforeAll(async () => {
  server = await openTestServer({ TRUST_PROXY: 'on', WORK_INTERVAL_SECONDS: '1', VERSION_PAUSE_SECONDS: '1' });
});
afterAll(async () => {
  expect(server.errors()).toEqual([]);
  await server.stop();
});

const person = () => server.register(`person-${++people}`);

interface Item {
  readonly id: string;
  readonly at: string;
  readonly actor_id: string | null;
  readonly action: string;
  readonly document_id: string | null;
  readonly target_id: string | null;
  readonly ip: string | null;
  readonly request_id: string | null;
  readonly details: Readonly<Record<string, unknown>>;
}

interface Listed {
  readonly items: Item[];
  readonly next_cursor: string | null;
}

/** A call from {@link IP} under a request id. */
async function act(request_id: string, method: string, path: string, token: string | null, body?: unknown) {
  const response = await fetch(server.url + path, {
    method,
    headers: {
      'x-forwarded-for': `198.51.100.1, ${IP}`,
      'x-request-id': request_id,
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
  return { status: response.status, body: (await response.json()) as any };
}

/** What the log holds under a request id, once nothing waits any more. */
async function rowsOf(request_id: string): Promise<unknown[]> {
  await until('the outbox to be empty', async () => (await server.sql`SELECT 1 FROM outbox LIMIT 1`).length === 0);
  const rows = await server.sql<Item[]>`
    SELECT actor_id, action, document_id, target_id, ip, request_id, details
    FROM audit_log WHERE request_id = ${request_id} ORDER BY action, document_id`;
  return [...rows];
}

const row = (request_id: string, more: Partial<Item>) => ({
  ...{ actor_id: null, document_id: null, target_id: null, ip: IP, request_id, details: {} },
  ...more,
});

describe('one row is left by', () => {
  test('registering, signing in, failing to, and signing out', async () => {
    const email = `person-${++people}@example.org`;
    const made = await act('r-register', 'POST', '/v1/auth/register', null, {
      email,
      password: PASSWORD,
      display_name: 'P',
    });
    const id = made.body.data.user.id;
    const self = { actor_id: id, target_id: id };
    expect(await rowsOf('r-register')).toEqual([row('r-register', { ...self, action: 'user.registered' })]);

    const login = await act('r-login', 'POST', '/v1/auth/login', null, { email, password: PASSWORD });
    expect(await rowsOf('r-login')).toEqual([row('r-login', { ...self, action: 'user.login' })]);

    await act('r-wrong', 'POST', '/v1/auth/login', null, { email: email.toUpperCase(), password: MISTYPED });
    expect(await rowsOf('r-wrong')).toEqual([row('r-wrong', { action: 'user.login_failed', target_id: id })]);
    await act('r-unknown', 'POST', '/v1/auth/login', null, { email: 'nobody@example.org', password: MISTYPED });
    expect(await rowsOf('r-unknown')).toEqual([row('r-unknown', { action: 'user.login_failed' })]);

    const { access_token, refresh_token } = login.body.data;
    await act('r-logout', 'POST', '/v1/auth/logout', access_token, { refresh_token });
    expect(await rowsOf('r-logout')).toEqual([
      row('r-logout', { ...self, action: 'user.logout', details: { session_id: expect.any(String) } }),
    ]);
  });

  test('ending a session, whoever does it', async () => {
    const ada = await person();
    const other = await server.signIn(ada);
    const sessions = (await server.call('GET', '/v1/auth/sessions', ada.token)).body.data.items;
    const session_id = sessions.find((session: { current: boolean }) => !session.current).id;
    await act('r-revoke', 'DELETE', `/v1/auth/sessions/${session_id}`, ada.token);
    const revoked = { actor_id: ada.user_id, target_id: session_id, action: 'session.revoked' };
    expect(await rowsOf('r-revoke')).toEqual([row('r-revoke', { ...revoked, details: { reason: 'asked' } })]);
    expect((await server.call('GET', '/v1/users/me', other.token)).status).toBe(401);

    const mine = await server.signIn(ada);
    const another = await server.signIn(ada);
    await act('r-both', 'POST', '/v1/auth/logout', mine.token, { refresh_token: another.refresh_token });
    expect(await rowsOf('r-both')).toMatchObject([{ action: 'session.revoked' }, { action: 'user.logout' }]);
    for (const { token } of [mine, another]) expect((await server.call('GET', '/v1/users/me', token)).status).toBe(401);

    const thief = await server.signIn(ada);
    await act('r-first', 'POST', '/v1/auth/refresh', null, { refresh_token: thief.refresh_token });
    await act('r-again', 'POST', '/v1/auth/refresh', null, { refresh_token: thief.refresh_token });
    await act('r-once-more', 'POST', '/v1/auth/refresh', null, { refresh_token: thief.refresh_token });
    expect([await rowsOf('r-first'), await rowsOf('r-once-more')]).toEqual([[], []]);
    expect(await rowsOf('r-again')).toMatchObject([
      { action: 'session.revoked', actor_id: ada.user_id, details: { reason: 'refresh_token_reused' } },
    ]);
  });

  test('changing a password', async () => {
    const ada = await person();
    await server.signIn(ada);
    const body = { current_password: PASSWORD, new_password: 'another good one, honestly' };
    await act('r-password', 'POST', '/v1/users/me/password', ada.token, body);
    const self = { actor_id: ada.user_id, target_id: ada.user_id };
    expect(await rowsOf('r-password')).toEqual([
      row('r-password', { ...self, action: 'user.password_changed', details: { sessions_ended: 1 } }),
    ]);
  });

  test('making, renaming, deleting and bringing back a document; by what comes to nothing, none', async () => {
    const ada = await person();
    const { body } = await act('r-make', 'POST', '/v1/documents', ada.token, { title: 'Minutes' });
    const document_id = body.data.id;
    const path = `/v1/documents/${document_id}`;
    const on = { actor_id: ada.user_id, document_id };
    expect(await rowsOf('r-make')).toEqual([
      row('r-make', { ...on, action: 'document.created', details: { title: 'Minutes' } }),
    ]);
    await act('r-rename', 'PATCH', path, ada.token, { title: 'Report' });
    expect(await rowsOf('r-rename')).toEqual([
      row('r-rename', { ...on, action: 'document.renamed', details: { from: 'Minutes', to: 'Report' } }),
    ]);
    await act('r-delete', 'DELETE', path, ada.token);
    await act('r-delete', 'DELETE', path, ada.token);
    expect(await rowsOf('r-delete')).toEqual([row('r-delete', { ...on, action: 'document.deleted' })]);
    await Promise.all([1, 2, 3].map(() => act('r-back', 'POST', `${path}/undelete`, ada.token)));
    expect(await rowsOf('r-back')).toEqual([row('r-back', { ...on, action: 'document.undeleted' })]);
  });

  test('giving, changing and taking away a role; by what changes none, none', async () => {
    const [ada, ben] = [await person(), await person()];
    const document_id = await server.createDocument(ada);
    const path = `/v1/documents/${document_id}/permissions`;
    const on = { actor_id: ada.user_id, document_id, target_id: ben.user_id };
    const details = (from: string | null, to: string | null) => ({ details: { from, to } });
    await act('r-give', 'POST', path, ada.token, { email: ben.email, role: 'viewer' });
    expect(await rowsOf('r-give')).toEqual([
      row('r-give', { ...on, action: 'permission.granted', ...details(null, 'viewer') }),
    ]);
    await act('r-same', 'POST', path, ada.token, { email: ben.email, role: 'viewer' });
    expect(await rowsOf('r-same')).toEqual([]);
    await act('r-change', 'PUT', `${path}/${ben.user_id}`, ada.token, { role: 'editor' });
    expect(await rowsOf('r-change')).toEqual([
      row('r-change', { ...on, action: 'permission.changed', ...details('viewer', 'editor') }),
    ]);
    await act('r-leave', 'DELETE', `${path}/${ben.user_id}`, ben.token);
    expect(await rowsOf('r-leave')).toEqual([
      row('r-leave', { ...on, actor_id: ben.user_id, action: 'permission.revoked', ...details('editor', null) }),
    ]);
  });

  test('a run of edits, without an address, and one more by whom else goes on', async () => {
    const [ada, ben] = [await person(), await person()];
    const document_id = await server.createDocument(ada);
    await server.share(ada, document_id, ben, 'editor');
    const edit = (user: TestUser, text: string) =>
      act('r-edit', 'POST', `/v1/documents/${document_id}/edits`, user.token, {
        changes: { delta: [{ insert: text }] },
      });
    for (const text of ['a', 'bc']) await edit(ada, text);
    await edit(ben, 'def');
    const runs = await until('both runs', async () => {
      const rows = await server.sql<Item[]>`
        SELECT actor_id, ip, request_id, details FROM audit_log
        WHERE document_id = ${document_id} AND action = 'document.edited' ORDER BY at, id`;
      return rows.length >= 2 && [...rows];
    });
    const nowhere = { ip: null, request_id: null };
    expect(runs).toMatchObject([
      { ...nowhere, actor_id: ada.user_id, details: { from_rev: 1, to_rev: 2, inserted: 3, deleted: 0 } },
      { ...nowhere, actor_id: ben.user_id, details: { from_rev: 3, to_rev: 3, inserted: 3, deleted: 0 } },
    ]);
  });

  test('erasing an account, and one by each document that it leaves or takes along', async () => {
    const [ada, ben] = [await person(), await person()];
    const [own, shared] = [await server.createDocument(ada), await server.createDocument(ben)];
    await server.share(ben, shared, ada, 'editor');
    await act('r-erase', 'DELETE', '/v1/users/me', ada.token, { password: PASSWORD });
    const left = { actor_id: ada.user_id, details: { reason: 'account_erased' } };
    expect(await rowsOf('r-erase')).toEqual([
      row('r-erase', { ...left, action: 'document.deleted', document_id: own }),
      row('r-erase', { ...left, action: 'permission.revoked', document_id: shared, target_id: ada.user_id }),
      row('r-erase', {
        ...{ actor_id: ada.user_id, target_id: ada.user_id },
        ...{ action: 'user.deleted', details: { sessions_ended: 1 } },
      }),
    ]);
  });
});

describe('the audit is read', () => {
  let [ada, ben, eve]: TestUser[] = [];
  let doc_id: string;
  beforeAll(async () => {
    [ada, ben, eve] = [await person(), await person(), await person()];
    doc_id = await server.createDocument(ada);
    await server.share(ada, doc_id, ben, 'editor');
    for (const title of ['One', 'Two', 'Three'])
      await act('r', 'PATCH', `/v1/documents/${doc_id}`, ben.token, { title });
    await act('r', 'POST', '/v1/auth/login', null, { email: ben.email, password: MISTYPED });
    await rowsOf('r');
  });
  const user = (one: TestUser | undefined): TestUser => {
    if (one === undefined) throw new Error('nobody');
    return one;
  };
  const list = async (one: TestUser | undefined, path: string): Promise<Item[]> => {
    const answer = await server.call('GET', path, user(one).token);
    expect(answer.status).toBe(200);
    return answer.body.data.items;
  };

  test("by a document's owner, newest first and page by page", async () => {
    const path = `/v1/documents/${doc_id}/audit`;
    const all = await list(ada, path);
    expect(all.map(({ action }) => action)).toEqual([
      ...['document.renamed', 'document.renamed', 'document.renamed', 'permission.granted', 'document.created'],
    ]);
    expect(all[0]).toMatchObject({ actor_id: user(ben).user_id, ip: IP, request_id: 'r', details: { to: 'Three' } });
    const paged: Item[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const next: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const { data }: { data: Listed } = (await server.call('GET', `${path}?limit=2${next}`, user(ada).token)).body;
      paged.push(...data.items);
      cursor = data.next_cursor;
    }
    expect(paged).toEqual(all);
  });

  test('at once by whoever has just done it, each row once, wherever a worker has it', async () => {
    const self = await person();
    for (let turn = 0; turn < 12; turn += 1) {
      const made = await act(`r-now-${turn}`, 'POST', '/v1/documents', self.token, { title: 'Now' });
      const own = await list(self, '/v1/users/me/audit?limit=100');
      expect(own.filter(({ action }) => action === 'document.created')).toHaveLength(turn + 1);
      expect(own[0]?.document_id).toBe(made.body.data.id);
      const listed = await list(self, `/v1/documents/${made.body.data.id}/audit`);
      expect(listed.map(({ request_id }) => request_id)).toEqual([`r-now-${turn}`]);
    }
  });

  test('of a document by nobody else: an editor gets 403, a stranger 404, the owner of a deleted one 404', async () => {
    const path = `/v1/documents/${doc_id}/audit`;
    const status = async (one: TestUser | undefined, at = path) =>
      (await server.call('GET', at, user(one).token)).status;
    expect([await status(ben), await status(eve)]).toEqual([403, 404]);
    const gone = await server.createDocument(user(ada));
    await server.call('DELETE', `/v1/documents/${gone}`, user(ada).token);
    expect(await status(ada, `/v1/documents/${gone}/audit`)).toBe(404);
  });

  test('by everybody of themselves: what they did and what was done to them, that one without the address of another', async () => {
    const own = await list(ben, '/v1/users/me/audit');
    expect(own.map(({ action, actor_id, ip }) => [action, actor_id, ip])).toEqual([
      ['user.login_failed', null, IP],
      ...[1, 2, 3].map(() => ['document.renamed', user(ben).user_id, IP]),
      ['permission.granted', user(ada).user_id, null],
      ['user.registered', user(ben).user_id, '127.0.0.1'],
    ]);
  });

  test('by admins in full, and as far as they ask; by nobody else', async () => {
    expect((await server.call('GET', '/v1/admin/audit', user(eve).token)).status).toBe(403);
    await server.sql`UPDATE users SET role = 'admin' WHERE id = ${user(eve).user_id}`;
    const path = '/v1/admin/audit?limit=100';
    expect((await list(eve, path)).length).toBeGreaterThan(6);
    const of = async (query: string) => (await list(eve, `${path}&${query}`)).map(({ action }) => action);
    expect(await of(`user_id=${user(ben).user_id}`)).toHaveLength(6);
    expect(await of(`document_id=${doc_id}&action=permission.granted`)).toEqual(['permission.granted']);
    expect(await of(`document_id=${doc_id}&user_id=${user(ben).user_id}`)).toHaveLength(4);
    for (const query of ['action=user.flown', 'user_id=1', 'cursor=x', 'limit=101', 'who=me'])
      expect((await server.call('GET', `${path.split('?')[0]}?${query}`, user(eve).token)).status).toBe(422);
  });

  test('without a password, a token, an e-mail or a name in it', async () => {
    const everything = JSON.stringify(await server.sql`SELECT * FROM audit_log`);
    expect(['@', 'sesame', 'eyJ', 'person-'].filter((word) => everything.includes(word))).toEqual([]);
  });
});
