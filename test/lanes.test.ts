import { expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ALONE, FIRST, shareOut, testFiles } from '../bin/lib/lanes.ts';
import { ROOT } from '../bin/lib/paths.ts';

test('a run has every file of tests once, whichever process it falls to', () => {
  const files = testFiles(ROOT);
  const { beside, alone } = shareOut(files);
  expect([...beside.flat(), ...alone].sort()).toEqual(files);
  expect(files).toContain('./test/lanes.test.ts');
  expect(files.every((path) => existsSync(join(ROOT, path)))).toBe(true);
  expect(files.filter((path) => path.includes('node_modules'))).toEqual([]);
});

test('whatever is said of a file is said of one that is there', () => {
  const files = testFiles(ROOT);
  const nothing = [...FIRST, ...ALONE].filter((beginning) => !files.some((path) => path.startsWith(`./${beginning}`)));
  expect(nothing).toEqual([]);
  const { beside, alone } = shareOut(files);
  expect(alone.length).toBeGreaterThanOrEqual(ALONE.length);
  expect(beside.map((lane) => lane.length > 0)).toEqual([true, true]);
});
