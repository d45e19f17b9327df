/** Where a benchmark ran, as far as it matters to a reader: no names of hosts, no paths. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../bin/lib/paths.ts';
import { locatePostgres } from '../bin/lib/postgres.ts';
import { locateRedis } from '../bin/lib/redis.ts';
import { PINNING } from './pin.ts';

/** Lines such as `Bun 1.4.5, Node.js 20.20.2, PostgreSQL 18.4, Redis 7.0.15`. */
export async function machineFacts(): Promise<readonly string[]> {
  const redis = await locateRedis();
  const postgres = process.env.DATABASE_URL
    ? 'the PostgreSQL of DATABASE_URL'
    : `PostgreSQL ${versionIn([join(locatePostgres().home, 'bin', 'postgres'), '--version'])}`;
  const store = process.env.REDIS_URL
    ? 'the Redis of REDIS_URL'
    : `Redis ${versionIn([redis.server, '--version'], { LD_LIBRARY_PATH: redis.libraries })}`;
  const memory = Math.round(totalmem() / 1024 ** 3);
  return [
    `${availableParallelism()} cores of ${cpus()[0]?.model.trim() ?? 'an unknown processor'}, ${memory} GB of memory; ${PINNING}`,
    `Bun ${Bun.version}, Node.js ${versionIn(['node', '--version'])}, ${postgres}, ${store}`,
    `peers: ${peerVersions().join(', ')}`,
  ];
}

function peerVersions(): string[] {
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'bench', 'package.json'), 'utf8')) as {
    dependencies: Readonly<Record<string, string>>;
  };
  return Object.entries(dependencies).map(([name, version]) => `${name} ${version}`);
}

/** The first version number that a command prints. */
function versionIn(cmd: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  try {
    const { stdout } = Bun.spawnSync([...cmd], { env: { ...process.env, ...env }, stderr: 'ignore' });
    return /\d+\.\d+(\.\d+)?/.exec(stdout.toString())?.[0] ?? '(of unknown version)';
  } catch {
    return '(absent)';
  }
}
