import { expect, test } from 'bun:test';
import { Glob } from 'bun';
import { CLOSE } from '../protocol/close.ts';
import { ERRORS } from '../protocol/errors.ts';

const ROOT = `${import.meta.dir}/../..`;
const page = await Bun.file(`${ROOT}/docs/ERRORS.md`).text();

/** The rows of the table whose first heading is `title`, as cells. */
function table(title: string): string[][] {
  const lines = page.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`| ${title} |`));
  const rows = lines.slice(start + 2);
  const end = rows.findIndex((line) => !line.startsWith('|'));
  return rows.slice(0, end === -1 ? rows.length : end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** Codes that the source names in a place where a refusal is made. */
async function codesInSource(): Promise<{ thrown: Set<string>; named: Set<string> }> {
  const thrown = new Set<string>();
  const named = new Set<string>();
  for await (const path of new Glob('src/**/*.ts').scan(ROOT)) {
    if (path.endsWith('.test.ts') || path === 'src/protocol/errors.ts') continue;
    const source = await Bun.file(`${ROOT}/${path}`).text();
    for (const [, code] of source.matchAll(/(?:ConcordError\(|code: )\s*'([A-Z_]+)'/g)) thrown.add(code ?? '');
    for (const [, code] of source.matchAll(/'([A-Z][A-Z_]+[A-Z])'/g)) named.add(code ?? '');
  }
  return { thrown, named };
}

test('docs/ERRORS.md lists every code, in the order of the table, with its status and whether to try again', () => {
  const documented = table('code').map(([code, status, , , again]) => [code, status, again]);
  const real = Object.entries(ERRORS).map(([code, kind]) => [
    `\`${code}\``,
    String(kind.status),
    kind.retryable ? 'yes' : 'no',
  ]);
  expect(documented).toEqual(real);
});

test('docs/ERRORS.md says of every code when it comes and what to do', () => {
  for (const [code, , when, then] of table('code')) {
    expect([code, (when ?? '').length > 10]).toEqual([code, true]);
    expect([code, (then ?? '').length > 5]).toEqual([code, true]);
  }
});

test('docs/ERRORS.md lists every close code', () => {
  const documented = new Set(table('close code').map(([code]) => Number(code)));
  for (const code of Object.values(CLOSE)) expect(documented).toContain(code);
});

test('every code that the source throws is in the table', async () => {
  const { thrown } = await codesInSource();
  expect(thrown.size).toBeGreaterThan(10);
  expect([...thrown].filter((code) => !(code in ERRORS))).toEqual([]);
});

test('no code is in the table that the source never uses', async () => {
  const { named } = await codesInSource();
  const made_by_helpers: readonly string[] = ['VALIDATION_ERROR', 'UNAVAILABLE'];
  const unused = Object.keys(ERRORS).filter((code) => !named.has(code) && !made_by_helpers.includes(code));
  expect(unused).toEqual([]);
});
