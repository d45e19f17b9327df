/**
 * A few routes with nothing behind them, on a real listening socket: what `endpoint` promises of any route is proved on
 * these.
 */
import { Elysia } from 'elysia';
import Type from 'typebox';
import { ManualClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { AuthResult } from '../../src/domain/tokens.ts';
import { type EndpointServices, endpoint, Prepared, reply } from '../../src/http/endpoint.ts';
import { openExchange } from '../../src/http/request.ts';
import { idParams, oneOf, PAGE_FIELDS, readPage, strictObject, text, uuid } from '../../src/http/schemas.ts';
import { ConcordError } from '../../src/protocol/errors.ts';

/** Any id. */
export const ID = '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10';
/** Who the token `user` stands for. */
export const USER = '0198c5c2-7a3e-7d51-9b0a-000000000001';
/** Who the token `admin` stands for. */
export const ADMIN = '0198c5c2-7a3e-7d51-9b0a-000000000002';

/** Log lines so far, parsed. */
export const lines: Record<string, unknown>[] = [];
/** Errors reported so far. */
export const reported: { error: unknown; context: Readonly<Record<string, string>> }[] = [];

const callerOf = (user_id: string): AuthResult => ({
  ok: true,
  caller: { user_id, session_id: ID, role: 'user', expires_at: 0 },
});
const TOKENS: Readonly<Record<string, AuthResult>> = {
  user: callerOf(USER),
  admin: callerOf(ADMIN),
  expired: { ok: false, code: 'TOKEN_EXPIRED' },
  revoked: { ok: false, code: 'TOKEN_REVOKED' },
};

const services: EndpointServices = {
  authenticate: async (token) => TOKENS[token] ?? { ok: false, code: 'UNAUTHENTICATED' },
  limits: null,
  isAdmin: async (user_id) => user_id === ADMIN,
  reporter: { report: (error, context) => void reported.push({ error, context }), close: async () => {} },
};

const THING = strictObject({
  title: text(1, 5, 'Title', 'x'),
  count: Type.Optional(Type.Integer({ minimum: 1, maximum: 9 })),
  kind: Type.Optional(oneOf(['red', 'blue'], 'Colour')),
  parent: Type.Optional(Type.Union([uuid(), Type.Null()])),
  tags: Type.Optional(Type.Array(strictObject({ name: Type.String() }))),
});

const app: Elysia = new Elysia({ handler: { standardHostname: false } });
const common = { tag: 't', summary: 's', description: 'd', status: 200, errors: [] } as const;
const PLACE = strictObject({
  id: Type.String(),
  limit: Type.Integer(),
  after: Type.Union([Type.String(), Type.Null()]),
});

endpoint(app, services, {
  ...common,
  method: 'POST',
  path: '/things',
  auth: 'none',
  body: THING,
  data: THING,
  example: { title: 'x' },
  handle: async ({ body }) => body,
});
endpoint(app, services, {
  ...common,
  method: 'POST',
  path: '/small',
  auth: 'user',
  body: strictObject({ text: Type.String() }),
  body_bytes_max: 64,
  status: 201,
  other_status: 200,
  data: strictObject({ length: Type.Integer() }),
  example: { length: 1 },
  handle: async ({ body }) => (body.text === '' ? reply(200, { length: 0 }) : { length: body.text.length }),
});
endpoint(app, services, {
  ...common,
  method: 'GET',
  path: '/things/:id',
  auth: 'none',
  params: idParams('id'),
  query: strictObject(PAGE_FIELDS),
  data: PLACE,
  example: { id: ID, limit: 20, after: null },
  handle: async ({ params, query }) => ({ id: params.id, ...readPage(query, (key) => key.startsWith('k')) }),
});
for (const auth of ['user', 'admin'] as const)
  endpoint(app, services, {
    ...common,
    method: 'DELETE',
    path: `/${auth}`,
    auth,
    data: Type.String(),
    example: 'x',
    handle: async ({ caller }) => caller.user_id,
  });
/** What `GET /throws?what=` throws. */
export const THROWN: Readonly<Record<string, unknown>> = {
  bug: new TypeError('secret internals'),
  text: 'not even an error',
  internal: new ConcordError('INTERNAL', 'secret internals'),
  away: Object.assign(new Error('no route to 10.0.0.7'), { code: 'ECONNREFUSED' }),
  busy: new ConcordError('RATE_LIMITED', undefined, undefined, 7),
  taken: new ConcordError('EMAIL_TAKEN'),
};
endpoint(app, services, {
  ...common,
  method: 'GET',
  path: '/throws',
  auth: 'none',
  query: strictObject({ what: Type.String() }),
  data: Type.Null(),
  example: null,
  handle: async ({ query }) => {
    throw THROWN[query.what];
  },
});

/** What becomes of the generator behind `GET /parts?end=`. */
export const parts = { begun: 0, ended: 0 };
endpoint(app, services, {
  ...common,
  method: 'GET',
  path: '/parts',
  auth: 'none',
  query: strictObject({ end: Type.String() }),
  data: Type.Array(Type.String()),
  example: [],
  handle: async ({ query }) => new Prepared(partsUntil(query.end)),
});
async function* partsUntil(end: string): AsyncGenerator<Uint8Array, void> {
  parts.begun += 1;
  try {
    yield Buffer.from('["a"');
    if (end === 'throw') throw THROWN.bug;
    while (end === 'never') yield Buffer.alloc(64 * 1024, ' ');
    yield Buffer.from(',"b"]');
  } finally {
    parts.ended += 1;
  }
}

/** The time of the toy server. */
export const clock = new ManualClock();
const log = createLog({
  level: 'info',
  service: 'test',
  node_id: 'test',
  destination: { write: (line: string) => void lines.push(JSON.parse(line)) },
});
/** Answers a request inside the process. */
export function handle(request: Request): Promise<Response> {
  openExchange(request, { clock, random: systemRandom, log, trust_proxy: false });
  return app.handle(request);
}

/** Starts a server on these routes. */
export function serveToy(): ReturnType<typeof Bun.serve> {
  return Bun.serve({ port: 0, hostname: '127.0.0.1', maxRequestBodySize: 64 * 1024 * 1024, fetch: handle });
}

/** What a test sends with. */
export type Send = (
  method: string,
  path: string,
  init?: RequestInit,
  // biome-ignore lint/suspicious/noExplicitAny: bodies of every shape
) => Promise<{ response: Response; body: any }>;

/** Sends to a toy server and reads the answer's JSON. */
export const sender =
  (server: () => { readonly url: URL }): Send =>
  async (method, path, init = {}) => {
    const response = await fetch(server().url.origin + path, { method, ...init });
    return { response, body: await response.json() };
  };

/** A JSON body as it stands. */
export const json = (body: string | Uint8Array, headers: Record<string, string> = {}): RequestInit => ({
  body: body as BodyInit,
  headers: { 'content-type': 'application/json', ...headers },
});
