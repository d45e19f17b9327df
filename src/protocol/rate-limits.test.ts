import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RATE_LIMITS } from './rate-limits.ts';

test('docs/OPERATIONS.md has every limit with its default, who counts it and what it counts', () => {
  const page = readFileSync(join(import.meta.dir, '../../docs/OPERATIONS.md'), 'utf8');
  const printed = page.split('\n').filter((line) => line.startsWith('| `RATE_LIMIT_'));
  const rows = Object.values(RATE_LIMITS).map(
    ({ variable, count, window_s, shared, counts }) =>
      `| \`${variable}\` | \`${count}/${window_s}\` | ${shared ? 'all nodes' : 'each node'} | ${counts} |`,
  );
  expect(printed).toEqual(rows);
});
