/**
 * Every way in which Concord says no. A code has one HTTP status, one sentence and one answer to "may I try again?";
 * each door maps a {@link ConcordError} to its wire in one place, and docs/ERRORS.md lists the same table.
 */

/** What a code means on HTTP and for the caller's next step. */
export interface ErrorKind {
  readonly status: number;
  /** Whether the same request may succeed later, unchanged. */
  readonly retryable: boolean;
  /** The sentence used when the thrower has none of its own. */
  readonly message: string;
}

/** The table of CONTRACT.md section 2 and the codes that only sockets use. */
export const ERRORS = {
  VALIDATION_ERROR: { status: 422, retryable: false, message: 'The request does not have the required form.' },
  WEAK_PASSWORD: { status: 422, retryable: false, message: 'The password is too easy to guess.' },
  INVALID_CREDENTIALS: { status: 401, retryable: false, message: 'E-mail or password is wrong.' },
  UNAUTHENTICATED: { status: 401, retryable: false, message: 'A valid access token is required.' },
  TOKEN_EXPIRED: { status: 401, retryable: false, message: 'The token has expired; get a fresh one.' },
  TOKEN_REVOKED: { status: 401, retryable: false, message: 'The session of this token has ended; sign in again.' },
  FORBIDDEN: { status: 403, retryable: false, message: 'Your role does not allow this.' },
  NOT_FOUND: { status: 404, retryable: false, message: 'There is no such thing, or you may not know of it.' },
  METHOD_NOT_ALLOWED: { status: 405, retryable: false, message: 'This address does not take that method.' },
  EMAIL_TAKEN: { status: 409, retryable: false, message: 'An account with this e-mail exists already.' },
  CONFLICT: { status: 409, retryable: false, message: 'The present state does not allow this.' },
  STALE_REVISION: {
    status: 409,
    retryable: false,
    message: 'base_rev is outside the window; read the document again.',
  },
  PAYLOAD_TOO_LARGE: { status: 413, retryable: false, message: 'The request body is too large.' },
  DOCUMENT_TOO_LARGE: { status: 413, retryable: false, message: 'The document would become too large.' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, retryable: false, message: 'Send application/json.' },
  UPGRADE_REQUIRED: { status: 426, retryable: false, message: 'This address speaks WebSocket only.' },
  RATE_LIMITED: { status: 429, retryable: true, message: 'Too many requests; slow down.' },
  INTERNAL: { status: 500, retryable: true, message: 'Something went wrong on our side.' },
  UNAVAILABLE: { status: 503, retryable: true, message: 'Storage is away for the moment; try again.' },
} as const satisfies Record<string, ErrorKind>;

/** A code of {@link ERRORS}. */
export type ErrorCode = keyof typeof ERRORS;

/** One refused field: `path` is a JSON pointer into the request (`/title`), empty for the whole. */
export interface FieldIssue {
  readonly path: string;
  readonly message: string;
}

/** A refusal on its way to a door. Anything else that is thrown is a bug and reaches the caller as `INTERNAL`. */
export class ConcordError extends Error {
  override readonly name = 'ConcordError';

  constructor(
    readonly code: ErrorCode,
    message?: string,
    readonly details?: unknown,
    /** Whole seconds until a retry makes sense; only with `RATE_LIMITED` and `UNAVAILABLE`. */
    readonly retry_after_s?: number,
  ) {
    super(message ?? ERRORS[code].message);
  }

  /** HTTP status of the code. */
  get status(): number {
    return ERRORS[this.code].status;
  }
}

/** `VALIDATION_ERROR` that names its fields. */
export function invalid(issues: readonly FieldIssue[]): ConcordError {
  const first = issues[0];
  const where = first === undefined || first.path === '' ? '' : `${first.path} `;
  return new ConcordError('VALIDATION_ERROR', first === undefined ? undefined : `${where}${first.message}`, issues);
}

/** `VALIDATION_ERROR` of one field. */
export function invalidField(path: string, message: string): ConcordError {
  return invalid([{ path, message }]);
}

/** `UNAVAILABLE` with its `Retry-After`. */
export function unavailable(message?: string, retry_after_s = 2): ConcordError {
  return new ConcordError('UNAVAILABLE', message, undefined, retry_after_s);
}

/** The body of every refusal: CONTRACT.md section 2. */
export interface ErrorBody {
  readonly success: false;
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly details?: unknown };
}

/** Shapes an error for a JSON response. */
export function errorBody(error: ConcordError): ErrorBody {
  const details = error.details === undefined ? {} : { details: error.details };
  return { success: false, error: { code: error.code, message: error.message, ...details } };
}
