/**
 * The HTTP door as one function from request to response. Around Elysia, which routes, stands what every exchange has:
 * an id, the answer to browsers of other origins, headers, the access log and its place in the metrics. Nothing that is
 * thrown gets past here, and no status leaves without our envelope.
 *
 * The routes of a service that does not run in this process are not registered, and so are 404; `/docs` tells of them all
 * the same.
 */
import { Elysia } from 'elysia';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Random } from '../base/random.ts';
import type { AuditParts } from '../domain/audit.ts';
import type { ClusterParts } from '../domain/cluster.ts';
import type { ContentParts } from '../domain/content.ts';
import type { DashboardSessions } from '../domain/dashboard-sessions.ts';
import type { DocumentParts } from '../domain/documents.ts';
import type { HistoryParts } from '../domain/history.ts';
import type { QueueBoard } from '../domain/queue-board.ts';
import type { RestoreParts } from '../domain/restore.ts';
import type { VersionParts } from '../domain/versions.ts';
import { ConcordError, errorBody, invalidField } from '../protocol/errors.ts';
import { adminQueueRoutes } from './admin-queues.ts';
import { adminSignInRoutes } from './admin-sign-in.ts';
import { allowHeader, corsHeaders, optionsResponse } from './app-cors.ts';
import { documentAuditRoutes, userAuditRoutes } from './audit.ts';
import { type AuthParts, authRoutes } from './auth.ts';
import { clusterRoutes } from './cluster.ts';
import { contentRoutes } from './content.ts';
import { docsRoutes, openApi } from './docs.ts';
import { documentRoutes } from './documents.ts';
import { editRoutes } from './edits.ts';
import type { EndpointServices } from './endpoint.ts';
import { jsonResponse, refusal } from './errors.ts';
import { type HealthParts, healthRoutes } from './health.ts';
import { historyRoutes } from './history.ts';
import { limitHeaders } from './limits.ts';
import { linkRoutes } from './links.ts';
import { permissionRoutes } from './permissions.ts';
import { presenceRoutes } from './presence.ts';
import { type Exchange, hasHost, openExchange } from './request.ts';
import { userRoutes } from './users.ts';
import { restoreRoutes, versionRoutes } from './versions.ts';
import { webRoutes } from './web.ts';

/** What the HTTP door is made of. A resource that is null belongs to a service that does not run here. */
export interface HttpParts extends EndpointServices, HealthParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Whether one proxy of ours appends to `X-Forwarded-For`. */
  readonly trust_proxy: boolean;
  /** Origins that browsers may call from, besides our own. */
  readonly cors_origins: readonly string[];
  /** Shown on the API page. */
  readonly version: string;
  /** Service `users`: accounts, sessions, the audit of people, and what admins see of the nodes. */
  readonly users: (AuthParts & AuditParts & { readonly cluster: ClusterParts }) | null;
  /** Service `documents`: documents, their content and their people. */
  readonly documents: (DocumentParts & ContentParts & HistoryParts & VersionParts) | null;
  /** Service `collaboration`: what needs the documents' actors. */
  readonly collaboration: (ContentParts & RestoreParts) | null;
  /** Service `worker`: the queue dashboard and who may see it. */
  readonly worker: { readonly board: QueueBoard; readonly dashboard: DashboardSessions } | null;
}

/** The HTTP door. */
export interface HttpApp {
  /** Never rejects. Call `rememberPeer` first, so that the caller's address is known. */
  handle(request: Request): Promise<Response>;
}

/** Assembles the door. */
export function createHttpApp(parts: HttpParts): HttpApp {
  const elysia = assemble(parts);
  const described = assemble(wholeApi(parts));
  const allowed = methodsByPath(elysia);

  const route = async (request: Request, path: string): Promise<Response> => {
    if (!hasHost(request)) throw invalidField('/host', 'the Host header names no host');
    if (request.method === 'OPTIONS') return optionsResponse(request, parts.cors_origins, allowed(path));
    return (path === API_PATH ? described : elysia).handle(request);
  };

  return {
    async handle(request) {
      const exchange = openExchange(request, parts);
      const path = pathOf(request.url);
      const response = await route(request, path)
        .then((found) => (found.status === 404 && exchange.route === null ? unrouted(request, allowed(path)) : found))
        .catch((error: unknown) => refusal(request, error, parts.reporter));
      return finish(parts, request, path, exchange, response);
    },
  };
}

const API_PATH = '/docs/json';

/**
 * The same with the routes of every service, to be described and never called: behind a balancer all services are one API,
 * and whichever node is asked for its description gives the whole.
 */
function wholeApi(parts: HttpParts): HttpParts {
  const unreached = {} as never;
  const { users, documents, collaboration } = parts;
  return {
    ...parts,
    users: users ?? unreached,
    documents: documents ?? unreached,
    collaboration: collaboration ?? unreached,
  };
}

function assemble(parts: HttpParts): Elysia {
  // Without this Elysia takes the first characters of a short host name (http://api/…) for part of the path.
  const app: Elysia = new Elysia({ handler: { standardHostname: false } });
  app.onError(({ request, code, error }) =>
    code === 'NOT_FOUND' ? new Response(null, { status: 404 }) : refusal(request, error, parts.reporter),
  );
  app.use(healthRoutes(parts, parts));
  if (parts.users !== null)
    app
      .use(authRoutes(parts.users, parts))
      .use(userRoutes(parts.users, parts))
      .use(userAuditRoutes(parts.users, parts))
      .use(clusterRoutes(parts.users.cluster, parts));
  if (parts.documents !== null)
    app
      .use(documentRoutes(parts.documents, parts))
      .use(contentRoutes(parts.documents, parts))
      .use(historyRoutes(parts.documents, parts))
      .use(versionRoutes(parts.documents, parts))
      .use(permissionRoutes(parts.documents, parts))
      .use(linkRoutes(parts.documents, parts))
      .use(documentAuditRoutes(parts.documents, parts))
      .use(webRoutes(parts));
  if (parts.collaboration !== null)
    app
      .use(editRoutes(parts.collaboration, parts))
      .use(presenceRoutes(parts.collaboration, parts))
      .use(restoreRoutes(parts.collaboration, parts));
  if (parts.worker !== null) {
    const admin = { ...parts, ...parts.worker };
    app.use(adminSignInRoutes(admin)).use(adminQueueRoutes(admin));
  }
  return app.use(openApi(parts.version)).use(docsRoutes());
}

/** Tells which methods an address takes. Asked only where no route answered, so it may walk over all of them. */
function methodsByPath(app: Elysia): (path: string) => readonly string[] {
  const routes = app.routes.map(({ method, path }) => {
    const pattern = path.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:[^/]+/g, '[^/]+');
    return { method, pattern: new RegExp(`^${pattern}/?$`) };
  });
  return (path) => [...new Set(routes.filter((route) => route.pattern.test(path)).map((route) => route.method))];
}

/** Path of a URL as it was sent, for the router and the log. Without a host the URL is nothing but a path. */
function pathOf(url: string): string {
  const start = url.startsWith('/') ? 0 : url.indexOf('/', url.indexOf('://') + 3);
  return start === -1 ? '/' : (url.slice(start).split(/[?#]/, 1)[0] ?? '/');
}

/** No route took the request: the address is unknown, or it is known for other methods. */
function unrouted(request: Request, allowed: readonly string[]): Response {
  if (allowed.length === 0) return answer(new ConcordError('NOT_FOUND', 'There is no such address.'));
  const refusal = new ConcordError('METHOD_NOT_ALLOWED', `This address does not take ${request.method}.`);
  return answer(refusal, { allow: allowHeader(allowed) });
}

function answer(error: ConcordError, headers: Readonly<Record<string, string>> = {}): Response {
  return jsonResponse(error.status, errorBody(error), headers);
}

/** Adds what every response carries, counts it and writes its line in the access log. */
function finish(parts: HttpParts, request: Request, path: string, exchange: Exchange, response: Response): Response {
  const { headers } = response;
  headers.set('x-request-id', exchange.request_id);
  for (const [name, value] of COMMON_HEADERS) if (!headers.has(name)) headers.set(name, value);
  if (isTrustworthy(request)) headers.set('cross-origin-opener-policy', 'same-origin');
  if (exchange.standing !== null) for (const [name, value] of limitHeaders(exchange.standing)) headers.set(name, value);
  // What a response says to vary by, its encoding for one, it goes on to vary by.
  for (const [name, value] of corsHeaders(request, parts.cors_origins)) headers.append(name, value);

  const duration_ms = parts.clock.monotonic() - exchange.started_at;
  const labels = { method: request.method, route: exchange.route ?? 'none', status: response.status };
  parts.metrics.http_request_duration.observe(labels, duration_ms / 1000);
  const line = {
    method: request.method,
    path,
    status: response.status,
    duration_ms: Math.round(duration_ms * 1000) / 1000,
    ip: exchange.ip,
  };
  if (WATCHERS.has(path)) exchange.log.debug(line, 'request');
  else exchange.log.info(line, 'request');
  return response;
}

/** Whether a browser takes the origin for one that nobody listens in to; to others this policy is an error in its console. */
function isTrustworthy(request: Request): boolean {
  if (!hasHost(request)) return false;
  const { protocol, hostname } = new URL(request.url);
  // Whoever makes this header up gets one more in the answer.
  const told = request.headers.get('x-forwarded-proto')?.split(',').at(-1)?.trim();
  return protocol === 'https:' || told === 'https' || /^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname);
}

/** Asked every few seconds by machines: their lines would bury all others. */
const WATCHERS = new Set(['/healthz', '/readyz', '/metrics']);

/**
 * Nothing here may be guessed at, stored by a cache, framed, told to other sites, or loaded or held by a page of theirs. What
 * allowed origins call with CORS is not held back by `same-origin`. Devices are of no use to any page of ours.
 */
const COMMON_HEADERS: readonly (readonly [string, string])[] = [
  ['cache-control', 'no-store'],
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
  ['cross-origin-resource-policy', 'same-origin'],
  ['permissions-policy', 'camera=(), geolocation=(), microphone=(), payment=(), usb=()'],
  ['referrer-policy', 'no-referrer'],
  ['x-frame-options', 'DENY'],
  ['x-content-type-options', 'nosniff'],
];
