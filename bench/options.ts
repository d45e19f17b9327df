/** What `bun bench/run.ts` can be told. What makes no sense is refused, with its name and the reason. */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';

export interface Options {
  /** Whether a scenario was chosen. */
  wantsScenario(name: string): boolean;
  /** Whether a contender was; ours always is. */
  wantsContender(name: string): boolean;
  readonly runs: number;
  readonly size: 'full' | 'quick';
  /** A trace for cold-open, or null. */
  readonly trace: string | null;
  /** Where the runs go as JSON, or null. */
  readonly json: string | null;
  /** A page whose results are replaced, or null. */
  readonly markdown: string | null;
}

/** What may be chosen. */
export interface Choice {
  readonly scenarios: readonly string[];
  /** Without ours. */
  readonly contenders: readonly string[];
}

export const USAGE =
  'usage: bun bench/run.ts [--only=hot-50,fanout] [--against=hocuspocus-on-bun,floor] [--runs=3] [--quick] ' +
  '[--trace=FILE] [--json=FILE] [--markdown=FILE]';

/** Such as `hocuspocus-on-bun` of `Hocuspocus on Bun`. */
export function slugOf(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]+/g, '-');
}

/** Reads the arguments. Throws an error that names the option and the reason. */
export function readOptions(args: readonly string[], { scenarios, contenders }: Choice): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      against: { type: 'string' },
      runs: { type: 'string', default: '3' },
      quick: { type: 'boolean', default: false },
      trace: { type: 'string' },
      json: { type: 'string' },
      markdown: { type: 'string' },
    },
  });
  const { trace = null, json = null, markdown = null } = values;
  if (!/^([1-9]|1\d|20)$/.test(values.runs)) throw new Error('--runs is a whole number from 1 to 20');
  for (const [name, file] of [['--trace', trace] as const, ['--markdown', markdown] as const])
    if (file !== null && !existsSync(file)) throw new Error(`${name}: there is no file ${file}`);
  if (json === '') throw new Error('--json names no file');
  return {
    wantsScenario: choose('--only', values.only, scenarios),
    wantsContender: choose('--against', values.against, contenders),
    runs: Number(values.runs),
    size: values.quick ? 'quick' : 'full',
    trace,
    json,
    markdown,
  };
}

/** Whether a name is in a comma list: by itself, or by what it starts with, up to a hyphen. Without a list all are. */
function choose(option: string, list: string | undefined, names: readonly string[]): (name: string) => boolean {
  if (list === undefined) return () => true;
  const chosen = list.split(',');
  const fits = (wish: string, name: string): boolean => name === wish || name.startsWith(`${wish}-`);
  for (const wish of chosen)
    if (!names.some((name) => fits(wish, name))) throw new Error(`${option}: '${wish}' is none of ${names.join(', ')}`);
  return (name) => chosen.some((wish) => fits(wish, name));
}
