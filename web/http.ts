/** One REST call, and its refusal as an error whose message can be shown to a person. */

/** A refusal of the server, or a request that never got to it. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    /** 0 when no answer came. */
    readonly status: number,
    /** A code of docs/ERRORS.md, or UNREACHABLE. */
    readonly code: string,
    message: string,
  ) {
    super(message);
  }

  /** Whether the same call may succeed later. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** Sends a request; resolves with `data`, rejects with an {@link ApiError}. */
export async function send<Data>(method: string, path: string, body?: unknown, token?: string): Promise<Data> {
  const headers: Record<string, string> = {};
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  let response: Response;
  let answer: { success?: boolean; data?: Data; error?: { code: string; message: string } };
  try {
    response = await fetch(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    answer = await response.json();
  } catch {
    throw new ApiError(0, 'UNREACHABLE', 'The server cannot be reached just now.');
  }
  if (answer.success === true) return answer.data as Data;
  const { code = 'INTERNAL', message = 'Something went wrong.' } = answer.error ?? {};
  throw new ApiError(response.status, code, sentence(message));
}

/** A refused field is named as in the request: `/email is not an e-mail address`. */
function sentence(message: string): string {
  const plain = message.replace(/^\/(\w+) /, (_, field: string) => `${(FIELDS[field] ?? field).replaceAll('_', ' ')} `);
  return plain.charAt(0).toUpperCase() + plain.slice(1) + (/[.!?]$/.test(plain) ? '' : '.');
}

const FIELDS: Readonly<Record<string, string>> = {
  email: 'The e-mail',
  password: 'The password',
  title: 'The title',
  display_name: 'The name',
};

/** What to tell of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof ApiError ? error.message : 'Something went wrong on this page; reload it and try again.';
}
