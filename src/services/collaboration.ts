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
import { answerCall, RoutedGateway } from '../actors/remote/routed-gateway.ts';
import { DocumentRouter } from '../actors/remote/router.ts';
import { Switchboard } from '../actors/remote/switchboard.ts';
import { SIGNAL_CHANNEL, SignalBus } from '../actors/signal-bus.ts';
import type { RateLimits } from '../domain/rate-limits.ts';
import { TIMES } from '../protocol/limits.ts';
import { documentChannel, EventPublisher } from '../store/channels.ts';
import { RedisDirectory } from '../store/directory.ts';
import { sqlDocumentStore, sqlJournalStore } from '../store/document-store.ts';
import { RenewablePool } from '../store/pool.ts';
import { type Doors, openDoors } from '../ws/doors.ts';
import { SocketHub } from '../ws/hub.ts';
import type { DoorParts } from '../ws/parts.ts';
import { RightsWatch } from '../ws/rights.ts';
import { SocketLimits } from '../ws/socket-limits.ts';
import { TopicFanout } from '../ws/topics.ts';
import { type Cluster, createCluster } from './cluster.ts';
import type { NodeParts } from './node.ts';

/** What the service gives to the process. */
export interface CollaborationService {
  readonly gateway: DocumentGateway;
  readonly signals: Signals;
  readonly fanout: TopicFanout;
  /** For operators. */
  readonly cluster: Cluster;
  /** Opens the doors; sockets are authenticated by `authenticate`. */
  doors(authenticate: DoorParts['authenticate']): Doors;
  /** Says that this node lives and begins to listen to others: without actors of its own it still asks theirs. */
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
  limits: RateLimits | null,
): CollaborationService {
  const { clock, random, log, metrics, sql, redis, identity, config } = node;
  const directory = new RedisDirectory(redis.commands, redis.channels);
  const signals = new SignalBus(identity.boot_id, redis.channels, log);
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
  const publisher = new EventPublisher(redis.channels, clock);
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
    subscribersElsewhere: (doc_ids) => redis.channels.listeners(doc_ids.map(documentChannel)),
    snapshotDue,
  });
  const bus = redis.openBus(clock, log);
  const local = new LocalGateway(registry, sql, clock);
  const switchboard = new Switchboard({
    node: identity,
    bus,
    clock,
    random,
    log,
    desk: {
      clock,
      registry,
      store,
      log,
      call: (name, args) =>
        name === 'actors' ? Promise.resolve(cluster.own(...(args as [string, number]))) : answerCall(local, name, args),
      commanded: (kind) => metrics.remote_commands.inc({ kind }),
    },
    observer: {
      links: (end, count) => metrics.links.set({ end }, count),
      resent: (packets) => metrics.link_packets_resent.inc(packets),
      broken: () => metrics.links_broken.inc(),
      lag: (duration_ms) => metrics.bus_lag.set(duration_ms / 1000),
    },
    lives: (peer) => locator.lives(peer),
  });
  const gap = (outcome: string): void => metrics.channel_gaps.inc({ outcome });
  const router = new DocumentRouter({ clock, log, bus, fanout, registry, switchboard, gap });
  const hub = new SocketHub(clock, router);
  const cluster = createCluster(node, registry, switchboard, () => hub.size);
  signals.listen((signal) => hub.signal(signal));
  const heartbeat = new Heartbeat(identity, directory, clock, log, {
    suspect: (suspect) => void registry.suspect(suspect),
  });
  const rights = new RightsWatch({
    clock,
    log,
    sql,
    away: () => bus.away,
    holders: () => hub.members,
    act: (signal) => hub.signal(signal),
  });
  signals.listen((signal) => rights.heard(signal));
  bus.listen({
    message: (channel, message) => {
      if (channel === SIGNAL_CHANNEL) signals.receive(new TextDecoder().decode(message));
    },
    // What was sent until now may have been missed.
    connected: () => {
      heartbeat.now();
      void rights.look();
    },
  });
  const measuring = clock.every(MEASURE_EVERY_MS, () => {
    const { revs, oldest_ms } = journal.backlog();
    metrics.journal_backlog.set(revs);
    metrics.journal_lag.set(oldest_ms / 1000);
  });
  const socket_limits = limits === null ? null : new SocketLimits(limits, clock);
  return {
    gateway: new RoutedGateway({
      local,
      isHere: (doc_id) => registry.peek(doc_id) !== null,
      owner: (doc_id) => locator.owner(doc_id),
      call: (owner, name, args, limit_ms) => switchboard.call(owner, name, args, limit_ms),
    }),
    signals,
    fanout,
    cluster,
    doors: (authenticate) =>
      openDoors({
        clock,
        random,
        log,
        metrics,
        sql,
        documents: router,
        hub,
        names: fanout.names,
        cors_origins: config.cors_origins,
        limits: socket_limits,
        authenticate,
        reportError: (error, context) => node.reporter.report(error, context),
      }),
    async start() {
      const { services } = config;
      // A Redis that is away now must not stop us: it is subscribed to when it comes.
      if (services.has('collaboration')) bus.subscribe(SIGNAL_CHANNEL).catch(() => {});
      // Whoever reads documents asks their owners; others listen when they first ask.
      if (services.has('collaboration') || services.has('documents')) void switchboard.listen();
      await heartbeat.start();
      cluster.start();
    },
    async drain(limit_ms) {
      await registry.drain(Math.min(limit_ms, TIMES.drain_ms));
      await hub.closeAll(GOODBYE_SPREAD_MS);
    },
    async close() {
      measuring.cancel();
      hub.stop();
      rights.stop();
      socket_limits?.stop();
      router.close();
      registry.close();
      publisher.flush();
      await switchboard.close();
      await Promise.all([heartbeat.stop(), cluster.stop()]);
      bus.close();
      await pool.close();
    },
  };
}
