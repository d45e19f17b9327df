/**
 * The relay from the outbox to the `audit` queue: what waits there is asked for, some time later again, until it has
 * moved to the audit log and is gone from the outbox. It is every worker's own timer rather than a job, because it is what
 * brings jobs back after Redis lost them. Why nothing is lost or doubled is told in src/store/outbox.ts.
 *
 * It looks at the outbox, an index look-up that mostly finds nothing, instead of being woken: a notification would cost
 * every audited transaction a lock that all of them share, and would still need the look behind it.
 */
import type { Clock, Timer } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { takeTurns } from '../store/outbox.ts';
import type { Database } from '../store/postgres.ts';
import type { Queues } from './queues.ts';

/** How often the outbox is looked at. */
export const RELAY_EVERY_MS = 1_000;
/** Events asked for at once; the next look takes more once Redis has taken these. */
const BATCH = 500;

/** What the relay works with. */
export interface RelayParts {
  readonly sql: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly queues: Queues;
  /** When an event that was asked for and still waits is asked for again. */
  readonly ask_again_ms: number;
}

/** Asks for the events whose turn it is, once; returns how many. None while Redis has not taken those before. */
export async function relayOnce({ sql, clock, queues, ask_again_ms }: Omit<RelayParts, 'log'>): Promise<number> {
  if (queues.audit.unsent >= BATCH) return 0;
  const now = clock.now();
  const turn = { now: new Date(now), next_turn: new Date(now + ask_again_ms), count: BATCH };
  const ids = await takeTurns(sql, turn);
  for (const event_id of ids) queues.audit.ask({ event_id });
  return ids.length;
}

/** Relays until it is cancelled, one look at a time. */
export function startRelay(parts: RelayParts): Timer {
  let looking = false;
  return parts.clock.every(RELAY_EVERY_MS, () => {
    if (looking) return;
    looking = true;
    relayOnce(parts)
      .catch((error: unknown) => parts.log.debug({ error }, 'the outbox could not be read; it is read again soon'))
      .finally(() => {
        looking = false;
      });
  });
}
