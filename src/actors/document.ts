/**
 * An open document: its mailbox, its XState actor, and the wiring between the statechart, the runtime and the journal.
 *
 * Whatever arrives during one turn of the event loop gathers in the mailbox; at the end of the turn the actor gets it as
 * one event. A flood is taken a millisecond at a time instead, since many small turns cost more than one large one;
 * what few people type never waits. The mailbox is bounded: beyond the soft limit presence is dropped (the next one replaces it anyway), beyond
 * the hard one edits are refused, which their senders are told.
 */
import { type Actor, createActor } from 'xstate';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { CLOSE } from '../protocol/close.ts';
import { ConcordError, unavailable } from '../protocol/errors.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import { ElsewhereError, notServed } from './elsewhere.ts';
import type { Entry } from './entries.ts';
import type { Journal } from './journal.ts';
import type { Ledger } from './ledger.ts';
import type { Claim, Located } from './locator.ts';
import { type DocumentPorts, documentMachine, type Ended } from './machine.ts';
import type { DocumentRuntime } from './runtime.ts';

/** What a document needs of the node. */
export interface DocumentParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly journal: Journal;
  claim(doc_id: string): Promise<Located>;
  release(doc_id: string, claim: Claim): Promise<void>;
  /** Reads the document from storage and makes its runtime on this ledger. */
  load(doc_id: string, ledger: Ledger, document: OpenDocument): Promise<DocumentRuntime>;
  /** The journal is well ahead of the snapshot. */
  snapshotDue(doc_id: string): void;
  readonly passivate_after_ms: number;
}

/**
 * Revisions after which a snapshot is asked for while the document stays open: some, and a share of all there are, so that
 * a long document, whose snapshot costs more, is not made anew at every page.
 */
const SNAPSHOT_EVERY_REVS = 500;
const SNAPSHOT_EVERY_SHARE = 1 / 32;

/** A turn of so many entries is a flood's, and the next begins no sooner than so long after it. */
const FLOOD_ENTRIES = 16;
const FLOOD_TURN_MS = 1;
/** What is beyond so many waits for the next turn, so that a flood on one document leaves the others their turns. */
const TURN_ENTRIES_MAX = 512;

/** See the head of this file. */
export class OpenDocument {
  readonly doc_id: string;
  /** Resolves once the document is in service; rejects with what to tell whoever asked. */
  readonly ready: Promise<DocumentRuntime>;
  /** Resolves when the actor has reached its end. */
  readonly ended: Promise<Ended>;
  readonly #parts: DocumentParts;
  readonly #actor: Actor<typeof documentMachine>;
  #runtime: DocumentRuntime | null = null;
  #in_service = false;
  #ledger: Ledger | null = null;
  #inbox: Entry[] = [];
  #received = 0;
  /** When the next turn may begin, on the monotonic clock. */
  #next_turn = 0;
  #saved = true;
  #snapshot_rev = 0;
  #resolveEnded: (how: Ended) => void = () => {};
  #resolveReady: (runtime: DocumentRuntime) => void = () => {};
  #rejectReady: (error: Error) => void = () => {};

  constructor(doc_id: string, parts: DocumentParts) {
    this.doc_id = doc_id;
    this.#parts = parts;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    // Whoever opened the document hears of a failure from `open`; nobody else has to.
    this.ready.catch(() => {});
    this.#actor = createActor(documentMachine, { input: this.#ports(), clock: machineClock(parts.clock) });
    // A throw inside the machine stops it without a word: make it an end like any other.
    this.#actor.subscribe({ error: (error: unknown) => this.#ended({ kind: 'failed', error }, this.#runtime, null) });
  }

  /** Starts claiming. */
  start(): void {
    this.#actor.start();
  }

  /** The runtime while the document is in service, else null. */
  get runtime(): DocumentRuntime | null {
    return this.#in_service ? this.#runtime : null;
  }

  /** Where the statechart is, for operators: e.g. `owned active clean held`. */
  get state(): string {
    const { value } = this.#actor.getSnapshot();
    return typeof value === 'string'
      ? value
      : Object.entries(value)
          .flatMap(([top, inner]) => [top, ...Object.values(inner ?? {})])
          .join(' ');
  }

  /** The claim that the node holds the document by, while it does. */
  get claim_id(): string | null {
    return this.#ledger?.claim_id ?? null;
  }

  /**
   * Puts an entry into the mailbox. False when the document is not in service any more: nothing was taken, and the caller
   * opens it anew. An edit beyond the hard limit is answered here, with RATE_LIMITED or a close.
   */
  push(entry: Entry): boolean {
    if (!this.#in_service) return false;
    const waiting = this.#inbox.length;
    if (waiting >= LIMITS.mailbox_soft_max && (entry.kind === 'presence' || entry.kind === 'awareness')) return true;
    if (waiting >= LIMITS.mailbox_hard_max) {
      if (entry.kind === 'edit') {
        entry.outcome.refused(
          new ConcordError('RATE_LIMITED', 'The document receives more than it can take.', undefined, 1),
        );
        return true;
      }
      if (entry.kind === 'update' || entry.kind === 'sync') {
        entry.member.close(CLOSE.OVERLOADED, 'the document receives more than it can take');
        return true;
      }
    }
    if (waiting === 0) {
      const { clock } = this.#parts;
      this.#received = clock.monotonic();
      const early_ms = this.#next_turn - this.#received;
      if (early_ms > 0) clock.after(early_ms, () => this.#deliver());
      else clock.endOfTurn(() => this.#deliver());
    }
    this.#inbox.push(entry);
    return true;
  }

  /** Node-wide news for the statechart. */
  lease(suspect: boolean): void {
    this.#actor.send({ type: suspect ? 'SUSPECT' : 'TRUSTED' });
  }

  /** Another owner has the document: drop everything. */
  fence(): void {
    this.#actor.send({ type: 'FENCED' });
  }

  /** Takes what is in the mailbox, writes everything, gives the document up. Resolves with {@link ended}. */
  async drain(): Promise<Ended> {
    // One that is being opened goes into service first: it has a claim to give back.
    await this.ready.catch(() => {});
    while (this.#inbox.length > 0) {
      this.#deliver();
      // One that crashed ends now: what its memory holds must not become part of anything that is written.
      await Promise.resolve();
    }
    this.#actor.send({ type: 'DRAIN' });
    return this.ended;
  }

  /** What the journal calls. */
  readonly listener = {
    committed: (rev: number, epoch: number): void => {
      this.#runtime?.committed(rev, epoch);
      if (rev - this.#snapshot_rev >= Math.max(SNAPSHOT_EVERY_REVS, rev * SNAPSHOT_EVERY_SHARE)) {
        this.#snapshot_rev = rev;
        this.#parts.snapshotDue(this.doc_id);
      }
    },
    fenced: (): void => this.#actor.send({ type: 'FENCED' }),
    broken: (error: unknown): void => this.#actor.send({ type: 'CRASHED', error }),
    storage: (answers: boolean): void => {
      this.#actor.send({ type: answers ? 'STORAGE_BACK' : 'STORAGE_AWAY' });
      if (answers && this.#saved) this.#actor.send({ type: 'CLEAN' });
    },
  };

  #deliver(): void {
    if (this.#inbox.length === 0) return;
    const entries = this.#inbox.slice(0, TURN_ENTRIES_MAX);
    this.#inbox = this.#inbox.slice(TURN_ENTRIES_MAX);
    this.#actor.send({ type: 'TURN', entries, received: this.#received });
    if (entries.length >= FLOOD_ENTRIES) this.#next_turn = this.#parts.clock.monotonic() + FLOOD_TURN_MS;
    if (this.#inbox.length > 0) this.#parts.clock.endOfTurn(() => this.#deliver());
  }

  /** Everything is on disk and has been for a moment, or that is over. */
  saved(all: boolean): void {
    if (all === this.#saved) return;
    this.#saved = all;
    this.#actor.send({ type: all ? 'CLEAN' : 'PENDING' });
  }

  #ports(): DocumentPorts {
    const { doc_id } = this;
    return {
      doc_id,
      passivate_after_ms: this.#parts.passivate_after_ms,
      claim: () => this.#parts.claim(doc_id),
      load: (claim) => this.#load(claim),
      drain: (runtime, claim) => this.#drain(runtime, claim),
      turn: (runtime, entries, received) => {
        try {
          runtime.turn(entries, received);
        } catch (error) {
          this.#parts.log.error({ error, doc_id }, 'the document crashed; dropping its memory, its clients reconnect');
          queueMicrotask(() => this.#actor.send({ type: 'CRASHED', error }));
        }
      },
      refuse: turnAway,
      service: (open) => {
        this.#in_service = open;
        if (open && this.#runtime !== null) this.#resolveReady(this.#runtime);
      },
      quiet: () => this.#inbox.length === 0 && (this.#ledger?.backlog_revs ?? 0) === 0,
      ended: (how, runtime, claim) => this.#ended(how, runtime, claim),
    };
  }

  async #load(claim: Claim): Promise<DocumentRuntime> {
    const { claim_id, epoch, head_rev } = claim;
    this.#ledger = this.#parts.journal.open(this.doc_id, claim_id, epoch, head_rev, this.listener);
    const runtime = await this.#parts.load(this.doc_id, this.#ledger, this);
    this.#runtime = runtime;
    this.#snapshot_rev = head_rev;
    return runtime;
  }

  /** How many are connected changed. */
  occupied(members: number): void {
    this.#actor.send({ type: members > 0 ? 'OCCUPIED' : 'EMPTY' });
  }

  async #drain(runtime: DocumentRuntime, claim: Claim): Promise<void> {
    await runtime.ledger.settled();
    runtime.ledger.close();
    await this.#parts.release(this.doc_id, claim);
  }

  #ended(how: Ended, runtime: DocumentRuntime | null, claim: Claim | null): void {
    this.#ledger?.close();
    const entries = this.#inbox;
    this.#inbox = [];
    turnAway(entries);
    runtime?.end(CLOSE.RESTART, 'the document moved; reconnect');
    if (how.kind === 'fenced')
      this.#parts.log.warn({ doc_id: this.doc_id }, 'another node owns the document now; its clients reconnect');
    if (how.kind === 'failed') {
      // Stores that are away are no fault of the document; they are told of where they are watched.
      const ordinary = how.error instanceof ConcordError && how.error.code === 'UNAVAILABLE';
      const facts = { error: how.error, doc_id: this.doc_id };
      if (ordinary) this.#parts.log.warn(facts, 'the document cannot be served just now');
      else this.#parts.log.error(facts, 'the document went out of service');
      // Best effort: the epoch protects the data in any case, this only spares the next owner a wait.
      if (claim !== null) this.#parts.release(this.doc_id, claim).catch(() => {});
    }
    this.#rejectReady(endedError(how));
    this.#resolveEnded(how);
  }
}

/** Answers what came too late to be served: whoever waits for something is told to come again. */
function turnAway(entries: readonly Entry[]): void {
  for (const entry of entries) {
    if (entry.kind === 'edit') entry.outcome.refused(notServed());
    if (entry.kind === 'join_json' || entry.kind === 'join_yjs')
      entry.member.close(CLOSE.RESTART, 'the document moved; reconnect');
  }
}

/** What to tell somebody who asked for a document whose actor ended this way. */
export function endedError(how: Ended): Error {
  switch (how.kind) {
    case 'absent':
      return new ConcordError('NOT_FOUND', 'There is no such document.');
    case 'elsewhere':
      return new ElsewhereError(how.owner);
    case 'failed':
      return how.error instanceof ConcordError
        ? how.error
        : unavailable('The document cannot be opened now; try again.', TIMES.node_beat_ms / 1000);
    case 'released':
    case 'fenced':
      return unavailable('The document is moving; try again.', 1);
  }
}

/** XState's idea of a clock, over ours. */
function machineClock(clock: Clock) {
  const timers = new Map<number, { cancel(): void }>();
  let next = 0;
  return {
    setTimeout(callback: (...args: unknown[]) => void, delay_ms: number): number {
      const id = ++next;
      timers.set(
        id,
        clock.after(delay_ms, () => {
          timers.delete(id);
          callback();
        }),
      );
      return id;
    },
    clearTimeout(id: number): void {
      timers.get(id)?.cancel();
      timers.delete(id);
    },
  };
}
