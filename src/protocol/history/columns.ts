/**
 * Values of one sort stored side by side, sealed: the container of all that a segment of history holds.
 *
 * Revisions resemble each other field by field, not byte by byte, so each field has a column of its own (predicted where it can be, so
 * that most values are 0), and zstd finds the repetitions. Sealed bytes are:
 *
 *     version (1 byte) · kind (1 byte) · CRC-32 of all that follows (4 bytes, big endian) · zstd frame of
 *     [ length of each column (varuint) … · the columns, one after the other ]
 *
 * The invariant: what does not come out exactly as it was sealed is refused with {@link DamagedColumns}. The checksum stands before the
 * frame, so that chance damage never reaches the decompressor; against damage that has a right checksum, the unpacked size is
 * bounded, every read is bounded by its column, and whoever reads a column takes at least one byte per value, so that the
 * size bounds the counts as well.
 */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';

/** Changes with every change of what stands in any column. */
const VERSION = 1;

/** What columns hold; the number is the sealed form's second byte. 5 was attribution without authors and times. */
const KINDS = { meta: 1, deltas: 2, updates: 3, ops: 4, attribution: 6 } as const;

/** What columns hold. */
export type ColumnKind = keyof typeof KINDS;

const HEADER_BYTES = 6;

/** Far above any segment; a bound on the memory that one damaged row can ask for. */
export const UNPACKED_BYTES_MAX = 256 * 1024 * 1024;

/** On columns of a few KB the highest levels save 2 % more, at ten times the time. */
const ZSTD_LEVEL = 9;

const UTF_8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Sealed columns that are not what was sealed. */
export class DamagedColumns extends Error {
  override readonly name = 'DamagedColumns';
}

/** A column for each name, to write to. */
export function columnWriters<N extends string>(names: readonly N[]): Record<N, encoding.Encoder> {
  return Object.fromEntries(names.map((name) => [name, encoding.createEncoder()])) as Record<N, encoding.Encoder>;
}

/** Seals the columns of these names, in this order. Throws a RangeError above {@link UNPACKED_BYTES_MAX}. */
export function seal<N extends string>(
  kind: ColumnKind,
  names: readonly N[],
  columns: Readonly<Record<N, encoding.Encoder>>,
): Uint8Array {
  const payload = encoding.createEncoder();
  for (const name of names) encoding.writeVarUint(payload, encoding.length(columns[name]));
  for (const name of names) encoding.writeUint8Array(payload, encoding.toUint8Array(columns[name]));
  const plain = encoding.toUint8Array(payload);
  if (plain.length > UNPACKED_BYTES_MAX)
    throw new RangeError(`${plain.length} bytes of ${kind} do not go into one row`);
  const frame = Bun.zstdCompressSync(plain, { level: ZSTD_LEVEL });
  const sealed = new Uint8Array(HEADER_BYTES + frame.length);
  sealed.set([VERSION, KINDS[kind]]);
  new DataView(sealed.buffer).setUint32(2, Bun.hash.crc32(frame));
  sealed.set(frame, HEADER_BYTES);
  return sealed;
}

/** Whether these bytes were sealed as `kind`, in the form that this program reads. */
export function isSealed(kind: ColumnKind, sealed: Uint8Array): boolean {
  return sealed[0] === VERSION && sealed[1] === KINDS[kind];
}

/** Opens what {@link seal} made and reads it; `read` must read every column to its end. Throws {@link DamagedColumns}. */
export function unseal<N extends string, T>(
  kind: ColumnKind,
  names: readonly N[],
  sealed: Uint8Array,
  read: (columns: Readonly<Record<N, decoding.Decoder>>) => T,
): T {
  try {
    const columns = openColumns(kind, names, sealed);
    const value = read(columns);
    for (const name of names)
      if (decoding.hasContent(columns[name])) throw new Error(`its column ${name} holds more than it should`);
    return value;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DamagedColumns(`the ${kind} of a stretch of history cannot be read: ${reason}`, { cause: error });
  }
}

function openColumns<N extends string>(
  kind: ColumnKind,
  names: readonly N[],
  sealed: Uint8Array,
): Record<N, decoding.Decoder> {
  if (sealed.length <= HEADER_BYTES) throw new Error(`${sealed.length} bytes are too few`);
  if (sealed[0] !== VERSION) throw new Error(`its version is ${sealed[0]}, this program knows ${VERSION}`);
  if (sealed[1] !== KINDS[kind]) throw new Error(`it is of kind ${sealed[1]}, not ${KINDS[kind]}`);
  const frame = sealed.subarray(HEADER_BYTES);
  if (new DataView(sealed.buffer, sealed.byteOffset).getUint32(2) !== Bun.hash.crc32(frame))
    throw new Error('its checksum is wrong');
  if (contentSize(frame) > UNPACKED_BYTES_MAX) throw new Error('it unpacks to more than any stretch of history');
  const plain = Bun.zstdDecompressSync(frame as Uint8Array<ArrayBuffer>);
  const decoder = decoding.createDecoder(new Uint8Array(plain.buffer, plain.byteOffset, plain.length));
  const lengths = names.map(() => decoding.readVarUint(decoder));
  const columns = names.map((name, i) => [name, decoding.createDecoder(take(decoder, lengths[i] ?? 0))] as const);
  if (decoding.hasContent(decoder)) throw new Error('it holds more than its columns');
  return Object.fromEntries(columns) as Record<N, decoding.Decoder>;
}

/**
 * How much a zstd frame says it unpacks to (RFC 8878, section 3.1.1.1); unpacking stops there. Infinity when it does not
 * say, which {@link seal} never leaves out.
 */
function contentSize(frame: Uint8Array): number {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const descriptor = view.getUint8(4);
  const one_segment = (descriptor & 0x20) !== 0;
  const dictionary_bytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const at = 5 + (one_segment ? 0 : 1) + dictionary_bytes;
  switch (descriptor >> 6) {
    case 0:
      return one_segment ? view.getUint8(at) : Number.POSITIVE_INFINITY;
    case 1:
      return view.getUint16(at, true) + 256;
    case 2:
      return view.getUint32(at, true);
    default:
      return Number(view.getBigUint64(at, true));
  }
}

/** The next `length` bytes, not copied. lib0 itself would make a view past the end or fail obscurely. */
export function take(decoder: decoding.Decoder, length: number): Uint8Array {
  const from = skipBytes(decoder, length);
  return decoder.arr.subarray(from, from + length);
}

/** The next byte. lib0 itself gives undefined at the end. */
export function takeByte(decoder: decoding.Decoder): number {
  const byte = decoder.arr[decoder.pos];
  if (byte === undefined) throw new Error('a byte is missing at the end of its column');
  decoder.pos += 1;
  return byte;
}

/** Moves past the next `length` bytes without making a view of them; returns where they begin. */
export function skipBytes(decoder: decoding.Decoder, length: number): number {
  const from = decoder.pos;
  if (!(length >= 0 && length <= decoder.arr.length - from)) throw new Error('a length reaches past its column');
  decoder.pos = from + length;
  return from;
}

/** The next string that `writeVarString` wrote. */
export function takeString(decoder: decoding.Decoder): string {
  return UTF_8.decode(take(decoder, decoding.readVarUint(decoder)));
}

/** Reads an integer from 0 on, and refuses one that is no index below `count`. */
export function takeIndex(decoder: decoding.Decoder, count: number): number {
  const index = decoding.readVarUint(decoder);
  if (index >= count) throw new Error(`an index of ${index} into ${count} values`);
  return index;
}

/**
 * All integers from 0 on that are left of a column, as `writeVarUint` wrote them. One by one they would cost several times
 * as much, and ten times until the compiler has taken notice: of a long history there are a million.
 */
export function takeUints(decoder: decoding.Decoder): Float64Array {
  return takeNumbers(decoder, false);
}

/** All integers that are left of a column, as `writeVarInt` wrote them: see {@link takeUints}. */
export function takeInts(decoder: decoding.Decoder): Float64Array {
  return takeNumbers(decoder, true);
}

/** lib0's varints: seven bits a byte, the lowest first, and a byte below 128 is the last; a sign takes a bit of the first. */
function takeNumbers(decoder: decoding.Decoder, signed: boolean): Float64Array {
  const bytes = decoder.arr;
  const numbers = new Float64Array(countNumbers(bytes, decoder.pos));
  const first_bits = signed ? 0x3f : 0x7f;
  let at = decoder.pos;
  for (let i = 0; i < numbers.length; i++) {
    const first = bytes[at++] ?? 0;
    let number = first & first_bits;
    if (first >= 0x80) {
      let byte = first;
      for (let scale = first_bits + 1; byte >= 0x80; scale *= 0x80) {
        byte = bytes[at++] ?? 0;
        number += (byte & 0x7f) * scale;
      }
      if (!(number <= Number.MAX_SAFE_INTEGER)) throw new RangeError(`${number} is not an integer that was stored`);
    }
    numbers[i] = signed && (first & 0x40) !== 0 ? -number : number;
  }
  decoder.pos = at;
  return numbers;
}

function countNumbers(bytes: Uint8Array, from: number): number {
  if (bytes.length > from && (bytes[bytes.length - 1] ?? 0) >= 0x80)
    throw new Error('a number is cut short at the end of its column');
  let count = 0;
  for (let at = from; at < bytes.length; at++) if ((bytes[at] ?? 0) < 0x80) count += 1;
  return count;
}

/** Refuses what varints cannot hold exactly. */
export function exact(value: number): number {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not an integer that can be stored`);
  return value;
}
