/**
 * The documents that are open on this node: one root actor each, in a plain map. Opening is idempotent; a document that is
 * on its way out is waited for and opened afresh; one that crashes again and again is left alone for a while, so that a
 * poisoned document cannot take the node's time.
 */
import type { Clock, Timer } from '../base/clock.ts';
import { TIMED_OUT, within } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { ConcordError, unavailable } from '../protocol/errors.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import type { DocumentStore } from '../store/document-store.ts';
import { isStorageAway } from '../store/postgres.ts';
import { type DocumentParts, OpenDocument } from './document.ts';
import { editEvent } from './edit-log.ts';
import type { Entry, JoinEntry, ResumePoint } from './entries.ts';
import type { DocumentFinder, DocumentHandle, JoinRequest } from './handle.ts';
import type { Journal } from './journal.ts';
import type { Ledger } from './ledger.ts';
import { loadDocument, windowEntry } from './loader.ts';
import type { Locator } from './locator.ts';
import type { Fanout } from './member.ts';
import { DocumentRuntime } from './runtime.ts';
import type { FoundEdit, RuntimeObserver, RuntimeParts } from './runtime-parts.ts';

/** What a {@link Registry} is made of. */
export interface RegistryParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly store: DocumentStore;
  readonly journal: Journal;
  readonly locator: Locator;
  readonly fanout: Fanout;
  readonly observer: RuntimeObserver & { crashed(): void; fenced(): void; open(actors: number): void };
  /** Bytes of state that a document may have. */
  readonly document_bytes_max: number;
  /** How many subscribe to each document's channel outside this node. */
  subscribersElsewhere(doc_ids: readonly string[]): Promise<readonly number[]>;
  /** Asks for a snapshot; must not fail. */
  snapshotDue(doc_id: string): void;
  /** How long a document that nobody is connected to stays in memory. */
  readonly passivate_after_ms?: number;
}

const CRASHES_MAX = 3;
const CRASH_WINDOW_MS = 60_000;

/** See the head of this file. */
export class Registry implements DocumentFinder {
  readonly #parts: RegistryParts;
  readonly #documents = new Map<string, OpenDocument>();
  /** When each document crashed lately, on the monotonic clock. */
  readonly #crashes = new Map<string, number[]>();
  readonly #timers: readonly Timer[];
  #draining = false;
  #counting = false;

  constructor(parts: RegistryParts) {
    this.#parts = parts;
    this.#timers = [
      parts.clock.every(TIMES.awareness_renew_ms, () => {
        for (const document of this.#documents.values()) document.runtime?.members.renew();
      }),
      parts.clock.every(TIMES.node_beat_ms, () => {
        for (const document of this.#documents.values()) document.runtime?.beacon();
      }),
      parts.clock.every(TIMES.subscribers_look_ms, () => void this.#countSubscribers()),
      parts.clock.every(TIMES.ownership_check_ms, () => void this.#checkOwnership()),
    ];
  }

  /** All open documents. */
  documents(): Iterable<OpenDocument> {
    return this.#documents.values();
  }

  /** The document if it is in service here now. */
  peek(doc_id: string): OpenDocument | null {
    const document = this.#documents.get(doc_id);
    return document?.runtime ? document : null;
  }

  /**
   * The document in service on this node, opened if need be.
   * Errors: NOT_FOUND; UNAVAILABLE while it is another's, quarantined, moving, or this node is leaving.
   */
  async open(doc_id: string): Promise<{ document: OpenDocument; runtime: DocumentRuntime }> {
    for (;;) {
      if (this.#draining) throw unavailable('This node is shutting down.', 1);
      const present = this.#documents.get(doc_id);
      if (present !== undefined) {
        const runtime = present.runtime ?? (present.state === 'draining' ? null : await present.ready);
        if (runtime !== null && present.runtime !== null) return { document: present, runtime };
        await present.ended;
        continue;
      }
      this.#refuseQuarantined(doc_id);
      const document = new OpenDocument(doc_id, this.#documentParts());
      this.#documents.set(doc_id, document);
      this.#parts.observer.open(this.#documents.size);
      void document.ended.then((how) => {
        this.#documents.delete(doc_id);
        this.#parts.observer.open(this.#documents.size);
        if (how.kind === 'fenced') this.#parts.observer.fenced();
        if (how.kind === 'failed' && !(how.error instanceof ConcordError)) this.#noteCrash(doc_id);
      });
      document.start();
      return { document, runtime: await document.ready };
    }
  }

  /** The document for a connection; see {@link open}. */
  async find(doc_id: string): Promise<DocumentHandle> {
    const { document, runtime } = await this.open(doc_id);
    return {
      push: (entry: Entry) => document.push(entry),
      prepareJoin: (request) => this.prepareJoin(runtime, request),
    };
  }

  /** Looks up what a join needs. Errors: UNAVAILABLE. */
  async prepareJoin(runtime: DocumentRuntime, { member, named, point }: JoinRequest): Promise<JoinEntry> {
    if (member.wire === 'yjs') return { kind: 'join_yjs', member };
    const last_seq = named ? await this.lastSeq(runtime, member.user_id, member.client_id) : 0;
    const resume = point === null ? null : await this.resumePoint(runtime, point);
    return { kind: 'join_json', member, resume, last_seq };
  }

  /** The last seq that the document holds of this author's client, from memory or the journal. */
  async lastSeq(runtime: DocumentRuntime, user_id: string, client_id: string): Promise<number> {
    const known = runtime.log.knownSeq(user_id, client_id);
    if (known !== null) return known;
    return await this.#storage(this.#parts.store.lastSeq(runtime.doc_id, user_id, client_id));
  }

  /**
   * Whether a returning client's point is part of this history, having put what it missed into the window when the journal
   * had to be asked. Null when it is not, or is too old.
   */
  async resumePoint(runtime: DocumentRuntime, point: ResumePoint): Promise<ResumePoint | null> {
    const { log, ledger } = runtime;
    if (point.rev > log.head || point.epoch > ledger.epoch) return null;
    if (point.rev > 0) {
      const epoch = await this.#epochOf(runtime, point.rev);
      // The client saw `rev` from the owner of its epoch; a later owner's row of that number is another edit.
      if (epoch === null || epoch > point.epoch) return null;
    }
    return (await this.reachBack(runtime, point.rev)) ? point : null;
  }

  /** Whether the window goes back to `rev`, having put into it what the journal has since; false when that is too much. */
  async reachBack({ log, doc_id }: DocumentRuntime, rev: number): Promise<boolean> {
    const { start } = log.window;
    if (rev >= start) return true;
    if (log.head - rev > LIMITS.window_revs_max) return false;
    const rows = await this.#storage(this.#parts.store.readDeltas(doc_id, rev, start, LIMITS.window_bytes_max));
    if (rows.length !== start - rev) return false;
    log.window.extendBack(rows.map(windowEntry));
    return rev >= log.window.start;
  }

  /** The epoch that a revision up to the head was written under; null when the journal lacks it. */
  async #epochOf({ log, ledger, doc_id }: DocumentRuntime, rev: number): Promise<number | null> {
    // What is not on disk yet was written by this very owner.
    if (rev > ledger.durable_rev) return ledger.epoch;
    return log.window.at(rev)?.epoch ?? (await this.#storage(this.#parts.store.epochOfRev(doc_id, rev)));
  }

  /** The node's beats do not get through (or do again): see heartbeat.ts. */
  async suspect(suspect: boolean): Promise<void> {
    for (const document of this.#documents.values()) document.lease(suspect);
    await this.#checkOwnership();
  }

  /** Whether the document, open here, still is ours. One that is not drops its memory. Errors: UNAVAILABLE. */
  async stillOurs(doc_id: string): Promise<boolean> {
    const document = this.#documents.get(doc_id);
    const claim_id = document?.claim_id ?? null;
    if (document === undefined || claim_id === null) return false;
    const held = await this.#storage(this.#parts.store.heldDocuments([{ doc_id, claim_id }]));
    if (!held.has(doc_id)) document.fence();
    return held.has(doc_id);
  }

  /**
   * Asks storage which documents still are ours. An owner that others took for dead may not hear of it by itself: as long as
   * nobody edits, no append of its own is refused, and its readers would stay with an old text.
   */
  async #checkOwnership(): Promise<void> {
    const claims = [...this.#documents.values()].flatMap(({ doc_id, claim_id, runtime }) =>
      claim_id === null || runtime === null ? [] : [{ doc_id, claim_id }],
    );
    if (claims.length === 0) return;
    try {
      const held = await within(this.#parts.clock, TIMES.node_beat_ms, this.#parts.store.heldDocuments(claims));
      if (held === TIMED_OUT) return;
      for (const { doc_id, claim_id } of claims) {
        const document = this.#documents.get(doc_id);
        if (!held.has(doc_id) && document?.claim_id === claim_id) document.fence();
      }
    } catch (error) {
      this.#parts.log.debug({ error }, 'could not check ownership; the fence protects the journal');
    }
  }

  /** Opens nothing more, writes everything, gives every document up. Resolves when all are gone or `limit_ms` is over. */
  async drain(limit_ms: number): Promise<void> {
    this.#draining = true;
    const all = [...this.#documents.values()].map((document) => document.drain());
    const left = await within(this.#parts.clock, limit_ms, Promise.all(all));
    if (left === TIMED_OUT)
      this.#parts.log.error(
        { documents: this.#documents.size },
        'not everything was written before the deadline; clients keep what was not acked',
      );
  }

  /** Stops its timers. */
  close(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  #documentParts(): DocumentParts {
    const { clock, log, journal, locator, snapshotDue } = this.#parts;
    return {
      clock,
      log,
      journal,
      claim: (doc_id) => locator.claim(doc_id),
      release: async (doc_id, claim) => {
        await locator.release(doc_id, claim);
        snapshotDue(doc_id);
      },
      load: (doc_id, ledger, document) => this.#load(doc_id, ledger, document),
      snapshotDue,
      passivate_after_ms: this.#parts.passivate_after_ms ?? TIMES.passivate_after_ms,
    };
  }

  async #load(doc_id: string, ledger: Ledger, document: OpenDocument): Promise<DocumentRuntime> {
    const { store, clock, random, fanout, observer, journal } = this.#parts;
    const [loaded, subscribers] = await Promise.all([
      this.#storage(loadDocument(store, doc_id, ledger.epoch, ledger.durable_rev)),
      this.#parts.subscribersElsewhere([doc_id]).catch(() => []),
    ]);
    const parts: RuntimeParts = {
      clock,
      random,
      fanout,
      observer,
      document_bytes_max: this.#parts.document_bytes_max,
      nodeIsFull: () => journal.backlog_bytes >= LIMITS.node_backlog_bytes_max,
      findEdit: (doc, user_id, client_id, seq) => this.#findEdit(doc, user_id, client_id, seq),
      occupied: (members) => document.occupied(members),
      again: (question) => void document.push(question),
      saved: (all) => document.saved(all),
      // While storage does not answer nothing is known, and the fence protects the journal.
      doubted: () => void this.stillOurs(doc_id).catch(() => {}),
    };
    const runtime = new DocumentRuntime(doc_id, loaded.replica, ledger, loaded.window, parts);
    runtime.heardElsewhere(subscribers[0] ?? 0);
    return runtime;
  }

  async #findEdit(doc_id: string, user_id: string, client_id: string, seq: number): Promise<FoundEdit | null> {
    const row = await this.#storage(this.#parts.store.findBySeq(doc_id, user_id, client_id, seq));
    if (row === null) return null;
    const event = editEvent(doc_id, { user_id, client_id, seq }, row.rev, row.delta ?? '[]', row.created_at.getTime());
    return { rev: row.rev, event };
  }

  /** Storage's answer, or UNAVAILABLE when it does not come in time. */
  async #storage<T>(answer: Promise<T>): Promise<T> {
    const value = await within(this.#parts.clock, TIMES.claim_timeout_ms, answer).catch((error: unknown) => {
      throw isStorageAway(error) ? unavailable() : error;
    });
    if (value === TIMED_OUT) throw unavailable();
    return value;
  }

  /** Somebody outside may have begun to listen to a document's channel without a word from us. */
  async #countSubscribers(): Promise<void> {
    const occupied = [...this.#documents.values()].flatMap(({ runtime }) =>
      runtime !== null && runtime.members.size > 0 ? [runtime] : [],
    );
    if (occupied.length === 0 || this.#counting) return;
    this.#counting = true;
    try {
      const counts = await this.#parts.subscribersElsewhere(occupied.map((runtime) => runtime.doc_id));
      for (const [i, runtime] of occupied.entries()) runtime.heardElsewhere(counts[i] ?? 0);
    } catch {
      // Redis is away: nobody listens there either
    } finally {
      this.#counting = false;
    }
  }

  #refuseQuarantined(doc_id: string): void {
    const recent = (this.#crashes.get(doc_id) ?? []).filter(
      (at) => this.#parts.clock.monotonic() - at < CRASH_WINDOW_MS,
    );
    if (recent.length === 0) this.#crashes.delete(doc_id);
    else this.#crashes.set(doc_id, recent);
    if (recent.length >= CRASHES_MAX)
      throw unavailable('The document failed repeatedly and is resting; try again in a minute.', 60);
  }

  #noteCrash(doc_id: string): void {
    this.#parts.observer.crashed();
    const crashes = [...(this.#crashes.get(doc_id) ?? []), this.#parts.clock.monotonic()];
    this.#crashes.set(doc_id, crashes);
    if (crashes.length >= CRASHES_MAX)
      this.#parts.log.error(
        { doc_id, crashes: crashes.length },
        'the document crashed too often; it rests for a minute',
      );
  }
}
