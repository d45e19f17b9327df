/**
 * For commands that use what tests use without being run by bin/test: a folder of their own, with a cluster of PostgreSQL to
 * copy from, which is removed in the end together with every process that was started in it.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { randomKey, STATE } from '../../bin/lib/paths.ts';
import { createCluster, locatePostgres, postgresUrl, scratchFolder } from '../../bin/lib/postgres.ts';
import { stopRecorded } from '../../bin/lib/processes.ts';

/** Makes the folder; resolves to what ends and removes everything, which SIGINT and SIGTERM do too. */
export function standAlone(): () => Promise<void> {
  const install = locatePostgres();
  const folder = scratchFolder(install, STATE, 'faults-');
  const password = randomKey();
  createCluster(install, join(folder, 'template-cluster'), { password, throwAway: true });
  process.env.CONCORD_TEST_DIR = folder;
  // Nothing listens there: clusters that are started have this password and a port of their own.
  process.env.CONCORD_TEST_DATABASE_URL = postgresUrl(1, password);
  const end = async (): Promise<void> => {
    await stopRecorded(join(folder, 'processes'));
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void end().then(() => process.exit(130)));
  return end;
}
