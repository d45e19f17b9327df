/**
 * Who is connected to a document, what they may do, and what they show of themselves. Presence is gathered for a tick
 * before it leaves (see presence.ts).
 */
import type { Clock, Timer } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { CloseCode } from '../protocol/close.ts';
import { CLOSE } from '../protocol/close.ts';
import { TIMES } from '../protocol/limits.ts';
import type { PresenceEntry, PresenceState, Role } from '../protocol/messages.ts';
import { type AwarenessEntry, awarenessFrame } from '../protocol/yjs-wire.ts';
import type { Broadcast } from './broadcast.ts';
import { type JsonMember, type Member, tell, type YjsMember } from './member.ts';
import { PresenceBook } from './presence.ts';
import type { CursorTranslator } from './shown.ts';

/** What a membership is made of. */
export interface MembershipParts {
  readonly doc_id: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly cursors: CursorTranslator;
  readonly broadcast: Broadcast;
  /** Whether the document had another owner before. */
  readonly reopened: boolean;
  /** How many are connected changed. */
  occupied(members: number): void;
  /** A member is gone, for whatever reason. */
  left(member: Member): void;
}

/** See the head of this file. */
export class Membership {
  readonly #parts: MembershipParts;
  readonly #members = new Map<number, Member>();
  readonly #presence: PresenceBook;
  #tick: Timer | null = null;

  constructor(parts: MembershipParts) {
    this.#parts = parts;
    this.#presence = new PresenceBook(parts.doc_id, parts.clock, parts.random, parts.cursors, parts.reopened);
  }

  /** How many are connected. */
  get size(): number {
    return this.#members.size;
  }

  /** Whether this very connection still is a member. */
  has(member: Member): boolean {
    return this.#members.has(member.member_id);
  }

  /**
   * Seats a member. Of two connections of one JSON client the one that was opened later stays; false when that is not this
   * one, which is closed then.
   */
  join(member: Member): boolean {
    if (member.wire === 'json' && !this.#replaceOlder(member)) return false;
    this.#members.set(member.member_id, member);
    this.#count(member, 1);
    this.#presence.join(member);
    this.#parts.occupied(this.#members.size);
    return true;
  }

  /** Lets a member go. */
  leave(member: Member): void {
    if (!this.#members.delete(member.member_id)) return;
    this.#count(member, -1);
    this.#presence.leave(member);
    this.#parts.left(member);
    this.#parts.occupied(this.#members.size);
  }

  /** Lets a member go and closes its connection. */
  expel(member: Member, code: CloseCode, reason: string): void {
    this.leave(member);
    member.close(code, reason);
  }

  /**
   * A user's role changed; null means that they may not be here any more. Returns the Yjs members who may edit now and might
   * not before.
   */
  role(user_id: string, role: Role | null): readonly YjsMember[] {
    const promoted: YjsMember[] = [];
    for (const member of [...this.#members.values()]) {
      if (member.user_id !== user_id || member.role === role) continue;
      if (role === null) this.expel(member, CLOSE.FORBIDDEN, 'you are no longer allowed on this document');
      else {
        const viewed = member.role === 'viewer';
        member.role = role;
        if (member.wire === 'json') tell(member, { type: 'role', doc_id: this.#parts.doc_id, role });
        else if (viewed) promoted.push(member);
      }
    }
    return promoted;
  }

  /** Everybody, as `ready` and REST list them. */
  list(): PresenceEntry[] {
    return this.#presence.list();
  }

  /** A JSON member shows itself. */
  show(member: JsonMember, state: PresenceState): void {
    this.#presence.show(member, state);
  }

  /** A Yjs member shows itself; one that sends what it may not is expelled. */
  awareness(member: YjsMember, entries: readonly AwarenessEntry[]): void {
    const refusal = this.#presence.awareness(member, entries);
    if (refusal !== null) this.expel(member, CLOSE.MALFORMED, refusal);
  }

  /** Tells one Yjs member what everybody shows. */
  tellAwareness(member: YjsMember): void {
    member.send(awarenessFrame(this.#presence.awarenessEntries()));
  }

  /** Keeps JSON members alive in the eyes of stock awareness. */
  renew(): void {
    this.#presence.renew();
    this.scheduleTick();
  }

  /** Has what changed sent after a tick. */
  scheduleTick(): void {
    if (this.#tick !== null || !this.#presence.dirty) return;
    const { clock, broadcast } = this.#parts;
    this.#tick = clock.after(TIMES.presence_tick_ms, () => {
      this.#tick = null;
      const { awareness, events } = this.#presence.take(broadcast.events_wanted);
      broadcast.presence(
        awareness,
        events.map((event) => JSON.stringify(event)),
      );
    });
  }

  /** Closes all connections. */
  end(code: CloseCode, reason: string): void {
    const all = [...this.#members.values()];
    this.#members.clear();
    this.#tick?.cancel();
    this.#tick = null;
    for (const member of all) member.close(code, reason);
  }

  /** False: it is the older one itself, whose joining took longer than its client's patience. */
  #replaceOlder(member: JsonMember): boolean {
    for (const other of [...this.#members.values()]) {
      if (other.wire !== 'json' || other.user_id !== member.user_id || other.client_id !== member.client_id) continue;
      const [older, stays] = other.opened_at > member.opened_at ? [member, false] : [other, true];
      this.expel(older, CLOSE.REPLACED, 'a newer connection has this client_id');
      if (!stays) return false;
    }
    return true;
  }

  #count(member: Member, by: 1 | -1): void {
    const { broadcast } = this.#parts;
    if (member.place === 'elsewhere') broadcast.members_elsewhere += by;
    else if (member.wire === 'json') broadcast.json_members += by;
    else broadcast.yjs_members += by;
  }
}
