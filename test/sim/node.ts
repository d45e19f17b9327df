/**
 * One node of the simulated world: everything that src/services/collaboration.ts puts together, on a clock, a storage and a
 * Redis that are played, and with its own sessions instead of sockets. It can be stopped and go on, vanish, and leave
 * in good order; each start of it is another process with another boot id.
 */
import type { DocumentGateway } from '../../src/actors/gateway.ts';
import { Heartbeat } from '../../src/actors/heartbeat.ts';
import { Journal } from '../../src/actors/journal.ts';
import { LocalGateway } from '../../src/actors/local-gateway.ts';
import { Locator } from '../../src/actors/locator.ts';
import { Registry } from '../../src/actors/registry.ts';
import { answerCall, RoutedGateway } from '../../src/actors/remote/routed-gateway.ts';
import { DocumentRouter } from '../../src/actors/remote/router.ts';
import { Switchboard } from '../../src/actors/remote/switchboard.ts';
import type { Log } from '../../src/base/log.ts';
import type { Random } from '../../src/base/random.ts';
import { CLOSE } from '../../src/protocol/close.ts';
import { ConcordError } from '../../src/protocol/errors.ts';
import { TIMES } from '../../src/protocol/limits.ts';
import { type Channels, documentChannel, EventPublisher } from '../../src/store/channels.ts';
import type { NodeIdentity } from '../../src/store/heads.ts';
import type { Database } from '../../src/store/postgres.ts';
import { isStorageAway } from '../../src/store/postgres.ts';
import type { Line } from './line.ts';
import type { SimBus, SimRedis } from './redis.ts';
import { type Hello, Rooms, Session } from './session.ts';
import type { Storage } from './storage.ts';
import { Host, type Time } from './time.ts';
import type { Trace } from './trace.ts';

/** What nodes stand on. */
export interface Ground {
  readonly time: Time;
  readonly trace: Trace;
  readonly storage: Storage;
  readonly redis: SimRedis;
  readonly random: Random;
  /** Milliseconds without anybody after which a document is given up. */
  readonly passivate_after_ms: number;
  /** Something happened that must not. */
  fault(what: string): void;
}

/** One start of a node. */
interface Process {
  readonly host: Host;
  readonly identity: NodeIdentity;
  readonly bus: SimBus;
  readonly registry: Registry;
  readonly router: DocumentRouter;
  readonly switchboard: Switchboard;
  readonly heartbeat: Heartbeat;
  readonly publisher: EventPublisher;
  readonly gateway: DocumentGateway;
  readonly rooms: Rooms;
  readonly sessions: Set<Session>;
}

/** See the head of this file. */
export class SimNode {
  #process: Process;
  readonly #lines = new Set<Line>();
  #leaving = false;
  /** Whether it starts again as soon as it has left. */
  #comes_back = false;

  constructor(
    readonly name: string,
    private readonly ground: Ground,
  ) {
    this.#process = this.#start();
  }

  /** The present process; gone ones stay here until the next start. */
  get host(): Host {
    return this.#process.host;
  }

  /** Whether it takes new lines. */
  get open(): boolean {
    return !this.host.gone && !this.#leaving;
  }

  /** The statecharts of its documents, for a report. */
  get states(): string[] {
    return [...this.#process.registry.documents()].map((document) => document.state);
  }

  /** Where REST calls go. */
  get gateway(): DocumentGateway {
    return this.#process.gateway;
  }

  /** Takes a client's line. */
  accept(line: Line, hello: Hello): void {
    this.#lines.add(line);
    const { host, router, rooms, sessions } = this.#process;
    line.connect(() => {
      const session = new Session(hello, line, {
        documents: router,
        rooms,
        clock: host.clock(),
        over: (over) => {
          sessions.delete(over);
          this.#lines.delete(line);
        },
        bug: (error) => this.#bug('a session', error),
      });
      sessions.add(session);
      return session;
    });
  }

  /** Dies at once; `told`: its machine goes on and says so to whoever was connected. */
  crash(told: boolean): void {
    const { host } = this.#process;
    if (host.gone) return;
    this.ground.trace.note(this.name, told ? 'is killed' : 'vanishes with its machine');
    host.vanish();
    if (told) this.ground.redis.drop(host);
    for (const line of this.#lines) line.lose(told);
    this.#lines.clear();
  }

  /** A machine that vanished: Redis takes its connections for dead only now. */
  forgotten(): void {
    if (this.host.gone) this.ground.redis.drop(this.host);
  }

  /** Starts again after a crash or a departure. */
  restart(): void {
    if (!this.host.gone) {
      this.#comes_back = this.#leaving;
      return;
    }
    this.#comes_back = false;
    this.ground.redis.drop(this.host);
    this.#leaving = false;
    this.#process = this.#start();
  }

  /** Leaves in good order, as on SIGTERM, and is gone. */
  leave(): void {
    if (this.host.gone || this.#leaving) return;
    this.#leaving = true;
    this.ground.trace.note(this.name, 'drains');
    void this.#drain(this.#process).catch((error: unknown) => this.#bug('draining', error));
  }

  async #drain({ host, registry, router, switchboard, heartbeat, publisher, bus, sessions }: Process): Promise<void> {
    await registry.drain(TIMES.drain_ms);
    for (const session of [...sessions]) session.close(CLOSE.RESTART, 'the node is restarting; reconnect');
    router.close();
    registry.close();
    publisher.flush();
    await switchboard.close();
    await heartbeat.stop();
    bus.close();
    this.ground.trace.note(this.name, 'is drained');
    // What it said last is still on its way.
    host.receive(50, () => {
      this.crash(true);
      if (this.#comes_back) this.restart();
    });
  }

  #start(): Process {
    const { time, trace, storage, redis, random, fault } = this.ground;
    const host = new Host(this.name, time);
    host.skew_ms = (random.uint32() % 2_000) - 1_000;
    const clock = host.clock();
    const identity = { node_id: this.name, boot_id: random.id() };
    trace.note(this.name, 'starts');
    const log = this.#log();
    const store = storage.storeFor(host);
    const directory = redis.directoryFor(host);
    const bus = redis.busFor(host);
    const journal = new Journal({
      store: storage.journalFor(host, identity.boot_id),
      clock,
      log,
      observer: { flushed() {}, acked() {} },
    });
    const claimed = (outcome: string): void => trace.note(this.name, `claim: ${outcome}`);
    const locator = new Locator({ node: identity, store, directory, clock, random, log, claimed });
    const publisher = new EventPublisher(publishing(bus), clock);
    const rooms = new Rooms();
    const fanout = rooms.fanout((doc_id, text, heard, done) =>
      publisher.publish(doc_id, text, heard, (receivers) => {
        if (receivers !== null) done(receivers);
      }),
    );
    const registry = new Registry({
      clock,
      random,
      log,
      store,
      journal,
      locator,
      fanout,
      observer: {
        edits() {},
        fannedOut() {},
        sized() {},
        crashed: () => fault(`a document crashed on ${this.name}`),
        fenced: () => trace.note(this.name, 'is fenced'),
        open() {},
      },
      document_bytes_max: 1_000_000,
      subscribersElsewhere: (doc_ids) => bus.count(doc_ids.map(documentChannel)),
      snapshotDue: (doc_id) => void host.receive(200, () => storage.makeSnapshot(doc_id)),
      passivate_after_ms: this.ground.passivate_after_ms,
    });
    const local = new LocalGateway(registry, NO_DATABASE, clock);
    const switchboard = new Switchboard({
      node: identity,
      bus,
      clock,
      random,
      log,
      desk: { clock, registry, store, log, call: (name, args) => answerCall(local, name, args), commanded() {} },
      observer: { links() {}, resent() {}, broken: () => trace.note(this.name, 'a link broke'), lag() {} },
      lives: (peer) => locator.lives(peer),
    });
    const gap = (): void => trace.note(this.name, 'a gap in a channel');
    const router = new DocumentRouter({ clock, log, bus, fanout, registry, switchboard, gap });
    const gateway = new RoutedGateway({
      local,
      isHere: (doc_id) => registry.peek(doc_id) !== null,
      owner: (doc_id) => locator.owner(doc_id),
      call: (owner, name, args, limit_ms) => switchboard.call(owner, name, args, limit_ms),
    });
    const heartbeat = new Heartbeat(identity, directory, clock, log, {
      suspect: (suspect) => void registry.suspect(suspect),
    });
    switchboard.listen();
    void heartbeat.start().catch((error: unknown) => this.#bug('the heartbeat', error));
    const sessions = new Set<Session>();
    return { host, identity, bus, registry, router, switchboard, heartbeat, publisher, gateway, rooms, sessions };
  }

  #bug(where: string, error: unknown): void {
    const told = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.ground.fault(`${where} of ${this.name} failed: ${told}`);
  }

  /** A log whose errors are looked at: some tell of what was done to the node, all others are bugs. */
  #log(): Log {
    const { trace } = this.ground;
    const line = (facts: unknown, message?: unknown): string => String(message ?? facts);
    const log = {
      trace() {},
      debug() {},
      info: (facts: unknown, message?: unknown) => trace.note(this.name, line(facts, message)),
      warn: (facts: unknown, message?: unknown) => trace.note(this.name, line(facts, message)),
      error: (facts: { readonly error?: unknown }, message: string) => {
        trace.note(this.name, message);
        if (!isExpected(facts.error, message)) this.#bug(`"${message}"`, facts.error);
      },
      child: () => log,
    };
    return log as unknown as Log;
  }
}

function isExpected(error: unknown, message: string): boolean {
  if (/^PostgreSQL does not answer|^not everything was written before the deadline/.test(message)) return true;
  if (!message.startsWith('the document went out of service')) return false;
  return error instanceof ConcordError || isStorageAway(error);
}

/** What the event publisher asks of Redis, over a bus. */
function publishing(bus: SimBus): Pick<Channels, 'sendAll'> {
  return {
    sendAll: (messages) =>
      bus
        .publishAll(messages.map(({ channel, message }) => ({ channel, text: message })))
        .catch(() => messages.map(() => null)),
  };
}

/** Reading of the past, which nobody does here. */
const NO_DATABASE = (() => Promise.reject(new Error('there is no database here'))) as unknown as Database;
