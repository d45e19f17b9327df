/** Makes broken things of whole ones: bytes, text and JSON values, each drawn from a seeded chance. */
import type { Random } from '../../src/base/random.ts';

/** A whole number from 0 up to `end`, which it is not. */
export const below = (random: Random, end: number): number => Math.floor(random.float() * end);

/** One of these. */
export function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[below(random, items.length)];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
}

/** Varuints that say more than there is, or more than fits. */
const LENGTHS: readonly (readonly number[])[] = [
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
  [0xff, 0xff, 0x7f],
  [0],
];

type Mutation = (random: Random, bytes: Uint8Array, other: Uint8Array) => Uint8Array;

const spliced = (bytes: Uint8Array, at: number, removed: number, put: Iterable<number>): Uint8Array =>
  Uint8Array.from([...bytes.subarray(0, at), ...put, ...bytes.subarray(at + removed)]);

const MUTATIONS: readonly Mutation[] = [
  // A bit, a byte, a few bytes.
  (random, bytes) => spliced(bytes, below(random, bytes.length), 1, [random.uint32() & 0xff]),
  (random, bytes) => {
    const at = below(random, bytes.length);
    return spliced(bytes, at, 1, [(bytes[at] ?? 0) ^ (1 << below(random, 8))]);
  },
  (random, bytes) => spliced(bytes, below(random, bytes.length), 0, random.bytes(1 + below(random, 8))),
  // Cut short, cut in the middle, doubled in the middle, continued.
  (random, bytes) => bytes.slice(0, below(random, bytes.length)),
  (random, bytes) => spliced(bytes, below(random, bytes.length), 1 + below(random, 8), []),
  (random, bytes) => {
    const at = below(random, bytes.length);
    return spliced(bytes, at, 0, bytes.subarray(at, at + 1 + below(random, 32)));
  },
  (random, bytes) => spliced(bytes, bytes.length, 0, random.bytes(1 + below(random, 40))),
  // A length that lies.
  (random, bytes) => spliced(bytes, below(random, bytes.length), 1, pick(random, LENGTHS)),
  // The head of one and the tail of another.
  (random, bytes, other) =>
    spliced(bytes, below(random, bytes.length), bytes.length, other.subarray(below(random, other.length))),
];

/** Bytes like these, but not these; `other` lends pieces. */
export function mutateBytes(random: Random, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  let mutated = bytes;
  for (let i = 1 + below(random, 3); i > 0; i--)
    if (mutated.length > 0) mutated = pick(random, MUTATIONS)(random, mutated, other);
  return mutated;
}

/** Strings that have broken somebody somewhere. */
export const NASTY_STRINGS: readonly string[] = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  'x\udfff',
  '\u{1f469}\u200d\u{1f4bb}',
  '\r\nSet-Cookie: a=b',
  '\u001b[31mred\u001b[0m',
  '{"level":"fatal"}\n{"level":"error"}',
  "'; DROP TABLE documents; --",
  '$1',
  '%00%0a',
  '../../etc/passwd',
  '*',
  'collab:*',
  '__proto__',
  'constructor',
  '{{7*7}}',
  '<script>alert(1)</script>',
  'javascript:alert(1)',
  '\u202e\ufeff',
  'x'.repeat(300),
  'x'.repeat(70_000),
  '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10',
  '2026-02-30T25:61:61.000Z',
];

/** Values of every kind of JSON, at its ends and beyond. */
export const NASTY_VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1,
  1.5,
  1e308,
  2 ** 31,
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 63),
  [],
  {},
  [[]],
  [null],
  { toString: 1, valueOf: 2 },
  { constructor: { prototype: { polluted: true } } },
  JSON.parse('{"__proto__":{"polluted":true}}'),
  JSON.parse(`${'['.repeat(70)}${']'.repeat(70)}`),
  ...NASTY_STRINGS,
];

/** A JSON value like this one, in which something at some depth is another, is gone, or is more. */
export function mutateValue(random: Random, value: unknown): unknown {
  const is_leaf = typeof value !== 'object' || value === null || random.float() < 0.15;
  if (is_leaf) return pick(random, NASTY_VALUES);
  if (Array.isArray(value)) {
    const at = below(random, value.length + 1);
    if (at === value.length || random.float() < 0.2) return value.toSpliced(at, 0, pick(random, NASTY_VALUES));
    return value.with(at, mutateValue(random, value[at]));
  }
  const entries = Object.entries(value);
  const at = below(random, entries.length + 1);
  const [name, item] = entries[at] ?? [pick(random, NASTY_STRINGS), pick(random, NASTY_VALUES)];
  if (at < entries.length && random.float() < 0.2) return Object.fromEntries(entries.toSpliced(at, 1));
  // Object.fromEntries makes an own field of `__proto__`, as JSON.parse does.
  return Object.fromEntries(entries.toSpliced(at, 1, [name, at < entries.length ? mutateValue(random, item) : item]));
}

/** JSON text of a value, whole or broken. */
export function mutateText(random: Random, text: string): string {
  const at = below(random, text.length + 1);
  switch (below(random, 5)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return (
        text.slice(0, at) +
        pick(random, ['"', '{', '}', '[', ',', ':', '\\', '\\u', '\\ud800', '1e999', '-']) +
        text.slice(at)
      );
    case 2:
      return text.slice(0, at) + text.slice(at + 1 + below(random, 5));
    case 3:
      return text + text;
    default:
      return text.slice(0, at) + String.fromCharCode(random.uint32() & 0xffff) + text.slice(at + 1);
  }
}
