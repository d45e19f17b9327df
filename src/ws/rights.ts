/**
 * What keeps a lost signal from leaving somebody where they may not be any more. Signals tell of a change of rights within
 * milliseconds, but Redis forgets whoever did not listen at that moment; so the rights of all who are on documents are read
 * again from PostgreSQL, many in one statement: when the subscription is there again after it broke, every second while it
 * is broken, and otherwise every ten. One pass runs at a time, and the next begins no sooner than its time after the last.
 *
 * What was read may be older than a signal that came meanwhile, so what somebody was told of during the pass is left as it
 * was told. A role is passed on only where it is not known to have been passed on already; whoever has it hears nothing.
 */
import type { Signal } from '../actors/gateway.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Caller } from '../domain/tokens.ts';
import { CLOSE, type CloseCode } from '../protocol/close.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import type { Role } from '../protocol/messages.ts';
import type { Sql } from '../store/postgres.ts';
import { findStandings, type Standing } from '../store/rights.ts';

/** Somebody's connection to a document. */
export interface RightsHolder {
  readonly doc_id: string;
  /** Null until the token was checked. */
  readonly caller: Caller | null;
  close(code: CloseCode, reason: string): void;
}

/** What the watch works with. */
export interface RightsParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly sql: Sql;
  /** Whether signals of other nodes do not arrive. */
  away(): boolean;
  /** All connections of this node. */
  holders(): Iterable<RightsHolder>;
  /** Acts on this node as if the signal had come. */
  act(signal: Signal): void;
}

type Known = RightsHolder & { readonly caller: Caller };

/** See the head of this file. */
export class RightsWatch {
  readonly #parts: RightsParts;
  readonly #timer: Timer;
  /** The roles that were passed on, by {@link keyOf}. */
  #passed = new Map<string, Role | null>();
  /** Whose role was told of since the pass began, by {@link keyOf}. */
  readonly #told = new Set<string>();
  #pass: Promise<void> | null = null;
  #again = false;
  #next_at: number;
  #failing = false;

  constructor(parts: RightsParts) {
    this.#parts = parts;
    this.#next_at = parts.clock.monotonic() + TIMES.rights_check_ms;
    this.#timer = parts.clock.every(TIMES.rights_check_away_ms, () => {
      if (parts.away() || parts.clock.monotonic() >= this.#next_at) void this.look();
    });
  }

  /** A signal came: what is being read may be older. */
  heard(signal: Signal): void {
    if (signal.type !== 'role') return;
    const key = keyOf(signal.doc_id, signal.user_id);
    this.#told.add(key);
    this.#passed.delete(key);
  }

  /** Signals may have been missed: reads all rights now, or once more after the pass that is under way. Never rejects. */
  look(): Promise<void> {
    if (this.#pass !== null) {
      this.#again = true;
      return this.#pass;
    }
    this.#pass = this.#passes().finally(() => {
      this.#pass = null;
      this.#next_at = this.#parts.clock.monotonic() + TIMES.rights_check_ms;
    });
    return this.#pass;
  }

  /** Stops its timer. */
  stop(): void {
    this.#timer.cancel();
  }

  async #passes(): Promise<void> {
    do {
      this.#again = false;
      this.#told.clear();
      try {
        await this.#check([...this.#parts.holders()].filter((holder): holder is Known => holder.caller !== null));
        this.#failing = false;
      } catch (error) {
        // A database that is away says so often enough elsewhere; nobody's rights can have changed meanwhile.
        if (!this.#failing) this.#parts.log.warn({ error }, 'rights of open sockets could not be read; trying again');
        this.#failing = true;
        return;
      }
    } while (this.#again);
  }

  async #check(holders: readonly Known[]): Promise<void> {
    const passed = new Map<string, Role | null>();
    for (let from = 0; from < holders.length; from += LIMITS.rights_rows_max) {
      const batch = holders.slice(from, from + LIMITS.rights_rows_max);
      const asked = batch.map(({ doc_id, caller: { session_id, user_id } }) => ({ doc_id, session_id, user_id }));
      const standings = await findStandings(this.#parts.sql, asked);
      for (const [i, standing] of standings.entries()) {
        const holder = batch[i];
        if (holder !== undefined) this.#apply(holder, standing, passed);
      }
    }
    // Of batches that were read before they were told of something.
    for (const key of this.#told) passed.delete(key);
    // Only those who are still here: others may come back with a role that nobody passed on to them.
    this.#passed = passed;
  }

  #apply(holder: Known, { signed_in, there, role }: Standing, passed: Map<string, Role | null>): void {
    const { doc_id } = holder;
    const { session_id, user_id } = holder.caller;
    if (!signed_in) return this.#parts.act({ type: 'session_ended', session_id });
    if (!there) return holder.close(CLOSE.NOT_FOUND, 'the document was deleted');
    const key = keyOf(doc_id, user_id);
    if (this.#told.has(key)) return;
    const known = this.#passed.get(key) === role || passed.has(key);
    if (role !== null) passed.set(key, role);
    if (!known) this.#parts.act({ type: 'role', doc_id, user_id, role });
  }
}

function keyOf(doc_id: string, user_id: string): string {
  return `${doc_id} ${user_id}`;
}
