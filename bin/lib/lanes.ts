/**
 * Which files of tests run side by side. Most of a run is waiting: for nodes to be missed, for stores to come back, for
 * sockets to be given up. So two processes share what does not mind company, each with a PostgreSQL and ports of its own and
 * a Redis for every file, and what measures time or memory, or fills the processors, has the machine to itself afterwards.
 */

/**
 * Beginnings of paths, after `./`: what goes into the first process, mostly what waits, and as much else as has both take as
 * long. What is named nowhere goes into the second.
 */
export const FIRST: readonly string[] = [
  'test/audit',
  'test/deploy/',
  'test/faults/',
  'test/hostile/frames',
  'test/hostile/openapi',
];

/** What bounds latency, time or memory by less than a busy machine may need, or takes all processors by itself. */
export const ALONE: readonly string[] = [
  'src/domain/content-import',
  'src/domain/sessions',
  'src/http/limits',
  'src/protocol/content/',
  'src/store/rate-counts',
  'src/store/redis',
  'test/browser/',
  'test/faults/cluster-drain',
  'test/faults/hostile',
  'test/hostile/bombs',
  'test/hostile/doors',
  'test/hostile/floods',
  'test/live-rights',
  'test/rate-limits',
  'test/sign-in-timing',
  'test/sim/',
];

export interface Lanes {
  /** Run at the same time, each in a process of its own. */
  readonly beside: readonly (readonly string[])[];
  /** Run in one process after them. */
  readonly alone: readonly string[];
}

/** All files that `bun test` takes for tests by their names, each as `./src/file.test.ts`. */
export function testFiles(root: string): string[] {
  const names = new Bun.Glob('**/*{.,_}{test,spec}.{ts,tsx,mts,cts,js,jsx,mjs,cjs}');
  const found = [...names.scanSync({ cwd: root })].filter((path) => !path.split('/').includes('node_modules'));
  return found.sort().map((path) => `./${path}`);
}

/** Shares files out. */
export function shareOut(files: readonly string[]): Lanes {
  const among = (beginnings: readonly string[]) => (path: string) =>
    beginnings.some((beginning) => path.startsWith(`./${beginning}`));
  const [alone, others] = split(files, among(ALONE));
  return { beside: split(others, among(FIRST)), alone };
}

function split(files: readonly string[], is_first: (path: string) => boolean): [string[], string[]] {
  return [files.filter(is_first), files.filter((path) => !is_first(path))];
}
