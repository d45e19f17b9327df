/**
 * Everybody who may knock at a server, from nobody to an admin, and a document on which three of them have a role. Each of
 * the hostile tests sends these against what it looks at, so that nobody is forgotten who was thought of once.
 */
import type { conformityFaults } from '../support/openapi-conformity.ts';
import { openTestServer, type TestServer, type TestUser } from '../support/server.ts';

/** See the head of this file. `none` shows no token; `erased` and `signed_out` show one that was good a moment ago. */
export const CALLERS = [
  'none',
  'garbage',
  'signed_out',
  'erased',
  'stranger',
  'admin',
  'viewer',
  'editor',
  'owner',
] as const;

/** One of {@link CALLERS}. */
export type CallerName = (typeof CALLERS)[number];

/** The password of everybody that a test server registers. */
export const PASSWORD = 'open sesame, says the test';

/** See the head of this file. */
export interface Callers {
  readonly server: TestServer;
  /** The OpenAPI document that the server publishes. */
  readonly published: Parameters<typeof conformityFaults>[0];
  /** Who shows what; the first two are nobody, and have a token alone. */
  readonly by_name: Readonly<Record<CallerName, TestUser>>;
  /** Makes a document on which owner, editor and viewer have their roles; somebody else, a guest, views it too. */
  sharedDocument(): Promise<string>;
  readonly guest: TestUser;
  /** Somebody new, signed in, who is like this caller: not yet known to any document. */
  fresh(name: CallerName): Promise<TestUser>;
}

const NOBODY: TestUser = { user_id: '', display_name: '', email: '', token: '', refresh_token: '' };

/** What is neither a token of ours nor of anybody. */
export const GARBAGE = 'garbage.that-is_no.token';

/** Starts a server and registers them all. */
export async function openCallers(env: Readonly<Record<string, string>> = {}): Promise<Callers> {
  const server = await openTestServer(env);
  const names = ['signed_out', 'erased', 'stranger', 'admin', 'viewer', 'editor', 'owner', 'guest'];
  const made = await Promise.all(names.map((name) => server.register(name)));
  const person = (name: string): TestUser => made[names.indexOf(name)] ?? NOBODY;
  const promote = (user: TestUser) => server.sql`UPDATE users SET role = 'admin' WHERE id = ${user.user_id}`;
  await promote(person('admin'));
  const left = person('signed_out');
  await server.call('POST', '/v1/auth/logout', left.token, { refresh_token: left.refresh_token });
  await server.call('DELETE', '/v1/users/me', person('erased').token, { password: PASSWORD });
  const known = Object.fromEntries(CALLERS.map((name) => [name, person(name)])) as Record<CallerName, TestUser>;
  let count = 0;
  return {
    server,
    published: (await (await fetch(`${server.url}/docs/json`)).json()) as Callers['published'],
    by_name: { ...known, garbage: { ...NOBODY, token: GARBAGE } },
    guest: person('guest'),
    async sharedDocument() {
      const doc_id = await server.createDocument(person('owner'), 'Nobody’s business.');
      await Promise.all(
        (['editor', 'viewer', 'guest'] as const).map((name) =>
          server.share(person('owner'), doc_id, person(name), name === 'editor' ? 'editor' : 'viewer'),
        ),
      );
      return doc_id;
    },
    async fresh(name) {
      count += 1;
      const user = await server.register(`fresh-${count}`);
      if (name === 'admin') await promote(user);
      return user;
    },
  };
}

/** Whether this caller's token is refused, and with which code. */
export function refusalOf(name: CallerName): 'UNAUTHENTICATED' | 'TOKEN_REVOKED' | null {
  if (name === 'none' || name === 'garbage') return 'UNAUTHENTICATED';
  return name === 'signed_out' || name === 'erased' ? 'TOKEN_REVOKED' : null;
}
