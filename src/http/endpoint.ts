/**
 * One route, said once. An {@link EndpointSpec} is what the server enforces and what the OpenAPI page prints: who may
 * call, what must be sent, what comes back and which refusals there are. A route has no other way in.
 *
 * The order of checks is part of the contract: who calls (401, 403) and how often (429), then the ids in the path, the query,
 * the body (415, 413, 422), and only then the handler, which sees nothing that has not passed. Elysia routes the request and hands it
 * over untouched; its own parsing and validation are never used, because they coerce.
 */
import type { Elysia } from 'elysia';
import Type, { type Static, type TObject, type TSchema } from 'typebox';
import type { ErrorReporter } from '../base/sentry.ts';
import type { AuthResult, Caller } from '../domain/tokens.ts';
import { type Check, compileCheck } from '../protocol/check.ts';
import { ConcordError, type ErrorCode, invalidField } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import { operationOf } from './docs-operation.ts';
import { jsonResponse, preparedResponse, refusal } from './errors.ts';
import type { Cost, HttpLimits } from './limits.ts';
import { type Exchange, exchangeOf, type RequestContext } from './request.ts';
import { readJson } from './request-body.ts';
import type { Shape } from './schemas.ts';

export type { Caller } from '../domain/tokens.ts';
export type { RequestContext } from './request.ts';

/** Who may call: anyone, anyone signed in, or admins. */
export type Access = 'none' | 'user' | 'admin';

/** What every route needs from outside. */
export interface EndpointServices {
  /**
   * Who a bearer token speaks for, its session included. `issued` may be called before that is known of the session: once the
   * token has turned out to be one of ours.
   */
  authenticate(token: string, issued?: (caller: Caller) => void): Promise<AuthResult>;
  /** Whether the account is an admin now, whatever its token says. */
  isAdmin(user_id: string): Promise<boolean>;
  readonly reporter: ErrorReporter;
  /** Null when limits are off. */
  readonly limits: HttpLimits | null;
}

/** What a handler gets; everything in it has passed its schema. */
export interface EndpointInput<Params, Query, Body, Auth extends Access> {
  /** Ids, lower-cased. */
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly caller: Auth extends 'none' ? null : Caller;
  readonly context: RequestContext;
}

/** A result with a status of its own: see {@link reply}. */
export class Reply<Data> {
  constructor(
    readonly status: 200 | 201,
    readonly data: Data,
  ) {}
}

/** A result whose JSON is made elsewhere, since it is too long to be made in one turn of the event loop. */
export class Prepared {
  /** `json`: parts that are one value together, in UTF-8. The caller reads the first while the last are being made. */
  constructor(readonly json: AsyncGenerator<Uint8Array, void>) {}
}

/** Answers with `status` instead of the route's usual one. */
export function reply<Data>(status: 200 | 201, data: Data): Reply<Data> {
  return new Reply(status, data);
}

/** One route. `Data` is the schema of `data` in the response; the compiler holds the handler to it. */
export interface EndpointSpec<
  Auth extends Access,
  Data extends TSchema,
  Params extends TObject,
  Query extends TObject,
  Body extends TSchema,
> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** As Elysia writes it: `/v1/documents/:id`. */
  readonly path: string;
  /** Group on the OpenAPI page. */
  readonly tag: string;
  readonly summary: string;
  readonly description: string;
  readonly auth: Auth;
  /** See `idParams`. */
  readonly params?: Params;
  /** Every value is text. Names that are not in it are refused; absent, so are all. */
  readonly query?: Query;
  /** Absent: whatever is sent must have no fields. Of a GET nothing is read. */
  readonly body?: Body;
  readonly body_example?: Shape<NoInfer<Body>>;
  /** `LIMITS.body_bytes_max` when absent. */
  readonly body_bytes_max?: number;
  /** What a call costs of its user's rate limit; one point when absent. */
  readonly cost?: Cost;
  /** A limit of its own, for calls that have passed all checks. */
  readonly limit?: 'register' | 'refresh' | 'documents';
  /** Whoever watches the process may ask as often as it likes, and add to the address what gets it past caches. */
  readonly unlimited?: true;
  readonly status: 200 | 201;
  /** Statuses that {@link reply} may answer with besides. */
  readonly other_status?: 200 | 201;
  readonly data: Data;
  readonly example: Shape<NoInfer<Data>>;
  /** Codes beyond those that follow from the rest of the spec. */
  readonly errors: readonly ErrorCode[];
  handle(
    input: EndpointInput<Static<Params>, Static<Query>, Static<Body>, Auth>,
  ): Promise<Shape<NoInfer<Data>> | Reply<Shape<NoInfer<Data>>> | Prepared>;
}

const NOTHING = Type.Object({}, { additionalProperties: false });

/** Adds the route to `app`. */
export function endpoint<
  const Auth extends Access,
  Data extends TSchema,
  Params extends TObject = typeof NOTHING,
  Query extends TObject = typeof NOTHING,
  Body extends TSchema = typeof NOTHING,
>(app: Elysia, services: EndpointServices, spec: EndpointSpec<Auth, Data, Params, Query, Body>): Elysia {
  const params: Check<TSchema> = compileCheck(spec.params ?? NOTHING);
  const query: Check<TSchema> = compileCheck(spec.query ?? NOTHING);
  const body: Check<TSchema> = compileCheck(spec.body ?? NOTHING);
  const bytes_max = spec.body_bytes_max ?? LIMITS.body_bytes_max;

  const whoCalls = async (request: Request, exchange: Exchange): Promise<Caller | null> => {
    const { auth, cost } = spec;
    if (auth !== 'none') return admit(request, exchange, services, auth === 'admin', cost?.(request));
    if (spec.unlimited === undefined) await services.limits?.address(request);
    return null;
  };

  const serve = async (request: Request, raw_params: RawParams | undefined): Promise<Response> => {
    const exchange = exchangeOf(request);
    exchange.route = spec.path;
    const caller = await whoCalls(request, exchange);
    const checked = {
      params: params(lowerCased(raw_params ?? {})),
      query: spec.unlimited ? {} : query(queryOf(request.url)),
      body: spec.method === 'GET' ? {} : body(await readJson(request, bytes_max, spec.body === undefined)),
      caller,
      context: exchange,
    };
    // The compiler cannot see that the checks above are those of this spec's own schemas.
    const input = checked as unknown as EndpointInput<Static<Params>, Static<Query>, Static<Body>, Auth>;
    if (spec.limit !== undefined) await services.limits?.action(exchange, spec.limit, exchange.user_id);
    const result = await spec.handle(input);
    if (result instanceof Prepared) return preparedResponse(request, spec.status, result.json, services.reporter);
    const { status, data } = result instanceof Reply ? result : { status: spec.status, data: result };
    return jsonResponse(status, { success: true, data });
  };

  app.route(
    spec.method,
    spec.path,
    ({ request, params }) => serve(request, params).catch((error) => refusal(request, error, services.reporter)),
    { parse: 'none', detail: operationOf(spec) },
  );
  return app;
}

/** As Elysia gives them: null for one that is not proper percent-encoding, nothing at all where a path has none. */
type RawParams = Readonly<Record<string, string | null | undefined>>;

const NO_TOKEN: AuthResult = { ok: false, code: 'UNAUTHENTICATED' };

/** RFC 6750: the scheme in any case, one token68. */
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i;

/**
 * Who the bearer token of the request speaks for. The call counts for them, at `points`; one that is refused counts for the
 * address it came from. Errors: UNAUTHENTICATED, TOKEN_EXPIRED, TOKEN_REVOKED, RATE_LIMITED; FORBIDDEN (not an admin now,
 * where only admins may).
 */
export async function admit(
  request: Request,
  exchange: Exchange,
  services: EndpointServices,
  admins_only: boolean,
  points = 1,
): Promise<Caller> {
  const token = BEARER.exec(request.headers.get('authorization') ?? '')?.[1];
  const { limits } = services;
  const charge = limits?.charge(points);
  const result = token === undefined ? NO_TOKEN : await services.authenticate(token, charge?.begin);
  if (!result.ok) {
    await charge?.undo();
    await limits?.address(request);
    throw new ConcordError(result.code);
  }
  exchange.user_id = result.caller.user_id;
  await charge?.settle(exchange, result.caller);
  if (admins_only && !(await services.isAdmin(result.caller.user_id))) throw new ConcordError('FORBIDDEN');
  return result.caller;
}

/** UUIDs compare without case; one form inside keeps one document from having two names. */
function lowerCased(raw: RawParams): Record<string, string> {
  return Object.fromEntries(Object.entries(raw).map(([name, value]) => [name, (value ?? '').toLowerCase()]));
}

function queryOf(url: string): Record<string, string> {
  const start = url.indexOf('?');
  if (start === -1) return {};
  const found: Record<string, string> = Object.create(null);
  for (const [name, value] of new URLSearchParams(url.slice(start + 1).split('#', 1)[0])) {
    if (name in found) throw invalidField(`/${name}`, 'is given twice');
    found[name] = value;
  }
  return found;
}
