/**
 * Servers of the system's own packages without installing them: where there is apt, a package is downloaded, checked by apt
 * against its keys, and unpacked into a folder of ours with the libraries that this machine lacks. Nothing is installed, so
 * no root is needed and the system stays as it is.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { STATE } from './paths.ts';
import { explain, Problem, say } from './say.ts';

const APT_LISTS = join(STATE, 'apt');

/** A program, and what it takes to run it. */
export interface Program {
  readonly path: string;
  /** Folders with the libraries it needs beside the system's, as for LD_LIBRARY_PATH; empty if none. */
  readonly libraries: string;
}

/** What to unpack. */
export interface Wanted {
  /** Name of the Debian package. */
  readonly name: string;
  /** What messages call it. */
  readonly title: string;
  /** Where to; the folder appears whole or not at all. */
  readonly folder: string;
  /** Sentences that say what else can be done. */
  readonly instead: string;
}

/** Downloads and unpacks a package. Throws a {@link Problem} that says why it could not, and what to do. */
export async function unpackPackage(wanted: Wanted): Promise<void> {
  const { title, folder, instead } = wanted;
  if (!Bun.which('apt-get') || !Bun.which('dpkg')) {
    throw new Problem(`there is no ${title} on the PATH, and it can be fetched only where there is apt. ${instead}`);
  }
  const part = `${folder}.part`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(join(part, 'packages'), { recursive: true });
  const packages = (await missingPackages(wanted, [])) ?? (await missingPackagesOfFreshLists(wanted));
  const downloaded = await download(wanted, packages, join(part, 'packages'));
  if (!downloaded.ok) {
    throw new Problem(explain(`apt could not download ${title}:\n${downloaded.said}\n${instead}`, downloaded.said));
  }
  for (const file of readdirSync(join(part, 'packages'))) {
    const unpacked = await run(['dpkg', '-x', join(part, 'packages', file), part]);
    if (!unpacked.ok) throw new Problem(explain(`dpkg could not unpack ${file}: ${unpacked.said}`, unpacked.said));
  }
  rmSync(join(part, 'packages'), { recursive: true });
  rmSync(APT_LISTS, { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
  renameSync(part, folder);
}

/** A program of a package that {@link unpackPackage} unpacked, whether it is there or not. */
export function unpackedProgram(folder: string, path: string): Program {
  const libraries = ['usr/lib', 'lib'].flatMap((top) => foldersWithLibraries(join(folder, top)));
  return { path: join(folder, path), libraries: libraries.join(':') };
}

/** All that a program says when asked for its version; empty when it does not run. */
export async function versionText(program: Program, option: string): Promise<string> {
  const { ok, out, said } = await run([program.path, option], { LD_LIBRARY_PATH: program.libraries || undefined });
  return ok ? `${out}${said}` : '';
}

function foldersWithLibraries(top: string): string[] {
  if (!existsSync(top)) return [];
  const files = readdirSync(top, { recursive: true, encoding: 'utf8' }).filter((file) => /\.so(\.|$)/.test(file));
  return [...new Set(files.map((file) => dirname(join(top, file))))];
}

interface Packages {
  readonly names: readonly string[];
  readonly aptOptions: readonly string[];
}

/** The package and those of its dependencies that are not installed here; null when apt's lists do not know it. */
async function missingPackages({ name }: Wanted, aptOptions: readonly string[]): Promise<Packages | null> {
  const asked = await run(['apt-get', ...aptOptions, '--simulate', '--no-install-recommends', 'install', name]);
  const names = [...asked.out.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? '');
  // Without the package among them it is installed already, in a version too old or not on the PATH.
  return asked.ok && names.includes(name) ? { names, aptOptions } : null;
}

// The system's lists are empty (as in a container image) or old: fetch them into a place of our own, which needs no root.
async function missingPackagesOfFreshLists(wanted: Wanted): Promise<Packages> {
  mkdirSync(join(APT_LISTS, 'lists/partial'), { recursive: true });
  mkdirSync(join(APT_LISTS, 'cache/archives/partial'), { recursive: true });
  const aptOptions = Object.entries({
    'Dir::State::Lists': join(APT_LISTS, 'lists'),
    'Dir::Cache': join(APT_LISTS, 'cache'),
    // As root, apt would go on as a user that may not write here.
    'APT::Sandbox::User': 'root',
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  say("fetching apt's package lists into .concord, once ...");
  const updated = await run(['apt-get', ...aptOptions, '--error-on=any', 'update']);
  const packages = await missingPackages(wanted, aptOptions);
  if (packages) return packages;
  const said = updated.ok ? `its lists hold no ${wanted.name} that can be had here.` : `\n${updated.said}\n`;
  throw new Problem(explain(`apt could not find ${wanted.title}: ${said} ${wanted.instead}`, said));
}

async function download(wanted: Wanted, packages: Packages, folder: string): Promise<Ran> {
  const once = (from: Packages) => run(['apt-get', ...from.aptOptions, 'download', ...from.names], {}, folder);
  const downloaded = await once(packages);
  if (downloaded.ok || packages.aptOptions.length > 0) return downloaded;
  // Lists that are older than the mirror name files that are gone from it.
  return once(await missingPackagesOfFreshLists(wanted));
}

interface Ran {
  readonly ok: boolean;
  readonly out: string;
  readonly said: string;
}

async function run(cmd: string[], env: Record<string, string | undefined> = {}, cwd = '/'): Promise<Ran> {
  try {
    const child = Bun.spawn(cmd, {
      cwd,
      env: { ...process.env, LC_ALL: 'C', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // apt would otherwise go on after a command that was told to stop.
    const kill = () => child.kill();
    process.once('exit', kill);
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    process.off('exit', kill);
    return { ok: code === 0, out, said: (err || out).trim() };
  } catch (error) {
    return { ok: false, out: '', said: (error as Error).message };
  }
}
