/**
 * An nginx for the tests that stand behind the load balancer. One on the PATH is used; otherwise the system's own package is
 * unpacked into `.concord/nginx`, as apt.ts tells. Where neither can be had those tests are left out, and the run says so.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Program, unpackedProgram, unpackPackage, versionText } from './apt.ts';
import { STATE } from './paths.ts';
import { say } from './say.ts';

const UNPACKED = join(STATE, 'nginx');

/** An nginx that runs here, or why there is none. */
export type Nginx =
  | Program
  | { readonly path: null /** What is the matter and what to do, as the end of a sentence. */; readonly why: string };

/** Finds an nginx; with `fetch`, gets one where that can be done. */
export async function locateNginx(fetch: boolean): Promise<Nginx> {
  const known: Program[] = [];
  const path = Bun.which('nginx', { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/usr/local/sbin` });
  if (path !== null) known.push({ path, libraries: '' });
  if (existsSync(UNPACKED)) known.push(unpackedProgram(UNPACKED, 'usr/sbin/nginx'));
  for (const program of known) if (await runs(program)) return program;
  if (!fetch) return { path: null, why: 'there is no nginx here' };
  say('no nginx on the PATH: fetching one with apt into .concord for the tests, once ...');
  try {
    const instead = 'Install nginx (apt-get install nginx-light) to run them.';
    await unpackPackage({ name: 'nginx-light', title: 'nginx', folder: UNPACKED, instead });
  } catch (error) {
    // Others say it on lines of their own.
    return { path: null, why: (error as Error).message.replace(/\s+/g, ' ').replace(/\.$/, '') };
  }
  const fetched = unpackedProgram(UNPACKED, 'usr/sbin/nginx');
  return (await runs(fetched)) ? fetched : { path: null, why: `what apt offers, fetched to ${UNPACKED}, does not run` };
}

async function runs(program: Program): Promise<boolean> {
  return /nginx version/.test(await versionText(program, '-v'));
}
