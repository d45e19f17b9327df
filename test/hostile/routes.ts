/**
 * Every route of the API in one table: who may call it, and a call that succeeds for whoever may. What everybody else is
 * told follows from the table ({@link expected}), so that a rule stands in one place and no cell is written by hand.
 */
import type { TestUser } from '../support/server.ts';
import { type CallerName, type Callers, PASSWORD, refusalOf } from './callers.ts';

/** Who may: anybody, whoever is signed in, admins, and on documents whoever has the role or a higher one. */
export type Who = 'anybody' | 'signed_in' | 'admin' | 'viewer' | 'editor' | 'owner';

/** What a call is made of. */
export interface Situation {
  readonly callers: Callers;
  /** Who calls. */
  readonly user: TestUser;
  readonly doc_id: string;
}

/** A call: the path, and the body if there is one. */
export type Request = readonly [path: string, body?: unknown];

/** One row. */
export interface Row {
  /** As the OpenAPI document names it. */
  readonly route: string;
  readonly who: Who;
  readonly ok: 200 | 201;
  /** A call that this caller may make if they may at all. */
  readonly request: (situation: Situation) => Request | Promise<Request>;
  /** The owner of a deleted document may still do this. */
  readonly on_deleted?: true;
  /** It ends the caller's session or account: each call is made by somebody new. */
  readonly spends_caller?: true;
}

const path =
  (rest = '') =>
  ({ doc_id }: Situation): Request => [`/v1/documents/${doc_id}${rest}`];
const post =
  (rest: string, body: unknown) =>
  ({ doc_id }: Situation): Request => [`/v1/documents/${doc_id}${rest}`, body];
const plain = (at: string, body?: unknown) => (): Request => [at, body];

/** What an owner makes in a document, to be named by a call of somebody else. */
async function made({ callers, doc_id }: Situation, rest: string, body: unknown): Promise<string> {
  const { token } = callers.by_name.owner;
  const answer = await callers.server.call('POST', `/v1/documents/${doc_id}${rest}`, token, body);
  return answer.body.data?.id ?? NO_SUCH_ID;
}

/** An id that nothing has; what a deleted document cannot be asked for is asked for under it. */
export const NO_SUCH_ID = '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10';

const OPEN: readonly Row[] = [
  { route: 'GET /healthz', who: 'anybody', ok: 200, request: plain('/healthz') },
  { route: 'GET /readyz', who: 'anybody', ok: 200, request: plain('/readyz') },
  { route: 'GET /metrics', who: 'anybody', ok: 200, request: plain('/metrics') },
  {
    route: 'POST /v1/auth/register',
    who: 'anybody',
    ok: 201,
    request: () => [
      '/v1/auth/register',
      { email: `${crypto.randomUUID()}@example.net`, password: PASSWORD, display_name: 'Somebody new' },
    ],
  },
  {
    route: 'POST /v1/auth/login',
    who: 'anybody',
    ok: 200,
    request: ({ callers }) => ['/v1/auth/login', { email: callers.guest.email, password: PASSWORD }],
  },
  {
    route: 'POST /v1/auth/refresh',
    who: 'anybody',
    ok: 200,
    request: async ({ callers }) => {
      const { refresh_token } = await callers.server.signIn(callers.guest);
      return ['/v1/auth/refresh', { refresh_token }];
    },
  },
];

const OWN: readonly Row[] = [
  {
    route: 'POST /v1/auth/logout',
    who: 'signed_in',
    ok: 200,
    spends_caller: true,
    request: ({ user }) => ['/v1/auth/logout', { refresh_token: user.refresh_token || GARBAGE_REFRESH }],
  },
  { route: 'GET /v1/auth/sessions', who: 'signed_in', ok: 200, request: plain('/v1/auth/sessions') },
  {
    route: 'DELETE /v1/auth/sessions/{session_id}',
    who: 'signed_in',
    ok: 200,
    spends_caller: true,
    request: ({ user }) => [`/v1/auth/sessions/${sessionOf(user)}`],
  },
  { route: 'GET /v1/users/me', who: 'signed_in', ok: 200, request: plain('/v1/users/me') },
  {
    route: 'PATCH /v1/users/me',
    who: 'signed_in',
    ok: 200,
    request: plain('/v1/users/me', { display_name: 'Another name' }),
  },
  {
    route: 'DELETE /v1/users/me',
    who: 'signed_in',
    ok: 200,
    spends_caller: true,
    request: plain('/v1/users/me', { password: PASSWORD }),
  },
  {
    route: 'POST /v1/users/me/password',
    who: 'signed_in',
    ok: 200,
    spends_caller: true,
    request: plain('/v1/users/me/password', { current_password: PASSWORD, new_password: `${PASSWORD}, anew` }),
  },
  { route: 'GET /v1/users/me/audit', who: 'signed_in', ok: 200, request: plain('/v1/users/me/audit') },
  {
    route: 'GET /v1/users/{user_id}',
    who: 'signed_in',
    ok: 200,
    request: ({ callers }) => [`/v1/users/${callers.guest.user_id}`],
  },
  { route: 'POST /v1/documents', who: 'signed_in', ok: 201, request: plain('/v1/documents', { title: 'Mine' }) },
  { route: 'GET /v1/documents', who: 'signed_in', ok: 200, request: plain('/v1/documents') },
  {
    route: 'POST /v1/links/redeem',
    who: 'signed_in',
    ok: 200,
    request: async ({ callers, doc_id }) => {
      const { token } = callers.by_name.owner;
      const answer = await callers.server.call('POST', `/v1/documents/${doc_id}/links`, token, { role: 'viewer' });
      return ['/v1/links/redeem', { token: answer.body.data.token }];
    },
  },
];

const ADMIN: readonly Row[] = ['audit', 'nodes', 'actors'].map((name) => ({
  route: `GET /v1/admin/${name}`,
  who: 'admin',
  ok: 200,
  request: plain(`/v1/admin/${name}`),
}));

const DOCUMENT: readonly Row[] = [
  { route: 'GET /v1/documents/{id}', who: 'viewer', ok: 200, request: path(), on_deleted: true },
  { route: 'PATCH /v1/documents/{id}', who: 'editor', ok: 200, request: post('', { title: 'Renamed' }) },
  { route: 'DELETE /v1/documents/{id}', who: 'owner', ok: 200, request: path() },
  { route: 'POST /v1/documents/{id}/undelete', who: 'owner', ok: 200, request: path('/undelete'), on_deleted: true },
  { route: 'GET /v1/documents/{id}/content', who: 'viewer', ok: 200, request: path('/content?format=text&rev=1') },
  { route: 'GET /v1/documents/{id}/diff', who: 'viewer', ok: 200, request: path('/diff?from=0&to=1') },
  { route: 'GET /v1/documents/{id}/history', who: 'viewer', ok: 200, request: path('/history') },
  { route: 'GET /v1/documents/{id}/attribution', who: 'viewer', ok: 200, request: path('/attribution') },
  { route: 'GET /v1/documents/{id}/presence', who: 'viewer', ok: 200, request: path('/presence') },
  { route: 'GET /v1/documents/{id}/audit', who: 'owner', ok: 200, request: path('/audit') },
  {
    route: 'POST /v1/documents/{id}/edits',
    who: 'editor',
    ok: 200,
    request: post('/edits', { changes: { delta: [{ insert: 'x' }] } }),
  },
  { route: 'POST /v1/documents/{id}/restore', who: 'editor', ok: 200, request: post('/restore', { rev: 0 }) },
  { route: 'GET /v1/documents/{id}/versions', who: 'viewer', ok: 200, request: path('/versions') },
  { route: 'POST /v1/documents/{id}/versions', who: 'editor', ok: 201, request: post('/versions', { name: 'Now' }) },
  {
    route: 'GET /v1/documents/{id}/versions/{version_id}',
    who: 'viewer',
    ok: 200,
    request: async (at) => path(`/versions/${await made(at, '/versions', { name: 'One' })}`)(at),
  },
  {
    route: 'GET /v1/documents/{id}/versions/{version_id}/content',
    who: 'viewer',
    ok: 200,
    request: async (at) => path(`/versions/${await made(at, '/versions', { name: 'One' })}/content`)(at),
  },
  { route: 'GET /v1/documents/{id}/permissions', who: 'viewer', ok: 200, request: path('/permissions') },
  {
    route: 'POST /v1/documents/{id}/permissions',
    who: 'owner',
    ok: 200,
    request: (at) => post('/permissions', { email: at.callers.guest.email, role: 'editor' })(at),
  },
  {
    route: 'PUT /v1/documents/{id}/permissions/{user_id}',
    who: 'owner',
    ok: 200,
    request: (at) => post(`/permissions/${at.callers.guest.user_id}`, { role: 'editor' })(at),
  },
  {
    route: 'DELETE /v1/documents/{id}/permissions/{user_id}',
    who: 'owner',
    ok: 200,
    request: (at) => path(`/permissions/${at.callers.guest.user_id}`)(at),
  },
  { route: 'GET /v1/documents/{id}/links', who: 'owner', ok: 200, request: path('/links') },
  { route: 'POST /v1/documents/{id}/links', who: 'owner', ok: 201, request: post('/links', { role: 'viewer' }) },
  {
    route: 'DELETE /v1/documents/{id}/links/{link_id}',
    who: 'owner',
    ok: 200,
    request: async (at) => path(`/links/${await made(at, '/links', { role: 'viewer' })}`)(at),
  },
];

/** The table. */
export const ROUTES: readonly Row[] = [...OPEN, ...OWN, ...ADMIN, ...DOCUMENT];

/** Those that are about one document. */
export const DOCUMENT_ROUTES = DOCUMENT;

const GARBAGE_REFRESH = 'never issued';
const RANKS = ['viewer', 'editor', 'owner'];

/** What this caller is told: the status, and for a refusal its code. */
export function expected({ who, ok, on_deleted }: Row, name: CallerName, deleted: boolean): string {
  if (who === 'anybody') return String(ok);
  const refused = refusalOf(name);
  if (refused !== null) return `401 ${refused}`;
  if (who === 'signed_in') return String(ok);
  if (who === 'admin') return name === 'admin' ? String(ok) : '403 FORBIDDEN';
  const rank = RANKS.indexOf(name);
  if (rank < 0) return '404 NOT_FOUND';
  if (deleted) return name === 'owner' && on_deleted === true ? String(ok) : '404 NOT_FOUND';
  return rank >= RANKS.indexOf(who) ? String(ok) : '403 FORBIDDEN';
}

/** The session that a token is of, as the token itself says; of nobody's token, none that there is. */
export function sessionOf({ token }: TestUser): string {
  const payload = token.split('.')[1] ?? '';
  try {
    return JSON.parse(Buffer.from(payload, 'base64url').toString()).sid ?? NO_SUCH_ID;
  } catch {
    return NO_SUCH_ID;
  }
}
