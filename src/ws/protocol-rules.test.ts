/** docs/PROTOCOL.md says what the tests prove, no more and no less. */
import { expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLOSE } from '../protocol/close.ts';
import { CONTENT_LIMITS } from '../protocol/content/limits.ts';
import { HOCUSPOCUS } from '../protocol/hocuspocus-wire.ts';
import { LIMITS } from '../protocol/limits.ts';
import { MESSAGE } from '../protocol/yjs-wire.ts';

const HERE = import.meta.dir;
const page = readFileSync(join(HERE, '../../docs/PROTOCOL.md'), 'utf8');
const tests = readdirSync(HERE)
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => readFileSync(join(HERE, name), 'utf8'));

/** The cells of the table that begins with this header. */
function table(header: string): string[][] {
  const lines = page.slice(page.indexOf(`| ${header} |`)).split('\n');
  const end = lines.findIndex((line) => !line.startsWith('|'));
  return lines.slice(2, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const sorted = (rules: Iterable<string>): string[] => [...new Set(rules)].sort();
const numbersIn = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map((match) => match[1] ?? '');

test('every rule has a test whose title begins with its number, and every number in a title is a rule', () => {
  const ruled = numbersIn(page, /^- \*\*([CHJYR]\d+)\*\* /gm);
  const proved = tests.flatMap((source) => numbersIn(source, /\btest\(\s*['"`]([CHJYR]\d+): /g));
  expect(ruled).toEqual([...new Set(ruled)]);
  expect(sorted(proved)).toEqual(sorted(ruled));
});

test('rules that are mentioned exist', () => {
  const ruled = new Set(numbersIn(page, /^- \*\*([CHJYR]\d+)\*\* /gm));
  for (const mentioned of numbersIn(page, /\b([CHJYR]\d+)\b/g)) expect(ruled).toContain(mentioned);
});

test('the page has every close code of ours, and 1009, which is the socket layer’s', () => {
  const codes = table('close code | means | then').map(([code]) => Number(code));
  expect(codes).toEqual([...Object.values(CLOSE), 1009].sort((a, b) => a - b));
});

test('the page has every type of Yjs message', () => {
  const types = table('type | payload').map(([type]) => Number(type));
  expect(types).toEqual(Object.values(MESSAGE).sort((a, b) => a - b));
});

test('the page has every type of Hocuspocus message', () => {
  const types = table('type of message | payload').map(([type]) => Number(type));
  expect(types).toEqual(Object.values(HOCUSPOCUS).sort((a, b) => a - b));
});

test('the limits on the page are those of the code, and the tests of their rules name them', () => {
  const limits: Readonly<Record<string, number>> = { ...LIMITS, ...CONTENT_LIMITS };
  for (const [name_cell = '', value, rules = ''] of table('name | value | beyond it')) {
    const name = name_cell.replaceAll('`', '');
    expect([name, limits[name]?.toLocaleString('en-US')]).toEqual([name, value]);
    for (const rule of rules.split(', '))
      expect([
        name,
        rule,
        tests.some((source) => new RegExp(`\\btest\\(\\s*['"\`]${rule}: .*${name}`).test(source)),
      ]).toEqual([name, rule, true]);
  }
});
