import { expect, test } from 'bun:test';
import * as encoding from 'lib0/encoding';
import * as Y from 'yjs';
import { type Random, seededRandom } from '../../base/random.ts';
import type { DeltaOps } from '../content/delta.ts';
import { forSeeds, pick } from '../content/testing.ts';
import { DamagedColumns, UNPACKED_BYTES_MAX } from './columns.ts';
import type { EntryMeta } from './entry.ts';
import {
  packAttribution,
  packDeltas,
  packMeta,
  packOps,
  packUpdates,
  unpackAttribution,
  unpackAuthors,
  unpackDeltas,
  unpackMeta,
  unpackOps,
  unpackUpdates,
} from './segment.ts';
import { drawDelta, drawText, drawUpdates, stretchesOf } from './testing.ts';

function drawMeta(random: Random): EntryMeta[] {
  const ids = [random.id(), random.id(), 'not a uuid, 😀', ''];
  let [rev, at] = [random.uint32() % 1_000_000, 1_780_000_000_000];
  return Array.from({ length: random.uint32() % 50 }, () => {
    rev += random.float() < 0.95 ? 1 : random.uint32() % 5;
    at += (random.uint32() % 1_000) - (random.float() < 0.1 ? 100_000 : 0);
    const [user_id, client_id] = [pick(random, ids), pick(random, ids)];
    const seq = random.float() < 0.3 ? null : random.uint32() % 5;
    return { rev, epoch: 1 + (random.uint32() % 3), user_id, client_id, seq, at };
  });
}

test('metas come back as they were', () => {
  forSeeds(100, (random) => {
    const entries = drawMeta(random);
    expect(unpackMeta(packMeta(entries))).toEqual(entries);
  });
});

test('deltas come back op for op, with surrogates in halves, embeds and formatting', () => {
  forSeeds(100, (random) => {
    const deltas = Array.from({ length: random.uint32() % 30 }, () => drawDelta(random, random.uint32() % 100));
    expect(unpackDeltas(packDeltas(deltas))).toEqual(deltas);
    const ops = drawText(random);
    expect(unpackOps(packOps(ops))).toEqual(ops);
  });
  const odd: DeltaOps[] = [[], [{ insert: '\ufeffx' }], [{ retain: 2 ** 40 }, { delete: 2 ** 40 }], []];
  odd.push([{ insert: { e: null }, attributes: {} }], [{ retain: 1, attributes: { a: null } }]);
  expect(unpackDeltas(packDeltas(odd))).toEqual(odd);
});

test('updates of every sort of content come back byte for byte', () => {
  forSeeds(60, (random) => {
    const updates = drawUpdates(random);
    const unpacked = unpackUpdates(packUpdates(updates));
    expect(unpacked.map((update) => Buffer.from(update).toString('hex'))).toEqual(
      updates.map((update) => Buffer.from(update).toString('hex')),
    );
  });
});

test('updates of unknown form come back byte for byte, between known ones', () => {
  forSeeds(80, (random) => {
    const [known = new Uint8Array()] = drawUpdates(random);
    const damaged = known.slice(0, random.uint32() % (known.length + 1));
    if (damaged.length > 0) damaged[random.uint32() % damaged.length] = random.uint32() & 0xff;
    const long_form = new Uint8Array([0x80, 0, 0]); // zero clients, written in two bytes
    const updates = [known, damaged, new Uint8Array(), known, random.bytes(random.uint32() % 40), long_form, known];
    expect(unpackUpdates(packUpdates(updates))).toEqual(updates);
  });
});

test('attribution comes back stretch for stretch', () => {
  forSeeds(100, (random) => {
    const pairs = Array.from(
      { length: random.uint32() % 60 },
      () => [1 + (random.uint32() % (random.float() < 0.1 ? 2 ** 31 : 9)), random.uint32() % 1_000] as const,
    );
    const stretches = stretchesOf(pairs);
    expect(unpackAttribution(packAttribution(stretches))).toEqual(stretches);
    // Users that wrote nothing any more are let go.
    const { users, authors } = stretches;
    const crowded = { ...stretches, users: ['gone', ...users], authors: authors.map((author) => author + 1) };
    expect(unpackAttribution(packAttribution(crowded))).toEqual(stretches);
  });
});

test('authors and times alone come back as with all the rest', () => {
  forSeeds(100, (random) => {
    const metas = drawMeta(random).map((meta) =>
      random.float() < 0.05 ? { ...meta, at: Number.MAX_SAFE_INTEGER } : meta,
    );
    const { ids, users, times } = unpackAuthors(packMeta(metas));
    expect(Array.from(users, (user) => ids[user])).toEqual(metas.map(({ user_id }) => user_id));
    expect(Array.from(times)).toEqual(metas.map(({ at }) => at));
  });
});

test('a keystroke takes a small part of its bytes', () => {
  const doc = new Y.Doc();
  doc.clientID = 1_234_567_890;
  const updates: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => updates.push(update));
  const random = seededRandom(1);
  for (let i = 0; i < 2_000; i++)
    doc.getText('content').insert(i >> 1, String.fromCharCode(97 + (random.uint32() % 26)));
  expect(packUpdates(updates).length / updates.length).toBeLessThan(2);
});

const unpackers: readonly ((packed: Uint8Array) => unknown)[] = [
  unpackMeta,
  unpackDeltas,
  unpackUpdates,
  unpackOps,
  unpackAttribution,
  unpackAuthors,
];

test('sealed bytes that were cut, changed, made longer or drawn by lot are refused', () => {
  forSeeds(40, (random) => {
    const sealed = [
      packMeta(drawMeta(random)),
      packDeltas([drawDelta(random, 50)]),
      packUpdates(drawUpdates(random)),
      packOps(drawText(random)),
      packAttribution(stretchesOf([[3, 4]])),
      packMeta(drawMeta(random)),
    ];
    for (const [i, unpack] of unpackers.entries()) {
      const packed = sealed[i] ?? new Uint8Array();
      const changed = packed.slice();
      const at = random.uint32() % changed.length;
      changed[at] = (changed[at] ?? 0) ^ (1 + (random.uint32() % 255));
      const cut = packed.subarray(0, random.uint32() % packed.length);
      const longer = new Uint8Array([...packed, 0]);
      for (const bad of [changed, cut, longer, random.bytes(random.uint32() % 100), sealed[(i + 1) % 5] ?? packed])
        expect(() => unpack(bad)).toThrow(DamagedColumns);
    }
  });
});

/** Changes what is sealed, and seals it again with a right checksum. */
function reseal(packed: Uint8Array, change: (plain: Uint8Array) => Uint8Array): Uint8Array {
  const frame = Bun.zstdCompressSync(change(Bun.zstdDecompressSync(packed.slice(6))));
  const sealed = new Uint8Array([...packed.subarray(0, 6), ...frame]);
  new DataView(sealed.buffer).setUint32(2, Bun.hash.crc32(frame));
  return sealed;
}

test('damage behind a right checksum is refused or read as something, never endless', () => {
  const outcomes = { refused: 0, read: 0 };
  forSeeds(200, (random) => {
    const sealed = [
      packMeta(drawMeta(random)),
      packDeltas([drawDelta(random, 50), drawDelta(random, 50)]),
      packUpdates(drawUpdates(random).slice(0, 12)),
      packOps(drawText(random)),
      packAttribution(stretchesOf([[3, 4]])),
      packMeta(drawMeta(random)),
    ];
    for (const [i, unpack] of unpackers.entries()) {
      const bad = reseal(sealed[i] ?? new Uint8Array(), (plain) => {
        for (let n = random.uint32() % 3; n >= 0; n--) {
          plain[random.uint32() % plain.length] = pick(random, [0, 1, 0x7f, 0x80, 0xff, random.uint32() & 0xff]);
        }
        if (random.float() < 0.2) return plain.subarray(0, random.uint32() % plain.length);
        return random.float() < 0.2 ? random.bytes(random.uint32() % 200) : plain;
      });
      try {
        unpack(bad);
        outcomes.read += 1;
      } catch (error) {
        expect(error).toBeInstanceOf(DamagedColumns);
        outcomes.refused += 1;
      }
    }
  });
  expect(outcomes.refused).toBeGreaterThan(outcomes.read);
});

test('what unpacks to more than memory should hold is refused before it is unpacked', () => {
  const frame = Bun.zstdCompressSync(new Uint8Array(UNPACKED_BYTES_MAX + 1));
  const bomb = new Uint8Array([1, 1, 0, 0, 0, 0, ...frame]);
  new DataView(bomb.buffer).setUint32(2, Bun.hash.crc32(frame));
  expect(() => unpackMeta(bomb)).toThrow(DamagedColumns);
});

test('what unpacks to another size than it says, or does not say, is refused', () => {
  const plain = new Uint8Array(5_000).map((_, i) => i);
  const frame = Bun.zstdCompressSync(plain);
  const sealed = (edit: (frame: Uint8Array) => void): Uint8Array => {
    const bytes = new Uint8Array([1, 1, 0, 0, 0, 0, ...frame]);
    edit(bytes.subarray(6));
    new DataView(bytes.buffer).setUint32(2, Bun.hash.crc32(bytes.subarray(6)));
    return bytes;
  };
  // One segment, whose size stands in two bytes from the sixth on.
  expect((frame[4] ?? 0) >> 5).toBe(3);
  for (const size of [0, 1, 4_000, 60_000])
    expect(() =>
      unpackMeta(sealed((bytes) => new DataView(bytes.buffer, bytes.byteOffset).setUint16(5, size, true))),
    ).toThrow('Decompression');
  expect(() => unpackMeta(sealed((bytes) => bytes.set([0], 4)))).toThrow('more than any stretch');
});

test('numbers beyond any document keep an update as it is', () => {
  const huge = (clock: number): Uint8Array => {
    const update = encoding.createEncoder();
    for (const value of [1, 3, 7, clock, 0, clock, 0, 5, 10, 2 ** 51, 0]) encoding.writeVarUint(update, value);
    return encoding.toUint8Array(update);
  };
  const updates = [5, 2 ** 51, 2 ** 52, Number.MAX_SAFE_INTEGER, 2 ** 52 - 1, 0, 3].map(huge);
  expect(unpackUpdates(packUpdates(updates))).toEqual(updates);
});

test('a version to come is refused by its number', () => {
  const packed = packMeta([]);
  packed[0] = 2;
  expect(() => unpackMeta(packed)).toThrow('its version is 2, this program knows 1');
});
