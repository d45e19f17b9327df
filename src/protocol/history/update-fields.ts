/**
 * The form of a Yjs update (version 1), told once: a walk over its fields that neither knows where they come from nor where they
 * go ({@link Transfer}), and what is to be expected of each field ({@link Expectations}).
 *
 * The form is that of `readClientsStructRefs`, `readItemContent` and `readDeleteSet` of Yjs 13.6. Anything else throws.
 */
import * as decoding from 'lib0/decoding';
import { skipBytes } from './columns.ts';

/** The columns that the fields of updates belong to. */
export type FieldColumn =
  | 'counts'
  | 'client_indexes'
  | 'clocks'
  | 'infos'
  | 'lengths'
  | 'left_choices'
  | 'right_choices'
  | 'id_clients'
  | 'id_clocks'
  | 'deletion_choices'
  | 'deletions'
  | 'text_lengths'
  | 'text'
  | 'blob_lengths'
  | 'blobs';

/** Larger numbers than any document reaches, so that what is told as a difference, or summed up, stays exact. */
export const NUMBER_MAX = 2 ** 52;

/** Identity of a unit of content in Yjs. */
export interface Id {
  readonly client: number;
  readonly clock: number;
}

/** Where the fields of an update come from and go to. Each method passes one field on and returns it. */
export interface Transfer {
  /** An integer, stored as its difference from `expected`. */
  uint(column: FieldColumn, expected: number): number;
  /** An integer that is probably one of those expected. */
  uintAmong(choices: FieldColumn, column: FieldColumn, expected: readonly number[]): number;
  byte(column: FieldColumn): number;
  client(): number;
  /** An identity that is probably one of those expected. */
  idAmong(choices: FieldColumn, expected: readonly Id[]): Id;
  /** A length and as many bytes of text; returns how many UTF-16 units these are. */
  text(): number;
  /** A length and as many bytes of anything else. */
  bytes(): void;
  /** Bytes whose end `skip` finds. */
  opaque(skip: (decoder: decoding.Decoder) => void): void;
}

/** What the content of an item consists of. */
type ContentTransfer = Pick<Transfer, 'uint' | 'text' | 'bytes' | 'opaque'>;

/** What the updates so far let expect of the next. Packing and unpacking see the same updates, so they expect the same. */
export class Expectations {
  readonly #next_clocks = new Map<number, number>();
  /** The right neighbour of the last item: people type on in front of the same. */
  right: Id = { client: 0, clock: 0 };
  /** The left neighbour that was last not to be expected: people stay near. */
  left: Id = { client: 0, clock: 0 };
  /** The last deletion: people delete on, backwards or forwards. */
  deleted: Id & { readonly length: number } = { client: 0, clock: 0, length: 0 };

  next(client: number): number {
    return this.#next_clocks.get(client) ?? 0;
  }

  reached(client: number, clock: number): void {
    this.#next_clocks.set(client, clock);
  }
}

/** Passes an update on, field by field. Throws where it has another form. */
export function transferUpdate(fields: Transfer, expectations: Expectations): void {
  for (let clients = fields.uint('counts', 1); clients > 0; clients--) {
    const count = fields.uint('counts', 1);
    const client = fields.client();
    let clock = fields.uint('clocks', expectations.next(client));
    for (let i = 0; i < count; i++) {
      clock += transferStruct(fields, expectations, { client, clock });
      if (clock > NUMBER_MAX) throw new Error('a clock that no document reaches');
    }
    expectations.reached(client, clock);
  }
  for (let clients = fields.uint('counts', 0); clients > 0; clients--) {
    const client = fields.client();
    for (let count = fields.uint('counts', 1); count > 0; count--) {
      const { deleted } = expectations;
      const expected = [deleted.clock - 1, expectations.next(client) - 1, deleted.clock + deleted.length];
      const clock = fields.uintAmong('deletion_choices', 'deletions', expected);
      expectations.deleted = { client, clock, length: fields.uint('lengths', 1) };
    }
  }
}

/** A struct's first byte: in the lowest bits (`content`) what it holds, in the highest what else is said. */
export const STRUCT = {
  has_left: 0x80,
  has_right: 0x40,
  has_key: 0x20,
  content: 0x1f,
  garbage: 0,
  string: 4,
  skip: 10,
} as const;

/** Passes a struct on; returns its length in clocks. */
function transferStruct(fields: Transfer, expectations: Expectations, id: Id): number {
  const info = fields.byte('infos');
  const content = info & STRUCT.content;
  if (content === STRUCT.garbage || content === STRUCT.skip) return fields.uint('lengths', 1);
  let left: Id = { client: id.client, clock: id.clock - 1 };
  if (info & STRUCT.has_left) {
    const { client, clock } = left;
    left = fields.idAmong('left_choices', [left, expectations.left]);
    if (left.client !== client || left.clock !== clock) expectations.left = left;
  }
  if (info & STRUCT.has_right) {
    const behind_left = { client: left.client, clock: left.clock + 1 };
    expectations.right = fields.idAmong('right_choices', [expectations.right, behind_left]);
  }
  if ((info & (STRUCT.has_left | STRUCT.has_right)) === 0) {
    if (fields.uint('counts', 1) === 1) fields.bytes();
    else fields.idAmong('left_choices', [expectations.left]);
    if (info & STRUCT.has_key) fields.bytes();
  }
  return transferContent(fields, content);
}

/** The contents of Yjs by the number that stands for them. */
const DELETED = 1;
const JSON_VALUES = 2;
const BINARY = 3;
const EMBED = 5;
const FORMAT = 6;
const TYPE = 7;
const ANY_VALUES = 8;
const DOCUMENT = 9;

/** The types that carry a name: XML elements and hooks. */
const NAMED_TYPES: readonly number[] = [3, 5];

/** Passes the content of an item on; returns its length in clocks. */
function transferContent(fields: ContentTransfer, content: number): number {
  switch (content) {
    case DELETED:
      return fields.uint('lengths', 1);
    case STRUCT.string:
      return fields.text();
    case JSON_VALUES:
    case ANY_VALUES: {
      const count = fields.uint('counts', 1);
      for (let i = 0; i < count; i++) {
        if (content === JSON_VALUES) fields.bytes();
        else fields.opaque(decoding.readAny);
      }
      return count;
    }
    case BINARY:
    case EMBED:
      fields.bytes();
      return 1;
    case FORMAT:
      fields.bytes();
      fields.bytes();
      return 1;
    case TYPE:
      if (NAMED_TYPES.includes(fields.uint('counts', 1))) fields.bytes();
      return 1;
    case DOCUMENT:
      fields.bytes();
      fields.opaque(decoding.readAny);
      return 1;
    default:
      throw new Error(`Yjs knows no content ${content}`);
  }
}

/** Reads past the content of an item; returns its length in clocks. Throws where it has another form. */
export function skipContent(decoder: decoding.Decoder, content: number): number {
  return transferContent(new Passing(decoder), content);
}

/** Passes fields of content on to nowhere. */
class Passing implements ContentTransfer {
  constructor(private readonly decoder: decoding.Decoder) {}

  uint(): number {
    return decoding.readVarUint(this.decoder);
  }
  text(): number {
    const length = decoding.readVarUint(this.decoder);
    const from = skipBytes(this.decoder, length);
    return unitsOf(this.decoder.arr, from, from + length);
  }
  bytes(): void {
    skipBytes(this.decoder, decoding.readVarUint(this.decoder));
  }
  opaque(skip: (decoder: decoding.Decoder) => void): void {
    skip(this.decoder);
  }
}

/** How many UTF-16 units the UTF-8 between two positions is. */
export function unitsOf(utf8: Uint8Array, from: number, to: number): number {
  let units = 0;
  for (let i = from; i < to; i++) {
    const byte = utf8[i] as number;
    if ((byte & 0xc0) !== 0x80) units += byte >= 0xf0 ? 2 : 1;
  }
  return units;
}
