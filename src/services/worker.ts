/**
 * The service `worker`: background jobs. The asking side of the queues is made in every process, because actors ask; the
 * jobs are done where the service runs.
 */
import { connectRedis } from '../store/redis.ts';
import { SnapshotQueue } from '../workers/queues.ts';
import { startSnapshotWorker } from '../workers/snapshots.ts';
import type { NodeParts } from './node.ts';

/** The queues, and what works them. */
export interface WorkerService {
  readonly snapshots: SnapshotQueue;
  /** Starts doing jobs. */
  start(): void;
  /** Finishes the jobs under way, then lets go. */
  close(): Promise<void>;
}

/** Makes the parts. */
export function createWorkerService(node: NodeParts): WorkerService {
  const { config, clock, log, sql, metrics, identity } = node;
  const asking = connectRedis(config.redis_url, { name: `concord:${identity.node_id}:queues`, kind: 'standing', log });
  const snapshots = new SnapshotQueue(asking, log);
  let working: { stop(): Promise<void> } | null = null;
  let connection: ReturnType<typeof connectRedis> | null = null;
  return {
    snapshots,
    start() {
      connection = connectRedis(config.redis_url, {
        name: `concord:${identity.node_id}:worker`,
        kind: 'standing',
        log,
      });
      working = startSnapshotWorker({ clock, sql, redis: connection, queue: snapshots, log, metrics });
    },
    async close() {
      await working?.stop();
      await snapshots.close();
      connection?.disconnect();
      asking.disconnect();
    },
  };
}
