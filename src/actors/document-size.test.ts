/** The size that a document may have: at it, one beyond, near it, and the way back. */
import { describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import type { TestYjsMember } from '../../test/support/core.ts';
import { RuntimeRig } from '../../test/support/runtime.ts';
import { client, updatesOf } from '../../test/support/yjs.ts';
import { ManualClock } from '../base/clock.ts';
import { LIMITS } from '../protocol/limits.ts';
import { DOCUMENT_FULL, MESSAGE } from '../protocol/yjs-wire.ts';
import { DocumentSize, growthOf, RESERVE_SHARE } from './document-size.ts';
import type { Entry } from './entries.ts';

const MAX = 4_000;
let seed = 4_300;
const full = 'x'.repeat(MAX);

const update = (member: TestYjsMember, bytes: Uint8Array, whole = false): Entry => ({
  kind: 'update',
  member,
  update: bytes,
  whole,
});

/** Why its writes were refused, each time. */
const denied = (member: TestYjsMember): string[] =>
  member.raw.filter(([type]) => type === MESSAGE.AUTH).map((frame) => new TextDecoder().decode(frame.subarray(3)));

/** How many of its frames it was told to be on disk, each time. */
const framesAcked = (member: TestYjsMember): number[] =>
  member.raw.filter(([type]) => type === MESSAGE.ACK).flatMap((frame) => [...frame.subarray(3)]);

/** How often it was asked for what it has. */
const asks = (member: TestYjsMember): number => member.frames().filter(({ kind }) => kind === 'step1').length;

/** Writes text until nothing more is taken, piece by piece. */
function fill(rig: RuntimeRig, piece = 100): void {
  while (rig.write([{ insert: full.slice(0, piece) }]).rev !== undefined);
}

describe('the bound', () => {
  test('is reached exactly by an update, and one byte more is refused', () => {
    const sized = (bytes_max: number): DocumentSize => {
      const rig = new RuntimeRig(seed++);
      rig.write([{ insert: 'abc' }]);
      const { replica, doc_id } = rig.runtime;
      replica.measure();
      return new DocumentSize({
        doc_id,
        clock: rig.clock,
        replica,
        bytes_max: replica.size + bytes_max,
        noticed() {},
      });
    };
    const [bytes = new Uint8Array()] = updatesOf(client(7), (text) => text.insert(0, 'hello'));
    // What counts is what the update brings, its (empty) list of deletions apart, and its item.
    const [grown = 0] = new RuntimeRig(seed++).runtime.replica.growth([bytes]);
    expect(grown).toBe(bytes.length - 2 + LIMITS.document_item_bytes_min);
    expect(sized(grown).admit([bytes])).toEqual({ taken: [bytes], refused: false });
    expect(sized(grown - 1).admit([bytes])).toEqual({ taken: [], refused: true });
  });

  test('is reached exactly by what a delta may add, and one byte more is refused', () => {
    const growth = growthOf([{ insert: 'hello' }]);
    const rig = new RuntimeRig(seed++);
    const { replica, doc_id } = rig.runtime;
    const sized = (bytes_max: number): DocumentSize =>
      new DocumentSize({ doc_id, clock: rig.clock, replica, bytes_max: replica.size + bytes_max, noticed() {} });
    expect(sized(growth).refusesDelta([{ insert: 'hello' }], undefined)).toBeNull();
    expect(sized(growth - 1).refusesDelta([{ insert: 'hello' }], undefined)?.code).toBe('DOCUMENT_TOO_LARGE');
    expect(sized(growth).refusesDelta([{ insert: 'hello' }], new Uint8Array(1))?.code).toBe('DOCUMENT_TOO_LARGE');
  });

  test('is never passed by deltas, whatever they hold: what they may add is estimated from above', () => {
    const rig = new RuntimeRig(seed++);
    const { replica } = rig.runtime;
    for (let i = 0; i < 200; i++) {
      const before = replica.size;
      const delta = [
        ...(i > 2 ? [{ retain: 1 + (i % 3), attributes: { bold: i % 2 === 0 ? true : null } }] : []),
        {
          insert: i % 5 === 0 ? { image: 'https://example.org/ü.png' } : `${i}€😀`,
          attributes: { link: 'https://a.b/' },
        },
      ];
      rig.write(delta as never);
      expect(replica.size - before).toBeLessThanOrEqual(growthOf(delta as never));
    }
  });

  test('is told with the numbers, and uses up neither a seq nor a revision', () => {
    const rig = new RuntimeRig(seed++, MAX);
    const author = rig.json();
    fill(rig);
    const rev = rig.runtime.log.head;
    expect(rig.write([{ insert: full }], author, { seq: 1 })).toMatchObject({ code: 'DOCUMENT_TOO_LARGE' });
    expect(rig.runtime.log.head).toBe(rev);
    expect(rig.sized.at(-1)).toBe('refused');
    expect(rig.write([{ delete: 5 }], author, { seq: 1 })).toMatchObject({ rev: rev + 1 });
  });

  test('counts what was deleted and still leaves its trace', () => {
    const rig = new RuntimeRig(seed++, MAX);
    const member = rig.yjs();
    const doc = client(1);
    // A key that is set again and again: one value is there, the ids of all others stay.
    let refused = false;
    for (let i = 0; i < 3_000 && !refused; i++) {
      const before = denied(member).length;
      // Another client each time, which keeps Yjs from merging the traces.
      const writer = client(2 + i);
      Y.applyUpdate(writer, Y.encodeStateAsUpdate(doc));
      const [bytes = new Uint8Array()] = updatesOf(writer, () => writer.getMap('meta').set('key', i));
      Y.applyUpdate(doc, bytes);
      rig.turn(update(member, bytes));
      refused = denied(member).length > before;
    }
    expect(refused).toBe(true);
    expect(rig.runtime.replica.size).toBeLessThanOrEqual(MAX);
  });
});

describe('a Yjs member', () => {
  test('whose update is refused is told so, keeps its place, goes on reading, and is not acknowledged', () => {
    const rig = new RuntimeRig(seed++, MAX);
    fill(rig);
    const [member, reader] = [rig.yjs('editor', true), rig.yjs()];
    const acks = framesAcked(member).length;
    const doc = client(7);
    const [bytes = new Uint8Array()] = updatesOf(doc, (text) => text.insert(0, full));
    const seen = reader.updates().length;
    rig.turn(update(member, bytes));
    rig.commit();
    expect(denied(member)).toEqual([DOCUMENT_FULL]);
    expect(member.closed).toBeNull();
    expect(reader.updates().length).toBe(seen);
    expect(framesAcked(member).slice(acks)).toEqual([]);
    rig.write([{ delete: 1 }]);
    expect(member.updates().length).toBeGreaterThan(0);
  });

  test('gets in by itself what was refused once there is room, and all converge', () => {
    const rig = new RuntimeRig(seed++, MAX);
    fill(rig);
    const member = rig.yjs();
    const doc = client(7, rig.runtime.replica);
    const [refused = new Uint8Array()] = updatesOf(doc, (text) => text.insert(0, 'A'.repeat(500)));
    rig.turn(update(member, refused));
    expect(denied(member)).toHaveLength(1);
    expect(rig.write([{ delete: rig.runtime.replica.length() - 100 }]).rev).toBeDefined();
    for (const bytes of member.updates()) Y.applyUpdate(doc, bytes);
    // Its next edit builds on the refused one: the server asks for the whole difference.
    const asked = asks(member);
    const [next = new Uint8Array()] = updatesOf(doc, (text) => text.insert(0, 'B'));
    rig.turn(update(member, next));
    expect(asks(member)).toBe(asked + 1);
    rig.turn(update(member, Y.encodeStateAsUpdate(doc, rig.runtime.replica.stateVector()), true));
    expect(rig.runtime.replica.ops()).toEqual([{ insert: doc.getText('content').toString() }]);
    expect(doc.getText('content').toString()).toStartWith('BAAA');
  });

  test('that sends nothing new is not refused, and one that sends garbage is closed as ever', () => {
    const rig = new RuntimeRig(seed++, MAX);
    fill(rig);
    const member = rig.yjs();
    rig.turn(update(member, rig.runtime.replica.state(), true));
    expect(denied(member)).toEqual([]);
    rig.turn(update(member, new Uint8Array(MAX).fill(255)));
    expect(member.closed?.code).toBe(4400);
  });
});

describe('the way out', () => {
  test('is deleting: it is taken in a full document, and what it frees can be used', () => {
    const rig = new RuntimeRig(seed++, MAX);
    fill(rig);
    const member = rig.yjs();
    const doc = client(7, rig.runtime.replica);
    for (const bytes of updatesOf(doc, (text) => text.delete(0, 1_000))) rig.turn(update(member, bytes));
    expect(denied(member)).toEqual([]);
    expect(rig.write([{ insert: full.slice(0, 500) }]).rev).toBeDefined();
    expect(rig.write([{ insert: full }]).code).toBe('DOCUMENT_TOO_LARGE');
  });

  test('is an edit that deletes more characters than it adds bytes, as going back to a shorter text does', () => {
    const rig = new RuntimeRig(seed++, MAX);
    fill(rig);
    fill(rig, 1);
    expect(rig.write([{ insert: 'short' }, { delete: 5 }]).code).toBe('DOCUMENT_TOO_LARGE');
    expect(rig.write([{ insert: 'short' }, { delete: 200 }]).rev).toBeDefined();
  });

  test('has a bound too: of traces alone no more than the reserve is taken', () => {
    const rig = new RuntimeRig(seed++, MAX);
    fill(rig);
    // Every other character goes, so that hardly anything can be merged.
    const length = rig.runtime.replica.length();
    let refused = false;
    for (let at = 0; at < length / 2 - 1 && !refused; at++)
      refused = rig.write([{ retain: at + 1 }, { delete: 1 }]).code === 'DOCUMENT_TOO_LARGE';
    rig.runtime.replica.measure();
    expect(rig.runtime.replica.size).toBeLessThanOrEqual(MAX * (1 + RESERVE_SHARE));
  });

  test('in full, with its reserve, still fits the socket of somebody who joins', () => {
    expect(LIMITS.document_bytes_max * (1 + RESERVE_SHARE)).toBeLessThanOrEqual(LIMITS.socket_backlog_bytes_hard_max);
    expect(LIMITS.create_body_bytes_max).toBeLessThan(LIMITS.document_bytes_default);
    expect(LIMITS.yjs_frame_bytes_max).toBeLessThan(LIMITS.document_bytes_default);
  });
});

describe('the warning', () => {
  test('comes once at four fifths, to everybody who reads events and to whoever joins later', () => {
    const rig = new RuntimeRig(seed++, MAX);
    const reader = rig.json();
    const warnings = (): unknown[] => reader.events.filter(({ type }) => type === 'warning');
    while (rig.runtime.replica.size <= MAX * 0.8) {
      expect(warnings()).toEqual([]);
      rig.write([{ insert: full.slice(0, 200) }]);
    }
    // Encoding anew may have merged it below the line again.
    while (warnings().length === 0) rig.write([{ insert: full.slice(0, 50) }]);
    rig.write([{ insert: 'more' }]);
    expect(warnings()).toEqual([
      {
        type: 'warning',
        doc_id: rig.doc_id,
        code: 'DOCUMENT_TOO_LARGE',
        message: expect.any(String),
        details: { bytes: expect.any(Number), bytes_max: MAX },
      },
    ]);
    expect(rig.sized).toEqual(['warned']);
    expect(rig.json().events.at(-1)).toMatchObject({ type: 'warning' });
  });

  test('comes again when the document was smaller in between', () => {
    const rig = new RuntimeRig(seed++, MAX);
    fill(rig);
    rig.write([{ delete: rig.runtime.replica.length() }]);
    rig.runtime.replica.measure();
    rig.write([{ insert: 'a' }]);
    expect(rig.json().events.some(({ type }) => type === 'warning')).toBe(false);
    fill(rig);
    expect(rig.sized.filter((news) => news === 'warned')).toHaveLength(2);
  });
});

test('the state is encoded anew for no more than a twentieth of the time', () => {
  const clock = new ManualClock();
  let measured = 0;
  const replica = {
    size: MAX,
    measure() {
      measured += 1;
      clock.advance(100);
    },
    growth: (updates: readonly Uint8Array[]) => updates.map(({ length }) => length),
    covers: () => false,
  };
  const size = new DocumentSize({ doc_id: 'a', clock, replica, bytes_max: MAX, noticed() {} });
  const knock = (): unknown => size.refusesDelta([{ insert: 'a' }], undefined);
  for (let i = 0; i < 50; i++) knock();
  expect(measured).toBe(1);
  clock.advance(1_999);
  knock();
  expect(measured).toBe(1);
  clock.advance(1);
  knock();
  expect(measured).toBe(2);
  // Whoever took much away need not wait.
  size.took([{ delete: MAX / 16 - 1 }]);
  knock();
  expect(measured).toBe(2);
  size.took([{ retain: 5 }, { delete: 1 }]);
  knock();
  expect(measured).toBe(3);
});
