/**
 * Everything that Concord counts, in one object, so that the list of what can be seen from outside is this file. Each
 * process makes one; the floors above are handed it and set what is theirs. Labels take few values, all known
 * beforehand: a label that a caller can fill would grow memory without bound.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { Distribution } from './distribution.ts';

/** The metrics of a process. Times are seconds. */
export type Metrics = ReturnType<typeof createMetrics>;

/** Request and acknowledgement times: from half a millisecond, which a local commit takes, to a stalled disk. */
const LATENCY_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Fan-out happens within one turn of the event loop. */
const FANOUT_BUCKETS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5];

/** Rows of a group commit, up to its limit. */
const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];

/** A job reads and writes a document's history: milliseconds as a rule, minutes at worst. */
const JOB_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** What prom-client measures of Node.js and Bun has nothing to say about: handles, V8's heap spaces and its collector. */
const NOT_ON_BUN = /^nodejs_(active_|heap_space_|gc_)/;

/** How often the event loop's lag is looked at: each look wakes the process up. */
const LAG_PRECISION_MS = 200;

/** Makes the metrics of a process, its CPU, memory and event-loop lag among them. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_PRECISION_MS });
  for (const { name } of registry.getMetricsAsArray()) if (NOT_ON_BUN.test(name)) registry.removeSingleMetric(name);
  return {
    registry,
    http_request_duration: new Histogram({
      name: 'http_request_duration_seconds',
      help: 'Time from the arrival of a request to its response, by route template',
      labelNames: ['method', 'route', 'status'],
      buckets: LATENCY_BUCKETS,
      registers,
    }),
    open_actors: new Gauge({ name: 'concord_open_actors', help: 'Documents open on this node', registers }),
    sockets: new Gauge({
      name: 'concord_sockets',
      help: 'Open sockets, by door',
      labelNames: ['door'],
      registers,
    }),
    edits: new Counter({
      name: 'concord_edits_total',
      help: 'Edits applied, by the door they came through',
      labelNames: ['door'],
      registers,
    }),
    ...journalMetrics(registers),
    ack_latency: new Distribution({
      name: 'concord_ack_latency_seconds',
      help: 'Time from the arrival of an edit to its acknowledgement',
      buckets: LATENCY_BUCKETS,
      registers,
    }),
    fanout_latency: new Distribution({
      name: 'concord_fanout_latency_seconds',
      help: 'Time from the arrival of an edit to its being handed to all local sockets',
      buckets: FANOUT_BUCKETS,
      registers,
    }),
    claims: new Counter({
      name: 'concord_claims_total',
      help: 'Attempts to become the owner of a document, by outcome',
      labelNames: ['outcome'],
      registers,
    }),
    actor_crashes: new Counter({
      name: 'concord_actor_crashes_total',
      help: 'Document actors that died of a bug',
      registers,
    }),
    redis_publish_failures: new Counter({
      name: 'concord_redis_publish_failures_total',
      help: 'Messages that Redis did not take',
      registers,
    }),
    frames_refused: new Counter({
      name: 'concord_frames_refused_total',
      help: 'Socket frames refused, by door and reason',
      labelNames: ['door', 'reason'],
      registers,
    }),
    documents_sized: new Counter({
      name: 'concord_documents_sized_total',
      help: 'Documents that came near the size that they may have (warned), and edits refused there (refused)',
      labelNames: ['news'],
      registers,
    }),
    rate_limited: new Counter({
      name: 'concord_rate_limited_total',
      help: 'What rate limits refused, by limit',
      labelNames: ['limit'],
      registers,
    }),
    ...clusterMetrics(registers),
    ...jobMetrics(registers),
  };
}

function clusterMetrics(registers: Registry[]) {
  return {
    links: new Gauge({
      name: 'concord_links',
      help: 'Links to other nodes, by the end that this node is of them: gateway (it has sockets) or owner (it has actors)',
      labelNames: ['end'],
      registers,
    }),
    links_broken: new Counter({
      name: 'concord_links_broken_total',
      help: 'Links to owners that broke because the owner was gone or did not know of us any more',
      registers,
    }),
    link_packets_resent: new Counter({
      name: 'concord_link_packets_resent_total',
      help: 'Packets to other nodes that were sent again because no acknowledgement came',
      registers,
    }),
    remote_commands: new Counter({
      name: 'concord_remote_commands_total',
      help: 'Commands from gateways that this node took as an owner, by kind',
      labelNames: ['kind'],
      registers,
    }),
    channel_gaps: new Counter({
      name: 'concord_channel_gaps_total',
      help: 'Gaps in channels of documents of other nodes, found or feared and asked about, and filled by the owner',
      labelNames: ['outcome'],
      registers,
    }),
    bus_lag: new Gauge({
      name: 'concord_bus_lag_seconds',
      help: 'How long the last message of this node to itself took through Redis',
      registers,
    }),
  };
}

function jobMetrics(registers: Registry[]) {
  // What stands in Redis and PostgreSQL: they are asked when somebody reads the metrics, and not before.
  const measurements: (() => Promise<void>)[] = [];
  const collect = async (): Promise<void> => {
    await Promise.all(measurements.map((measure) => measure()));
  };
  return {
    jobs: new Counter({
      name: 'concord_jobs_total',
      help: 'Background jobs finished, by queue and outcome',
      labelNames: ['queue', 'outcome'],
      registers,
    }),
    job_duration: new Histogram({
      name: 'concord_job_duration_seconds',
      help: 'Time that one run of a background job took, by queue and outcome',
      labelNames: ['queue', 'outcome'],
      buckets: JOB_BUCKETS,
      registers,
    }),
    queue_jobs: new Gauge({
      name: 'concord_queue_jobs',
      help: 'Background jobs in a queue, by state; absent while Redis does not answer',
      labelNames: ['queue', 'state'],
      registers,
      collect,
    }),
    queue_oldest: new Gauge({
      name: 'concord_queue_oldest_seconds',
      help: 'Age of the job that has been waiting for longest; 0 when none waits, absent while Redis does not answer',
      labelNames: ['queue'],
      registers,
      collect,
    }),
    outbox_rows: new Gauge({
      name: 'concord_outbox_rows',
      help: 'Events on their way to the audit log; absent while PostgreSQL does not answer',
      registers,
      collect,
    }),
    outbox_oldest: new Gauge({
      name: 'concord_outbox_oldest_seconds',
      help: 'Age of the oldest event on its way to the audit log; 0 when there is none, absent while PostgreSQL does not answer',
      registers,
      collect,
    }),
    /** Has `measure` set gauges whenever the metrics are read. It is called more than once a reading and must not reject. */
    whenRead(measure: () => Promise<void>): void {
      measurements.push(measure);
    },
  };
}

function journalMetrics(registers: Registry[]) {
  return {
    journal_lag: new Gauge({
      name: 'concord_journal_lag_seconds',
      help: 'Age of the oldest edit that is not on disk yet; 0 when there is none',
      registers,
    }),
    journal_backlog: new Gauge({
      name: 'concord_journal_backlog_revs',
      help: 'Edits that are not on disk yet',
      registers,
    }),
    journal_batch_rows: new Distribution({
      name: 'concord_journal_batch_rows',
      help: 'Rows written by one group commit',
      buckets: BATCH_BUCKETS,
      registers,
    }),
    journal_flushes: new Counter({
      name: 'concord_journal_flushes_total',
      help: 'Group commits, by outcome',
      labelNames: ['outcome'],
      registers,
    }),
    fenced: new Counter({
      name: 'concord_fenced_total',
      help: 'Documents that this node lost to another owner',
      registers,
    }),
  };
}
