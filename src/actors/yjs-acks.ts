/**
 * Tells each Yjs member that asked for acks how many of its own update frames are on disk: it cannot know which revision
 * its edit became, but it can count what it sent.
 *
 * A frame whose update could not be placed, because something it builds on was missing, is not covered by anything until
 * the member's whole difference (a SyncStep2) has been taken: from then on everything it sent before is.
 */
import { ackFrame } from '../protocol/yjs-wire.ts';
import type { YjsMember } from './member.ts';

interface Count {
  readonly member: YjsMember;
  /** Update frames received. */
  taken: number;
  /** Whether one of them still waits for the member's whole difference. */
  incomplete: boolean;
  /** Which revision covers how many frames, oldest first. */
  readonly uncovered: { readonly rev: number; readonly frames: number }[];
}

/** See the head of this file. */
export class YjsAcks {
  readonly #counts = new Map<number, Count>();

  /** Begins to count for a member that asked for it. */
  join(member: YjsMember, epoch: number, durable_rev: number): void {
    if (!member.acks) return;
    this.#counts.set(member.member_id, { member, taken: 0, incomplete: false, uncovered: [] });
    member.send(ackFrame(epoch, durable_rev, 0));
  }

  /** Forgets a member. */
  leave(member_id: number): void {
    this.#counts.delete(member_id);
  }

  /**
   * A member's `frames` update frames were taken and are covered by `rev`. `missing`: not all could be placed. `whole`: a
   * SyncStep2 was among them.
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
    for (const { member, uncovered } of this.#counts.values()) {
      let frames: number | null = null;
      while (uncovered[0] !== undefined && uncovered[0].rev <= rev) frames = uncovered.shift()?.frames ?? null;
      if (frames !== null) member.send(ackFrame(epoch, rev, frames));
    }
  }
}
