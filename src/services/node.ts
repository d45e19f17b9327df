/**
 * What every process has, whichever services it runs: its settings, its log, its ways to PostgreSQL and Redis, and who it
 * is.
 */
import { type Clock, systemClock, TIMED_OUT, within } from '../base/clock.ts';
import { createLog, type Log } from '../base/log.ts';
import { createMetrics, type Metrics } from '../base/metrics.ts';
import { type Random, systemRandom } from '../base/random.ts';
import { createReporter, type ErrorReporter } from '../base/sentry.ts';
import type { Config } from '../config.ts';
import { APPLICATION_ROLE, applicationRole } from '../store/app-role.ts';
import type { NodeIdentity } from '../store/heads.ts';
import { migrate } from '../store/migrate.ts';
import { currentDatabase, RenewablePool } from '../store/pool.ts';
import type { Database } from '../store/postgres.ts';
import { openRedis, type RedisSide } from '../store/redis-side.ts';
import { watchPool } from '../store/watchdog.ts';

/** See the head of this file. */
export interface NodeParts {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly reporter: ErrorReporter;
  readonly identity: NodeIdentity;
  readonly sql: Database;
  /** Brings the database into shape; from then on pools work under the role that may do what the server needs. */
  prepareDatabase(): Promise<void>;
  /** That role; null until it is known, and where the login may not take it. */
  readonly databaseRole: () => string | null;
  readonly redis: RedisSide;
  /** Closes the ways to PostgreSQL and Redis. */
  close(): Promise<void>;
}

/** What to do about it, in the log. */
const NO_ROLE = { role: APPLICATION_ROLE, remedy: 'let the login make roles, or make it and grant it to the login' };

/** How long `/readyz` waits for an answer. */
const READY_WITHIN_MS = 2_000;

/** Makes the parts. Nothing is connected yet but by itself. */
export function createNode(config: Config, version: string): NodeParts {
  const random = systemRandom;
  const identity = { node_id: config.node_id ?? `node-${random.id().slice(-12)}`, boot_id: random.id() };
  const services = [...config.services];
  const service = services.length === 4 ? 'all' : services.join(',');
  const log = createLog({ level: config.log_level, service, node_id: identity.node_id });
  const clock = systemClock;
  const application_name = `concord ${identity.node_id}`;
  let role: string | null = null;
  const databaseRole = (): string | null => role;
  const pool = new RenewablePool(config.database_url, { connections_max: 10, application_name, role: databaseRole });
  const probe = new RenewablePool(config.database_url, {
    connections_max: 1,
    application_name: `${application_name} probe`,
  });
  const watchdog = watchPool(pool, probe, clock, log);
  const redis = openRedis(config, { name: `concord:${identity.node_id}`, log });
  return {
    config,
    clock,
    random,
    log,
    metrics: createMetrics(),
    reporter: createReporter(config.sentry_dsn, { release: version, node_id: identity.node_id }),
    identity,
    sql: currentDatabase(pool),
    async prepareDatabase() {
      await migrate(pool.current());
      role = await applicationRole(pool.current());
      if (role === null) log.warn(NO_ROLE, 'the database is used as its owner, who could empty the audit log');
      else pool.renew();
    },
    databaseRole,
    redis,
    async close() {
      redis.close();
      await watchdog.stop();
      await pool.close();
    },
  };
}

/** Whether PostgreSQL and Redis answer. */
export async function storesAnswer(node: NodeParts): Promise<{ ok: true } | { ok: false; reason: string }> {
  const answers = async (name: string, ask: Promise<unknown>): Promise<string | null> => {
    const answer = await within(node.clock, READY_WITHIN_MS, ask).catch(() => TIMED_OUT);
    return answer === TIMED_OUT ? name : null;
  };
  const silent = await Promise.all([answers('PostgreSQL', node.sql`SELECT 1`), answers('Redis', node.redis.answers())]);
  const named = silent.filter((name) => name !== null);
  return named.length === 0 ? { ok: true } : { ok: false, reason: `${named.join(' and ')} does not answer` };
}
