/** Signing in and out, and the list of where one is signed in: the routes of `/v1/auth`. */
import { Elysia } from 'elysia';
import Type from 'typebox';
import { isUuid } from '../base/ids.ts';
import type { Accounts } from '../domain/accounts.ts';
import type { Sessions } from '../domain/sessions.ts';
import { type EndpointServices, endpoint } from './endpoint.ts';
import { EMAIL, idParams, moment, PAGE_FIELDS, pageOf, readPage, strictObject, text, toPage, uuid } from './schemas.ts';
import { DISPLAY_NAME, PASSWORD, USER, USER_EXAMPLE } from './users.ts';

/** What these routes work with. */
export interface AuthParts {
  readonly accounts: Accounts;
  readonly sessions: Sessions;
  /** The identity provider that signs people in instead of us; absent or null: we do. */
  readonly issuer?: string | null;
}

const REFRESH_TOKEN = text(1, 512, 'The latest refresh token of a session', 'mX0…43 characters');

const PAIR_FIELDS = {
  access_token: Type.String({ description: 'JWT for `Authorization: Bearer`' }),
  refresh_token: Type.String({ description: 'Good for one exchange at `/v1/auth/refresh`; keep it safe' }),
  token_type: Type.Literal('Bearer'),
  expires_in: Type.Integer({ description: 'Seconds until the access token ends' }),
};
const PAIR = strictObject(PAIR_FIELDS);
const PAIR_EXAMPLE = {
  access_token: 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9…',
  refresh_token: 'dWx0aW1hdGVseSByYW5kb20sIDMyIGJ5dGVzIG9mIGl0',
  token_type: 'Bearer',
  expires_in: 900,
} as const;
const SIGNED_IN = strictObject({ user: USER, ...PAIR_FIELDS });
const SIGNED_IN_EXAMPLE = { user: USER_EXAMPLE, ...PAIR_EXAMPLE };

const SESSION = strictObject({
  id: uuid('The `sid` of its access tokens'),
  created_at: moment('When somebody signed in'),
  last_used_at: moment('When tokens were last issued for it'),
  expires_at: moment('When it ends unless it is refreshed'),
  ip: Type.Union([Type.String(), Type.Null()]),
  user_agent: Type.Union([Type.String(), Type.Null()]),
  current: Type.Boolean({ description: 'Whether it is the session of this very request' }),
});
const SESSION_EXAMPLE = {
  id: '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10',
  created_at: '2026-03-01T09:30:00.000Z',
  last_used_at: '2026-03-01T11:00:00.000Z',
  expires_at: '2026-03-31T11:00:00.000Z',
  ip: '203.0.113.7',
  user_agent: 'Mozilla/5.0',
  current: true,
};

const NOTHING = strictObject({}, 'Nothing');
const TAG = 'Authentication';

/** The routes of `/v1/auth`. Where an identity provider signs people in, those that do so here are not there. */
export function authRoutes(parts: AuthParts, services: EndpointServices): Elysia {
  const app: Elysia = new Elysia({ name: 'auth' });
  if ((parts.issuer ?? null) === null) {
    signInRoutes(app, parts, services);
    tokenRoutes(app, parts, services);
  }
  sessionRoutes(app, parts, services);
  return app;
}

function signInRoutes(app: Elysia, { accounts }: AuthParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'POST',
    path: '/v1/auth/register',
    tag: TAG,
    summary: 'Make an account',
    description: 'Makes an account and signs in. E-mails compare case-insensitively.',
    auth: 'none',
    body: strictObject({ email: EMAIL, password: PASSWORD, display_name: DISPLAY_NAME }),
    body_example: { email: 'ada@example.org', password: 'analytical engine no. 1', display_name: 'Ada Lovelace' },
    status: 201,
    data: SIGNED_IN,
    example: SIGNED_IN_EXAMPLE,
    errors: ['WEAK_PASSWORD', 'EMAIL_TAKEN'],
    limit: 'register',
    async handle({ body, context }) {
      await services.limits?.registration(context, body.email);
      return accounts.register(body, context);
    },
  });
  endpoint(app, services, {
    method: 'POST',
    path: '/v1/auth/login',
    tag: TAG,
    summary: 'Sign in',
    description: 'Begins a session. The answer is the same whether the e-mail or the password was wrong.',
    auth: 'none',
    body: strictObject({ email: EMAIL, password: PASSWORD }),
    body_example: { email: 'ada@example.org', password: 'analytical engine no. 1' },
    status: 200,
    data: SIGNED_IN,
    example: SIGNED_IN_EXAMPLE,
    errors: ['INVALID_CREDENTIALS'],
    handle({ body, context }) {
      const prove = () => accounts.signIn(body, context);
      return services.limits === null ? prove() : services.limits.signIn(context, body.email, prove);
    },
  });
}

function tokenRoutes(app: Elysia, { sessions }: AuthParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'POST',
    path: '/v1/auth/refresh',
    tag: TAG,
    summary: 'Get a fresh pair of tokens',
    description:
      'Exchanges a refresh token for a new pair; the old one dies. Shown again it ends the whole session, because two parties hold it.',
    auth: 'none',
    body: strictObject({ refresh_token: REFRESH_TOKEN }),
    body_example: { refresh_token: PAIR_EXAMPLE.refresh_token },
    status: 200,
    data: PAIR,
    example: PAIR_EXAMPLE,
    errors: ['UNAUTHENTICATED', 'TOKEN_EXPIRED', 'TOKEN_REVOKED'],
    limit: 'refresh',
    handle: ({ body, context }) => sessions.refresh(body.refresh_token, context),
  });
  endpoint(app, services, {
    method: 'POST',
    path: '/v1/auth/logout',
    tag: TAG,
    summary: 'Sign out',
    description:
      'Ends the session: its access tokens stop working at once, its refresh token too, and its sockets are closed.',
    auth: 'user',
    body: strictObject({ refresh_token: REFRESH_TOKEN }),
    body_example: { refresh_token: PAIR_EXAMPLE.refresh_token },
    status: 200,
    data: NOTHING,
    example: {},
    errors: [],
    async handle({ body, caller, context }) {
      await sessions.end(caller, body.refresh_token, context);
      return {};
    },
  });
}

function sessionRoutes(app: Elysia, { sessions }: AuthParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'GET',
    path: '/v1/auth/sessions',
    tag: TAG,
    summary: 'Where you are signed in',
    description: 'Sessions that are alive, newest first.',
    auth: 'user',
    query: strictObject(PAGE_FIELDS),
    status: 200,
    data: pageOf(SESSION),
    example: { items: [SESSION_EXAMPLE], next_cursor: null },
    errors: [],
    async handle({ query, caller }) {
      const { limit, after } = readPage(query, isUuid);
      const rows = await sessions.list(caller, { after, count: limit + 1 });
      return toPage(
        rows,
        limit,
        (session) => session.id,
        (session) => session,
      );
    },
  });
  endpoint(app, services, {
    method: 'DELETE',
    path: '/v1/auth/sessions/:session_id',
    tag: TAG,
    summary: 'End one of your sessions',
    description: 'Its tokens stop working at once and its sockets are closed. It may be the one of this request.',
    auth: 'user',
    params: idParams('session_id'),
    status: 200,
    data: NOTHING,
    example: {},
    errors: ['NOT_FOUND'],
    async handle({ params, caller, context }) {
      await sessions.endOne(caller.user_id, params.session_id, context);
      return {};
    },
  });
}
