/** What many runs say: the figures of each contender, and how ours stand to the others'. */
import type { Figure } from './contender.ts';
import { DRIVER_CPU } from './scenarios/support/meter.ts';

/** Above this the driver may have been slower than what it drives. */
const DRIVER_PERCENT_MAX = 90;

/** One run of a scenario. A run that failed has no figures. */
export interface Run {
  readonly contender: string;
  /** Runs of the same number were made right after one another. */
  readonly round: number;
  readonly outcome: { readonly figures: readonly Figure[] } | { readonly failure: string };
}

/** What became of a figure over the runs. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** Of an even number of values the median is the mean of the two in the middle; null without any. */
export function spreadOf(values: readonly number[]): Spread | null {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  const [min, max] = [sorted[0], sorted[sorted.length - 1]];
  if (low === undefined || high === undefined || min === undefined || max === undefined) return null;
  return { min, median: (low + high) / 2, max };
}

/**
 * Ours by theirs: the ratio of the medians, and the least and the greatest ratio of two runs of the same round, which
 * shows what is left when the machine's drift is taken out. Null when there is no round that both finished.
 */
export function ratioOf(ours: ReadonlyMap<number, number>, theirs: ReadonlyMap<number, number>): Spread | null {
  const pairs = [...ours].flatMap(([round, value]) => {
    const other = theirs.get(round);
    return other === undefined ? [] : [value / other];
  });
  const [own, other, each] = [spreadOf([...ours.values()]), spreadOf([...theirs.values()]), spreadOf(pairs)];
  return own && other && each ? { ...each, median: own.median / other.median } : null;
}

/** A number as a reader wants it: three digits that count, thousands apart. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  const digits = size === 0 || size >= 100 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(size)));
  return value.toLocaleString('en-US', {
    minimumFractionDigits: Math.min(digits, 4),
    maximumFractionDigits: Math.min(digits, 4),
  });
}

function formatSpread(spread: Spread | null): string {
  if (spread === null) return '–';
  const [min, median, max] = [spread.min, spread.median, spread.max].map(formatNumber);
  return min === median && median === max ? `**${median}**` : `**${median}** (${min} … ${max})`;
}

/**
 * One scenario in Markdown: a table of figures, median (least … greatest), with a row for each contender, and one of the
 * ratios of `ours` to each other. Contenders stand in the order of their first run.
 */
export function formatScenario(runs: readonly Run[], ours: string): string {
  const names = [...new Set(runs.map(({ contender }) => contender))];
  const columns = columnsOf(runs);
  const heads = columns.map(({ name, unit }) => `${name}, ${unit}`);
  const rows = names.map((name) => [
    name,
    ...columns.map((column) => formatSpread(spreadOf([...valuesOf(runs, name, column).values()]))),
    noteOf(runs.filter(({ contender }) => contender === name)),
  ]);
  const noted = rows.some((row) => row.at(-1) !== '');
  const figures = formatTable(
    ['', ...heads, ...(noted ? [''] : [])],
    rows.map((row) => (noted ? row : row.slice(0, -1))),
  );
  const compared = columns.filter(({ name }) => name !== DRIVER_CPU);
  const peers = names.filter((name) => name !== ours);
  if (!names.includes(ours) || peers.length === 0) return figures;
  const ratios = peers.map((peer) => [
    `${ours} : ${peer}`,
    ...compared.map((column) => formatSpread(ratioOf(valuesOf(runs, ours, column), valuesOf(runs, peer, column)))),
  ]);
  const ratio_heads = compared.map(({ name, unit, better }) => `${name}, ${unit} (${better} is better)`);
  return `${figures}\n\n${formatTable(['', ...ratio_heads], ratios)}`;
}

type Column = Pick<Figure, 'name' | 'unit' | 'better'>;

/** The figures that any run has. */
function columnsOf(runs: readonly Run[]): Column[] {
  const columns = new Map<string, Column>();
  for (const { outcome } of runs)
    if ('figures' in outcome)
      for (const figure of outcome.figures) columns.set(`${figure.name}\n${figure.unit}`, figure);
  return [...columns.values()];
}

/** A figure of a contender, by round. */
function valuesOf(runs: readonly Run[], contender: string, column: Column): Map<number, number> {
  return new Map(
    runs.flatMap((run): [number, number][] => {
      if (run.contender !== contender || !('figures' in run.outcome)) return [];
      const found = run.outcome.figures.find(({ name, unit }) => name === column.name && unit === column.unit);
      return found === undefined ? [] : [[run.round, found.value]];
    }),
  );
}

/** What a reader has to know of a contender's runs before believing their figures. */
function noteOf(runs: readonly Run[]): string {
  const failures = runs.flatMap(({ outcome }) => ('failure' in outcome ? [outcome.failure] : []));
  const busiest = Math.max(
    ...runs
      .flatMap(({ outcome }) => ('figures' in outcome ? outcome.figures : []))
      .filter(({ name }) => name === DRIVER_CPU)
      .map(({ value }) => value),
  );
  return [
    ...(failures.length > 0 ? [`failed ${failures.length} of ${runs.length}: ${failures[0]}`] : []),
    ...(busiest > DRIVER_PERCENT_MAX ? ['the driver was as busy as it could be'] : []),
  ].join('; ');
}

function formatTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(heads), `|${heads.map((_, i) => (i === 0 ? '---' : '--:')).join('|')}|`, ...rows.map(line)].join('\n');
}
