import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatCoverage, measureCoverage } from '../bin/lib/coverage.ts';
import { makePassable } from '../bin/lib/paths.ts';

const LCOV = `TN:
SF:src/loaded.ts
DA:1,3
DA:2,0
DA:3,0
DA:5,1
end_of_record
SF:test/support/helper.ts
DA:1,0
end_of_record
`;

test('every source file counts: loaded ones as reported, others with all their lines, types and tests not at all', () => {
  const root = mkdtempSync(join(tmpdir(), 'concord-coverage-'));
  makePassable(join(root, 'src'));
  writeFileSync(join(root, 'src/loaded.ts'), 'as reported');
  writeFileSync(join(root, 'src/loaded.test.ts'), 'export const x = 1;');
  writeFileSync(join(root, 'src/shapes.ts'), '// Only types.\nexport interface Shape {\n  readonly a: number;\n}\n');
  writeFileSync(join(root, 'src/never.ts'), '/** Not loaded. */\nexport const a: number = 1;\n\nexport const b = 2;\n');
  const coverage = measureCoverage(root, [LCOV]);
  rmSync(root, { recursive: true });
  expect(coverage.files.map(({ file, hit, lines }) => [file, hit, lines])).toEqual([
    ['src/loaded.ts', 2, 4],
    ['src/never.ts', 0, 2],
    ['src/shapes.ts', 0, 0],
  ]);
  expect(coverage.percent).toBeCloseTo(33.33);
  const text = formatCoverage(coverage, false);
  expect(text).toContain('src/loaded.ts   50.0 %  2/4  2-3');
  expect(text).toContain('33.33 % (2 of 6 lines, 3 files)');
  expect(formatCoverage(coverage, true)).not.toContain('never.ts');
});

test('what two processes ran counts together; a line is missed when none ran it, and code when all that loaded the file say so', () => {
  const root = mkdtempSync(join(tmpdir(), 'concord-coverage-'));
  makePassable(join(root, 'src'));
  for (const name of ['both', 'one']) writeFileSync(join(root, `src/${name}.ts`), 'as reported');
  const record = (file: string, ...lines: string[]) => `SF:src/${file}.ts\n${lines.join('\n')}\nend_of_record\n`;
  const coverage = measureCoverage(root, [
    // Never called the function of lines 2 to 5, so it takes the blank line 4 for code.
    record('both', 'DA:1,1', 'DA:2,0', 'DA:3,0', 'DA:4,0', 'DA:5,0', 'DA:7,0'),
    record('both', 'DA:1,1', 'DA:2,9', 'DA:3,0', 'DA:5,9', 'DA:7,0') + record('one', 'DA:1,1', 'DA:2,0'),
  ]);
  rmSync(root, { recursive: true });
  expect(coverage.files.map(({ file, hit, lines, missed }) => [file, hit, lines, missed])).toEqual([
    ['src/both.ts', 3, 5, [3, 7]],
    ['src/one.ts', 1, 2, [2]],
  ]);
});
