/**
 * What others say a Compose file, a Dockerfile and Kubernetes manifests must look like, for the tests of deploy/. They are
 * packages that nothing else needs, so they are not among those of the checkout: the tests have them unpacked into
 * `.concord/schemas`, once, in the versions of test/deploy/schemas/bun.lock. Where they cannot be had, the checks that need
 * them are left out, and the run says so.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, STATE } from './paths.ts';
import { say } from './say.ts';

const SOURCE = join(ROOT, 'test/deploy/schemas');
const FOLDER = join(STATE, 'schemas');
/** Holds the lock file that was installed: it is there when the installation was finished. */
const STAMP = join(FOLDER, 'installed');
const INSTALL_MS_MAX = 120_000;

/** The folder whose node_modules has them, or why there is none. */
export type Schemas =
  | { readonly path: string }
  | { readonly path: null /** What is the matter, as the end of a sentence. */; readonly why: string };

/** Finds them; with `fetch`, gets them where that can be done. */
export async function locateSchemas(fetch: boolean): Promise<Schemas> {
  const lock = readFileSync(join(SOURCE, 'bun.lock'), 'utf8');
  if (readStamp() === lock) return { path: FOLDER };
  if (!fetch) return { path: null, why: 'the schemas of Compose and Kubernetes are not here' };
  say('fetching the schemas of Compose and Kubernetes into .concord for the tests, once (about 30 MB) ...');
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER);
  for (const file of ['package.json', 'bun.lock']) cpSync(join(SOURCE, file), join(FOLDER, file));
  const child = Bun.spawn([process.execPath, 'install', '--frozen-lockfile', '--ignore-scripts', '--no-summary'], {
    cwd: FOLDER,
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: INSTALL_MS_MAX,
  });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) !== 0)
    return { path: null, why: `their packages could not be installed (${said.trim().split('\n').at(-1) ?? ''})` };
  writeFileSync(STAMP, lock);
  return { path: FOLDER };
}

function readStamp(): string {
  try {
    return readFileSync(STAMP, 'utf8');
  } catch {
    return '';
  }
}
