/** What operators read: that what it names is there. */
import { expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from '../../bin/lib/paths.ts';
import { createMetrics } from '../../src/base/metrics.ts';
import { SERVICES } from '../../src/config.ts';

const PAGES = [
  'docs/OPERATIONS.md',
  ...SERVICES.flatMap((name) => [`docs/services/${name}/README.md`, `docs/services/${name}/CHANGELOG.md`]),
];
const texts = PAGES.map((page) => [page, readFileSync(join(ROOT, page), 'utf8')] as const);

/** What is wrong with what a pattern finds on the pages. */
function wrongs(pattern: RegExp, isRight: (found: string, page: string) => boolean): string[] {
  return texts.flatMap(([page, text]) =>
    [...text.matchAll(pattern)].flatMap(([, found = '']) => (isRight(found, page) ? [] : [`${page}: ${found}`])),
  );
}

/** `a{b,c}.ts` as `ab.ts` and `ac.ts`. */
function spelledOut(path: string): string[] {
  const [, before = '', list, after = ''] = /^(.*?)\{([^}]*)\}(.*)$/.exec(path) ?? [];
  return list === undefined ? [path] : list.split(',').map((item) => before + item + after);
}

/** The anchor of a heading, as GitHub makes it. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .trim()
    .replace(/\s/g, '-');
}

test('metrics that are named are there', async () => {
  const known = await createMetrics().registry.metrics();
  expect(wrongs(/`((?:concord|http)_[a-z_]+)/g, (name) => known.includes(`# TYPE ${name} `))).toEqual([]);
});

test('files and folders that are named are there', () => {
  const isThere = (path: string): boolean => spelledOut(path).every((one) => existsSync(join(ROOT, one)));
  expect(wrongs(/`((?:src|deploy|bin)\/[^`\s]*)/g, isThere)).toEqual([]);
});

test('settings that are named are read by somebody', () => {
  const readers = [
    'src/config.ts',
    'src/protocol/rate-limits.ts',
    'deploy/run.sh',
    'deploy/balancer.sh',
    'docker-compose.yml',
  ];
  const known = readers.map((file) => readFileSync(join(ROOT, file), 'utf8')).join('\n');
  // Codes of the protocol are spelled alike.
  const codes = readFileSync(join(ROOT, 'src/protocol/errors.ts'), 'utf8');
  expect(wrongs(/`([A-Z]+(?:_[A-Z]+)+)[`=]/g, (name) => known.includes(name) || codes.includes(name))).toEqual([]);
});

test('links lead to files and headings that are there', () => {
  const leads = (link: string, page: string): boolean => {
    const [path = '', heading] = link.split('#');
    const target = path === '' ? join(ROOT, page) : join(ROOT, dirname(page), path);
    if (!existsSync(target)) return false;
    const headings = heading === undefined ? [] : [...readFileSync(target, 'utf8').matchAll(/^#+ (.*)$/gm)];
    return heading === undefined || headings.some(([, text = '']) => anchor(text) === heading);
  };
  expect(wrongs(/\]\(([^):]+)\)/g, leads)).toEqual([]);
});
