/**
 * Line coverage of src/ as a user of the number expects it: every source file counts, whether a test imports it or not.
 *
 * Bun reports only files that were loaded, in lcov form. A file that is missing from the report counts with all its lines as
 * missed; how many it has is taken from its code without types, comments and blank lines, so a file of types has none.
 * What servers run in processes of their own is not counted, as nothing measures it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface FileCoverage {
  readonly file: string;
  readonly lines: number;
  readonly hit: number;
  /** Line numbers that no test ran; empty for a file that no test loaded. */
  readonly missed: readonly number[];
}

export interface Coverage {
  readonly files: readonly FileCoverage[];
  readonly lines: number;
  readonly hit: number;
  /** 0 to 100. */
  readonly percent: number;
}

/** Joins lcov reports, of processes that each ran some of the tests, with the source files under `root`/src. */
export function measureCoverage(root: string, lcovs: readonly string[]): Coverage {
  const reported = mergeReports(lcovs.map(parseLcov));
  const sources = [...new Bun.Glob('src/**/*.ts').scanSync({ cwd: root })]
    .filter((file) => !file.endsWith('.test.ts') && !file.endsWith('.d.ts'))
    .sort();
  const files = sources.map((file) => reported.get(file) ?? neverLoaded(root, file));
  const lines = files.reduce((sum, file) => sum + file.lines, 0);
  const hit = files.reduce((sum, file) => sum + file.hit, 0);
  return { files, lines, hit, percent: lines === 0 ? 100 : (100 * hit) / lines };
}

/** A table of the files that miss lines, worst first, and the total. `loadedOnly` leaves out what no test came near. */
export function formatCoverage(coverage: Coverage, loadedOnly: boolean): string {
  const missing = coverage.files.filter((file) => file.hit < file.lines && (file.hit > 0 || !loadedOnly));
  const width = Math.max(...missing.map((file) => file.file.length), 0);
  const rows = missing
    .sort((a, b) => b.lines - b.hit - (a.lines - a.hit))
    .map((f) =>
      `  ${f.file.padEnd(width)}  ${percent(f.hit, f.lines)}  ${f.hit}/${f.lines}  ${ranges(f.missed)}`.trimEnd(),
    );
  return [
    ...(rows.length > 0 ? ['Lines of src/ that no test runs:', ...rows] : []),
    `Line coverage of src/: ${coverage.percent.toFixed(2)} % (${coverage.hit} of ${coverage.lines} lines, ${coverage.files.length} files)`,
  ].join('\n');
}

/** Hits of lines, by file and line. */
type Report = ReadonlyMap<string, ReadonlyMap<number, number>>;

function parseLcov(lcov: string): Report {
  const records = lcov.split('end_of_record').flatMap((record) => {
    const file = /^SF:(.*)$/m.exec(record)?.[1];
    const hits = [...record.matchAll(/^DA:(\d+),(\d+)/gm)].map(
      ([, line, count]) => [Number(line), Number(count)] as const,
    );
    return file === undefined ? [] : [[file, new Map(hits)] as const];
  });
  return new Map(records);
}

/**
 * A line that any process ran was run. Of the others only those count that all processes name which loaded the file: one
 * that never called a function takes all its lines for code, blank ones and comments too, and one that did knows better.
 */
function mergeReports(reports: readonly Report[]): Map<string, FileCoverage> {
  const files = new Set(reports.flatMap((report) => [...report.keys()]));
  return new Map(
    [...files].map((file) => {
      const found = reports.flatMap((report) => report.get(file) ?? []);
      const lines = [...new Set(found.flatMap((hits) => [...hits.keys()]))].sort((a, b) => a - b);
      const is_hit = (line: number): boolean => found.some((hits) => (hits.get(line) ?? 0) > 0);
      const missed = lines.filter((line) => !is_hit(line) && found.every((hits) => hits.has(line)));
      const hit = lines.filter(is_hit).length;
      return [file, { file, lines: hit + missed.length, hit, missed }];
    }),
  );
}

function neverLoaded(root: string, file: string): FileCoverage {
  const lines = withoutTypes(readFileSync(join(root, file), 'utf8')).split('\n');
  return { file, lines: lines.filter((line) => line.trim() !== '').length, hit: 0, missed: [] };
}

function withoutTypes(code: string): string {
  try {
    return new Bun.Transpiler({ loader: 'ts' }).transformSync(code);
  } catch {
    return code; // It does not parse; the types check says where.
  }
}

function percent(hit: number, lines: number): string {
  return `${((100 * hit) / lines).toFixed(1)} %`.padStart(7);
}

/** `3, 5-9` for 3, 5, 6, 7, 8, 9. */
function ranges(lines: readonly number[]): string {
  const found: [number, number][] = [];
  for (const line of lines) {
    const last = found.at(-1);
    if (last && last[1] === line - 1) last[1] = line;
    else found.push([line, line]);
  }
  return found.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
}
