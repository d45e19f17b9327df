/**
 * Browsers on other origins (the Fetch standard's CORS protocol). Origins are allowed by list, by exact match; tokens
 * travel in a header and never in a cookie, so `Allow-Credentials` is not sent. An origin that is not on the list gets
 * the same answers as any program does, only without the headers that would let a page read them.
 */
import { ConcordError, errorBody } from '../protocol/errors.ts';
import { jsonResponse } from './errors.ts';

/** What a page may read of a response besides its body. */
const EXPOSED = 'x-request-id, retry-after, allow, ratelimit-limit, ratelimit-remaining, ratelimit-reset';
const REQUEST_HEADERS = 'authorization, content-type, x-request-id';
const PREFLIGHT_LIFE_S = '600';

type Headers = readonly (readonly [string, string])[];

/** Headers that let a page of an allowed origin read the response. */
export function corsHeaders(request: Request, origins: readonly string[]): Headers {
  if (origins.length === 0) return [];
  const origin = request.headers.get('origin');
  const vary = ['vary', 'origin'] as const;
  if (origin === null || !origins.includes(origin)) return [vary];
  return [vary, ['access-control-allow-origin', origin], ['access-control-expose-headers', EXPOSED]];
}

/** Value of `Allow` for the methods that routes are registered under: HEAD comes with GET. */
export function allowHeader(methods: readonly string[]): string {
  const named = methods.includes('GET') ? ['GET', 'HEAD', ...methods.filter((name) => name !== 'GET')] : methods;
  return [...named, 'OPTIONS'].join(', ');
}

/** Answers OPTIONS, a browser's question before the real request among them. */
export function optionsResponse(request: Request, origins: readonly string[], methods: readonly string[]): Response {
  if (methods.length === 0) {
    const error = new ConcordError('NOT_FOUND', 'There is no such address.');
    return jsonResponse(error.status, errorBody(error));
  }
  const allow = allowHeader(methods);
  const response = new Response(null, { status: 204, headers: { allow } });
  const origin = request.headers.get('origin');
  const asks = request.headers.has('access-control-request-method');
  if (origin !== null && asks && origins.includes(origin)) {
    response.headers.set('access-control-allow-methods', allow);
    response.headers.set('access-control-allow-headers', REQUEST_HEADERS);
    response.headers.set('access-control-max-age', PREFLIGHT_LIFE_S);
  }
  return response;
}
