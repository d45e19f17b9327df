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

const UTF_8 = new TextEncoder();

/** The same for a result whose JSON comes in parts, while they come. */
export function preparedResponse(
  request: Request,
  status: number,
  data_json: AsyncGenerator<Uint8Array, void>,
  reporter: ErrorReporter,
): Response {
  const parts = success(data_json);
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await parts.next();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        // Too late for another answer: the caller sees that this one was broken off.
        refusal(request, error, reporter);
        controller.error(error);
      }
    },
    async cancel() {
      await parts.return();
    },
  });
  return new Response(body, { status, headers: { 'content-type': JSON_TYPE } });
}

async function* success(data_json: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  yield UTF_8.encode('{"success":true,"data":');
  yield* data_json;
  yield UTF_8.encode('}');
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
