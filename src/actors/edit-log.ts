/**
 * The order of a document's edits: the one writer's memory of which revision is which.
 *
 * {@link EditLog.record} is where an edit gets its `rev`, and the only place: the journal's ledger, the window and the
 * wire all get it from here, in this order. It also remembers, per author and client, the last `seq` that the document
 * holds, so that a resend is recognised whatever happened in between; what memory forgot, the journal's index knows.
 */
import { isoTime } from '../base/clock.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { Ledger } from './ledger.ts';
import type { Change } from './replica.ts';
import { deltaBytes, type EditWindow, type WindowEntry } from './window.ts';

/** Who made a change. */
export interface Author {
  readonly user_id: string;
  readonly client_id: string;
  readonly seq: number | null;
}

/** A recorded edit and its wire forms, encoded once. */
export interface Recorded {
  readonly rev: number;
  readonly update: Uint8Array;
  /** The `edit` event as JSON. */
  readonly event: string;
}

/** See the head of this file. */
export class EditLog {
  readonly window: EditWindow;
  readonly #doc_id: string;
  readonly #ledger: Ledger;
  /** `user_id client_id` → last seq. Least recently used first. */
  readonly #seqs = new Map<string, number>();
  /** Keys of those who are connected. */
  readonly #kept = new Set<string>();

  constructor(doc_id: string, ledger: Ledger, window: EditWindow) {
    this.#doc_id = doc_id;
    this.#ledger = ledger;
    this.window = window;
  }

  /** The last revision given out. */
  get head(): number {
    return this.window.head;
  }

  /** Gives the change its revision, hands it to the journal and remembers it. */
  record(change: Change, author: Author, at: number): Recorded {
    const rev = this.head + 1;
    const { user_id, client_id, seq } = author;
    const delta = JSON.stringify(change.delta);
    this.#ledger.append({ rev, user_id, client_id, seq, at, update: change.update, delta });
    const bytes = deltaBytes(change.delta, delta.length);
    this.window.append({ rev, epoch: this.#ledger.epoch, user_id, client_id, seq, at, delta: change.delta, bytes });
    if (seq !== null) this.noteSeq(user_id, client_id, seq);
    return { rev, update: change.update, event: editEvent(this.#doc_id, author, rev, delta, at) };
  }

  /** The last seq of this author's client as far as memory knows; null when only the journal can tell. */
  knownSeq(user_id: string, client_id: string): number | null {
    return this.#seqs.get(`${user_id} ${client_id}`) ?? null;
  }

  /** Learns that the document holds `seq`; what is known already never goes back. */
  noteSeq(user_id: string, client_id: string, seq: number): void {
    const key = `${user_id} ${client_id}`;
    const known = this.#seqs.get(key) ?? 0;
    this.#seqs.delete(key);
    this.#seqs.set(key, Math.max(known, seq));
    // Only what is on disk may be forgotten, and nothing of somebody who is connected: they are not asked about again.
    if (this.#seqs.size <= LIMITS.clients_remembered_max || this.#ledger.backlog_revs > 0) return;
    for (const oldest of this.#seqs.keys()) {
      if (this.#kept.has(oldest)) continue;
      this.#seqs.delete(oldest);
      return;
    }
  }

  /** Remembers the seq of a client for as long as it is connected. */
  keep(user_id: string, client_id: string): void {
    this.#kept.add(`${user_id} ${client_id}`);
  }

  /** The client left. */
  letGo(user_id: string, client_id: string): void {
    this.#kept.delete(`${user_id} ${client_id}`);
  }
}

/** The `edit` event of a window entry, as it was sent the first time. */
export function entryEvent(doc_id: string, entry: WindowEntry): string {
  return editEvent(doc_id, entry, entry.rev, JSON.stringify(entry.delta), entry.at);
}

/** The `edit` event of CONTRACT.md section 3, composed by hand: it is made at every keystroke, and its delta is JSON already. */
export function editEvent(doc_id: string, author: Author, rev: number, delta_json: string, at: number): string {
  return (
    `{"type":"edit","user_id":"${author.user_id}","doc_id":"${doc_id}","client_id":"${author.client_id}",` +
    `"seq":${author.seq},"changes":{"rev":${rev},"delta":${delta_json}},"timestamp":"${isoTime(at)}"}`
  );
}
