/**
 * Who hears when that edits are on disk.
 *
 * Authors hear at once, each for itself: they hold on to what they sent until then. Everybody else only wants to know how
 * far the disk is behind, so they are told together, a moment later: on a busy document that spares a frame to each of
 * them at every commit.
 *
 * A Yjs member that asked for acks cannot know which revision its edit became, but it can count what it sent, so it is told
 * how many of its own update frames are covered. A frame whose update could not be placed, because something it builds on
 * was missing, is not covered by anything until the member's whole difference (a SyncStep2) has been taken: from then on
 * everything it sent before is.
 */
import type { Clock, Timer } from '../base/clock.ts';
import { TIMES } from '../protocol/limits.ts';
import { ackFrame } from '../protocol/yjs-wire.ts';
import { type JsonMember, type Member, tell, type YjsMember } from './member.ts';

/** A Yjs member that asked for acks. */
interface Count {
  readonly member: YjsMember;
  /** Update frames received. */
  taken: number;
  /** Whether one of them still waits for the member's whole difference. */
  incomplete: boolean;
  /** Which revision covers how many frames, oldest first. */
  readonly uncovered: { readonly rev: number; readonly frames: number }[];
}

/** A JSON member with edits that are not on disk. */
interface Waiting {
  readonly member: JsonMember;
  /** From the oldest to the newest of its revisions that wait. */
  from: number;
  to: number;
}

/** What acks are made of. */
export interface AckParts {
  readonly doc_id: string;
  readonly clock: Clock;
  /** How many there are to tell, besides Yjs members: JSON members, and subscribers elsewhere. */
  listeners(): number;
  /** Tells everybody at once that everything up to `rev` is on disk. */
  announce(rev: number, epoch: number): void;
}

/** See the head of this file. */
export class Acks {
  readonly #parts: AckParts;
  readonly #counts = new Map<number, Count>();
  readonly #waiting = new Map<number, Waiting>();
  #latest = { rev: 0, epoch: 0 };
  #timer: Timer | null = null;

  constructor(parts: AckParts) {
    this.#parts = parts;
  }

  /** Begins to count for a Yjs member that asked for it. */
  join(member: YjsMember, epoch: number, durable_rev: number): void {
    if (!member.acks) return;
    this.#counts.set(member.member_id, { member, taken: 0, incomplete: false, uncovered: [] });
    member.send(ackFrame(epoch, durable_rev, 0));
  }

  /** Forgets a member. */
  leave({ member_id }: Member): void {
    this.#counts.delete(member_id);
    this.#waiting.delete(member_id);
  }

  /** A JSON member's edit became `rev`. */
  placed(member: JsonMember, rev: number): void {
    const waiting = this.#waiting.get(member.member_id);
    if (waiting === undefined) this.#waiting.set(member.member_id, { member, from: rev, to: rev });
    else waiting.to = rev;
  }

  /**
   * A Yjs member's `frames` update frames were taken and are covered by `rev`. `missing`: not all could be placed. `whole`:
   * a SyncStep2 was among them.
   */
  took(
    member: YjsMember,
    frames: number,
    rev: number,
    state: { readonly missing: boolean; readonly whole: boolean; readonly epoch: number; readonly durable_rev: number },
  ): void {
    const count = this.#counts.get(member.member_id);
    if (count === undefined) return;
    count.taken += frames;
    if (state.missing) count.incomplete = true;
    else if (state.whole) count.incomplete = false;
    if (count.incomplete) return;
    if (rev <= state.durable_rev && count.uncovered.length === 0)
      member.send(ackFrame(state.epoch, state.durable_rev, count.taken));
    else count.uncovered.push({ rev, frames: count.taken });
  }

  /** Everything up to `rev` is committed. */
  committed(rev: number, epoch: number): void {
    let told = 0;
    for (const { member, uncovered } of this.#counts.values()) {
      let frames: number | null = null;
      while (uncovered[0] !== undefined && uncovered[0].rev <= rev) frames = uncovered.shift()?.frames ?? null;
      if (frames === null) continue;
      member.send(ackFrame(epoch, rev, frames));
      told += 1;
    }
    for (const [member_id, waiting] of this.#waiting) {
      if (waiting.from > rev) continue;
      tell(waiting.member, { type: 'ack', doc_id: this.#parts.doc_id, epoch, rev });
      // Those on other nodes are one listener together, so they must not be taken for others who were not told.
      if (waiting.member.place === 'here') told += 1;
      if (waiting.to > rev) waiting.from = rev + 1;
      else this.#waiting.delete(member_id);
    }
    this.#latest = { rev, epoch };
    if (this.#timer !== null || told >= this.#counts.size + this.#parts.listeners()) return;
    this.#timer = this.#parts.clock.after(TIMES.ack_others_ms, () => this.flush());
  }

  /** Tells everybody what they have not been told yet. */
  flush(): void {
    if (this.#timer === null) return;
    this.#timer.cancel();
    this.#timer = null;
    this.#parts.announce(this.#latest.rev, this.#latest.epoch);
  }
}
