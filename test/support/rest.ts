/**
 * A server with people who share documents, for tests of the REST routes. Each answer is held against the OpenAPI document
 * that the server publishes, so that the page cannot drift from what the server does.
 */
import { expect } from 'bun:test';
import { conformityFaults } from './openapi-conformity.ts';
import { openTestServer, type TestAnswer, type TestServer, type TestUser } from './server.ts';

/** An id that nothing has. */
export const NOBODY = '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10';

type Asked = readonly [method: string, path: string, user: TestUser | null, body?: unknown];

/** See the head of this file. */
export interface RestWorld {
  readonly server: TestServer;
  readonly owner: TestUser;
  readonly editor: TestUser;
  readonly viewer: TestUser;
  /** Somebody without a role on anything. */
  readonly stranger: TestUser;
  /** Makes a document that the first three have their roles on. */
  sharedDocument(): Promise<string>;
  call(...asked: Asked): Promise<TestAnswer>;
  /** The `data` of a call that must end with this status. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
  done(status: number, ...asked: Asked): Promise<any>;
  /** Code of a refusal, followed by the fields that it names; `not refused` when there was none. */
  refused(...asked: Asked): Promise<string>;
  /** Stops the server, which must not have met a bug. */
  close(): Promise<void>;
}

/** Starts it. */
export async function openRestWorld(): Promise<RestWorld> {
  const server = await openTestServer();
  const published = (await (await fetch(`${server.url}/docs/json`)).json()) as Parameters<typeof conformityFaults>[0];
  const [owner, editor, viewer, stranger] = await Promise.all([
    server.register('owner'),
    server.register('editor'),
    server.register('viewer'),
    server.register('stranger'),
  ]);
  const call = async (...[method, path, user, body]: Asked): Promise<TestAnswer> => {
    const answer = await server.call(method, path, user?.token, body);
    expect(conformityFaults(published, method, path, answer)).toEqual([]);
    return answer;
  };
  return {
    server,
    owner,
    editor,
    viewer,
    stranger,
    call,
    async sharedDocument() {
      const doc_id = await server.createDocument(owner);
      await server.share(owner, doc_id, editor, 'editor');
      await server.share(owner, doc_id, viewer, 'viewer');
      return doc_id;
    },
    async done(status, ...asked) {
      const answer = await call(...asked);
      expect([answer.status, answer.body.error]).toEqual([status, undefined]);
      return answer.body.data;
    },
    async refused(...asked) {
      const { error } = (await call(...asked)).body;
      if (error === undefined) return 'not refused';
      const paths = error.code === 'VALIDATION_ERROR' ? error.details.map(({ path }: { path: string }) => path) : [];
      return [error.code, ...paths].join(' ');
    },
    async close() {
      expect(server.errors()).toEqual([]);
      await server.stop();
    },
  };
}

/** What the audit was told about this target: what is on its way there, and what arrived. */
export async function told({ sql }: TestServer, target_id: string): Promise<readonly unknown[]> {
  return await sql`
    SELECT action, actor_id, document_id, details, ip, request_id FROM outbox WHERE target_id = ${target_id}
    UNION ALL
    SELECT action, actor_id, document_id, details, ip, request_id FROM audit_log WHERE target_id = ${target_id}`;
}
