/** Keeps sockets from finding out what their users may do, so that a test can look at them before they are open. */
import type { TestServer } from './server.ts';

/** Lets no socket look rights up until what it resolves to is called. */
export async function holdRights(server: TestServer): Promise<() => Promise<void>> {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: held, resolve: tellHeld } = Promise.withResolvers<void>();
  const over = server.sql.begin(async (sql) => {
    await sql`LOCK TABLE document_permissions IN ACCESS EXCLUSIVE MODE`;
    tellHeld();
    await released;
  });
  await Promise.race([held, over]);
  return async () => {
    release();
    await over;
  };
}
