/** Keeps sockets from finding out what their users may do, so that a test can look at them before they are open. */
import { holdLock } from './database.ts';
import type { TestServer } from './server.ts';

/** Lets no socket look rights up until what it resolves to is called. */
export function holdRights(server: TestServer): Promise<() => Promise<void>> {
  return holdLock(server.sql, (sql) => sql`LOCK TABLE document_permissions IN ACCESS EXCLUSIVE MODE`);
}
