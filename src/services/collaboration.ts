/**
 * The service `collaboration`: the document actors, the journal, and the WebSocket doors. Other services of the same
 * process read through its gateway; where it does not run, nothing here ever claims a document.
 */
import type { DocumentGateway, Signals } from '../actors/gateway.ts';
import { Heartbeat } from '../actors/heartbeat.ts';
import { Journal } from '../actors/journal.ts';
import { LocalGateway } from '../actors/local-gateway.ts';
import { Locator } from '../actors/locator.ts';
import { Registry } from '../actors/registry.ts';
import { SIGNAL_CHANNEL, SignalBus } from '../actors/signal-bus.ts';
import { TIMES } from '../protocol/limits.ts';
import { countSubscribers, EventPublisher } from '../store/channels.ts';
import { nodeChannel, RedisDirectory } from '../store/directory.ts';
import { sqlDocumentStore, sqlJournalStore } from '../store/document-store.ts';
import { RenewablePool } from '../store/pool.ts';
import { connectRedis } from '../store/redis.ts';
import { type Doors, openDoors } from '../ws/doors.ts';
import { SocketHub } from '../ws/hub.ts';
import { RightsWatch } from '../ws/rights.ts';
import type { DoorParts } from '../ws/session.ts';
import { TopicFanout } from '../ws/topics.ts';
import type { NodeParts } from './node.ts';

/** What the service gives to the process. */
export interface CollaborationService {
  readonly gateway: DocumentGateway;
  readonly signals: Signals;
  readonly fanout: TopicFanout;
  /** Opens the doors; sockets are authenticated by `authenticate`. */
  doors(authenticate: DoorParts['authenticate']): Doors;
  /** Says that this node lives and begins to listen to others. */
  start(): Promise<void>;
  /** Writes everything, gives every document up and closes all sockets with 1012. */
  drain(limit_ms: number): Promise<void>;
  close(): Promise<void>;
}

/** How often the journal's backlog is measured. */
const MEASURE_EVERY_MS = 1_000;
/** A node that leaves spreads its goodbyes over this time. */
const GOODBYE_SPREAD_MS = 500;

/** Makes the parts. */
export function createCollaborationService(
  node: NodeParts,
  snapshotDue: (doc_id: string) => void,
): CollaborationService {
  const { clock, random, log, metrics, sql, redis, identity, config } = node;
  const directory = new RedisDirectory(redis);
  const signals = new SignalBus(identity.boot_id, redis, log);
  const pool = new RenewablePool(config.database_url, {
    connections_max: 2,
    application_name: `concord ${identity.node_id} journal`,
    role: node.databaseRole,
  });
  const store = sqlDocumentStore(sql);
  const journal = new Journal({
    store: sqlJournalStore(pool),
    clock,
    log,
    observer: {
      flushed(rows, outcome) {
        metrics.journal_batch_rows.observe(rows);
        metrics.journal_flushes.inc({ outcome });
      },
      acked: (latency_ms) => metrics.ack_latency.observe(latency_ms / 1000),
    },
  });
  const claimed = (outcome: string): void => metrics.claims.inc({ outcome });
  const locator = new Locator({ node: identity, store, directory, clock, random, log, claimed });
  const publisher = new EventPublisher(redis, clock);
  const fanout = new TopicFanout(publisher, () => metrics.redis_publish_failures.inc());
  const registry = new Registry({
    clock,
    random,
    log,
    store,
    journal,
    locator,
    fanout,
    observer: {
      edits: (door, count) => metrics.edits.inc({ door }, count),
      fannedOut: (duration_ms) => metrics.fanout_latency.observe(duration_ms / 1000),
      crashed: () => metrics.actor_crashes.inc(),
      fenced: () => metrics.fenced.inc(),
      open: (actors) => metrics.open_actors.set(actors),
      sized(doc_id, news, bytes) {
        metrics.documents_sized.inc({ news });
        const said = news === 'warned' ? 'is near the size that it may have' : 'is full; an edit was refused';
        log[news === 'warned' ? 'warn' : 'debug']({ doc_id, bytes }, `the document ${said}; see DOCUMENT_BYTES_MAX`);
      },
    },
    document_bytes_max: config.document_bytes_max,
    subscribersElsewhere: (doc_ids) => countSubscribers(redis, doc_ids),
    snapshotDue,
  });
  const hub = new SocketHub(clock, registry);
  signals.listen((signal) => hub.signal(signal));
  const heartbeat = new Heartbeat(identity, directory, clock, log, {
    suspect: (suspect) => void registry.suspect(suspect),
  });
  const subscriber = connectRedis(config.redis_url, {
    name: `concord:${identity.node_id}:listen`,
    kind: 'standing',
    log,
  });
  const rights = new RightsWatch({
    clock,
    log,
    sql,
    away: () => subscriber.status !== 'ready',
    holders: () => hub.members,
    act: (signal) => hub.signal(signal),
  });
  signals.listen((signal) => rights.heard(signal));
  subscriber.on('message', (channel, message) => {
    if (channel === SIGNAL_CHANNEL) signals.receive(message);
  });
  const measuring = clock.every(MEASURE_EVERY_MS, () => {
    const { revs, oldest_ms } = journal.backlog();
    metrics.journal_backlog.set(revs);
    metrics.journal_lag.set(oldest_ms / 1000);
  });
  return {
    gateway: new LocalGateway(registry, sql, clock),
    signals,
    fanout,
    doors: (authenticate) =>
      openDoors({
        clock,
        random,
        log,
        metrics,
        sql,
        documents: registry,
        hub,
        authenticate,
        reportError: (error, context) => node.reporter.report(error, context),
      }),
    async start() {
      // Asked for again whenever the connection returns, to know when that is done: what was sent until then was missed.
      const listen = () => subscriber.subscribe(SIGNAL_CHANNEL, nodeChannel(identity)).then(() => rights.look());
      subscriber.on('ready', () => void listen().catch(() => {}));
      // A Redis that is away now must not stop us.
      void listen().catch(() => {});
      await heartbeat.start();
    },
    async drain(limit_ms) {
      await registry.drain(Math.min(limit_ms, TIMES.drain_ms));
      await hub.closeAll(GOODBYE_SPREAD_MS);
    },
    async close() {
      measuring.cancel();
      hub.stop();
      rights.stop();
      registry.close();
      publisher.flush();
      await heartbeat.stop();
      subscriber.disconnect();
      await pool.close();
    },
  };
}
