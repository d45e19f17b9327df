/** Where a replay runs: a running Concord, as a program that uses it sees it. */

/** See the head of this file. */
export interface Place {
  /** Such as `http://127.0.0.1:3000`. */
  readonly url: string;
  /** An access token. */
  readonly token: string;
}

/** Makes an empty document; returns its id. */
export async function createDocument(place: Place, title: string): Promise<string> {
  return (await call(place, 'POST', '/v1/documents', { title })).id;
}

/** The text and its revision. */
export function readText(place: Place, doc_id: string): Promise<{ readonly rev: number; readonly value: string }> {
  return call(place, 'GET', `/v1/documents/${doc_id}/content?format=text`);
}

/** Makes an account and returns its access token. */
export async function register(url: string, email: string, password: string): Promise<string> {
  const body = { email, password, display_name: 'Replay' };
  return (await call({ url, token: '' }, 'POST', '/v1/auth/register', body)).access_token;
}

/** A door of a document, for a WebSocket. */
export function doorUrl({ url, token }: Place, door: 'collab' | 'yjs', doc_id: string, query: object): string {
  return `${url.replace(/^http/, 'ws')}/v1/${door}/${doc_id}?${new URLSearchParams({ token, ...query })}`;
}

/** Writes a letter at the beginning of the text. */
export async function typeLetter(place: Place, doc_id: string): Promise<void> {
  await call(place, 'POST', `/v1/documents/${doc_id}/edits`, { changes: { delta: [{ insert: 'x' }] } });
}

async function call({ url, token }: Place, method: string, path: string, body?: object) {
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = (await response.json()) as { success: boolean; data: never; error: { code: string; message: string } };
  if (!answer.success) throw new Error(`${method} ${path}: ${answer.error.code}: ${answer.error.message}`);
  return answer.data as { id: string; access_token: string; rev: number; value: string };
}
