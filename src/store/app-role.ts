/**
 * The role that the server works as. Whoever migrates owns the tables and may do anything to them; the server needs less:
 * it must not be able to change or remove what stands in the audit log. So once the database is in shape, its connections
 * take the role `concord_app`, which sql/0003_audit.sql makes and gives its rights.
 *
 * That takes a login that may make the role, or one that was granted it. Without either the server works as the login
 * itself, and says so: the log's triggers still refuse, but the owner of a table can drop them.
 */
import { type Database, sqlState } from './postgres.ts';

/** Name of the role. */
export const APPLICATION_ROLE = 'concord_app';

/** The role for the server's connections, after its rights were given if need be; null when the login may not take it. */
export async function applicationRole(sql: Database): Promise<string | null> {
  if (await isReady(sql)) return APPLICATION_ROLE;
  await sql`SELECT admit_application()`;
  return (await isReady(sql)) ? APPLICATION_ROLE : null;
}

/** Whether the login may take the role and the role may do the server's work. */
async function isReady(sql: Database): Promise<boolean> {
  try {
    return await sql.begin(async (step) => {
      await step`SET LOCAL ROLE ${step(APPLICATION_ROLE)}`;
      const [row] = await step<{ ready: boolean }[]>`
        SELECT has_table_privilege('users', 'UPDATE') AND has_table_privilege('audit_log', 'INSERT') AS ready`;
      return row?.ready === true;
    });
  } catch (error) {
    // The role is not there, or not for this login.
    if (sqlState(error) === '22023' || sqlState(error) === '42501') return false;
    throw error;
  }
}
