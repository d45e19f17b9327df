/** The collaboration core of one node on a real PostgreSQL and Redis, without its sockets. */
import { afterEach, beforeEach, expect } from 'bun:test';
import type { Redis } from 'ioredis';
import type { OpenDocument } from '../../src/actors/document.ts';
import type { DeltaEdit, Entry } from '../../src/actors/entries.ts';
import { Journal } from '../../src/actors/journal.ts';
import { LocalGateway } from '../../src/actors/local-gateway.ts';
import { Locator } from '../../src/actors/locator.ts';
import { Registry } from '../../src/actors/registry.ts';
import type { DocumentRuntime } from '../../src/actors/runtime.ts';
import { type Clock, ManualClock, systemClock } from '../../src/base/clock.ts';
import type { Log } from '../../src/base/log.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import type { DeltaOps } from '../../src/protocol/content/delta.ts';
import type { ConcordError } from '../../src/protocol/errors.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { ServerChannels } from '../../src/store/channels.ts';
import { RedisDirectory } from '../../src/store/directory.ts';
import { sqlDocumentStore, sqlJournalStore } from '../../src/store/document-store.ts';
import { type NodeIdentity, readHead } from '../../src/store/heads.ts';
import { RenewablePool } from '../../src/store/pool.ts';
import type { Database } from '../../src/store/postgres.ts';
import { journalFaults, quietLog, Stage, TestJsonMember, TestYjsMember } from './core.ts';
import { StoresWorld } from './stores-world.ts';

/** Timers are in the test's hand; turns of the event loop are real. */
export class TurningClock extends ManualClock {
  override endOfTurn(callback: () => void): void {
    systemClock.endOfTurn(callback);
  }
}

/** How an edit ended. */
export type Outcome =
  | { readonly kind: 'applied'; readonly rev: number; readonly event: string; readonly duplicate: boolean }
  | { readonly kind: 'refused'; readonly error: ConcordError };

/** What {@link CoreNode} can be told. */
export interface CoreNodeOptions {
  readonly node_id?: string;
  readonly clock?: Clock;
  readonly log?: Log;
  readonly passivate_after_ms?: number;
}

/** See the head of this file. */
export class CoreNode {
  readonly identity: NodeIdentity;
  readonly random: Random;
  readonly clock: Clock;
  readonly directory: RedisDirectory;
  readonly locator: Locator;
  readonly journal: Journal;
  readonly registry: Registry;
  readonly gateway: LocalGateway;
  readonly stage = new Stage();
  readonly pool: RenewablePool;
  /** Of its journal's connections. */
  readonly application_name: string;
  /** Documents for which a snapshot was asked, in order. */
  readonly due: string[] = [];
  readonly counted = { crashed: 0, fenced: 0, open: 0, edits: 0 };
  /** What the count of subscribers elsewhere says; an error is thrown. */
  subscribers: number | Error = 0;

  constructor(sql: Database, url: string, redis: Redis, seed: number, options: CoreNodeOptions = {}) {
    const { log = quietLog, clock = new TurningClock(), passivate_after_ms } = options;
    this.clock = clock;
    const random = seededRandom(seed);
    this.random = random;
    this.identity = { node_id: options.node_id ?? `node-${seed}`, boot_id: random.id() };
    this.directory = new RedisDirectory(redis, new ServerChannels(redis));
    const node = this.identity;
    const store = sqlDocumentStore(sql);
    this.locator = new Locator({ node, store, directory: this.directory, clock, random, log, claimed() {} });
    this.application_name = `journal-${seed}`;
    this.pool = new RenewablePool(url, { connections_max: 2, application_name: this.application_name });
    this.journal = new Journal({
      store: sqlJournalStore(this.pool),
      clock,
      log,
      observer: { flushed() {}, acked() {} },
    });
    const { counted } = this;
    this.registry = new Registry({
      clock,
      random,
      log,
      store,
      journal: this.journal,
      locator: this.locator,
      fanout: this.stage,
      observer: {
        edits: (_door, count) => {
          counted.edits += count;
        },
        fannedOut() {},
        sized() {},
        crashed: () => {
          counted.crashed += 1;
        },
        fenced: () => {
          counted.fenced += 1;
        },
        open: (actors) => {
          counted.open = actors;
        },
      },
      document_bytes_max: LIMITS.document_bytes_default,
      subscribersElsewhere: (doc_ids) => {
        const { subscribers } = this;
        return subscribers instanceof Error
          ? Promise.reject(subscribers)
          : Promise.resolve(doc_ids.map(() => subscribers));
      },
      snapshotDue: (doc_id) => void this.due.push(doc_id),
      ...(passivate_after_ms === undefined ? {} : { passivate_after_ms }),
    });
    this.gateway = new LocalGateway(this.registry, sql, clock);
  }

  /** The clock, when it is in the test's hand. */
  get hand(): ManualClock {
    if (!(this.clock instanceof ManualClock)) throw new Error('this node lives in real time');
    return this.clock;
  }

  /** A JSON member who has joined. */
  async json(doc_id: string, user_id = this.random.id(), client_id = this.random.id()): Promise<TestJsonMember> {
    const { document, runtime } = await this.registry.open(doc_id);
    const member = new TestJsonMember(this.stage, user_id, client_id);
    const last_seq = await this.registry.lastSeq(runtime, user_id, client_id);
    await this.push(document, { kind: 'join_json', member, resume: null, last_seq });
    return member;
  }

  /** A Yjs member who has joined. */
  async yjs(doc_id: string, user_id = this.random.id()): Promise<TestYjsMember> {
    const { document } = await this.registry.open(doc_id);
    const member = new TestYjsMember(this.stage, user_id, this.random.id());
    await this.push(document, { kind: 'join_yjs', member });
    return member;
  }

  /** Hands an entry over and waits for the end of the turn. */
  async push(document: OpenDocument, entry: Entry): Promise<void> {
    if (!document.push(entry)) throw new Error('the document is not in service');
    await turn();
  }

  /** Sends an edit as REST does; resolves with its outcome, before it is on disk. */
  async edit(doc_id: string, delta: DeltaOps, more: Partial<DeltaEdit> = {}): Promise<Outcome> {
    const { document } = await this.registry.open(doc_id);
    return new Promise((resolve) => {
      const edit = { user_id: this.random.id(), client_id: this.random.id(), seq: null, base_rev: null, delta };
      const taken = document.push({
        kind: 'edit',
        author: null,
        edit: { ...edit, door: 'rest', ...more },
        outcome: {
          applied: (rev, event, duplicate) => resolve({ kind: 'applied', rev, event, duplicate }),
          refused: (error) => resolve({ kind: 'refused', error }),
        },
      });
      if (!taken) throw new Error('the document is not in service');
    });
  }

  /** Writes text and waits until it is on disk. */
  async write(doc_id: string, text: string): Promise<{ runtime: DocumentRuntime; rev: number }> {
    const { runtime } = await this.registry.open(doc_id);
    const outcome = await this.edit(doc_id, [{ insert: text }]);
    if (outcome.kind !== 'applied') throw outcome.error;
    await runtime.durable(outcome.rev);
    return { runtime, rev: outcome.rev };
  }

  async close(): Promise<void> {
    this.registry.close();
    await this.pool.close();
  }
}

/** The end of this turn of the event loop, and of what it set off. */
export async function turn(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise<void>((resolve) => systemClock.endOfTurn(resolve));
}

/** A database, a Redis and nodes on them, for the tests of one file. */
export class CoreWorld extends StoresWorld {
  /** The node of this test; it beats, so that it can tell at once that another has no beat. */
  node!: CoreNode;
  #nodes: CoreNode[] = [];

  constructor(private seed: number) {
    super();
    beforeEach(async () => {
      this.node = this.makeNode();
      await this.node.directory.beat(this.node.identity, 600_000);
    });
    afterEach(async () => {
      await Promise.all(this.#nodes.splice(0).map((one) => one.close()));
      expect(await journalFaults(this.db.sql)).toEqual([]);
    });
  }

  /** Another node on the same stores. */
  makeNode(options: CoreNodeOptions = {}): CoreNode {
    const made = new CoreNode(this.db.sql, this.db.url, this.redis, this.seed++, options);
    this.#nodes.push(made);
    return made;
  }

  /** Who holds a document, as PostgreSQL has it. */
  async owner(doc_id: string): Promise<NodeIdentity | null> {
    return (await readHead(this.db.sql, doc_id))?.owner ?? null;
  }

  /** The document that is open on the test's node. */
  present(doc_id: string): OpenDocument {
    const open = [...this.node.registry.documents()].find((one) => one.doc_id === doc_id);
    if (open === undefined) throw new Error('the document is not open');
    return open;
  }
}

/** Why a promise is rejected: its code and when to try again. */
export function refusal(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'answered',
    (error: { code?: string; retry_after_s?: number }) => [error.code, error.retry_after_s],
  );
}
