/** Who may do what: every route with every caller, on documents that are there, deleted, or somebody else's. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { conformityFaults } from '../support/openapi-conformity.ts';
import { CALLERS, type CallerName, type Callers, openCallers, refusalOf } from './callers.ts';
import { DOCUMENT_ROUTES, expected, NO_SUCH_ID, ROUTES, type Row } from './routes.ts';

let callers: Callers;

beforeAll(async () => {
  callers = await openCallers();
});
afterAll(async () => {
  expect(callers.server.errors()).toEqual([]);
  await callers.server.stop();
});

/** Makes the call of this row; answers the status and, of a refusal, the code. */
async function outcome(row: Row, name: CallerName, doc_id: string): Promise<string> {
  const is_spent = row.spends_caller === true && refusalOf(name) === null;
  const user = is_spent ? await callers.fresh(name) : callers.by_name[name];
  const [path, body] = await row.request({ callers, user, doc_id });
  const method = row.route.split(' ')[0] ?? '';
  const response = await fetch(callers.server.url + path, {
    method,
    headers: {
      ...(name === 'none' ? {} : { authorization: `Bearer ${user.token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  expect(response.headers.get('x-request-id')).toMatch(/^[A-Za-z0-9._-]{1,128}$/);
  if (path === '/metrics') return String(response.status);
  const told = (await response.json()) as { readonly error?: { readonly code: string } };
  expect(conformityFaults(callers.published, method, path, { status: response.status, body: told })).toEqual([]);
  return [response.status, told.error?.code].filter(Boolean).join(' ');
}

/** The same for everybody, each on a document of its own. */
async function outcomes(row: Row, document: () => Promise<string>): Promise<Record<string, string>> {
  const told = CALLERS.map(async (name) => [name, await outcome(row, name, await document())]);
  return Object.fromEntries(await Promise.all(told));
}

test('the table names every route of the OpenAPI document, and no other', () => {
  const documented = Object.entries(callers.published.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(ROUTES.map(({ route }) => route).toSorted()).toEqual(documented.toSorted());
});

describe('everybody is told what the table says', () => {
  test.each(ROUTES.map((row) => [row.route, row] as const))('%s', async (_, row) => {
    expect(await outcomes(row, callers.sharedDocument)).toEqual(
      Object.fromEntries(CALLERS.map((name) => [name, expected(row, name, false)])),
    );
  });
});

describe('a deleted document is there for nobody, but for its owner to look at and to bring back', () => {
  test.each(DOCUMENT_ROUTES.map((row) => [row.route, row] as const))('%s', async (_, row) => {
    const deletedDocument = async (): Promise<string> => {
      const doc_id = await callers.sharedDocument();
      await callers.server.call('DELETE', `/v1/documents/${doc_id}`, callers.by_name.owner.token);
      return doc_id;
    };
    expect(await outcomes(row, deletedDocument)).toEqual(
      Object.fromEntries(CALLERS.map((name) => [name, expected(row, name, true)])),
    );
  });
});

test('a document that never was is told from one of others by nothing', async () => {
  const { stranger, admin } = callers.by_name;
  const doc_id = await callers.sharedDocument();
  for (const row of DOCUMENT_ROUTES)
    for (const user of [stranger, admin]) {
      const answers = [];
      for (const id of [doc_id, NO_SUCH_ID]) {
        const [path, body] = await row.request({ callers, user, doc_id });
        const method = row.route.split(' ')[0] ?? '';
        answers.push(await callers.server.call(method, path.replace(doc_id, id), user.token, body));
      }
      expect([row.route, answers[0]]).toEqual([row.route, answers[1]]);
      expect(answers[0]?.status).toBe(404);
    }
});

test('a version, a link and a session are found under their own document and user alone', async () => {
  const { owner, stranger } = callers.by_name;
  const [mine, other] = [await callers.sharedDocument(), await callers.sharedDocument()];
  const make = async (rest: string, body: unknown) =>
    (await callers.server.call('POST', `/v1/documents/${mine}${rest}`, owner.token, body)).body.data.id;
  const [version, link] = [await make('/versions', { name: 'One' }), await make('/links', { role: 'viewer' })];
  const { items } = (await callers.server.call('GET', '/v1/auth/sessions', owner.token)).body.data;
  const asked = [
    ['GET', `/v1/documents/${other}/versions/${version}`, owner],
    ['GET', `/v1/documents/${other}/versions/${version}/content`, owner],
    ['DELETE', `/v1/documents/${other}/links/${link}`, owner],
    ['DELETE', `/v1/documents/${mine}/permissions/${stranger.user_id}`, owner],
    ['DELETE', `/v1/auth/sessions/${items[0].id}`, stranger],
  ] as const;
  for (const [method, path, user] of asked)
    expect([path, (await callers.server.call(method, path, user.token)).status]).toEqual([path, 404]);
  const restored = await callers.server.call('POST', `/v1/documents/${other}/restore`, owner.token, {
    version_id: version,
  });
  expect(restored.status).toBe(404);
  expect((await callers.server.call('GET', `/v1/documents/${mine}/links`, owner.token)).body.data.items).toHaveLength(
    1,
  );
});

test('nobody raises a role: not an editor over people, not a viewer over themselves, not a link beyond what it says', async () => {
  const { owner, editor, viewer, stranger } = callers.by_name;
  const doc_id = await callers.sharedDocument();
  const at = `/v1/documents/${doc_id}`;
  for (const [user, target] of [
    [editor, editor],
    [viewer, viewer],
    [editor, owner],
  ] as const) {
    const raised = await callers.server.call('PUT', `${at}/permissions/${target.user_id}`, user.token, {
      role: 'owner',
    });
    expect(raised.body.error.code).toBe('FORBIDDEN');
  }
  expect((await callers.server.call('POST', `${at}/links`, owner.token, { role: 'owner' })).status).toBe(422);
  const { token } = (await callers.server.call('POST', `${at}/links`, owner.token, { role: 'viewer' })).body.data;
  await callers.server.call('POST', '/v1/links/redeem', stranger.token, { token });
  await callers.server.call('POST', '/v1/links/redeem', editor.token, { token });
  const { items } = (await callers.server.call('GET', `${at}/permissions`, owner.token)).body.data;
  const roles = Object.fromEntries(
    items.map(({ user_id, role }: { user_id: string; role: string }) => [user_id, role]),
  );
  expect([roles[stranger.user_id], roles[editor.user_id]]).toEqual(['viewer', 'editor']);
});
