/** A journal on a real database, and ledgers whose listeners remember what they heard. */
import { Journal } from '../../src/actors/journal.ts';
import type { Ledger, LedgerListener } from '../../src/actors/ledger.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Log } from '../../src/base/log.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { sqlJournalStore } from '../../src/store/document-store.ts';
import { claimHead, type NodeIdentity, readHead } from '../../src/store/heads.ts';
import { RenewablePool } from '../../src/store/pool.ts';
import type { Database } from '../../src/store/postgres.ts';
import type { NewUpdate } from '../../src/store/updates.ts';
import { quietLog } from './core.ts';

/** What a document heard of its journal. */
export class Heard implements LedgerListener {
  readonly committedTo: [rev: number, epoch: number][] = [];
  readonly answers: boolean[] = [];
  readonly errors: unknown[] = [];
  fences = 0;
  /** Called with every commit, after it was noted. */
  onCommit: (rev: number, epoch: number) => void = () => {};

  committed(rev: number, epoch: number): void {
    this.committedTo.push([rev, epoch]);
    this.onCommit(rev, epoch);
  }

  fenced(): void {
    this.fences += 1;
  }

  broken(error: unknown): void {
    this.errors.push(error);
  }

  storage(answers: boolean): void {
    this.answers.push(answers);
  }
}

/** A ledger, what it heard, and the rows that a test hands to it. */
export class TestLedger {
  readonly heard = new Heard();
  readonly ledger: Ledger;
  readonly client_id: string;
  readonly user_id: string;
  #rev: number;
  #seq = 0;

  constructor(
    journal: Journal,
    readonly doc_id: string,
    claim_id: string,
    epoch: number,
    head_rev: number,
    private readonly random: Random,
  ) {
    this.client_id = random.id();
    this.user_id = random.id();
    this.#rev = head_rev;
    this.ledger = journal.open(doc_id, claim_id, epoch, head_rev, this.heard);
  }

  /** Hands over the next `count` revisions; returns the last. */
  append(count = 1, more: Partial<NewUpdate> = {}): number {
    for (let i = 0; i < count; i++) {
      this.#rev += 1;
      this.#seq += 1;
      const { user_id, client_id } = this;
      const update = this.random.bytes(1 + (this.random.uint32() % 30));
      const row = { rev: this.#rev, user_id, client_id, seq: this.#seq, at: 1_767_225_600_000, update, delta: '[]' };
      this.ledger.append({ ...row, ...more });
    }
    return this.#rev;
  }

  /** The last revision that was acknowledged. */
  get acked(): number {
    return this.heard.committedTo.at(-1)?.[0] ?? 0;
  }
}

/** A journal of its own application name, and what it measured. */
export class JournalRig {
  readonly journal: Journal;
  readonly pool: RenewablePool;
  readonly flushes: [rows: number, outcome: string][] = [];
  readonly latencies: number[] = [];
  readonly application_name: string;
  readonly node: NodeIdentity;
  readonly random: Random;

  constructor(
    readonly sql: Database,
    url: string,
    clock: Clock,
    seed: number,
    log: Log = quietLog,
  ) {
    this.random = seededRandom(seed);
    this.application_name = `journal-${seed}`;
    this.node = { node_id: this.application_name, boot_id: this.random.id() };
    this.pool = new RenewablePool(url, { connections_max: 2, application_name: this.application_name });
    this.journal = new Journal({
      store: sqlJournalStore(this.pool),
      clock,
      log,
      observer: {
        flushed: (rows, outcome) => void this.flushes.push([rows, outcome]),
        acked: (latency_ms) => void this.latencies.push(latency_ms),
      },
    });
  }

  /** Claims a document whatever its epoch, and opens its ledger; null when somebody else was faster. */
  async claim(doc_id: string): Promise<TestLedger | null> {
    const head = await readHead(this.sql, doc_id);
    if (head === null) throw new Error(`no document ${doc_id}`);
    const claim_id = this.random.id();
    const won = await claimHead(this.sql, doc_id, head.epoch, this.node, claim_id);
    if (won === null) return null;
    return new TestLedger(this.journal, doc_id, claim_id, won.epoch, won.head_rev, this.random);
  }

  /** Claims a document that nobody else wants. */
  async open(doc_id: string): Promise<TestLedger> {
    const ledger = await this.claim(doc_id);
    if (ledger === null) throw new Error('somebody else claimed it');
    return ledger;
  }
}
