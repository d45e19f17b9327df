/** What is posted at one end of a link is delivered at the other, once and in order, whatever the bus does. */
import { describe, expect, test } from 'bun:test';
import { ManualClock } from '../../base/clock.ts';
import { seededRandom } from '../../base/random.ts';
import { LIMITS, TIMES } from '../../protocol/limits.ts';
import { type Item, itemsBytes, type Packet, packetBytes, readItems, readPacket } from '../../protocol/node-wire.ts';
import { Link } from './link.ts';

type Half = Pick<Packet, 'ack' | 'data'>;

/** A pair of ends and what lies between them: by default everything arrives at once. */
class Pair {
  readonly clock = new ManualClock();
  readonly at: { readonly one: Item[]; readonly two: Item[] } = { one: [], two: [] };
  readonly sent: { to: 'one' | 'two'; packet: Half }[] = [];
  resent = 0;
  overflowed = 0;
  /** What becomes of a packet: delays in milliseconds, one for each copy that arrives. */
  fate: (packet: Half) => readonly number[] = () => [0];
  readonly one = this.#end('one', 'two');
  readonly two = this.#end('two', 'one');

  #end(self: 'one' | 'two', other: 'one' | 'two'): Link {
    return new Link({
      clock: this.clock,
      send: (packet) => {
        this.sent.push({ to: other, packet });
        // As over the wire: nothing is shared between the ends.
        const bytes = packetBytes({ link: 'l', from: { node_id: 'n', boot_id: 'b' }, end: 'gateway', ...packet });
        for (const delay of this.fate(packet)) this.clock.after(delay, () => this[other].receive(readPacket(bytes)));
      },
      deliver: (item) => void this.at[self].push(item),
      overflow: () => {
        this.overflowed += 1;
      },
      resent: (packets) => {
        this.resent += packets;
      },
    });
  }
}

const leave = (m: number): Item => ({ t: 'leave', doc: 'd', m });
const numbers = (items: readonly Item[]): number[] => items.map((item) => ('m' in item ? item.m : -1));

test('what is posted in one turn leaves in one packet and arrives in order', () => {
  const pair = new Pair();
  for (let m = 0; m < 5; m++) pair.one.post(leave(m));
  pair.clock.advance(1);
  expect(numbers(pair.at.two)).toEqual([0, 1, 2, 3, 4]);
  expect(pair.sent.filter(({ packet }) => packet.data !== null)).toHaveLength(1);
});

test('an acknowledgement leaves alone a moment later, or along with what goes back', () => {
  const pair = new Pair();
  pair.one.post(leave(1));
  pair.clock.advance(1);
  pair.two.post(leave(2));
  pair.clock.advance(TIMES.link_ack_ms * 2);
  const back = pair.sent.filter(({ to }) => to === 'one');
  expect(back.map(({ packet }) => [packet.ack, packet.data?.seq ?? null])).toEqual([[1, 1]]);
  expect(pair.sent.at(-1)).toEqual({ to: 'two', packet: { ack: 1, data: null } });
  expect([pair.one.unanswered_ms, pair.two.unanswered_ms]).toEqual([0, 0]);
});

test('a packet that is lost is sent again, later each time, until it is acknowledged', () => {
  const pair = new Pair();
  pair.fate = () => [];
  pair.one.post(leave(1));
  pair.clock.advance(TIMES.link_resend_ms * 3 + 1);
  expect(pair.resent).toBe(2);
  expect(pair.one.unanswered_ms).toBeGreaterThan(TIMES.link_resend_ms * 2);
  pair.fate = () => [0];
  pair.clock.advance(TIMES.link_resend_max_ms * 2);
  expect(numbers(pair.at.two)).toEqual([1]);
  expect(pair.one.unanswered_ms).toBe(0);
});

test('a message larger than link_packet_bytes_max travels in pieces, of which link_flying_bytes_max are on their way at a time', () => {
  const pair = new Pair();
  let most = 0;
  pair.fate = (packet) => {
    if (packet.data !== null) {
      expect(packet.data.bytes.length).toBeLessThanOrEqual(LIMITS.link_packet_bytes_max);
      most = Math.max(most, packet.data.seq);
    }
    return packet.data === null ? [] : [0];
  };
  const update = new Uint8Array(10 * 1024 * 1024).map((_, i) => i % 251);
  pair.one.post({ t: 'update', doc: 'd', m: 1, update, whole: true });
  pair.clock.advance(1);
  expect(most).toBe(LIMITS.link_flying_bytes_max / LIMITS.link_packet_bytes_max);
  pair.fate = () => [0];
  pair.clock.advance(60_000);
  expect(pair.at.two).toEqual([{ t: 'update', doc: 'd', m: 1, update, whole: true }]);
});

test(`more than link_waiting_bytes_max (${LIMITS.link_waiting_bytes_max}) bytes that wait are too much`, () => {
  const pair = new Pair();
  pair.fate = () => [];
  const update = new Uint8Array(LIMITS.link_waiting_bytes_max - 200);
  pair.one.post({ t: 'update', doc: 'd', m: 1, update, whole: true });
  pair.clock.advance(1);
  expect(pair.overflowed).toBe(0);
  pair.one.post({ t: 'update', doc: 'd', m: 1, update: new Uint8Array(200), whole: true });
  pair.clock.advance(1);
  expect(pair.overflowed).toBe(1);
});

test(`link_early_packets_max (${LIMITS.link_early_packets_max}) packets that came too early are kept; one more has to come again`, () => {
  const pair = new Pair();
  const hear = (seq: number): void =>
    pair.two.receive({ ack: null, data: { seq, more: false, bytes: itemsBytes([leave(seq)]) } });
  const last = LIMITS.link_early_packets_max + 1;
  for (let seq = 2; seq <= last + 1; seq++) hear(seq);
  hear(1);
  expect(numbers(pair.at.two).at(-1)).toBe(last);
  hear(last + 1);
  expect(numbers(pair.at.two)).toEqual(Array.from({ length: last + 1 }, (_, i) => i + 1));
});

for (const count of [LIMITS.link_resend_packets_max, LIMITS.link_resend_packets_max + 1])
  test(`of ${count} packets that nobody acknowledges link_resend_packets_max (${LIMITS.link_resend_packets_max}) are sent again at a time`, () => {
    const pair = new Pair();
    pair.fate = () => [];
    for (let m = 0; m < count; m++) {
      pair.one.post(leave(m));
      pair.one.flush();
    }
    pair.clock.advance(TIMES.link_resend_ms + 1);
    expect([pair.sent.length, pair.resent]).toEqual([
      count + LIMITS.link_resend_packets_max,
      LIMITS.link_resend_packets_max,
    ]);
  });

test('a link that was closed delivers and sends nothing', () => {
  const pair = new Pair();
  pair.one.post(leave(1));
  pair.one.close();
  pair.two.close();
  pair.clock.advance(10_000);
  expect([pair.sent, pair.at.two]).toEqual([[], []]);
});

test('one closed by what it delivers stops there', () => {
  const pair = new Pair();
  const two: Link = pair.two;
  const took: Item[] = [];
  Object.assign(pair.at, { two: { push: (item: Item) => void (took.push(item) && two.close()) } });
  pair.one.post(leave(1));
  pair.one.post(leave(2));
  pair.clock.advance(1);
  expect(numbers(took)).toEqual([1]);
});

test('a bus that was away for long is made up for soon after it is back', () => {
  const pair = new Pair();
  pair.fate = () => [];
  for (let m = 0; m < 3_000; m++) {
    pair.one.post(leave(m));
    pair.clock.advance(10);
  }
  expect(pair.at.two).toEqual([]);
  pair.fate = () => [1];
  pair.clock.advance(TIMES.link_resend_max_ms + 1_000);
  expect(numbers(pair.at.two)).toEqual(Array.from({ length: 3_000 }, (_, m) => m));
  expect(pair.one.unanswered_ms).toBe(0);
});

describe('whatever the bus loses, repeats and delays', () => {
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8])
    test(`all arrives once and in order (seed ${seed})`, () => {
      const random = seededRandom(seed);
      const below = (n: number): number => Math.floor(random.float() * n);
      const pair = new Pair();
      pair.fate = () => {
        const copies = below(10) < 3 ? 0 : below(10) < 2 ? 2 : 1;
        return Array.from({ length: copies }, () => below(400));
      };
      let one = 0;
      let two = 0;
      for (let step = 0; step < 300; step++) {
        if (below(2) === 0) pair.one.post(leave(one++));
        if (below(3) === 0) pair.two.post(leave(two++));
        pair.clock.advance(below(60));
      }
      pair.clock.advance(600_000);
      expect(numbers(pair.at.two)).toEqual(Array.from({ length: one }, (_, i) => i));
      expect(numbers(pair.at.one)).toEqual(Array.from({ length: two }, (_, i) => i));
      expect([pair.one.unanswered_ms, pair.two.unanswered_ms]).toEqual([0, 0]);
    });
});

test('what is no packet is refused', () => {
  expect(() => readPacket(new Uint8Array([255]))).toThrow();
  expect(() => readPacket(new Uint8Array([4, 1]))).toThrow();
  expect(() => readItems(new Uint8Array([2, 0]))).toThrow();
});
