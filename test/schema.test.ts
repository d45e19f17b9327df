/** A fresh database is what `sql/schema.sql` says. `UPDATE_SCHEMA=1 bin/test test/schema.test.ts` writes it anew. */
import { expect, test } from 'bun:test';
import { connectDatabase } from '../src/store/postgres.ts';
import { createTestDatabase } from './support/database.ts';
import { dumpSchema } from './support/schema-dump.ts';

const FILE = new URL('../sql/schema.sql', import.meta.url).pathname;

test('a fresh database is the dumped schema, so that the effect of a migration is a diff', async () => {
  const database = await createTestDatabase();
  const sql = connectDatabase(database.url, { connections_max: 1, application_name: 'test' });
  try {
    const schema = await dumpSchema(sql);
    if (process.env.UPDATE_SCHEMA === '1') await Bun.write(FILE, schema);
    expect(await Bun.file(FILE).text()).toBe(schema);
  } finally {
    await sql.end();
    await database.drop();
  }
});
