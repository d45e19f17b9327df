/**
 * Typing, put together before it is applied. Somebody who types fast, or comes back with what was typed offline, sends a
 * Yjs update a character, each of which continues the one before. Yjs would make one item of them in the end; making it
 * here, from the bytes, spares it everything that an update of its own costs.
 *
 * What is put together: updates of one client that add one string each, where every one but the first begins where the
 * one before ended, right behind it (its left origin) and before the same item (its right origin). A client that had sent
 * all of them at once would have sent the same bytes, so nothing that Yjs decides can come out differently. Anything else,
 * deletions and strings with surrogate pairs included, is left as it is.
 *
 * The form of an update (version 1): the number of clients; for each the number of structs, the client and the first clock,
 * then the structs; then the delete set. A struct is a byte that says what follows (bit 8: left origin, bit 7: right
 * origin, bit 6: key in the parent, the rest the kind of content), the origins, the parent where no origin tells it, and
 * the content.
 */
const LEFT_ORIGIN = 0x80;
const RIGHT_ORIGIN = 0x40;
const KEY_IN_PARENT = 0x20;
const KIND = 0x1f;
const STRING = 4;

/** One string added by one client. */
interface Typed {
  readonly client: number;
  readonly clock: number;
  /** UTF-16 units. */
  readonly units: number;
  readonly bytes: Uint8Array;
  /** Where the right origin stands, where the struct's head ends, and where the string's bytes begin. */
  readonly right_at: number;
  readonly right_end: number;
  readonly head_end: number;
  readonly text_at: number;
  /** The left origin; -1 without one. */
  readonly left_client: number;
  readonly left_clock: number;
}

/** The updates with runs of typing put together; the same array when there are none. */
export function joinTyping(updates: readonly Uint8Array[]): readonly Uint8Array[] {
  if (updates.length < 2) return updates;
  const joined: Uint8Array[] = [];
  let run: Typed[] = [];
  const close = (): void => {
    const [first] = run;
    if (first !== undefined) joined.push(run.length === 1 ? first.bytes : writeRun(first, run));
    run = [];
  };
  for (const update of updates) {
    const typed = readTyped(update);
    const last = run.at(-1);
    if (typed !== null && last !== undefined && continues(last, typed)) {
      run.push(typed);
      continue;
    }
    close();
    if (typed === null) joined.push(update);
    else run.push(typed);
  }
  close();
  return joined.length === updates.length ? updates : joined;
}

function continues(last: Typed, next: Typed): boolean {
  const end = last.clock + last.units;
  if (next.client !== last.client || next.clock !== end) return false;
  if (next.left_client !== last.client || next.left_clock !== end - 1) return false;
  const length = last.right_end - last.right_at;
  if (next.right_end - next.right_at !== length) return false;
  for (let i = 0; i < length; i++) if (last.bytes[last.right_at + i] !== next.bytes[next.right_at + i]) return false;
  return true;
}

function writeRun(first: Typed, run: readonly Typed[]): Uint8Array {
  let text = 0;
  for (const { bytes, text_at } of run) text += bytes.length - 1 - text_at;
  const written = new Uint8Array(first.head_end + LENGTH_BYTES_MAX + text + 1);
  written.set(first.bytes.subarray(0, first.head_end));
  let at = first.head_end;
  for (let rest = text; ; rest = Math.floor(rest / 128)) {
    written[at++] = rest < 128 ? rest : (rest % 128) + 128;
    if (rest < 128) break;
  }
  for (const { bytes, text_at } of run) {
    written.set(bytes.subarray(text_at, bytes.length - 1), at);
    at += bytes.length - 1 - text_at;
  }
  written[at++] = 0; // nothing is deleted
  return written.subarray(0, at);
}

const LENGTH_BYTES_MAX = 8;

/** Where {@link readTyped} is; one object for all, since nothing in it outlives a call. */
let at = 0;

/** A number as Yjs writes them, least significant bits first; -1 when there is none within the bounds of what is exact. */
function readNumber(bytes: Uint8Array): number {
  let number = 0;
  for (let scale = 1; scale < 2 ** 50; scale *= 128) {
    const byte = bytes[at++];
    if (byte === undefined) return -1;
    number += (byte & 127) * scale;
    if (byte < 128) return number;
  }
  return -1;
}

/** The update as one typed string; null when it is anything else. */
function readTyped(bytes: Uint8Array): Typed | null {
  if (bytes[0] !== 1 || bytes[1] !== 1 || bytes[bytes.length - 1] !== 0) return null;
  at = 2;
  const client = readNumber(bytes);
  const clock = readNumber(bytes);
  const info = bytes[at++] ?? 0;
  if (client < 0 || clock < 0 || (info & KIND) !== STRING || (info & KEY_IN_PARENT) !== 0) return null;
  let [left_client, left_clock] = [-1, -1];
  if ((info & LEFT_ORIGIN) !== 0) {
    left_client = readNumber(bytes);
    left_clock = readNumber(bytes);
  }
  const right_at = at;
  if ((info & RIGHT_ORIGIN) !== 0 && (readNumber(bytes) < 0 || readNumber(bytes) < 0)) return null;
  const right_end = at;
  if ((info & (LEFT_ORIGIN | RIGHT_ORIGIN)) === 0 && !skipParent(bytes)) return null;
  const head_end = at;
  const length = readNumber(bytes);
  const text_at = at;
  if (length <= 0 || text_at + length !== bytes.length - 1) return null;
  const units = unitsOf(bytes, text_at, bytes.length - 1);
  if (units < 0) return null;
  return { client, clock, units, bytes, right_at, right_end, head_end, text_at, left_client, left_clock };
}

/** A parent is named, or an item. */
function skipParent(bytes: Uint8Array): boolean {
  const named = readNumber(bytes);
  if (named === 0) return readNumber(bytes) >= 0 && readNumber(bytes) >= 0;
  if (named !== 1) return false;
  const length = readNumber(bytes);
  at += Math.max(0, length);
  return length >= 0 && at < bytes.length;
}

/** UTF-16 units of well-formed UTF-8 without surrogate pairs; -1 for anything else. */
function unitsOf(bytes: Uint8Array, from: number, to: number): number {
  let units = 0;
  for (let i = from; i < to; units++) {
    const [byte, second] = [bytes[i] ?? 0, bytes[i + 1] ?? 0];
    const more = byte < 0x80 ? 0 : byte >= 0xc2 && byte < 0xe0 ? 1 : byte >= 0xe0 && byte < 0xf0 ? 2 : -1;
    if (more === -1 || i + more >= to) return -1;
    // Longer than need be, or half of a pair.
    if ((byte === 0xe0 && second < 0xa0) || (byte === 0xed && second >= 0xa0)) return -1;
    for (let k = 1; k <= more; k++) if (((bytes[i + k] ?? 0) & 0xc0) !== 0x80) return -1;
    i += 1 + more;
  }
  return units;
}
