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

/** Joins an lcov report with the source files under `root`/src. */
export function measureCoverage(root: string, lcov: string): Coverage {
  const reported = new Map(parseLcov(lcov).map((entry) => [entry.file, entry]));
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

function parseLcov(lcov: string): FileCoverage[] {
  return lcov.split('end_of_record').flatMap((record) => {
    const file = /^SF:(.*)$/m.exec(record)?.[1];
    if (file === undefined) return [];
    const counts = [...record.matchAll(/^DA:(\d+),(\d+)/gm)].map(
      (match) => [Number(match[1]), Number(match[2])] as const,
    );
    const missed = counts.filter(([, count]) => count === 0).map(([line]) => line);
    return [{ file, lines: counts.length, hit: counts.length - missed.length, missed }];
  });
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
