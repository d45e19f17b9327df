/**
 * Chance comes into Concord through this file alone, so that a test can seed it and replay what it saw.
 */

/** The only source of chance. */
export interface Random {
  /** A float in [0, 1). */
  float(): number;
  /** An unsigned 32-bit integer. */
  uint32(): number;
  /** `length` bytes, unpredictable in production. */
  bytes(length: number): Uint8Array;
  /** A time-ordered UUID (version 7), lower case: the form of every stored id. */
  id(): string;
}

/** Cryptographically strong chance. */
export const systemRandom: Random = {
  float: () => Math.random(),
  uint32: () => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  id: () => Bun.randomUUIDv7(),
};

/**
 * Repeatable chance for tests and fuzzers. mulberry32 by Tommy Ettinger (public domain): 32 bits of state, plenty for
 * choosing operations, useless as a secret.
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const uint32 = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => uint32() & 0xff);
  return {
    float: () => uint32() / 0x1_0000_0000,
    uint32,
    bytes,
    id: () => {
      const raw = bytes(16);
      raw[6] = ((raw[6] ?? 0) & 0x0f) | 0x70;
      raw[8] = ((raw[8] ?? 0) & 0x3f) | 0x80;
      const hex = Buffer.from(raw).toString('hex');
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    },
  };
}
