/** Yjs updates written by hand that say they are much larger than they are, or ask for much more than they bring. */
import * as encoding from 'lib0/encoding';

/** Names of the first bytes of structs (Yjs 13, update format 1); 0x20, 0x40 and 0x80 say which of parent and neighbours follow. */
const STRUCT = {
  GC: 0,
  DELETED: 1,
  JSON: 2,
  BINARY: 3,
  STRING: 4,
  EMBED: 5,
  FORMAT: 6,
  TYPE: 7,
  ANY: 8,
  DOC: 9,
  SKIP: 10,
};
/** lib0's tags of values. */
const ANY = { UNDEFINED: 127, NULL: 126, INTEGER: 125, OBJECT: 118, ARRAY: 117, BYTES: 116 };

const HUGE = 2 ** 31 - 1;
const HUGER = 2 ** 52;

type Write = (encoder: encoding.Encoder) => void;

const bytesOf = (write: Write): Uint8Array => {
  const encoder = encoding.createEncoder();
  write(encoder);
  return encoding.toUint8Array(encoder);
};
const uint =
  (value: number): Write =>
  (encoder) =>
    encoding.writeVarUint(encoder, value);
const text =
  (value: string): Write =>
  (encoder) =>
    encoding.writeVarString(encoder, value);
const byte =
  (value: number): Write =>
  (encoder) =>
    encoding.writeUint8(encoder, value);
const all =
  (...writes: readonly Write[]): Write =>
  (encoder) => {
    for (const write of writes) write(encoder);
  };
const times =
  (count: number, write: (i: number) => Write): Write =>
  (encoder) => {
    for (let i = 0; i < count; i++) write(i)(encoder);
  };

const CLIENT = 4_242;
const NO_DELETES = uint(0);

/** An update of one client that begins at `clock` and has these structs. */
const update = (structs: Write, count = 1, clock = 0, deletes: Write = NO_DELETES): Uint8Array =>
  bytesOf(all(uint(1), uint(count), uint(CLIENT), uint(clock), structs, deletes));
/** A struct at the start of the root `content`. */
const atRoot = (kind: number, ...payload: readonly Write[]): Write =>
  all(byte(kind), uint(1), text('content'), ...payload);

/** Each with what it is. */
export const BOMBS: readonly (readonly [what: string, update: Uint8Array])[] = [
  ['2^32 clients', bytesOf(all(uint(2 ** 32), uint(0)))],
  ['2^52 clients', bytesOf(all(uint(HUGER)))],
  ['2^31 structs', update(all(), HUGE)],
  [
    '100,000 clients without structs',
    bytesOf(
      all(
        uint(100_000),
        times(100_000, (i) => all(uint(0), uint(i), uint(0))),
        uint(0),
      ),
    ),
  ],
  ['a gap of 2^31 that was collected', update(all(byte(STRUCT.GC), uint(HUGE)))],
  ['a gap of 2^52 that was collected', update(all(byte(STRUCT.GC), uint(HUGER)))],
  ['a gap of nothing', update(all(byte(STRUCT.GC), uint(0)))],
  ['a skip of 2^52', update(all(byte(STRUCT.SKIP), uint(HUGER)))],
  ['2^31 deleted characters', update(atRoot(STRUCT.DELETED, uint(HUGE)))],
  ['2^52 deleted characters', update(atRoot(STRUCT.DELETED, uint(HUGER)))],
  ['2^31 values', update(atRoot(STRUCT.ANY, uint(HUGE)))],
  ['2^31 JSON values', update(atRoot(STRUCT.JSON, uint(HUGE)))],
  ['an array of 2^31 values', update(atRoot(STRUCT.ANY, uint(1), byte(ANY.ARRAY), uint(HUGE)))],
  ['an object of 2^31 fields', update(atRoot(STRUCT.ANY, uint(1), byte(ANY.OBJECT), uint(HUGE)))],
  ['bytes of 2^31', update(atRoot(STRUCT.BINARY, uint(HUGE)))],
  ['a string of 2^31', update(atRoot(STRUCT.STRING, uint(HUGE)))],
  [
    'arrays in arrays, 100,000 deep',
    update(
      atRoot(
        STRUCT.ANY,
        uint(1),
        times(100_000, () => all(byte(ANY.ARRAY), uint(1))),
        byte(ANY.NULL),
      ),
    ),
  ],
  [
    'objects in objects, 100,000 deep',
    update(
      atRoot(
        STRUCT.ANY,
        uint(1),
        times(100_000, () => all(byte(ANY.OBJECT), uint(1), text('a'))),
        byte(ANY.NULL),
      ),
    ),
  ],
  [
    'JSON lists in lists, 100,000 deep',
    update(atRoot(STRUCT.EMBED, text(`${'['.repeat(100_000)}${']'.repeat(100_000)}`))),
  ],
  ['an embed that is no JSON', update(atRoot(STRUCT.EMBED, text('{"a":')))],
  ['an embed of __proto__', update(atRoot(STRUCT.EMBED, text('{"__proto__":{"polluted":1}}')))],
  ['an attribute of __proto__', update(atRoot(STRUCT.FORMAT, text('__proto__'), text('{"polluted":1}')))],
  ['a root named __proto__', update(all(byte(STRUCT.STRING), uint(1), text('__proto__'), text('x')))],
  ['a root named constructor', update(all(byte(STRUCT.STRING), uint(1), text('constructor'), text('x')))],
  ['a root whose name has NUL', update(all(byte(STRUCT.STRING), uint(1), text('a\0b'), text('x')))],
  ['a root with a name of 1 MB', update(all(byte(STRUCT.STRING), uint(1), text('x'.repeat(1_000_000)), text('x')))],
  [
    '10,000 roots',
    update(
      times(10_000, (i) => all(byte(STRUCT.STRING), uint(1), text(`root ${i}`), text('x'))),
      10_000,
    ),
  ],
  ['a type of no kind', update(atRoot(STRUCT.TYPE, uint(99)))],
  ['a document in the document', update(atRoot(STRUCT.DOC, text('guid'), byte(ANY.OBJECT), uint(0)))],
  ['a struct of no kind', update(byte(31))],
  ['a struct that is its own left', update(all(byte(STRUCT.STRING | 0x80), uint(CLIENT), uint(0), text('x')))],
  ['a struct whose left is to come', update(all(byte(STRUCT.STRING | 0x80), uint(CLIENT), uint(HUGE), text('x')))],
  ['a struct whose parent is itself', update(all(byte(STRUCT.STRING), uint(0), uint(CLIENT), uint(0), text('x')))],
  ['a clock of 2^52', update(atRoot(STRUCT.STRING, text('x')), 1, HUGER)],
  ['2^31 clients who delete', update(atRoot(STRUCT.STRING, text('x')), 1, 0, uint(HUGE))],
  ['2^31 deletions', update(atRoot(STRUCT.STRING, text('x')), 1, 0, all(uint(1), uint(CLIENT), uint(HUGE)))],
  [
    'a deletion of 2^52',
    update(atRoot(STRUCT.STRING, text('x')), 1, 0, all(uint(1), uint(CLIENT), uint(1), uint(0), uint(HUGER))),
  ],
  [
    '100,000 deletions of what is not there',
    bytesOf(
      all(
        uint(0),
        uint(1),
        uint(9),
        uint(100_000),
        times(100_000, (i) => all(uint(i * 2), uint(1))),
      ),
    ),
  ],
  [
    '100,000 updates that wait for others',
    bytesOf(
      all(
        uint(100_000),
        times(100_000, (i) => all(uint(1), uint(i + 10), uint(5), atRoot(STRUCT.STRING, text('x')))),
        uint(0),
      ),
    ),
  ],
];

/** State vectors that ask for more than there is. */
export const VECTORS: readonly (readonly [what: string, vector: Uint8Array])[] = [
  ['2^32 clients', bytesOf(uint(2 ** 32))],
  ['a clock of 2^52', bytesOf(all(uint(1), uint(CLIENT), uint(HUGER)))],
  [
    '300,000 clients',
    bytesOf(
      all(
        uint(300_000),
        times(300_000, (i) => all(uint(i), uint(1))),
      ),
    ),
  ],
  [
    'one client 100,000 times',
    bytesOf(
      all(
        uint(100_000),
        times(100_000, () => all(uint(CLIENT), uint(1))),
      ),
    ),
  ],
];

/** Awareness that says more than it has. */
export const CROWDS: readonly (readonly [what: string, payload: Uint8Array])[] = [
  ['2^32 clients', bytesOf(uint(2 ** 32))],
  [
    '9,999 clients without a state',
    bytesOf(
      all(
        uint(9_999),
        times(9_999, (i) => all(uint(i), uint(1), text('null'))),
      ),
    ),
  ],
  ['a clock of 2^52', bytesOf(all(uint(1), uint(CLIENT), uint(HUGER), text('{}')))],
  [
    'a state 2,000 lists deep',
    bytesOf(all(uint(1), uint(CLIENT), uint(1), text(`{"a":${'['.repeat(2_000)}${']'.repeat(2_000)}}`))),
  ],
  [
    'a state of __proto__',
    bytesOf(all(uint(1), uint(CLIENT), uint(2), text('{"__proto__":{"polluted":1},"user":{"__proto__":{"id":"x"}}}'))),
  ],
  ['a state that is a list', bytesOf(all(uint(1), uint(CLIENT), uint(3), text('[]')))],
  ['a string of 2^31', bytesOf(all(uint(1), uint(CLIENT), uint(3), uint(HUGE)))],
];
