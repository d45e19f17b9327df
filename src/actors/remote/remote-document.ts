/**
 * A document whose actor is on another node, as this node's sockets see it: their entries go to the owner over the link,
 * what is meant for one of them comes back that way, and what is meant for all comes once, on the document's channel, and
 * is published here natively.
 *
 * The two ways are put into one order by revisions: the owner names its head with everything that it says to a member, and
 * that waits here until the channel has brought what led up to it. Whoever joins is given from the recent past of the
 * stream what came after the owner seated them.
 *
 * It ends when the owner lets its members go, when somebody speaks for the document under another claim (where the same
 * revision may be another edit), be it the same node, or when the link breaks: its sockets are closed with 1012, come back
 * to whoever owns the document then, and send what was not acked.
 */
import type { Clock } from '../../base/clock.ts';
import { isoTime, TIMED_OUT, within } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { CLOSE, type CloseCode } from '../../protocol/close.ts';
import { unavailable } from '../../protocol/errors.ts';
import { TIMES } from '../../protocol/limits.ts';
import type { ToGateway, ToOwner } from '../../protocol/node-wire.ts';
import { stringTogether } from '../../protocol/strung-updates.ts';
import { ackFrame, updateFrame } from '../../protocol/yjs-wire.ts';
import type { Bus } from '../../store/bus.ts';
import { documentChannel } from '../../store/channels.ts';
import type { NodeIdentity } from '../../store/heads.ts';
import type { DoorEntry, EditOutcome, JoinEntry } from '../entries.ts';
import type { DocumentHandle, JoinRequest } from '../handle.ts';
import type { Fanout, Member } from '../member.ts';
import { mergeAll } from '../updates.ts';
import { type ChannelEvent, type ChannelMessage, EventStream, type Piece } from './event-stream.ts';

/** The link to the owner, as a document uses it. */
export interface OwnerLink {
  readonly owner: NodeIdentity;
  /** How long the owner has left something unanswered, in milliseconds. */
  readonly unanswered_ms: number;
  post(item: ToOwner): void;
  /** Posts an edit and hears how it ends. */
  edit(item: Omit<Extract<ToOwner, { readonly t: 'edit' }>, 'call'>, outcome: EditOutcome): void;
}

/** What a remote document is made of. */
export interface RemoteDocumentParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly bus: Bus;
  readonly fanout: Fanout;
  /** Counts gaps in channels. */
  gap(outcome: 'found' | 'repaired'): void;
  /** It is over. */
  ended(document: RemoteDocument): void;
}

type MemberItem = Extract<ToGateway, { readonly t: 'send' | 'joined' }>;

interface Seat {
  readonly member: Member;
  joined: boolean;
  /** Said by the owner, and ahead of the stream; oldest first. */
  readonly held: MemberItem[];
  held_since: number;
}

/** See the head of this file. */
export class RemoteDocument implements DocumentHandle {
  readonly doc_id: string;
  readonly link: OwnerLink;
  readonly #parts: RemoteDocumentParts;
  readonly #stream: EventStream;
  readonly #seats = new Map<number, Seat>();
  readonly #named = new WeakMap<Member, JoinRequest>();
  #epoch = 0;
  /** By which the owner holds the document; with another one its revisions may be others. */
  #claim_id = '';
  #ended = false;
  #repair_since: number | null = null;
  #heard_at: number;
  #empty_since: number;
  #unsaved = false;
  /** The last revision that everybody here was told is on disk. */
  #acked = 0;

  constructor(doc_id: string, link: OwnerLink, parts: RemoteDocumentParts) {
    this.doc_id = doc_id;
    this.link = link;
    this.#parts = parts;
    this.#heard_at = this.#empty_since = parts.clock.monotonic();
    this.#stream = new EventStream({
      deliver: (pieces) => this.#deliver(pieces),
      missing: (after) => {
        parts.gap('found');
        parts.log.info(
          { doc_id, after, owner_node: link.owner.node_id },
          'its channel may have lost something; asking the owner',
        );
        this.#repair_since = parts.clock.monotonic();
        link.post({ t: 'replay', doc: doc_id, after });
      },
    });
  }

  /** Begins to listen to the channel; nobody may join before. Rejects with UNAVAILABLE while Redis is away. */
  async listen(): Promise<void> {
    const { bus, clock } = this.#parts;
    const listening = await within(clock, TIMES.claim_timeout_ms, bus.subscribe(documentChannel(this.doc_id)));
    if (listening === TIMED_OUT) throw unavailable();
  }

  /** How many of this node's sockets are on it. */
  get size(): number {
    return this.#seats.size;
  }

  prepareJoin(request: JoinRequest): Promise<JoinEntry> {
    const { member, point } = request;
    this.#named.set(member, request);
    // The owner looks up what there is to look up.
    return Promise.resolve(
      member.wire === 'yjs' ? { kind: 'join_yjs', member } : { kind: 'join_json', member, resume: point, last_seq: 0 },
    );
  }

  push(entry: DoorEntry): boolean {
    if (this.#ended) return false;
    const { doc_id: doc, link } = this;
    if (entry.kind === 'role') {
      link.post({ t: 'role', doc, user_id: entry.user_id, role: entry.role });
      return true;
    }
    const member = entry.kind === 'edit' ? entry.author : entry.member;
    // Edits without a socket are calls of the gateway (routed-gateway.ts), not of this.
    if (member === null) return false;
    const m = member.member_id;
    if (entry.kind === 'join_json' || entry.kind === 'join_yjs') {
      this.#join(member);
      return true;
    }
    if (!this.#seats.has(m)) return false;
    switch (entry.kind) {
      case 'leave':
        this.#seats.delete(m);
        this.#empty_since = this.#parts.clock.monotonic();
        link.post({ t: 'leave', doc, m });
        return true;
      case 'edit': {
        const { seq, base_rev, delta } = entry.edit;
        link.edit({ t: 'edit', doc, m, seq, base_rev, delta }, entry.outcome);
        return true;
      }
      case 'update':
        link.post({ t: 'update', doc, m, update: entry.update, whole: entry.whole });
        return true;
      case 'sync':
        link.post({ t: 'sync', doc, m, state_vector: entry.state_vector, ask: entry.ask ?? false });
        return true;
      case 'awareness':
        link.post({ t: 'awareness', doc, m, entries: entry.entries });
        return true;
      case 'query_awareness':
        link.post({ t: 'query_awareness', doc, m });
        return true;
      case 'presence':
        link.post({ t: 'presence', doc, m, state: entry.state });
        return true;
    }
  }

  /** Takes what the owner says of this document. */
  receive(item: ToGateway): void {
    if (this.#ended) return;
    this.#heard_at = this.#parts.clock.monotonic();
    switch (item.t) {
      case 'send':
      case 'joined': {
        const seat = this.#seats.get(item.m);
        if (seat === undefined) return;
        if (seat.held.length === 0) seat.held_since = this.#heard_at;
        seat.held.push(item);
        this.#release(seat);
        return;
      }
      case 'close': {
        const seat = this.#seats.get(item.m);
        this.#seats.delete(item.m);
        seat?.member.close(item.code, item.reason);
        // The owner lets go of it: whoever comes next looks for it anew instead of asking there.
        if (item.code === CLOSE.RESTART && this.#seats.size === 0) this.end(item.code, item.reason);
        return;
      }
      case 'replay':
        if (this.#claim_id === '') return;
        if (item.claim_id !== this.#claim_id) return this.#diverged();
        this.#repair_since = null;
        this.#parts.gap('repaired');
        this.#stream.repaired(
          item.edits.map((edit) => JSON.parse(edit) as ChannelEvent),
          this.#heard_at,
        );
        this.#parts.fanout.json(this.doc_id, item.status);
        this.#releaseAll();
        return;
      case 'moved':
        return this.end(CLOSE.RESTART, 'the document moved; reconnect');
    }
  }

  /** Takes a message of the channel. */
  hear(message: ChannelMessage): void {
    if (this.#ended || message.epoch < this.#epoch) return;
    if (this.#claim_id !== '' && message.from !== this.#claim_id) {
      if (message.epoch === this.#epoch) return; // an epoch has one claim only
      if (this.#anyoneJoined()) return this.#diverged();
      // Those who are still joining may be seated under it; they begin with what comes from now on.
      this.#claim_id = '';
      this.#repair_since = null;
      this.#stream.restart();
    }
    this.#epoch = message.epoch;
    this.#heard_at = this.#parts.clock.monotonic();
    this.#stream.take(message, this.#heard_at);
    this.#releaseAll();
    this.#makeUpForAck(message);
  }

  /** The channel may have lost something. */
  doubt(): void {
    if (!this.#ended && this.#seats.size > 0) this.#stream.doubt();
  }

  /** Looks after what time does; called every {@link TIMES.gateway_look_ms}. */
  look(): void {
    if (this.#ended) return;
    const now = this.#parts.clock.monotonic();
    this.#stream.prune(now);
    if (this.#seats.size === 0) {
      if (now - this.#empty_since > TIMES.gateway_linger_ms) this.end(CLOSE.RESTART, 'nobody is here');
      return;
    }
    this.#showSaving();
    if (this.#repair_since !== null) {
      // While the owner answers nothing at all, whether it lives is the link's to find out.
      if (now - this.#repair_since > TIMES.stream_repair_ms && this.link.unanswered_ms < TIMES.link_doubt_ms)
        this.end(CLOSE.RESTART, 'what was missed cannot be told; reconnect');
      return;
    }
    const held = [...this.#seats.values()].some(
      (seat) => seat.held.length > 0 && now - seat.held_since > TIMES.stream_gap_ms,
    );
    if (held || now - this.#heard_at > TIMES.stream_silence_ms) this.#stream.doubt();
  }

  /** Gives all sockets back. */
  end(code: CloseCode, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#parts.bus.unsubscribe(documentChannel(this.doc_id));
    const seats = [...this.#seats.values()];
    this.#seats.clear();
    this.#parts.ended(this);
    const { doc_id, link } = this;
    if (seats.length > 0)
      this.#parts.log.info(
        { doc_id, owner_node: link.owner.node_id, members: seats.length, reason },
        'let go of a document of another node',
      );
    for (const { member } of seats) {
      this.link.post({ t: 'leave', doc: this.doc_id, m: member.member_id });
      member.close(code, reason);
    }
  }

  #join(member: Member): void {
    const request = this.#named.get(member);
    const { member_id: m, user_id, display_name, client_id, role } = member;
    const held: MemberItem[] = [];
    this.#seats.set(m, { member, joined: false, held, held_since: 0 });
    this.link.post({
      t: 'join',
      doc: this.doc_id,
      m,
      door: member.wire === 'json' ? 'json' : member.door,
      user_id,
      display_name,
      client_id,
      role,
      age_ms: member.wire === 'json' ? this.#parts.clock.monotonic() - member.opened_at : 0,
      acks: member.wire === 'yjs' && member.acks,
      named: request?.named ?? false,
      point: request?.point ?? null,
    });
  }

  /** Hands on what the stream has caught up with. */
  #release(seat: Seat): void {
    for (;;) {
      const [item] = seat.held;
      if (item === undefined) return;
      if (this.#stream.rev === null && item.t !== 'joined') {
        // Greetings come before the first joining and need no stream.
        seat.held.shift();
        deliver(seat.member, item.frame);
        continue;
      }
      if (item.t === 'joined' && !this.#begins(item)) return;
      if ((this.#stream.rev ?? 0) < item.at) return;
      seat.held.shift();
      if (item.t === 'joined') {
        seat.joined = true;
        this.#catchUp(seat, item.at);
        seat.member.subscribe();
      } else {
        deliver(seat.member, item.frame);
        // One that starts over is told of the head as the owner had it; everybody here may be further.
        if (seat.joined && typeof item.frame === 'string' && item.frame.startsWith('{"type":"ready"'))
          this.#catchUp(seat, item.at);
      }
    }
  }

  /** Begins the stream with the first who joins by a claim. False when that ended the document. */
  #begins({ at, epoch, claim_id }: Extract<MemberItem, { readonly t: 'joined' }>): boolean {
    if (claim_id === this.#claim_id) return true;
    // A later epoch was heard of: whoever seats members by this one has lost the document and does not know yet.
    if (epoch < this.#epoch || this.#anyoneJoined()) {
      this.#diverged();
      return false;
    }
    this.#claim_id = claim_id;
    this.#epoch = epoch;
    this.#repair_since = null;
    this.#stream.begin(at, claim_id, this.#parts.clock.monotonic());
    return true;
  }

  #anyoneJoined(): boolean {
    return [...this.#seats.values()].some((seat) => seat.joined);
  }

  /** The document was claimed anew, and what was lost with the claim before may have been seen here. */
  #diverged(): void {
    this.end(CLOSE.RESTART, 'the document was opened afresh; reconnect');
  }

  #releaseAll(): void {
    for (const seat of [...this.#seats.values()]) if (seat.held.length > 0) this.#release(seat);
  }

  #catchUp({ member }: Seat, at: number): void {
    const pieces = this.#stream.since(at);
    if (pieces === null) return member.close(CLOSE.RESTART, 'too far behind; reconnect');
    for (const { event, update, awareness } of pieces) {
      if (member.wire === 'json' && event !== null) member.send(event);
      if (member.wire === 'yjs' && update !== null && update.length > 2) member.send(updateFrame(update));
      if (member.wire === 'yjs' && awareness !== null) member.send(awareness);
    }
  }

  #deliver(pieces: readonly Piece[]): void {
    const { fanout } = this.#parts;
    const { doc_id } = this;
    const updates: Uint8Array[] = [];
    for (const { event, value, update, awareness } of pieces) {
      if (event !== null) fanout.json(doc_id, event);
      if (update !== null && update.length > 2) updates.push(update);
      if (awareness !== null) fanout.yjs(doc_id, awareness, null);
      if (value?.type === 'ack') {
        this.#acked = Number(value.rev);
        fanout.acks(doc_id, ackFrame(Number(value.epoch), this.#acked));
      }
    }
    const update = (updates.length > 1 ? stringTogether(updates) : null) ?? mergeAll(updates);
    if (update !== null) fanout.yjs(doc_id, updateFrame(update), null);
  }

  /** An ack leaves no gap in revisions when it is lost; the beacon says what it said. */
  #makeUpForAck({ epoch, durable = 0 }: ChannelMessage): void {
    if (durable <= this.#acked || durable > (this.#stream.rev ?? 0)) return;
    this.#acked = durable;
    const { fanout } = this.#parts;
    fanout.json(this.doc_id, JSON.stringify({ type: 'ack', doc_id: this.doc_id, epoch, rev: durable }));
    fanout.acks(this.doc_id, ackFrame(epoch, durable));
  }

  /** An owner that does not answer confirms nothing: people are told, as they are when storage does not. */
  #showSaving(): void {
    const unsaved = this.link.unanswered_ms > TIMES.unsaved_after_ms;
    if (unsaved === this.#unsaved) return;
    this.#unsaved = unsaved;
    if (!unsaved) return this.#stream.doubt(); // the answer tells how saving goes
    const { clock, fanout } = this.#parts;
    const since = isoTime(clock.now() - this.link.unanswered_ms);
    fanout.json(this.doc_id, JSON.stringify({ type: 'status', doc_id: this.doc_id, state: 'unsaved', since }));
  }
}

/** Sends what came over the link; it was made for this member's wire. */
function deliver(member: Member, frame: string | Uint8Array): void {
  if (member.wire === 'json') member.send(frame as string);
  else member.send(frame as Uint8Array);
}
