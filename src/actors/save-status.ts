/**
 * What people are told about the safety of their text: `saved`, `saving`, `unsaved`, `read_only`.
 *
 * It follows the journal's backlog and nothing else. `saving` begins with the first unconfirmed edit; `saved` returns
 * once nothing has been waiting for a moment, so that typing does not make it flicker at every commit; `unsaved` means
 * that the oldest edit has waited for two seconds; `read_only` means that the backlog is full and edits are refused
 * until half of it is written.
 */
import type { Clock, Timer } from '../base/clock.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import type { SaveState } from '../protocol/messages.ts';
import type { Ledger } from './ledger.ts';

/** See the head of this file. */
export class SaveStatus {
  #state: SaveState = 'saved';
  #since: number;
  #timer: Timer | null = null;

  constructor(
    private readonly clock: Clock,
    private readonly ledger: Ledger,
    private readonly nodeIsFull: () => boolean,
    private readonly changed: () => void,
  ) {
    this.#since = clock.now();
  }

  /** The state now. */
  get state(): SaveState {
    return this.#state;
  }

  /** Epoch milliseconds of the last change. */
  get since(): number {
    return this.#since;
  }

  /** Looks at the backlog again: after an append and after a commit. */
  update(): void {
    const next = this.#judge();
    if (next === 'saved' && this.#state !== 'saved') {
      this.close();
      this.#arm(TIMES.saved_settle_ms);
      return;
    }
    this.#enter(next);
    if (next === 'saving') this.#arm(TIMES.unsaved_after_ms);
    else if (next !== 'saved') this.#arm(TIMES.saved_settle_ms);
  }

  /** Stops its timer. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #judge(): SaveState {
    const { backlog_revs, backlog_bytes, waiting_since } = this.ledger;
    if (waiting_since === null) return 'saved';
    const share = this.#state === 'read_only' ? 0.5 : 1;
    const full = backlog_revs >= LIMITS.backlog_revs_max * share || backlog_bytes >= LIMITS.backlog_bytes_max * share;
    if (full || this.nodeIsFull()) return 'read_only';
    return this.clock.monotonic() - waiting_since >= TIMES.unsaved_after_ms ? 'unsaved' : 'saving';
  }

  #arm(delay_ms: number): void {
    if (this.#timer !== null) return;
    this.#timer = this.clock.after(delay_ms, () => {
      this.#timer = null;
      const next = this.#judge();
      this.#enter(next);
      if (next !== 'saved') this.#arm(TIMES.saved_settle_ms);
    });
  }

  #enter(state: SaveState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#since = this.clock.now();
    this.changed();
  }
}
