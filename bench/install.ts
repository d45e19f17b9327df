/**
 * The servers that Concord is compared with, installed where only they find them: in `bench/peers/node_modules`, beside
 * the scripts that run them. In `bench/node_modules` their Yjs would come before Concord's own for every file of the
 * benchmark, and the types of the two would be taken for one another's.
 *
 * The folder appears whole or not at all, and a stamp within says which lock file it was made from.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, STATE } from '../bin/lib/paths.ts';

const BENCH = join(ROOT, 'bench');
/** Where the scripts of the peers lie. */
export const PEERS = join(BENCH, 'peers');
const INSTALLED = join(PEERS, 'node_modules');
const STAMP = join(INSTALLED, '.concord-installed');

/** Whether all that `bench/bun.lock` names is there. */
export function peersInstalled(): boolean {
  return existsSync(STAMP) && readFileSync(STAMP, 'utf8') === stamp();
}

/** Installs the peers unless they are there. Needs the npm registry; throws with Bun's own words when it fails. */
export function installPeers(): void {
  if (peersInstalled()) return;
  mkdirSync(STATE, { recursive: true });
  const folder = mkdtempSync(join(STATE, 'peers-'));
  try {
    for (const file of ['package.json', 'bun.lock']) cpSync(join(BENCH, file), join(folder, file));
    const ran = Bun.spawnSync([process.execPath, 'install', '--frozen-lockfile', '--no-summary'], {
      cwd: folder,
      stderr: 'pipe',
    });
    if (ran.exitCode !== 0) throw new Error(`the peers could not be installed: ${ran.stderr.toString().trim()}`);
    const made = join(folder, 'node_modules');
    writeFileSync(join(made, '.concord-installed'), stamp());
    rmSync(INSTALLED, { recursive: true, force: true });
    renameSync(made, INSTALLED);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function stamp(): string {
  return Bun.hash(readFileSync(join(BENCH, 'bun.lock'))).toString(36);
}
