/**
 * What bin/test has brought up for the tests of this run. Everything that a test starts is written down in the run's folder
 * as well, so that nothing outlives the run even when the test process is killed.
 */
import { join } from 'node:path';
import { makePassable } from '../../bin/lib/paths.ts';
import { locatePostgres, type PostgresInstall } from '../../bin/lib/postgres.ts';
import { locateRedis, type RedisInstall } from '../../bin/lib/redis.ts';

/** A setting of this run; throws when the tests were not started through bin/test. */
export function fromRun(name: 'CONCORD_TEST_DIR' | 'CONCORD_TEST_DATABASE_URL'): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the tests with bin/test, for one file with bin/test <path>`);
  return value;
}

/** The records of what this run started; see bin/lib/processes.ts. */
export const recordsFolder = (): string => join(fromRun('CONCORD_TEST_DIR'), 'processes');

/** A cluster that bin/test made and nothing ever started, to copy from, and the password of its user. */
export const templateCluster = (): string => join(fromRun('CONCORD_TEST_DIR'), 'template-cluster');

let counter = 0;

/** A name that is unique within the run, for a process, a folder or a database. */
export function uniqueName(kind: string): string {
  counter += 1;
  return `${kind}_${process.pid}_${counter}`;
}

/** A new folder of this name in the run's folder, removed with it; PostgreSQL's own user may pass through it. */
export function runFolder(name: string): string {
  const path = join(fromRun('CONCORD_TEST_DIR'), name);
  makePassable(path);
  return path;
}

let postgres: PostgresInstall | undefined;
let redis: Promise<RedisInstall> | undefined;

export function postgresInstall(): PostgresInstall {
  postgres ??= locatePostgres();
  return postgres;
}

export function redisInstall(): Promise<RedisInstall> {
  redis ??= locateRedis();
  return redis;
}
