/**
 * Many Yjs updates as one, without a document.
 *
 * `Y.mergeUpdates` orders all of its updates anew for every struct and leaves a keystroke a struct. A history has its
 * updates in the order in which they were made, so what a client wrote in one goes on where it stopped in the last: its
 * structs are put behind each other as bytes, and characters that were typed in a row become one string, as they would
 * in a document. Deletions come last, as in every update, those of neighbours as one.
 *
 * The invariant: applied, the one does what all of them do, applied in their order. An update that does not go on where
 * its clients stopped, or is of another form, is refused and leaves no trace; it belongs behind what was joined so far.
 */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { skipBytes, takeByte } from './columns.ts';
import { type Id, NUMBER_MAX, STRUCT, skipContent, unitsOf } from './update-fields.ts';

/** See the head of this file. */
export class UpdateJoiner {
  readonly #clients = new Map<number, ClientStructs>();
  readonly #deletions = new Map<number, Deletions>();
  #bytes = 0;

  /** Of all updates that were added. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds an update; false when it is refused. */
  add(update: Uint8Array): boolean {
    const touched: ClientStructs[] = [];
    try {
      const decoder = decoding.createDecoder(update);
      for (let clients = decoding.readVarUint(decoder); clients > 0; clients--) this.#addStructs(decoder, touched);
      const deleted = readDeletions(decoder);
      if (decoding.hasContent(decoder)) throw new Error('it goes on behind its end');
      this.#delete(deleted);
    } catch {
      for (const structs of touched) structs.undo();
      return false;
    }
    this.#bytes += update.length;
    return true;
  }

  /** All of them as one; afterwards nothing may be added. */
  finish(): Uint8Array {
    const encoder = encoding.createEncoder();
    const clients = [...this.#clients.values()].filter(({ count }) => count > 0);
    encoding.writeVarUint(encoder, clients.length);
    for (const structs of clients) structs.write(encoder);
    encoding.writeVarUint(encoder, this.#deletions.size);
    for (const [client, deletions] of this.#deletions) {
      encoding.writeVarUint(encoder, client);
      deletions.write(encoder);
    }
    return encoding.toUint8Array(encoder);
  }

  #addStructs(decoder: decoding.Decoder, touched: ClientStructs[]): void {
    const count = decoding.readVarUint(decoder);
    const client = decoding.readVarUint(decoder);
    const clock = decoding.readVarUint(decoder);
    let structs = this.#clients.get(client);
    if (structs === undefined) {
      structs = new ClientStructs(client, clock);
      this.#clients.set(client, structs);
    }
    if (structs.next !== clock || touched.includes(structs))
      throw new Error('it does not go on where its client stopped');
    structs.mark();
    touched.push(structs);
    for (let i = 0; i < count; i++) structs.add(decoder);
  }

  #delete(deleted: readonly number[]): void {
    for (let i = 0; i < deleted.length; i += 3) {
      const [client, clock, length] = [deleted[i] as number, deleted[i + 1] as number, deleted[i + 2] as number];
      let deletions = this.#deletions.get(client);
      if (deletions === undefined) {
        deletions = new Deletions();
        this.#deletions.set(client, deletions);
      }
      deletions.add(clock, length);
    }
  }
}

/** Client, clock and length of each deletion. */
function readDeletions(decoder: decoding.Decoder): number[] {
  const deleted: number[] = [];
  for (let clients = decoding.readVarUint(decoder); clients > 0; clients--) {
    const client = decoding.readVarUint(decoder);
    for (let count = decoding.readVarUint(decoder); count > 0; count--)
      deleted.push(client, decoding.readVarUint(decoder), decoding.readVarUint(decoder));
  }
  return deleted;
}

/** What was deleted of one client. */
class Deletions {
  readonly #ranges: { clock: number; length: number }[] = [];

  add(clock: number, length: number): void {
    if (length === 0) return;
    const last = this.#ranges.at(-1);
    // People delete on, backwards or forwards.
    if (last !== undefined && clock + length === last.clock) last.clock = clock;
    else if (last === undefined || clock !== last.clock + last.length) {
      this.#ranges.push({ clock, length });
      return;
    }
    last.length += length;
  }

  write(encoder: encoding.Encoder): void {
    const merged: { clock: number; length: number }[] = [];
    for (const { clock, length } of this.#ranges.toSorted((one, other) => one.clock - other.clock)) {
      const last = merged.at(-1);
      if (last === undefined || clock > last.clock + last.length) merged.push({ clock, length });
      else last.length = Math.max(last.length, clock + length - last.clock);
    }
    encoding.writeVarUint(encoder, merged.length);
    for (const { clock, length } of merged) {
      encoding.writeVarUint(encoder, clock);
      encoding.writeVarUint(encoder, length);
    }
  }
}

/** Where the structs of a client have come to. */
interface Place {
  /** Of their bytes. */
  length: number;
  count: number;
  /** The clock that follows. */
  next: number;
  /** Where the length of the last one's text stands; -1 when it is no text, or none that may go on. */
  text_at: number;
  /** The right neighbour that text had when it was made; null for none. */
  right: Id | null;
}

/** The length of a text takes so many bytes, however small it is: so it can grow where it stands. */
const TEXT_LENGTH_BYTES = 4;
const TEXT_BYTES_MAX = 2 ** 28;

/** What one client wrote. */
class ClientStructs {
  #bytes = new Uint8Array(64);
  #place: Place;
  #marked: Place;

  constructor(
    private readonly client: number,
    private readonly clock: number,
  ) {
    this.#place = { length: 0, count: 0, next: clock, text_at: -1, right: null };
    this.#marked = this.#place;
  }

  get next(): number {
    return this.#place.next;
  }

  get count(): number {
    return this.#place.count;
  }

  /** Remembers the place for {@link undo}. */
  mark(): void {
    this.#marked = { ...this.#place };
  }

  undo(): void {
    this.#place = this.#marked;
    this.#writeTextLength();
  }

  /** Takes the next struct from a decoder. */
  add(decoder: decoding.Decoder): void {
    const from = decoder.pos;
    const info = takeByte(decoder);
    const content = info & STRUCT.content;
    if (content === STRUCT.skip) throw new Error('it leaves something out');
    if (content === STRUCT.garbage) return this.#addOther(decoder, from, decoding.readVarUint(decoder));
    const left = info & STRUCT.has_left ? readId(decoder) : null;
    const right = info & STRUCT.has_right ? readId(decoder) : null;
    if (left === null && right === null) skipParent(decoder, info);
    if (content !== STRUCT.string) return this.#addOther(decoder, from, skipContent(decoder, content));
    const head_end = decoder.pos;
    const text_bytes = decoding.readVarUint(decoder);
    const text_from = skipBytes(decoder, text_bytes);
    const place = this.#place;
    const units = unitsOf(decoder.arr, text_from, decoder.pos);
    const may_join = (info & STRUCT.has_key) === 0;
    if (!may_join || !this.#goesOn(left, right, text_bytes)) {
      this.#append(decoder.arr, from, head_end);
      place.text_at = place.length;
      place.length += TEXT_LENGTH_BYTES;
      place.count += 1;
      place.right = right;
    }
    this.#append(decoder.arr, text_from, decoder.pos);
    this.#writeTextLength();
    if (!may_join) place.text_at = -1;
    this.#advance(units);
  }

  write(encoder: encoding.Encoder): void {
    encoding.writeVarUint(encoder, this.#place.count);
    encoding.writeVarUint(encoder, this.client);
    encoding.writeVarUint(encoder, this.clock);
    encoding.writeUint8Array(encoder, this.#bytes.subarray(0, this.#place.length));
  }

  /** Whether a text is what Yjs would make one with the last. */
  #goesOn(left: Id | null, right: Id | null, text_bytes: number): boolean {
    const { text_at, next, right: last_right, length } = this.#place;
    if (text_at < 0 || left === null || left.client !== this.client || left.clock !== next - 1) return false;
    if (length - text_at + text_bytes >= TEXT_BYTES_MAX) return false;
    if (right === null || last_right === null) return right === last_right;
    return right.client === last_right.client && right.clock === last_right.clock;
  }

  /** Adds a struct of `units` clocks as it is: the decoder's bytes since `from`. */
  #addOther(decoder: decoding.Decoder, from: number, units: number): void {
    this.#append(decoder.arr, from, decoder.pos);
    this.#place.count += 1;
    this.#place.text_at = -1;
    this.#advance(units);
  }

  #advance(units: number): void {
    const place = this.#place;
    place.next += units;
    if (units === 0 || place.next > NUMBER_MAX) throw new Error('a struct of no length, or beyond any document');
  }

  #append(source: Uint8Array, from: number, to: number): void {
    const place = this.#place;
    const end = place.length + to - from;
    if (end + TEXT_LENGTH_BYTES > this.#bytes.length) {
      const larger = new Uint8Array(2 * (end + TEXT_LENGTH_BYTES));
      larger.set(this.#bytes.subarray(0, place.length));
      this.#bytes = larger;
    }
    // Most are of a few bytes, for which this is quicker than `set`.
    if (to - from > 32) this.#bytes.set(source.subarray(from, to), place.length);
    else for (let i = from, at = place.length; i < to; i++, at++) this.#bytes[at] = source[i] as number;
    place.length = end;
  }

  /** Writes how long the last text is in front of it. */
  #writeTextLength(): void {
    const { text_at, length } = this.#place;
    if (text_at < 0) return;
    let left = length - text_at - TEXT_LENGTH_BYTES;
    for (let i = 0; i < TEXT_LENGTH_BYTES; i++) {
      this.#bytes[text_at + i] = (left & 0x7f) | (i < TEXT_LENGTH_BYTES - 1 ? 0x80 : 0);
      left >>>= 7;
    }
  }
}

function readId(decoder: decoding.Decoder): Id {
  return { client: decoding.readVarUint(decoder), clock: decoding.readVarUint(decoder) };
}

function skipParent(decoder: decoding.Decoder, info: number): void {
  if (decoding.readVarUint(decoder) === 1) skipBytes(decoder, decoding.readVarUint(decoder));
  else readId(decoder);
  if (info & STRUCT.has_key) skipBytes(decoder, decoding.readVarUint(decoder));
}
