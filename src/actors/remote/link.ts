/**
 * One end of a link between a gateway and an owner: everything posted at one end is delivered at the other, once and in
 * order, although the bus below may lose, repeat or delay what it carries.
 *
 * What is posted in one turn of the event loop leaves together. Packets are numbered from 1; the receiver takes them in
 * order, keeps a few that came too early, and says up to where it has all, along with its own packets or alone a moment
 * later. What is not acknowledged in time is sent again, for as long as the link stands; so a silent bus delays and never
 * loses. A bus that was away for long has swallowed many packets: once the first of them are acknowledged the others follow
 * at once, twice as many each time, and not a few at each patience's end. How much may be on its way is bounded, and so is
 * what may wait: the posts beyond that break the link.
 *
 * A link ends when one of the two processes is gone (see switchboard.ts); then both ends forget it, and what was posted and
 * not delivered has an unknown fate. Nothing is ever carried over to another link.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import { LIMITS, TIMES } from '../../protocol/limits.ts';
import { type Item, itemsBytes, type Packet, readItems } from '../../protocol/node-wire.ts';

/** What a link is made of. */
export interface LinkParts {
  readonly clock: Clock;
  /** Puts a packet on the bus, which may lose it. */
  send(packet: Pick<Packet, 'ack' | 'data'>): void;
  /** Takes an item from the other end. Must not throw. */
  deliver(item: Item): void;
  /** More waits than may. */
  overflow(): void;
  /** Counts packets that had to be sent again. */
  resent(packets: number): void;
}

/** So many packets at most are sent again between two acknowledgements. */
const WINDOW_MAX = 1_024;

interface Outgoing {
  readonly seq: number;
  readonly more: boolean;
  readonly bytes: Uint8Array;
  /** On the monotonic clock; null when it has not left. */
  sent_at: number | null;
}

/** See the head of this file. */
export class Link {
  readonly #parts: LinkParts;
  #closed = false;
  // Outgoing: posted in this turn; then packets, of which the first `#flying` have been sent.
  #posted: Item[] = [];
  #packets: Outgoing[] = [];
  #flying = 0;
  #flying_bytes = 0;
  #waiting_bytes = 0;
  #next_seq = 1;
  #resend: Timer | null = null;
  #patience_ms: number = TIMES.link_resend_ms;
  /** What was sent up to here may be lost; of that everything up to `#resent_to` was sent again, `#window` packets at a time. */
  #lost_to = 0;
  #resent_to = 0;
  #window: number = LIMITS.link_resend_packets_max;
  // Incoming.
  #received = 0;
  #early = new Map<number, NonNullable<Packet['data']>>();
  #pieces: Uint8Array[] = [];
  #ack_due: Timer | null = null;

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  /** Hands an item over. */
  post(item: Item): void {
    if (this.#closed) return;
    this.#posted.push(item);
    if (this.#posted.length === 1) this.#parts.clock.endOfTurn(() => this.flush());
  }

  /** Sends what was posted without waiting for the end of the turn. */
  flush(): void {
    const items = this.#posted;
    if (this.#closed || items.length === 0) return;
    this.#posted = [];
    const bytes = itemsBytes(items);
    const piece = LIMITS.link_packet_bytes_max;
    for (let start = 0; start < bytes.length; start += piece) {
      const end = Math.min(start + piece, bytes.length);
      const part = bytes.subarray(start, end);
      this.#packets.push({ seq: this.#next_seq++, more: end < bytes.length, bytes: part, sent_at: null });
      this.#waiting_bytes += part.length;
    }
    if (this.#waiting_bytes > LIMITS.link_waiting_bytes_max) return this.#parts.overflow();
    this.#fly();
  }

  /** How long the oldest packet has waited to be acknowledged, in milliseconds; 0 when none does. */
  get unanswered_ms(): number {
    const since = this.#packets[0]?.sent_at ?? null;
    return since === null ? 0 : this.#parts.clock.monotonic() - since;
  }

  /** Takes a packet from the bus. */
  receive({ ack, data }: Pick<Packet, 'ack' | 'data'>): void {
    if (this.#closed) return;
    if (ack !== null) this.#acknowledged(ack);
    if (data === null) return;
    // Acknowledged whether it is new or not: a sender that repeats itself has not heard of it.
    this.#ack_due ??= this.#parts.clock.after(TIMES.link_ack_ms, () => this.#ackAlone());
    if (data.seq <= this.#received) return;
    if (data.seq > this.#received + 1) {
      if (this.#early.size < LIMITS.link_early_packets_max) this.#early.set(data.seq, data);
      return;
    }
    let next: Packet['data'] | undefined = data;
    while (next && !this.#closed) {
      this.#early.delete(next.seq);
      this.#received = next.seq;
      this.#take(next);
      next = this.#early.get(this.#received + 1);
    }
  }

  /** Ends it; nothing is delivered or sent any more. */
  close(): void {
    this.#closed = true;
    this.#resend?.cancel();
    this.#ack_due?.cancel();
    this.#packets = [];
    this.#posted = [];
    this.#early.clear();
    this.#pieces = [];
  }

  #take({ bytes, more }: NonNullable<Packet['data']>): void {
    this.#pieces.push(bytes);
    if (more) return;
    const pieces = this.#pieces;
    this.#pieces = [];
    const whole = pieces.length === 1 ? bytes : Buffer.concat(pieces);
    for (const item of readItems(whole)) {
      if (this.#closed) return;
      this.#parts.deliver(item);
    }
  }

  /** Sends as much as may be on its way. */
  #fly(): void {
    const { clock } = this.#parts;
    while (this.#flying < this.#packets.length) {
      const packet = this.#packets[this.#flying];
      if (packet === undefined) break;
      if (this.#flying > 0 && this.#flying_bytes + packet.bytes.length > LIMITS.link_flying_bytes_max) break;
      packet.sent_at = clock.monotonic();
      this.#flying += 1;
      this.#flying_bytes += packet.bytes.length;
      this.#send(packet);
    }
    if (this.#flying > 0 && this.#resend === null) this.#armResend();
  }

  #send({ seq, more, bytes }: Outgoing): void {
    this.#ack_due?.cancel();
    this.#ack_due = null;
    this.#parts.send({ ack: this.#received, data: { seq, more, bytes } });
  }

  #acknowledged(ack: number): void {
    let n = 0;
    while (n < this.#flying && (this.#packets[n]?.seq ?? Number.POSITIVE_INFINITY) <= ack) {
      const { length } = this.#packets[n]?.bytes ?? { length: 0 };
      this.#flying_bytes -= length;
      this.#waiting_bytes -= length;
      n += 1;
    }
    if (n === 0) return;
    this.#packets.splice(0, n);
    this.#flying -= n;
    this.#patience_ms = TIMES.link_resend_ms;
    this.#resend?.cancel();
    this.#resend = null;
    if ((this.#packets[0]?.seq ?? Number.POSITIVE_INFINITY) <= this.#lost_to) {
      this.#window = Math.min(this.#window * 2, WINDOW_MAX);
      this.#sendAgain();
    }
    this.#fly();
  }

  #armResend(): void {
    this.#resend = this.#parts.clock.after(this.#patience_ms, () => {
      this.#resend = null;
      this.#patience_ms = Math.min(this.#patience_ms * 2, TIMES.link_resend_max_ms);
      this.#lost_to = this.#packets[this.#flying - 1]?.seq ?? 0;
      this.#resent_to = 0;
      this.#window = LIMITS.link_resend_packets_max;
      this.#sendAgain();
      if (this.#flying > 0) this.#armResend();
    });
  }

  /** Sends what may be lost again, as far as the window reaches. */
  #sendAgain(): void {
    let count = 0;
    for (const packet of this.#packets.slice(0, Math.min(this.#flying, this.#window))) {
      if (packet.seq <= this.#resent_to || packet.seq > this.#lost_to) continue;
      this.#resent_to = packet.seq;
      this.#send(packet);
      count += 1;
    }
    this.#parts.resent(count);
  }

  #ackAlone(): void {
    this.#ack_due = null;
    this.#parts.send({ ack: this.#received, data: null });
  }
}
