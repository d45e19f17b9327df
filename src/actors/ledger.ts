/**
 * One document's rows on their way to the journal: what waits, what is on its way, what is on disk, and who wants to know.
 * The journal (journal.ts) moves them; the document only appends.
 */
import type { Clock } from '../base/clock.ts';
import type { NewUpdate } from '../store/updates.ts';

/** What a document hears from the journal. */
export interface LedgerListener {
  /** Everything up to `rev` is committed, under `epoch`. */
  committed(rev: number, epoch: number): void;
  /** Another owner holds the document; nothing more will be written. */
  fenced(): void;
  /** The document's rows cannot be written, though storage is well. */
  broken(error: unknown): void;
  /** Storage stopped answering (`false`) or answers again (`true`). */
  storage(answers: boolean): void;
}

/** One document's rows on their way to the journal. Made by {@link Journal.open}. */
export interface Ledger {
  readonly doc_id: string;
  readonly claim_id: string;
  /** The epoch that rows are written under; grows when an unknown outcome was resolved. */
  readonly epoch: number;
  /** Everything up to here is committed. */
  readonly durable_rev: number;
  /** Rows and bytes that wait or are on their way. */
  readonly backlog_revs: number;
  readonly backlog_bytes: number;
  /** When the oldest of them was handed over, on the monotonic clock; null for none. */
  readonly waiting_since: number | null;
  /** The rows behind a revision that are not committed, oldest first. */
  unwritten(after: number): NewUpdate[];
  /** Hands over the next revision. */
  append(row: NewUpdate): void;
  /** Resolves once all that was handed over is committed; rejects when the document is fenced or broken. */
  settled(): Promise<void>;
  /** Ends it; what was not committed is forgotten. */
  close(): void;
}

/** What the journal measures. */
export interface JournalObserver {
  flushed(rows: number, outcome: 'committed' | 'refused' | 'unknown'): void;
  acked(latency_ms: number): void;
}

/** The journal, as its ledgers see it. */
export interface LedgerHost {
  readonly clock: Clock;
  readonly observer: JournalObserver;
  /** Bytes of all documents that are not committed. */
  backlog_bytes: number;
  /** The ledger has rows to write. */
  wake(ledger: DocumentLedger): void;
  /** The ledger is closed. */
  forget(ledger: DocumentLedger): void;
  /** The document could not take what it was told. */
  listenerFailed(ledger: DocumentLedger, error: unknown): void;
}

interface Pending {
  readonly row: NewUpdate;
  readonly since: number;
}

/** The ledger as the journal works on it. */
export class DocumentLedger implements Ledger {
  epoch: number;
  durable_rev: number;
  backlog_bytes = 0;
  /** Oldest first; the first `sent` of them are in the flush on its way. */
  pending: Pending[] = [];
  sent = 0;
  closed = false;
  /** An append found the document changed though the claim still was ours: the next time it is another's. */
  doubted = false;
  #waiters: { readonly rev: number; readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];

  constructor(
    readonly doc_id: string,
    readonly claim_id: string,
    epoch: number,
    head_rev: number,
    readonly listener: LedgerListener,
    readonly host: LedgerHost,
  ) {
    this.epoch = epoch;
    this.durable_rev = head_rev;
  }

  get backlog_revs(): number {
    return this.pending.length;
  }

  get waiting_since(): number | null {
    return this.pending[0]?.since ?? null;
  }

  unwritten(after: number): NewUpdate[] {
    return this.pending.map(({ row }) => row).filter(({ rev }) => rev > after);
  }

  append(row: NewUpdate): void {
    if (this.closed) return;
    this.pending.push({ row, since: this.host.clock.monotonic() });
    this.#grow(bytesOf(row));
    this.host.wake(this);
  }

  settled(): Promise<void> {
    const last = this.pending.at(-1);
    if (last === undefined) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ rev: last.row.rev, resolve, reject });
    });
  }

  /** Drops the rows up to `rev`, which are in the journal, and tells the document. */
  commitUpTo(rev: number): void {
    const now = this.host.clock.monotonic();
    let done = 0;
    for (const { row, since } of this.pending) {
      if (row.rev > rev) break;
      this.#grow(-bytesOf(row));
      this.host.observer.acked(now - since);
      done += 1;
    }
    this.pending.splice(0, done);
    this.sent = 0;
    if (rev <= this.durable_rev && done === 0) return;
    this.durable_rev = Math.max(this.durable_rev, rev);
    while (this.#waiters[0] !== undefined && this.#waiters[0].rev <= rev) this.#waiters.shift()?.resolve();
    this.tell((listener) => listener.committed(this.durable_rev, this.epoch));
  }

  /** Tells the document something. One that throws goes out of service and keeps nobody else from anything. */
  tell(news: (listener: LedgerListener) => void): void {
    try {
      news(this.listener);
    } catch (error) {
      this.host.listenerFailed(this, error);
    }
  }

  close(): void {
    this.end(new Error(`the journal of document ${this.doc_id} was closed`));
  }

  end(reason: Error): void {
    if (this.closed) return;
    this.closed = true;
    this.host.forget(this);
    this.pending = [];
    this.#grow(-this.backlog_bytes);
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(reason);
  }

  #grow(bytes: number): void {
    this.backlog_bytes += bytes;
    this.host.backlog_bytes += bytes;
  }
}

/** What a row costs while it waits. */
export function bytesOf(row: Pick<NewUpdate, 'update' | 'delta'>): number {
  return row.update.length + (row.delta?.length ?? 0);
}
