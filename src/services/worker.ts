/**
 * The service `worker`: background jobs. The asking side of the queues is made where somebody asks, as actors do; the jobs
 * are done where the service runs. Who does the jobs of which queue stands here and nowhere else.
 */
import type { Timer } from '../base/clock.ts';
import { moveEvent } from '../store/audit.ts';
import { RedisDirectory } from '../store/directory.ts';
import type { StandingRedis } from '../store/redis-side.ts';
import { auditRuns } from '../workers/audit-runs.ts';
import { compactDocument, SEGMENTS_MAX } from '../workers/compaction.ts';
import { startRelay } from '../workers/outbox-relay.ts';
import { measureWhenRead } from '../workers/queue-metrics.ts';
import {
  closeQueues,
  createQueues,
  handler,
  QUEUE_NAMES,
  type QueueHandler,
  type Queues,
  startWorkers,
} from '../workers/queues.ts';
import { keepRetention, startRetention } from '../workers/retention.ts';
import { lookAtWork, startScheduler } from '../workers/schedule.ts';
import { snapshotDocument } from '../workers/snapshots.ts';
import { keepVersions } from '../workers/versions.ts';
import type { NodeParts } from './node.ts';

/** The queues, and what works them. */
export interface WorkerService {
  /** Connected when first looked at: most processes ask for nothing. */
  readonly queues: Queues;
  /** Starts doing jobs. */
  start(): void;
  /** Finishes the jobs under way, then lets go. */
  close(): Promise<void>;
}

/** Makes the parts. */
export function createWorkerService(node: NodeParts): WorkerService {
  const { config, clock, log } = node;
  let asking: { readonly redis: StandingRedis; readonly queues: Queues } | null = null;
  const openQueues = (): Queues => {
    if (asking === null) {
      const redis = node.redis.connectStanding('queues');
      asking = { redis, queues: createQueues(redis, log) };
    }
    return asking.queues;
  };
  let working: { readonly redis: StandingRedis; stop(): Promise<void>; readonly timers: Timer[] } | null = null;
  return {
    get queues() {
      return openQueues();
    },
    start() {
      const queues = openQueues();
      const redis = node.redis.connectStanding('worker');
      measureWhenRead({ queues: QUEUE_NAMES.map((name) => queues[name].bull), sql: node.sql }, clock, node.metrics);
      const lost_ms = config.job_lost_s * 1_000;
      const { stop } = startWorkers(redis, handlers(node, queues), { ...node, lost_ms });
      const timers = [
        startScheduler(clock, queues, config.work_interval_s * 1_000),
        startRelay({ ...node, queues, ask_again_ms: 2 * lost_ms }),
        startRetention(clock, queues),
      ];
      working = { redis, stop, timers };
    },
    async close() {
      for (const timer of working?.timers ?? []) timer.cancel();
      await working?.stop();
      if (asking !== null) await closeQueues(asking.queues);
      working?.redis.disconnect();
      asking?.redis.disconnect();
    },
  };
}

/** Who works which queue: an entry a queue. */
function handlers({ sql, clock, random, log, config, redis }: NodeParts, queues: Queues): readonly QueueHandler[] {
  const directory = new RedisDirectory(redis.commands, redis.channels);
  const pace = { pause_ms: config.version_pause_s * 1_000, edits: config.version_edits };
  return [
    handler('schedule', 1, () => lookAtWork({ sql, clock, directory, queues, pace })),
    handler('snapshots', 2, ({ doc_id }) => snapshotDocument(sql, doc_id)),
    handler('versions', 2, ({ doc_id }) => keepVersions({ sql, clock, random }, pace, doc_id)),
    handler('compaction', 1, async ({ doc_id }) => {
      // What is left has its turn behind the other documents.
      if ((await compactDocument({ sql, clock, log }, doc_id)) === SEGMENTS_MAX) queues.compaction.ask({ doc_id });
    }),
    handler('audit', 4, ({ event_id }) => moveEvent(sql, event_id)),
    handler('audit-runs', 2, ({ doc_id }) => auditRuns({ sql, clock, random }, pace.pause_ms, doc_id)),
    handler('retention', 1, () => keepRetention({ sql, clock, log, ...config })),
  ];
}
