/**
 * What is kept no longer than it must be: sessions that are over, used refresh tokens, months of the audit log that are
 * past their time, and in it the addresses of people whose accounts were erased. And what must be there in time: the
 * partitions of this month and the next.
 */
import type { Clock, Timer } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { dropExpiredPartitions, forgetErased, makePartition } from '../store/audit.ts';
import type { Database } from '../store/postgres.ts';
import { deleteEndedSessions, deleteUsedTokens } from '../store/retention.ts';
import type { Queues } from './queues.ts';

/** How often it is done. */
const EVERY_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** For so long a session that is over can still say so. */
const SESSIONS_KEPT_MS = 30 * DAY_MS;
/** Partitions are there this long ahead. */
const AHEAD_MS = 31 * DAY_MS;

/** What retention works with. */
export interface RetentionParts {
  readonly sql: Database;
  readonly clock: Clock;
  readonly log: Log;
  /** Days that the audit log is kept; whole months go once their last day is older. */
  readonly audit_retention_days: number;
  readonly refresh_token_ttl_s: number;
}

/** Does all of it. Safe to run at any time, any number of times. */
export async function keepRetention(parts: RetentionParts): Promise<void> {
  const { sql, clock, log, audit_retention_days, refresh_token_ttl_s } = parts;
  const now = clock.now();
  for (const at of [now, now + AHEAD_MS]) await makePartition(sql, new Date(at));
  const dropped = await dropExpiredPartitions(sql, audit_retention_days);
  const forgotten = await forgetErased(sql);
  // Tokens first: those of a session that is removed go with it, however many they are.
  const tokens = await all(() => deleteUsedTokens(sql, new Date(now - refresh_token_ttl_s * 1_000)));
  const sessions = await all(() => deleteEndedSessions(sql, new Date(now - SESSIONS_KEPT_MS)));
  if (dropped.length + forgotten + sessions + tokens > 0)
    log.info({ dropped, forgotten, sessions, tokens }, 'removed what is past its time');
}

/** Repeats a statement that removes a bounded number of rows until none is left; gives how many there were. */
async function all(removeSome: () => Promise<number>): Promise<number> {
  let sum = 0;
  for (let removed = await removeSome(); removed > 0; removed = await removeSome()) sum += removed;
  return sum;
}

/** Has some worker do it now and every hour, however many processes ask: see startScheduler. */
export function startRetention(clock: Clock, queues: Queues): Timer {
  const ask = (): void => queues.retention.ask({}, { once_in_ms: EVERY_MS / 2 });
  ask();
  return clock.every(EVERY_MS, ask);
}
