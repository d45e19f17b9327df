/**
 * A Chromium for the tests that look at the page. It is a hundred packages and needs the system's libraries, so it is not
 * unpacked into the checkout as Redis is: one on the PATH is used, and where apt and root are at hand it is installed.
 * Everywhere else those tests are left out, and the run says so.
 */
import { say } from './say.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];
const VERSION_MS_MAX = 20_000;
const INSTALL_MS_MAX = 600_000;
const APT = ['apt-get', '-q', '-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::http::Timeout=20'];

/** A Chromium that runs here, or why there is none. */
export type Chromium =
  | { readonly path: string }
  | { readonly path: null /** What is the matter and what to do, as the end of a sentence. */; readonly why: string };

/** Finds a Chromium; with `install`, gets one where that can be done. */
export async function locateChromium(install: boolean): Promise<Chromium> {
  const found = await findOne();
  if (found !== null) return { path: found };
  if (!install) return { path: null, why: 'there is no Chromium here' };
  if (Bun.which('apt-get') === null || process.getuid?.() !== 0)
    return { path: null, why: 'there is no Chromium on the PATH, and installing it takes apt-get and root' };
  say('installing Chromium for the tests of the page (apt-get install chromium, about 400 MB) ...');
  const failure = await installOne();
  const installed = await findOne();
  if (installed !== null) return { path: installed };
  return { path: null, why: `Chromium could not be installed (${failure ?? 'what apt offers here does not run'})` };
}

async function findOne(): Promise<string | null> {
  for (const name of NAMES) {
    const path = Bun.which(name);
    // Some systems put a script there that only says where to get it.
    if (path !== null && (await run([path, '--version'], VERSION_MS_MAX)).ok) return path;
  }
  return null;
}

/** Returns the last line of what went wrong, or null. */
async function installOne(): Promise<string | null> {
  const install = [...APT, 'install', '-y', '--no-install-recommends', 'chromium'];
  if ((await run(install, INSTALL_MS_MAX)).ok) return null;
  // The lists of packages may be old, or were never fetched.
  await run([...APT, 'update'], INSTALL_MS_MAX);
  const second = await run(install, INSTALL_MS_MAX);
  return second.ok ? null : (second.output.trim().split('\n').at(-1) ?? '');
}

async function run(cmd: string[], ms_max: number): Promise<{ readonly ok: boolean; readonly output: string }> {
  const child = Bun.spawn(cmd, {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: ms_max,
  });
  const output = await new Response(child.stderr).text();
  return { ok: (await child.exited) === 0, output };
}
