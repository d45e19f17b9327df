/**
 * PostgreSQL as the actors know it, in memory: the same fence (an append counts only at the epoch and head that it names,
 * a claim only at the epoch that it saw), the same unique numbers, the same four ways in which a statement can end.
 * A statement takes effect as a whole at one moment; whether, when, and whether its sender hears of it, is chance's.
 */
import { bytesOf } from '../../src/actors/ledger.ts';
import type { Random } from '../../src/base/random.ts';
import type { ClaimedDocument, DocumentStore, HeadPosition, JournalStore } from '../../src/store/document-store.ts';
import type { NodeIdentity } from '../../src/store/heads.ts';
import type { Snapshot } from '../../src/store/snapshots.ts';
import type { Append, JournalRow } from '../../src/store/updates.ts';
import { makeSnapshot } from '../../src/workers/make-snapshot.ts';
import { Dice } from '../fuzz/edits.ts';
import type { Host } from './time.ts';
import type { Trace } from './trace.ts';

/** A document with its journal. */
export interface StoredDocument {
  epoch: number;
  head_rev: number;
  owner: NodeIdentity | null;
  claim_id: string | null;
  readonly rows: JournalRow[];
  /** The row of each `user client seq`. */
  readonly numbered: Map<string, JournalRow>;
  snapshot: Snapshot | null;
  /** Which start of a node wrote under each epoch. */
  readonly writers: Map<number, string>;
}

/** How it does: answers, refuses connections, or says nothing. */
export type Health = 'well' | 'away' | 'hung';

/** Milliseconds that a statement is on its way, one way. */
const WAY_MS = 3;

/** How long it takes to give a server up that cannot be reached. */
const CUT_MS_MAX = 3_000;

/** See the head of this file. */
export class Storage {
  readonly documents = new Map<string, StoredDocument>();
  readonly dice: Dice;
  health: Health = 'well';
  /** One statement in so many has an unknown outcome; 0: none. */
  unknown_once_in = 0;
  /** Processes that cannot reach it. */
  readonly cut_off = new Set<Host>();
  /** What cannot be and was. */
  readonly faults: string[] = [];
  /** Statements that reached a server that hangs. */
  #stuck: (() => void)[] = [];
  /** The server itself: never still, never gone. */
  readonly #server: Host;

  constructor(
    server: Host,
    private readonly trace: Trace,
    random: Random,
  ) {
    this.dice = new Dice(random);
    this.#server = server;
  }

  /** Makes an empty document. */
  create(doc_id: string): void {
    this.documents.set(doc_id, {
      epoch: 0,
      head_rev: 0,
      owner: null,
      claim_id: null,
      rows: [],
      numbered: new Map(),
      snapshot: null,
      writers: new Map(),
    });
  }

  document(doc_id: string): StoredDocument {
    const found = this.documents.get(doc_id);
    if (found === undefined) throw new Error(`nobody made document ${doc_id}`);
    return found;
  }

  /** Well again: what is stuck takes effect now, or never. */
  heal(): void {
    this.health = 'well';
    this.cut_off.clear();
    for (const statement of this.#stuck.splice(0)) if (!this.dice.once(3)) statement();
  }

  /** Does a snapshot worker's work on a document. */
  makeSnapshot(doc_id: string): void {
    const document = this.document(doc_id);
    const from = document.snapshot?.rev ?? 0;
    if (document.head_rev === from) return;
    const updates = document.rows.slice(from).map((row) => row.update);
    const made = makeSnapshot({ state: document.snapshot?.state ?? null, updates });
    document.snapshot = { ...made, rev: document.head_rev };
    this.trace.note('worker', `snapshot at ${document.head_rev}`);
  }

  /** The store as a process on `host` sees it. */
  storeFor(host: Host): DocumentStore {
    const ask = <T>(what: string, apply: () => T): Promise<T> => this.#ask(host, what, apply);
    return {
      readHead: (doc_id) =>
        ask('read head', () => {
          const found = this.documents.get(doc_id);
          if (found === undefined) return null;
          const { epoch, head_rev, owner } = found;
          return { epoch, head_rev, owner };
        }),
      claimHead: (doc_id, seen_epoch, node, claim_id) =>
        ask('claim', () => this.#claim(doc_id, seen_epoch, node, claim_id)),
      releaseHead: (doc_id, claim_id) => ask('release', () => this.#release(doc_id, claim_id)),
      heldDocuments: (claims) =>
        ask(
          'held?',
          () =>
            new Set(claims.filter((c) => this.document(c.doc_id).claim_id === c.claim_id).map(({ doc_id }) => doc_id)),
        ),
      readSnapshot: (doc_id) => ask('read snapshot', () => this.document(doc_id).snapshot),
      readTail: (doc_id, after_rev, to_rev) =>
        ask('read tail', () => this.document(doc_id).rows.slice(after_rev, to_rev)),
      readDeltas: (doc_id, after_rev, to_rev, bytes_max) =>
        ask('read deltas', () => {
          const rows = this.document(doc_id).rows.slice(after_rev, to_rev);
          return rows.reduce((sum, row) => sum + row.delta.length, 0) <= bytes_max ? rows : [];
        }),
      readMissed: (doc_id, after_rev, to_rev, bytes_max) =>
        ask('read missed', () => {
          const rows = this.document(doc_id).rows.slice(after_rev, to_rev);
          return rows.reduce((sum, row) => sum + bytesOf(row), 0) <= bytes_max ? rows : [];
        }),
      epochOfRev: (doc_id, rev) => ask('epoch of rev', () => this.document(doc_id).rows[rev - 1]?.epoch ?? null),
      lastSeq: (doc_id, user_id, client_id) =>
        ask('last seq', () => {
          const of = this.document(doc_id).rows.filter((r) => r.user_id === user_id && r.client_id === client_id);
          return of.reduce((last, { seq }) => Math.max(last, seq ?? 0), 0);
        }),
      findBySeq: (doc_id, user_id, client_id, seq) =>
        ask('find seq', () => this.document(doc_id).numbered.get(`${user_id} ${client_id} ${seq}`) ?? null),
    };
  }

  /** The journal as a process on `host` writes it. */
  journalFor(host: Host, boot_id: string): JournalStore {
    return {
      appendUpdates: (batch) => this.#ask(host, 'append', () => this.#append(batch, boot_id)),
      reclaimHeads: (claims) => this.#ask(host, 'reclaim', () => this.#reclaim(claims)),
      renew: () => {},
    };
  }

  // ── statements ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #claim(doc_id: string, seen_epoch: number, node: NodeIdentity, claim_id: string): HeadPosition | null {
    const document = this.document(doc_id);
    if (document.epoch !== seen_epoch) return null;
    document.epoch += 1;
    document.owner = node;
    document.claim_id = claim_id;
    const { epoch, head_rev } = document;
    this.trace.note('storage', `epoch ${epoch} is ${node.node_id}'s, at ${head_rev}`);
    return { epoch, head_rev };
  }

  #release(doc_id: string, claim_id: string): void {
    const document = this.document(doc_id);
    if (document.claim_id !== claim_id) return;
    this.trace.note('storage', `${document.owner?.node_id} gives up at ${document.head_rev}`);
    document.owner = null;
    document.claim_id = null;
  }

  #reclaim(claims: readonly ClaimedDocument[]): Map<string, HeadPosition> {
    const held = new Map<string, HeadPosition>();
    for (const { doc_id, claim_id } of claims) {
      const document = this.document(doc_id);
      if (document.claim_id !== claim_id) continue;
      document.epoch += 1;
      held.set(doc_id, { epoch: document.epoch, head_rev: document.head_rev });
      this.trace.note('storage', `epoch ${document.epoch}: ${document.owner?.node_id} again, at ${document.head_rev}`);
    }
    return held;
  }

  #append(batch: readonly Append[], boot_id: string): Set<string> {
    const moving = batch.filter((append) => {
      const { epoch, head_rev } = this.document(append.doc_id);
      return this.mayAppend(epoch === append.epoch, head_rev === append.head_rev);
    });
    for (const { doc_id, rows } of moving) {
      const { numbered } = this.document(doc_id);
      for (const { user_id, client_id, seq } of rows)
        if (seq !== null && numbered.has(`${user_id} ${client_id} ${seq}`)) throw new RefusedStatement('23505');
    }
    for (const append of moving) this.#write(append, boot_id);
    return new Set(moving.map(({ doc_id }) => doc_id));
  }

  /** The fence. */
  protected mayAppend(same_epoch: boolean, same_head: boolean): boolean {
    return same_epoch && same_head;
  }

  #write({ doc_id, epoch, head_rev, rows }: Append, boot_id: string): void {
    const document = this.document(doc_id);
    const writer = document.writers.get(epoch) ?? boot_id;
    if (writer !== boot_id) this.faults.push(`two owners wrote under epoch ${epoch}`);
    document.writers.set(epoch, writer);
    for (const [i, { rev, user_id, client_id, seq, at, update, delta }] of rows.entries()) {
      if (rev !== head_rev + i + 1) this.faults.push(`rev ${rev} was written behind ${head_rev + i}`);
      const created_at = new Date(at);
      const row = { rev, epoch, user_id, client_id, seq, created_at, update: update.slice(), delta };
      document.rows.push(row);
      if (seq !== null) document.numbered.set(`${user_id} ${client_id} ${seq}`, row);
    }
    document.head_rev += rows.length;
    this.trace.note('storage', `revs ${head_rev + 1} to ${document.head_rev} of epoch ${epoch}`);
  }

  // ── how a statement ends ───────────────────────────────────────────────────────────────────────────────────────────

  #ask<T>(host: Host, what: string, apply: () => T): Promise<T> {
    const { dice } = this;
    const there_ms = 1 + dice.below(WAY_MS);
    const back_ms = 1 + dice.below(WAY_MS);
    const luck = this.unknown_once_in > 0 && dice.once(this.unknown_once_in) ? dice.below(4) : null;
    const later_ms = luck === null ? 0 : dice.below(3_000);
    return new Promise((resolve, reject) => {
      const answer = (delay_ms: number, told: () => void): void => void host.receive(delay_ms, told);
      const lost = (): void => answer(back_ms, () => reject(new ConnectionLost()));
      const arrive = (): void => {
        if (this.health === 'away') return lost();
        if (this.health === 'hung') return void this.#stuck.push(luck === null ? take : () => void attempt(apply));
        if (luck === null) return take();
        this.trace.note('storage', `${host.name}'s ${what} ends unknown (${luck})`);
        // Not taken at all; taken, and the answer is lost; taken later, when nobody waits any more; taken without a word.
        if (luck === 1 || luck === 3) attempt(apply);
        if (luck === 2) this.#server.receive(later_ms, () => void attempt(apply));
        if (luck !== 3) lost();
      };
      const take = (): void => {
        const outcome = attempt(apply);
        answer(back_ms, () => (outcome.ok ? resolve(outcome.value) : reject(outcome.error)));
      };
      if (this.cut_off.has(host)) answer(dice.below(CUT_MS_MAX), () => reject(new ConnectionLost()));
      else if (this.health === 'away') lost();
      else this.#server.receive(there_ms, arrive);
    });
  }
}

function attempt<T>(
  apply: () => T,
): { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown } {
  try {
    return { ok: true, value: apply() };
  } catch (error) {
    return { ok: false, error };
  }
}

/** As postgres.js says that a connection broke. */
class ConnectionLost extends Error {
  readonly code = 'CONNECTION_CLOSED';

  constructor() {
    super('the connection to storage broke');
  }
}

/** As PostgreSQL refuses a statement. */
class RefusedStatement extends Error {
  constructor(readonly code: string) {
    super(`storage refuses the statement: ${code}`);
  }
}
