import { expect, test } from 'bun:test';
import { formatNumber, formatScenario, type Run, ratioOf, spreadOf } from './table.ts';

function run(contender: string, round: number, value: number, driver_percent = 50): Run {
  const figures = [
    { name: 'throughput', unit: 'edits/s', value, better: 'more' as const },
    { name: 'driver CPU', unit: '%', value: driver_percent, better: 'less' as const },
  ];
  return { contender, round, outcome: { figures } };
}

test('the median is the middle one, and of an even number the mean of the two in the middle', () => {
  expect(spreadOf([30, 10, 20])).toEqual({ min: 10, median: 20, max: 30 });
  expect(spreadOf([40, 10, 20, 30])).toEqual({ min: 10, median: 25, max: 40 });
  expect(spreadOf([])).toBeNull();
});

test('a ratio is that of the medians, and its ends are those of runs of the same round', () => {
  const ours = new Map([
    [1, 20],
    [2, 40],
    [3, 60],
  ]);
  const theirs = new Map([
    [1, 10],
    [2, 10],
    [3, 20],
  ]);
  expect(ratioOf(ours, theirs)).toEqual({ min: 2, median: 4, max: 4 });
});

test('rounds that one of the two failed are not compared', () => {
  expect(ratioOf(new Map([[1, 20]]), new Map([[2, 10]]))).toBeNull();
  expect(
    ratioOf(
      new Map([
        [1, 20],
        [2, 90],
      ]),
      new Map([[1, 10]]),
    ),
  ).toMatchObject({ min: 2, max: 2 });
});

test('a number has three digits that count', () => {
  expect([0, 0.012345, 0.5, 1.234, 12.34, 123.4, 12_345.6].map(formatNumber)).toEqual([
    '0',
    '0.0123',
    '0.500',
    '1.23',
    '12.3',
    '123',
    '12,346',
  ]);
  expect(formatNumber(Number.NaN)).toBe('–');
});

test('a scenario has a row for each contender and one for each ratio', () => {
  const runs = [run('concord', 1, 300), run('peer', 1, 100), run('concord', 2, 500), run('peer', 2, 100)];
  expect(formatScenario(runs, 'concord').split('\n')).toEqual([
    '|  | throughput, edits/s | driver CPU, % |',
    '|---|--:|--:|',
    '| concord | **400** (300 … 500) | **50.0** |',
    '| peer | **100** | **50.0** |',
    '',
    '|  | throughput, edits/s (more is better) |',
    '|---|--:|',
    '| concord : peer | **4.00** (3.00 … 5.00) |',
  ]);
});

test('a run that failed is no figure, and is told of with its reason', () => {
  const failed: Run = { contender: 'peer', round: 2, outcome: { failure: 'writer 3 has\nanother | text' } };
  const table = formatScenario(
    [run('concord', 1, 300), run('peer', 1, 100), run('concord', 2, 500), failed],
    'concord',
  );
  expect(table).toContain('| peer | **100** | **50.0** | failed 1 of 2: writer 3 has another \\| text |');
  expect(table).toContain('| concord : peer | **4.00** (3.00 … 3.00) |');
});

test('a contender whose runs all failed stands there without figures', () => {
  const failed: Run = { contender: 'peer', round: 1, outcome: { failure: 'it did not start' } };
  const table = formatScenario([run('concord', 1, 300), failed], 'concord');
  expect(table).toContain('| peer | – | – | failed 1 of 1: it did not start |');
  expect(table).toContain('| concord : peer | – |');
});

test('a run whose driver was busy all the time is marked', () => {
  const table = formatScenario([run('concord', 1, 300, 97), run('peer', 1, 100, 90)], 'concord');
  expect(table).toContain('| concord | **300** | **97.0** | the driver was as busy as it could be |');
  expect(table).toContain('| peer | **100** | **90.0** |  |');
});
