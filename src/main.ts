/**
 * The server: settings, parts, listen, drain. This is the only place where everything is known to everything else.
 *
 * It stops in order, so that nothing is lost: it says that it is not ready, takes nothing new, writes and gives up every
 * document, says goodbye to every socket with 1012, answers the requests under way, finishes its jobs, closes its
 * connections and exits with 0; a deadline stands behind all of that.
 */
import packageFile from '../package.json' with { type: 'json' };
import { keepThreadReady } from './actors/past/threads.ts';
import { pause, TIMED_OUT, within } from './base/clock.ts';
import { type Config, ConfigError, readConfig } from './config.ts';
import { DashboardSessions } from './domain/dashboard-sessions.ts';
import type { QueueBoard } from './domain/queue-board.ts';
import { ADMIN_PATH, BOARD_PATH } from './http/admin-guard.ts';
import { createHttpApp } from './http/app.ts';
import type { EndpointServices } from './http/endpoint.ts';
import { HttpLimits } from './http/limits.ts';
import { addressed, addressOf, hasHost, rememberPeer } from './http/request.ts';
import { TIMES } from './protocol/limits.ts';
import { createCollaborationService } from './services/collaboration.ts';
import { createRateLimits } from './services/limits.ts';
import { createNode, type NodeParts, storesAnswer } from './services/node.ts';
import { createUserService } from './services/users.ts';
import { createWorkerService } from './services/worker.ts';
import { createQueueBoard } from './workers/board.ts';
import { QUEUE_NAMES, type Queues } from './workers/queues.ts';
import type { SocketData } from './ws/parts.ts';

/** While the server stops: between two looks at whether all requests are answered. */
const LOOK_EVERY_MS = 10;

/** A running server. */
export interface Running {
  readonly port: number;
  readonly url: string;
  /** Stops in order; see the head of this file. */
  stop(): Promise<void>;
}

/**
 * Starts a server on this node's parts. Rejects with the {@link ConfigError} of the setting that names what cannot be had:
 * a PostgreSQL that can be reached and migrated, an address and port that are free.
 */
export async function startServer(node: NodeParts): Promise<Running> {
  const { config, clock, random, log, metrics, sql } = node;
  const { document_bytes_max } = config;
  await node.prepareDatabase().catch((error: unknown) => {
    throw new ConfigError('DATABASE_URL', `names a database that cannot be used: ${reasonOf(error)}`, error);
  });
  const runs = (service: 'users' | 'documents' | 'collaboration' | 'worker'): boolean => config.services.has(service);

  const worker = createWorkerService(node);
  const limits = createRateLimits(node);
  const snapshotDue = (doc_id: string): void => worker.queues.snapshots.ask({ doc_id });
  const collaboration = createCollaborationService(node, snapshotDue, limits);
  const { gateway, signals } = collaboration;
  const users = createUserService(node, signals);
  const authenticate: EndpointServices['authenticate'] = (...asked) => users.sessions.authenticate(...asked);
  const doors = collaboration.doors(authenticate);
  const dashboard = { sql, clock, accounts: users.accounts, sessions: users.sessions };
  let draining = false;

  const app = createHttpApp({
    clock,
    random,
    log,
    metrics,
    trust_proxy: config.trust_proxy,
    cors_origins: config.cors_origins,
    version: packageFile.version,
    reporter: node.reporter,
    authenticate,
    limits: limits === null ? null : new HttpLimits(limits),
    isAdmin: (user_id) => users.accounts.isAdmin(user_id),
    ready: async () => (draining ? { ok: false, reason: 'this node is shutting down' } : await storesAnswer(node)),
    users: runs('users') ? { ...users, sql, cluster: collaboration.cluster } : null,
    documents: runs('documents') ? { sql, clock, random, gateway, signals, document_bytes_max } : null,
    collaboration: runs('collaboration') ? { sql, clock, random, gateway } : null,
    worker: runs('worker') ? { board: createBoard(worker.queues), dashboard: new DashboardSessions(dashboard) } : null,
  });

  if (runs('worker')) worker.start();
  await collaboration.start();

  const server = listening(config, () =>
    Bun.serve<SocketData>({
      hostname: config.host,
      port: config.port,
      // The routes count bytes as they arrive and refuse with our own error; Bun would answer with a bare 413.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      idleTimeout: 30,
      // Bun's own page about an error would show our source.
      development: false,
      // Without development Bun shares the port with whoever holds it, and each would get some of the other's calls.
      reusePort: false,
      websocket: doors.handlers,
      fetch(received, bun) {
        const request = addressed(received);
        rememberPeer(request, bun.requestIP(received)?.address ?? '');
        const ip = addressOf(request, config.trust_proxy);
        const taken = runs('collaboration') && hasHost(request) ? doors.take(request, bun, ip) : null;
        if (taken !== null) return taken;
        return app.handle(request);
      },
    }),
  );
  collaboration.fanout.serve(server);
  const port = server.port ?? config.port;
  log.info({ event: 'listening', host: config.host, port, services: [...config.services] }, 'listening');

  const stop = async (): Promise<void> => {
    draining = true;
    log.info({ event: 'draining' }, 'shutting down: writing every document and handing it over');
    const until = clock.monotonic() + TIMES.drain_ms - 2_000;
    // Not awaited: it settles when the last socket is gone, and those are closed below.
    void server.stop(false);
    await collaboration.drain(until - clock.monotonic());
    // Whoever called before is answered: they could not tell what became of it.
    while (server.pendingRequests > 0 && clock.monotonic() < until) await pause(clock, LOOK_EVERY_MS);
    await worker.close();
    await collaboration.close();
    await server.stop(true);
    await node.close();
    await node.reporter.close(500);
  };
  return { port, url: `http://${config.host}:${port}`, stop };
}

/** What `serve` gives, or the {@link ConfigError} that says why nobody can listen there. */
function listening<Served>({ host, port }: Pick<Config, 'host' | 'port'>, serve: () => Served): Served {
  try {
    return serve();
  } catch (error) {
    throw new ConfigError(
      'HOST and PORT',
      `name an address that cannot be had, ${host}:${port}: ${reasonOf(error)}`,
      error,
    );
  }
}

/** Why something failed, in the system's short word where there is one. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && !error.message.includes(code) ? `${error.message} (${code})` : error.message;
}

function createBoard(queues: Queues): QueueBoard {
  const shown = QUEUE_NAMES.map((name) => queues[name].bull);
  return createQueueBoard(shown, { base_path: BOARD_PATH, account_path: ADMIN_PATH });
}

/** Runs the server as a process of its own. */
async function main(): Promise<void> {
  const config = settings();
  const node = createNode(config, packageFile.version);
  const { log, clock, reporter } = node;
  process.on('unhandledRejection', (error) => {
    log.error({ error }, 'a promise was rejected and nobody looked');
    reporter.report(error, {});
  });
  const running = await startServer(node).catch((error: unknown) => {
    const { message, cause } = error instanceof ConfigError ? error : { message: 'a bug of ours', cause: error };
    log.fatal({ error: cause }, `the server could not start: ${message}`);
    process.exit(1);
  });
  if (config.services.has('documents')) keepThreadReady();
  let stopping = false;
  const leave = (): void => {
    if (stopping) return;
    stopping = true;
    void within(clock, TIMES.drain_ms, running.stop()).then(
      (done) => {
        if (done === TIMED_OUT) log.error('the deadline for shutting down is over');
        else log.info({ event: 'stopped' }, 'stopped');
        process.exit(0);
      },
      (error: unknown) => {
        log.fatal({ error }, 'shutting down failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', leave);
  process.on('SIGINT', leave);
}

/** The settings, or the end of the process with one sentence about what is wrong. */
function settings(): ReturnType<typeof readConfig> {
  try {
    return readConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`concord: ${error.message}\n`);
    process.exit(2);
  }
}

if (import.meta.main) await main();
