/** What the Dockerfile puts into the image: the files that its last stage copies, those left out that .dockerignore names. */
import { copyFileSync, mkdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from '../../bin/lib/paths.ts';
import { runFolder, uniqueName } from '../support/environment.ts';
import { readDockerfile } from './compose.ts';

/** Paths that COPY names in the build context, of all stages. */
export function copiedSources(): string[] {
  return readDockerfile()
    .filter(({ name, rest }) => name === 'COPY' && !rest.includes('--from='))
    .flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1));
}

/** Whether a file reaches the builder: the last line of .dockerignore that fits it, or a folder above it, decides. */
export function isSent(file: string): boolean {
  const lines = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
  const parts = file.split('/');
  const above = parts.map((_, i) => parts.slice(0, i + 1).join('/'));
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .reduce((sent, line) => {
      const glob = new Bun.Glob(line.replace(/^!/, ''));
      return above.some((path) => glob.match(path)) ? line.startsWith('!') : sent;
    }, true);
}

/** Files of this checkout that are in the image, its packages aside. */
export function imageFiles(): string[] {
  const files = copiedSources().flatMap((source) =>
    statSync(join(ROOT, source)).isDirectory()
      ? [...new Bun.Glob(`${source}/**/*`).scanSync({ cwd: ROOT, dot: true, onlyFiles: true })]
      : [source],
  );
  return [...new Set(files)].filter(isSent).sort();
}

/** A folder with these files and the checkout's packages: /app of the image. */
export function makeImageFolder(): string {
  const folder = runFolder(uniqueName('image'));
  for (const file of imageFiles()) {
    mkdirSync(join(folder, dirname(file)), { recursive: true });
    copyFileSync(join(ROOT, file), join(folder, file));
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}
