/**
 * The journal's group commit: the one place where an edit becomes durable, and so the only one that may say so.
 *
 * Every open document of the node has a {@link Ledger}. Appending to it never waits: rows gather while one flush is on
 * its way, and when that returns the next takes everything that gathered, of all documents, in one statement. Nothing
 * lingers, so an idle node commits at once and a busy one commits in bulk. `committed` is called after PostgreSQL's
 * answer and from nowhere else.
 *
 * A flush ends in one of four ways for each of its documents:
 *   committed  the row counts moved: its readers are told.
 *   fenced     the document was missing from the answer: somebody else owns it. The owner drops its memory.
 *   refused    PostgreSQL reported a failure of the statement itself. The batch was rolled back; each document is tried
 *              alone, so that one bad document never fails the others, and the one that fails alone is `broken`.
 *   unknown    the connection broke or no answer came. The rows may or may not be there. The journal takes the next epoch
 *              on all these documents in one statement, after which the lost statement can no longer take effect, learns
 *              where each one's journal ends, counts what is there as committed and sends the rest again.
 */
import type { Clock, Timer } from '../base/clock.ts';
import { TIMED_OUT, within } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import type { JournalStore } from '../store/document-store.ts';
import { isStorageAway } from '../store/postgres.ts';
import type { Append } from '../store/updates.ts';
import {
  bytesOf,
  DocumentLedger,
  type JournalObserver,
  type Ledger,
  type LedgerHost,
  type LedgerListener,
} from './ledger.ts';

/** Parts that {@link Journal} is made of. */
export interface JournalParts {
  readonly store: JournalStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: JournalObserver;
}

/** See the head of this file. */
export class Journal implements LedgerHost {
  readonly clock: Clock;
  readonly observer: JournalObserver;
  /** Bytes of all documents that are not committed. */
  backlog_bytes = 0;
  readonly #store: JournalStore;
  readonly #log: Log;
  readonly #ledgers = new Set<DocumentLedger>();
  readonly #dirty = new Set<DocumentLedger>();
  #flushing = false;
  #scheduled = false;
  #away = false;
  #retry: Timer | null = null;

  constructor(parts: JournalParts) {
    this.clock = parts.clock;
    this.observer = parts.observer;
    this.#store = parts.store;
    this.#log = parts.log;
  }

  /** Opens the ledger of a document that was claimed at `epoch` with its journal ending at `head_rev`. */
  open(doc_id: string, claim_id: string, epoch: number, head_rev: number, listener: LedgerListener): Ledger {
    const ledger = new DocumentLedger(doc_id, claim_id, epoch, head_rev, listener, this);
    this.#ledgers.add(ledger);
    return ledger;
  }

  /** Whether storage failed to answer and has not answered since. */
  get away(): boolean {
    return this.#away;
  }

  /** Rows of all documents that are not committed, and the age of the oldest in milliseconds. */
  backlog(): { revs: number; oldest_ms: number } {
    let revs = 0;
    let oldest: number | null = null;
    for (const ledger of this.#dirty) {
      revs += ledger.backlog_revs;
      const since = ledger.waiting_since;
      if (since !== null && (oldest === null || since < oldest)) oldest = since;
    }
    return { revs, oldest_ms: oldest === null ? 0 : this.clock.monotonic() - oldest };
  }

  /** @internal A ledger has rows: flush at the end of this turn, unless a flush is on its way. */
  wake(ledger: DocumentLedger): void {
    this.#dirty.add(ledger);
    if (this.#flushing || this.#scheduled || this.#retry !== null) return;
    this.#scheduled = true;
    // A microtask, not a timer: the rows of this turn's documents are together, and nothing lingers.
    queueMicrotask(() => {
      this.#scheduled = false;
      void this.#run();
    });
  }

  /** @internal */
  forget(ledger: DocumentLedger): void {
    this.#ledgers.delete(ledger);
    this.#dirty.delete(ledger);
  }

  /** @internal */
  listenerFailed(ledger: DocumentLedger, error: unknown): void {
    this.#log.error(
      { error, doc_id: ledger.doc_id },
      'a document could not take the news of the journal; it goes out of service',
    );
    ledger.end(new Error(`document ${ledger.doc_id} could not take the news of the journal`));
    try {
      ledger.listener.broken(error);
    } catch (again) {
      this.#log.error({ error: again, doc_id: ledger.doc_id }, 'nor the news of that');
    }
  }

  async #run(): Promise<void> {
    if (this.#flushing) return;
    this.#flushing = true;
    try {
      for (let batch = this.#take(); batch.length > 0; batch = this.#take()) {
        const well = await this.#flush(batch);
        if (!well) break;
      }
    } finally {
      this.#flushing = false;
    }
  }

  /** The next batch: whole prefixes of dirty ledgers, bounded in rows and bytes. */
  #take(): DocumentLedger[] {
    const batch: DocumentLedger[] = [];
    let rows = 0;
    let bytes = 0;
    for (const ledger of [...this.#dirty]) {
      if (rows >= LIMITS.flush_rows_max || bytes >= LIMITS.flush_bytes_max) break;
      this.#dirty.delete(ledger);
      if (ledger.pending.length === 0) continue;
      // Behind everybody else: a document that always has a full batch waiting must not keep the others from the disk.
      this.#dirty.add(ledger);
      let n = 0;
      for (const { row } of ledger.pending) {
        if (rows >= LIMITS.flush_rows_max || bytes >= LIMITS.flush_bytes_max) break;
        rows += 1;
        bytes += bytesOf(row);
        n += 1;
      }
      ledger.sent = n;
      batch.push(ledger);
    }
    return batch;
  }

  /** Sends one batch and settles its outcome. False when storage is away and a retry is scheduled. */
  async #flush(batch: readonly DocumentLedger[]): Promise<boolean> {
    const appends = batch.map(toAppend);
    const rows = appends.reduce((sum, append) => sum + append.rows.length, 0);
    let moved: Set<string> | typeof TIMED_OUT;
    try {
      moved = await within(this.clock, TIMES.flush_timeout_ms, this.#store.appendUpdates(appends));
      if (moved === TIMED_OUT) throw new StorageSilent();
    } catch (error) {
      if (isStorageAway(error) || error instanceof StorageSilent) {
        this.observer.flushed(rows, 'unknown');
        this.#storageAway(error, batch);
        return false;
      }
      this.observer.flushed(rows, 'refused');
      return this.#refused(error, batch);
    }
    this.observer.flushed(rows, 'committed');
    return this.#settle(batch, appends, moved);
  }

  /** Tells the documents that moved, and finds out about those that did not. */
  async #settle(
    batch: readonly DocumentLedger[],
    appends: readonly Append[],
    moved: ReadonlySet<string>,
  ): Promise<boolean> {
    const missed: DocumentLedger[] = [];
    for (const [i, ledger] of batch.entries()) {
      const append = appends[i];
      if (ledger.closed || append === undefined) continue;
      if (moved.has(ledger.doc_id)) {
        ledger.doubted = false;
        ledger.commitUpTo(append.head_rev + append.rows.length);
      } else if (ledger.doubted) this.#fenced(ledger);
      else missed.push(ledger);
    }
    if (missed.length === 0) return true;
    // It may be ourselves: a claim that was sent while storage did not answer, and took effect after a later one did.
    for (const ledger of missed) ledger.doubted = true;
    if (await this.#resolve(missed)) return true;
    this.#retryLater(missed, 100);
    return false;
  }

  #fenced(ledger: DocumentLedger): void {
    ledger.end(new Error(`document ${ledger.doc_id} is owned by another node`));
    ledger.tell((listener) => listener.fenced());
  }

  /** The server refused the statement as such. Rolled back as a whole, so each document may be tried alone. */
  async #refused(error: unknown, batch: readonly DocumentLedger[]): Promise<boolean> {
    const [only] = batch;
    if (batch.length === 1 && only !== undefined) {
      this.#log.error(
        { error, doc_id: only.doc_id },
        'PostgreSQL refuses the edits of this document; it is taken out of service',
      );
      only.end(new Error(`the edits of document ${only.doc_id} cannot be written`));
      only.tell((listener) => listener.broken(error));
      return true;
    }
    this.#log.warn({ error, documents: batch.length }, 'a group commit was refused; trying its documents one by one');
    for (const ledger of batch) if (!ledger.closed && !(await this.#flush([ledger]))) return false;
    return true;
  }

  #storageAway(error: unknown, batch: readonly DocumentLedger[]): void {
    if (!this.#away) {
      this.#away = true;
      this.#log.error(
        { error, documents: batch.length },
        'PostgreSQL does not answer; editing goes on, edits wait in memory',
      );
      for (const ledger of this.#ledgers) ledger.tell((listener) => listener.storage(false));
    }
    if (error instanceof StorageSilent) this.#store.renew();
    this.#retryLater(batch, 100);
  }

  #retryLater(unknown: readonly DocumentLedger[], delay_ms: number): void {
    this.#retry = this.clock.after(delay_ms, () => {
      void this.#resolve(unknown).then((resolved) => {
        if (!resolved) return this.#retryLater(unknown, Math.min(delay_ms * 2, 1_000));
        this.#retry = null;
        return this.#run();
      });
    });
  }

  /** Learns what became of rows whose flush was never answered. False while storage is still away. */
  async #resolve(unknown: readonly DocumentLedger[]): Promise<boolean> {
    const open = unknown.filter((ledger) => !ledger.closed);
    let heads: Awaited<ReturnType<JournalStore['reclaimHeads']>> | typeof TIMED_OUT;
    try {
      heads = await within(this.clock, TIMES.flush_timeout_ms, this.#store.reclaimHeads(open));
    } catch (error) {
      this.#log.debug({ error }, 'PostgreSQL still does not answer');
      return false;
    }
    if (heads === TIMED_OUT) {
      this.#store.renew();
      return false;
    }
    const was_away = this.#away;
    this.#away = false;
    if (was_away) this.#log.info({ documents: open.length }, 'PostgreSQL answers again; writing what waited');
    for (const ledger of open) {
      if (ledger.closed) continue;
      const head = heads.get(ledger.doc_id);
      if (head === undefined) {
        this.#fenced(ledger);
        continue;
      }
      ledger.epoch = head.epoch;
      ledger.commitUpTo(head.head_rev);
    }
    if (was_away) for (const ledger of this.#ledgers) ledger.tell((listener) => listener.storage(true));
    return true;
  }
}

/** No answer within the time that a flush may take. */
class StorageSilent extends Error {
  override readonly name = 'StorageSilent';

  constructor() {
    super(`no answer within ${TIMES.flush_timeout_ms} ms`);
  }
}

function toAppend(ledger: DocumentLedger): Append {
  const rows = ledger.pending.slice(0, ledger.sent).map((pending) => pending.row);
  return { doc_id: ledger.doc_id, epoch: ledger.epoch, head_rev: ledger.durable_rev, rows };
}
