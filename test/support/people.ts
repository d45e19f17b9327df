/** People for tests that do not sign in: rows, without the half second that a password costs. */
import { systemRandom } from '../../src/base/random.ts';
import type { Sql } from '../../src/store/postgres.ts';
import { insertUser } from '../../src/store/users.ts';

/** Adds somebody and returns their id. The e-mail is `<name>@example.org`. */
export async function addPerson(sql: Sql, name: string): Promise<string> {
  const email = `${name}@example.org`;
  const id = systemRandom.id();
  const at = new Date(Date.UTC(2026, 0, 1));
  await insertUser(sql, { id, email, email_key: email.toLowerCase(), display_name: name, password_hash: 'none', at });
  return id;
}
