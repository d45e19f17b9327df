/**
 * The PostgreSQL of a fuzz that is run by hand. A run of bin/test has one already, and then that is used. What is made
 * here lies where bin/test keeps its own, so that the next bin/test sweeps up after a fuzz that was killed.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makePassable, randomKey, STATE } from '../../bin/lib/paths.ts';
import { freePort } from '../../bin/lib/ports.ts';
import {
  createCluster,
  locatePostgres,
  postgresUrl,
  scratchFolder,
  startPostgresServer,
  THROW_AWAY_SETTINGS,
} from '../../bin/lib/postgres.ts';
import { markOf, stopRecorded } from '../../bin/lib/processes.ts';

/** Makes sure that test/support finds its stores; the answer takes down what was brought up. */
export async function bringUpStores(): Promise<() => Promise<void>> {
  if (process.env.CONCORD_TEST_DIR) return async () => {};
  const install = locatePostgres();
  const folder = scratchFolder(install, STATE, 'concord-test-');
  writeFileSync(join(folder, 'owner.json'), JSON.stringify(markOf(process.pid)));
  const records = join(folder, 'processes');
  const [data, password, port] = [join(folder, 'cluster'), randomKey(), await freePort()];
  createCluster(install, data, { password, throwAway: true });
  const log = join(folder, 'postgres.log');
  await startPostgresServer(install, { data, port, log, name: 'postgres', records, settings: THROW_AWAY_SETTINGS });
  makePassable(records);
  process.env.CONCORD_TEST_DIR = folder;
  process.env.CONCORD_TEST_DATABASE_URL = postgresUrl(port, password);
  return async () => {
    await stopRecorded(records);
    rmSync(folder, { recursive: true, force: true });
  };
}
