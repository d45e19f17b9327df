/**
 * `/admin/queues`: the queue dashboard, behind {@link requireAdmin} in all its parts. It stands where the service `worker`
 * runs. Its own routes answer in the form that its page expects, without our envelope; refusals of ours have it.
 *
 * A browser that comes here without being signed in gets the sign-in page itself, with status 401: so the address that
 * is printed at the start can be opened by anybody.
 */
import { Elysia } from 'elysia';
import { type Clock, TIMED_OUT, within } from '../base/clock.ts';
import type { BoardRoute, QueueBoard } from '../domain/queue-board.ts';
import { type ConcordError, invalidField, unavailable } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import { BOARD_PATH, cookieCaller, type GuardParts, requireAdmin } from './admin-guard.ts';
import { accountPage, signInPage } from './admin-pages.ts';
import { asConcordError, jsonResponse, refusal } from './errors.ts';
import { exchangeOf } from './request.ts';
import { readJson } from './request-body.ts';

/** What these routes serve. */
export interface BoardParts extends GuardParts {
  readonly clock: Clock;
  readonly board: QueueBoard;
}

/** The queues' connection waits for Redis as long as it takes; whoever looks at them does not. */
const ANSWER_WITHIN_MS = 5_000;

/**
 * The page loads what this server serves and nothing else. Its components set styles inline, and its `<base>` is our own
 * address.
 */
const BOARD_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The dashboard's page, files and routes. */
export function adminQueueRoutes(parts: BoardParts): Elysia {
  const app: Elysia = new Elysia({ name: 'admin-queues' });
  const { board } = parts;
  const serve = (
    method: BoardRoute['method'],
    path: string,
    answer: (request: Request, params: RawParams | undefined) => Promise<Response> | Response,
  ): void => {
    const full = BOARD_PATH + (path === '/' ? '' : path);
    app.route(
      method,
      full,
      async ({ request, params }) => {
        exchangeOf(request).route = path.startsWith('/static/') ? `${BOARD_PATH}/static` : full;
        try {
          await requireAdmin(request, parts);
          return await answer(request, params);
        } catch (error) {
          return boardRefusal(request, error, parts);
        }
      },
      { parse: 'none', detail: { hide: true } },
    );
  };
  const policy = { 'content-security-policy': BOARD_POLICY };
  const page = { ...policy, 'content-type': 'text/html; charset=utf-8' };
  for (const path of board.pages) serve('GET', path, () => new Response(board.page, { headers: page }));
  // One of the scripts is a worker, which goes by the policy that it came with itself and loads others.
  const file = { ...policy, 'cache-control': 'private, max-age=3600' };
  for (const [path, place] of board.files) serve('GET', path, () => new Response(Bun.file(place), { headers: file }));
  for (const route of board.routes)
    serve(route.method, route.path, (request, params) => callBoard(route, request, params, parts));
  return app;
}

/** As Elysia gives them: null for one that is not proper percent-encoding, nothing at all where a path has none. */
type RawParams = Readonly<Record<string, string | null | undefined>>;

async function callBoard(
  route: BoardRoute,
  request: Request,
  raw: RawParams | undefined,
  { clock }: BoardParts,
): Promise<Response> {
  const params = Object.fromEntries(Object.entries(raw ?? {}).map(([name, value]) => [name, value ?? '']));
  const query = Object.fromEntries(new URL(request.url).searchParams);
  const body = route.method === 'GET' ? {} : await readObject(request);
  const answer = await within(clock, ANSWER_WITHIN_MS, route.handle({ params, query, body }));
  if (answer === TIMED_OUT) throw unavailable('The queues do not answer; is Redis away?');
  return answer.status === 204 ? new Response(null, { status: 204 }) : jsonResponse(answer.status, answer.body);
}

/** The JSON object that was sent; an empty one when nothing was. */
async function readObject(request: Request): Promise<Readonly<Record<string, unknown>>> {
  if (request.body === null || request.headers.get('content-length') === '0') return {};
  const body = await readJson(request, LIMITS.body_bytes_max);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalidField('', 'must be an object');
  return body as Readonly<Record<string, unknown>>;
}

/** Our refusal: a page for who came by address, JSON for programs and for the dashboard's own page. */
async function boardRefusal(request: Request, error: unknown, parts: BoardParts): Promise<Response> {
  const told: ConcordError = asConcordError(error);
  const came_by_address = request.method === 'GET' && (request.headers.get('accept') ?? '').includes('text/html');
  if (!came_by_address || (told.status !== 401 && told.status !== 403)) return refusal(request, error, parts.reporter);
  if (told.status === 401) return signInPage(401);
  const caller = await cookieCaller(request, parts);
  return caller === null ? signInPage(403) : accountPage(403, { name: caller.display_name, is_admin: false });
}
