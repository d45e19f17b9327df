/**
 * The one place where anything thrown becomes an HTTP response. A {@link ConcordError} says what the caller may know;
 * storage that is away is `UNAVAILABLE`; whatever else arrives here is a bug of ours: it is logged with its stack and
 * reported, and the caller learns nothing but `INTERNAL` and the request id.
 */
import type { ErrorReporter } from '../base/sentry.ts';
import { ConcordError, type ErrorCode, errorBody, unavailable } from '../protocol/errors.ts';
import { isStorageAway } from '../store/postgres.ts';
import { exchangeOf } from './request.ts';

const JSON_TYPE = 'application/json; charset=utf-8';

/** A JSON response that nothing on the way may store. */
export function jsonResponse(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': JSON_TYPE, ...headers } });
}

/** The same for a result whose JSON is there already. */
export function preparedResponse(status: number, data_json: readonly (string | Uint8Array)[]): Response {
  // A blob takes its parts in as they are, and the response takes the blob without another copy.
  const body = new Blob(['{"success":true,"data":', ...(data_json as BlobPart[]), '}']);
  return new Response(body, { status, headers: { 'content-type': JSON_TYPE } });
}

/** What the caller is told of `error`. */
export function asConcordError(error: unknown): ConcordError {
  if (error instanceof ConcordError) return error.code === 'INTERNAL' ? new ConcordError('INTERNAL') : error;
  return isStorageAway(error) ? unavailable() : new ConcordError('INTERNAL');
}

/** Answers `request` with the refusal that `error` means. */
export function refusal(request: Request, error: unknown, reporter: ErrorReporter): Response {
  const told = asConcordError(error);
  const exchange = exchangeOf(request);
  if (told.code === 'INTERNAL') {
    exchange.log.error({ error, route: exchange.route }, 'a request met a bug of ours');
    reporter.report(error, {
      request_id: exchange.request_id,
      route: exchange.route ?? 'none',
      ...(exchange.user_id === null ? {} : { user_id: exchange.user_id }),
    });
  } else if (told !== error) {
    exchange.log.warn({ error, route: exchange.route }, 'storage is away; answered 503');
  }
  return jsonResponse(told.status, errorBody(told), headersOf(told));
}

function headersOf(error: ConcordError): Readonly<Record<string, string>> {
  if (error.status === 401) return { 'www-authenticate': challenge(error.code) };
  if (error.code === 'RATE_LIMITED' || error.code === 'UNAVAILABLE')
    return { 'retry-after': String(error.retry_after_s ?? 1) };
  return {};
}

/** RFC 6750 section 3: `invalid_token` only where a token was sent. */
function challenge(code: ErrorCode): string {
  const realm = 'Bearer realm="concord"';
  return code === 'TOKEN_EXPIRED' || code === 'TOKEN_REVOKED' ? `${realm}, error="invalid_token"` : realm;
}
