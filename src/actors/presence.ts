/**
 * Who is on a document and what they show of themselves, on both wires at once. Memory only: it is gone with its socket.
 *
 * JSON members have a state; Yjs members have awareness entries under clientIDs that they introduced. Each side sees the
 * other: a JSON member appears to Yjs clients under a clientID that the book draws for it, and a Yjs member appears to
 * JSON clients as one presence under its connection's client_id. What changed is gathered for a tick and leaves as one
 * awareness frame and at most one event per member, because five hundred cursors must not become five hundred squared
 * frames. A clientID belongs to the socket that introduced it; the same user may take it along to a new socket, and
 * nobody else may touch it. `state.user.id` is always the authenticated user's, and `state.user.name` the account's name where a
 * Yjs client sends none: what it sends may be a nickname, but never somebody else.
 *
 * A cursor is put into the terms of the other wire when somebody of that wire is there to read it, and else when somebody
 * asks: a text that clients of one kind alone read stays as it was stored. One that is live already is asked in any case,
 * for those who listen outside.
 *
 * Stock clients keep the clocks of those they saw over a break and believe nothing at a clock they know. So whoever may come
 * back with such a clock is told that its own clientID is gone, and announces itself at a higher one.
 */
import type { Clock } from '../base/clock.ts';
import { isoTime } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import type { PresenceEntry, PresenceEvent, PresenceState } from '../protocol/messages.ts';
import { type AwarenessEntry, awarenessFrame, queryAwarenessFrame } from '../protocol/yjs-wire.ts';
import type { JsonMember, Member, YjsMember } from './member.ts';
import { type CursorTranslator, locate, relativeCursors, type Shown, shownInText, textState } from './shown.ts';

/** What a tick has to send. */
export interface PresenceTick {
  readonly awareness: readonly AwarenessEntry[];
  readonly events: readonly PresenceEvent[];
}

interface Seat {
  readonly member: Member;
  readonly since: string;
  active: boolean;
  shown: Shown;
  /** clientIDs of this seat; for a JSON member the one drawn for it. */
  readonly clients: Set<number>;
}

interface Client {
  clock: number;
  /** JSON text; `null` for one that left, kept so that its clock never goes back. */
  state: string;
  /** Null when nobody holds it any more. */
  seat: Seat | null;
  readonly user_id: string;
}

/** Clients that left are remembered, for their clocks, up to this many. */
const GONE_CLIENTS_MAX = 1_000;

/**
 * For so long after an owner began may clients come back with the clock that others know from the owner before. A stock
 * client raises its own, connected or not, every `awareness_renew_ms` or little later.
 */
const KNOWN_CLOCKS_MS = 2 * TIMES.awareness_renew_ms;

/** See the head of this file. */
export class PresenceBook {
  readonly #doc_id: string;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #cursors: CursorTranslator;
  /** Until then, of the monotonic clock, those who come may have been here under another owner. */
  readonly #returns_until: number;
  readonly #seats = new Map<number, Seat>();
  readonly #clients = new Map<number, Client>();
  readonly #dirty_clients = new Set<number>();
  /** Seats whose state is to be told to JSON clients. */
  readonly #dirty_seats = new Set<Seat>();
  /** Seats of JSON members that showed what Yjs clients were not told, for want of any. */
  readonly #untold = new Set<Seat>();
  readonly #seated = { json: 0, yjs: 0 };
  #comings: PresenceEvent[] = [];

  /** `reopened`: the document had another owner, whose members may come back. */
  constructor(doc_id: string, clock: Clock, random: Random, cursors: CursorTranslator, reopened: boolean) {
    this.#doc_id = doc_id;
    this.#clock = clock;
    this.#random = random;
    this.#cursors = cursors;
    this.#returns_until = reopened ? clock.monotonic() + KNOWN_CLOCKS_MS : Number.NEGATIVE_INFINITY;
  }

  /** Whether a tick has something to send. */
  get dirty(): boolean {
    return this.#dirty_clients.size > 0 || this.#dirty_seats.size > 0 || this.#comings.length > 0;
  }

  /** Seats a member. */
  join(member: Member): void {
    const since = isoTime(this.#clock.now());
    const seat: Seat = { member, since, active: false, shown: { state: {}, place: null }, clients: new Set() };
    this.#seats.set(member.member_id, seat);
    this.#seated[member.wire] += 1;
    this.#comings.push(this.#event(seat, 'joined'));
    // Stock awareness takes nobody in at clock 0.
    if (member.wire === 'json') this.#introduce(seat, this.#freshClientId(), 1, jsonMemberState(member, {}, null));
  }

  /** Ends a member's presence, and that of every clientID that it still holds. */
  leave(member: Member): void {
    const seat = this.#seats.get(member.member_id);
    if (seat === undefined) return;
    this.#seats.delete(member.member_id);
    this.#seated[member.wire] -= 1;
    this.#dirty_seats.delete(seat);
    this.#untold.delete(seat);
    for (const client_id of seat.clients) this.#endClient(client_id);
    this.#comings.push(this.#event(seat, 'left'));
    this.#forgetGone();
  }

  /** A JSON member shows itself. */
  show(member: JsonMember, state: PresenceState): void {
    const seat = this.#seats.get(member.member_id);
    if (seat === undefined) return;
    seat.active = true;
    const user = typeof state.user === 'object' && state.user !== null ? state.user : null;
    const stamped = user === null ? state : { ...state, user: { ...user, id: member.user_id } };
    seat.shown = shownInText(stamped, this.#cursors);
    this.#dirty_seats.add(seat);
    this.#untold.add(seat);
    if (this.#crossing('yjs')) this.#tellYjs();
  }

  /**
   * A Yjs member sends awareness. Entries of clientIDs that are another socket's are ignored, unless the same user moved.
   * Returns a reason when the member must be refused, else null.
   */
  awareness(member: YjsMember, entries: readonly AwarenessEntry[]): string | null {
    const seat = this.#seats.get(member.member_id);
    if (seat === undefined) return null;
    for (const entry of entries) {
      const client = this.#clients.get(entry.client);
      if (client !== undefined && client.seat !== seat && !mayMove(client, entry, member)) continue;
      if (Buffer.byteLength(entry.state) > LIMITS.presence_state_bytes_max)
        return `awareness state of client ${entry.client} is larger than ${LIMITS.presence_state_bytes_max} bytes`;
      if (entry.state === 'null') this.#withdraw(entry, client);
      else {
        const state = stampedState(entry.state, member);
        if (state === null) return `awareness state of client ${entry.client} is not an object`;
        if (client?.seat !== seat && seat.clients.size >= LIMITS.awareness_clients_per_socket_max)
          return `more than ${LIMITS.awareness_clients_per_socket_max} awareness clients on one socket`;
        this.#accept({ seat, member }, entry, client, state);
      }
    }
    return null;
  }

  /** Everybody's awareness now, for one who asks. */
  awarenessEntries(): AwarenessEntry[] {
    this.#tellYjs();
    const entries: AwarenessEntry[] = [];
    for (const [client, { clock, state, seat }] of this.#clients)
      if (seat !== null) entries.push({ client, clock, state });
    return entries;
  }

  /** Everybody as `ready` and REST list them. */
  list(): PresenceEntry[] {
    locate(this.#seats.values(), this.#cursors);
    return [...this.#seats.values()].map((seat) => ({
      user_id: seat.member.user_id,
      display_name: seat.member.display_name,
      client_id: seat.member.client_id,
      status: seat.active ? 'active' : 'joined',
      state: textState(seat.shown),
      since: seat.since,
    }));
  }

  /** Raises the clock of every JSON member's awareness, so that stock clients do not take it for dead. */
  renew(): void {
    for (const seat of this.#seats.values())
      if (seat.member.wire === 'json') for (const client_id of seat.clients) this.#renewClient(client_id, null);
  }

  /** Takes what changed since the last tick. `with_events` false skips what only JSON clients and subscribers read. */
  take(with_events: boolean): PresenceTick {
    const awareness: AwarenessEntry[] = [];
    for (const client_id of this.#dirty_clients) {
      const client = this.#clients.get(client_id);
      if (client !== undefined) awareness.push({ client: client_id, clock: client.clock, state: client.state });
    }
    this.#dirty_clients.clear();
    const events = this.#comings;
    this.#comings = [];
    if (with_events) {
      if (this.#crossing('json')) locate(this.#dirty_seats, this.#cursors);
      for (const seat of this.#dirty_seats) events.push(this.#event(seat, 'active'));
    }
    this.#dirty_seats.clear();
    return { awareness, events: with_events ? events : [] };
  }

  #accept(
    { seat, member }: { readonly seat: Seat; readonly member: YjsMember },
    entry: AwarenessEntry,
    client: Client | undefined,
    state: StampedState,
  ): void {
    if (client === undefined) {
      this.#introduce(seat, entry.client, entry.clock, state.text);
      if (this.#clock.monotonic() < this.#returns_until) askToRenew(member, entry.client, entry.clock);
    } else {
      if (entry.clock <= client.clock) {
        if (client.seat === null) askToRenew(member, entry.client, client.clock);
        return;
      }
      client.seat?.clients.delete(entry.client);
      client.seat = seat;
      seat.clients.add(entry.client);
      client.clock = entry.clock;
      client.state = state.text;
      this.#dirty_clients.add(entry.client);
    }
    seat.active = true;
    seat.shown = { state: state.value, place: null };
    this.#dirty_seats.add(seat);
  }

  /** y-protocols removes a client at an equal clock too, so a null state is taken at `>=`. */
  #withdraw(entry: AwarenessEntry, client: Client | undefined): void {
    if (client === undefined || client.seat === null || entry.clock < client.clock) return;
    const seat = client.seat;
    client.clock = entry.clock;
    client.state = 'null';
    client.seat = null;
    seat.clients.delete(entry.client);
    seat.shown = { state: {}, place: null };
    this.#dirty_clients.add(entry.client);
    this.#dirty_seats.add(seat);
    this.#forgetGone();
  }

  #introduce(seat: Seat, client_id: number, clock: number, state: string): void {
    this.#clients.set(client_id, { clock, state, seat, user_id: seat.member.user_id });
    seat.clients.add(client_id);
    this.#dirty_clients.add(client_id);
  }

  #renewClient(client_id: number, state: string | null): void {
    const client = this.#clients.get(client_id);
    if (client === undefined) return;
    client.clock += 1;
    if (state !== null) client.state = state;
    this.#dirty_clients.add(client_id);
  }

  #endClient(client_id: number): void {
    const client = this.#clients.get(client_id);
    if (client === undefined) return;
    client.clock += 1;
    client.state = 'null';
    client.seat = null;
    this.#dirty_clients.add(client_id);
  }

  /** Others are told first, unless somebody withdraws more than a tick can be held for. */
  #forgetGone(): void {
    const gone_max = this.#seats.size * LIMITS.awareness_clients_per_socket_max + GONE_CLIENTS_MAX;
    if (this.#clients.size <= gone_max) return;
    const flood = this.#clients.size > gone_max * 2;
    for (const [client_id, { seat }] of this.#clients)
      if (seat === null && (flood || !this.#dirty_clients.has(client_id))) this.#clients.delete(client_id);
  }

  #freshClientId(): number {
    let id = this.#random.uint32();
    while (this.#clients.has(id)) id = this.#random.uint32();
    return id;
  }

  /** Whether cursors have to be told in the terms of this wire, or can be at no cost. */
  #crossing(to: Member['wire']): boolean {
    return this.#seated[to] > 0 || this.#cursors.live;
  }

  /** Brings what JSON members show to Yjs clients. */
  #tellYjs(): void {
    const seats = [...this.#untold];
    this.#untold.clear();
    const cursors = relativeCursors(seats, this.#cursors);
    for (const [i, { member, shown, clients }] of seats.entries())
      for (const client_id of clients) this.#renewClient(client_id, jsonMemberState(member, shown.state, cursors[i]));
  }

  #event(seat: Seat, status: PresenceEvent['status']): PresenceEvent {
    return {
      type: 'presence',
      user_id: seat.member.user_id,
      doc_id: this.#doc_id,
      client_id: seat.member.client_id,
      display_name: seat.member.display_name,
      status,
      state: textState(seat.shown),
      timestamp: isoTime(this.#clock.now()),
    };
  }
}

/**
 * Others would not believe a client at this clock. Told that it is gone, a stock one raises its clock. Those of y-websocket
 * announce themselves again at once, those of Hocuspocus when they are asked.
 */
function askToRenew(member: YjsMember, client: number, clock: number): void {
  member.send(awarenessFrame([{ client, clock, state: 'null' }]));
  if (member.door === 'hocuspocus') member.send(queryAwarenessFrame());
}

interface StampedState {
  readonly text: string;
  readonly value: PresenceState;
}

/**
 * Whether a socket may take over a clientID that it did not introduce. Stock providers send back what they hear of
 * others, so only something newer counts, only from the same user, and never for a clientID that stands for a JSON member.
 */
function mayMove(client: Client, entry: AwarenessEntry, member: YjsMember): boolean {
  if (client.user_id !== member.user_id || entry.state === 'null') return false;
  if (client.seat === null) return true;
  return client.seat.member.wire === 'yjs' && entry.clock > client.clock;
}

/** The state with the authenticated user in it, by name if it names nobody, or null when it is not an object. */
function stampedState(text: string, member: YjsMember): StampedState | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return null;
  const shown = parsed as PresenceState;
  const user: { name?: unknown } = typeof shown.user === 'object' && shown.user !== null ? shown.user : {};
  const named = typeof user.name === 'string' && user.name.trim() !== '';
  const name = named ? user.name : member.display_name;
  const value = { ...shown, user: { ...user, name, id: member.user_id } };
  return { text: JSON.stringify(value), value };
}

/** How Yjs clients see a JSON member. */
function jsonMemberState(member: Member, state: PresenceState, cursor: unknown): string {
  return JSON.stringify({ ...state, user: { name: member.display_name, id: member.user_id }, cursor });
}
