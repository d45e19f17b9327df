/**
 * A database's schema as text, read from PostgreSQL's own catalogue, so that a migration's effect shows as a diff of
 * `sql/schema.sql`. It names what the application's statements can see: tables, columns, constraints, indexes, functions.
 */
import type { Database } from '../../src/store/postgres.ts';

interface Column {
  readonly table_name: string;
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
  readonly fallback: string | null;
}

interface Definition {
  readonly table_name: string;
  readonly definition: string;
}

/** Dumps the schema `public`. */
export async function dumpSchema(sql: Database): Promise<string> {
  const columns = await sql<Column[]>`
    SELECT c.relname AS table_name, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
           a.attnotnull AS required, pg_get_expr(d.adbin, d.adrelid) AS fallback
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY c.relname, a.attnum`;
  const constraints = await sql<Definition[]>`
    SELECT conrelid::regclass::text AS table_name, pg_get_constraintdef(oid) AS definition
    FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype <> 'n' AND conrelid <> 0
    ORDER BY conrelid::regclass::text, contype DESC, pg_get_constraintdef(oid)`;
  const indexes = await sql<Definition[]>`
    SELECT i.tablename AS table_name, i.indexdef AS definition
    FROM pg_indexes i
    WHERE i.schemaname = 'public'
      AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conname = i.indexname AND k.contype IN ('p', 'u'))
    ORDER BY i.indexname`;
  const functions = await sql<{ definition: string }[]>`
    SELECT pg_get_functiondef(oid) AS definition FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace ORDER BY proname`;
  const tables = [...new Set(columns.map((column) => column.table_name))];
  const of = (table: string, all: readonly Definition[]): string[] =>
    all.filter((one) => one.table_name === table).map((one) => one.definition);
  const parts = tables.map((table) => {
    const lines = [
      ...columns.filter((column) => column.table_name === table).map(columnLine),
      ...of(table, constraints).map((constraint) => `  ${constraint}`),
    ];
    const indexed = of(table, indexes).map((index) => `${index};\n`);
    return `CREATE TABLE ${table} (\n${lines.join(',\n')}\n);\n${indexed.join('')}`;
  });
  const made = functions.map(({ definition }) => `${definition.trimEnd()};\n`);
  return `-- Dumped from a fresh database by test/schema.test.ts; migrations are what counts.\n\n${[...parts, ...made].join('\n')}`;
}

function columnLine({ name, type, required, fallback }: Column): string {
  return `  ${name} ${type}${fallback === null ? '' : ` DEFAULT ${fallback}`}${required ? ' NOT NULL' : ''}`;
}
