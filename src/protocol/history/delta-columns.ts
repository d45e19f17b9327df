/**
 * Deltas as columns.
 *
 * A keystroke is "so far in, insert this" or "so far in, delete one": the kinds of its ops are one symbol (its shape), and
 * where it starts is told from where the last one ended, which is 0 for typing and -1 for deleting backwards. Text and
 * formatting stand apart, each formatting once.
 */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import type { Attributes, DeltaOp, DeltaOps, Embed } from '../content/delta.ts';
import {
  type ColumnKind,
  columnWriters,
  exact,
  seal,
  take,
  takeByte,
  takeIndex,
  takeString,
  unseal,
} from './columns.ts';

const COLUMNS = ['shape_table', 'shapes', 'starts', 'counts', 'text_form', 'text', 'value_table', 'values'] as const;

type Writers = Record<(typeof COLUMNS)[number], encoding.Encoder>;
type Readers = Readonly<Record<(typeof COLUMNS)[number], decoding.Decoder>>;

/** What ops are in a shape. One unit is the usual length and has a sign of its own; with attributes, {@link FORMATTED} is added. */
const RETAIN = 0;
const INSERT_ONE = 1;
const INSERT = 2;
const EMBED = 3;
const DELETE_ONE = 4;
const DELETE = 5;
const FORMATTED = 8;

/** How the text column is encoded: UTF-8, or UTF-16 (little endian) where it holds halves of surrogate pairs. */
const UTF_8 = 0;
const UTF_16 = 1;

/** Seals deltas in their order; each comes back as it was, op for op. */
export function sealDeltas(kind: ColumnKind, deltas: Iterable<DeltaOps>): Uint8Array {
  const columns = columnWriters(COLUMNS);
  const shapes = new Map<string, number>();
  const values = new Map<string, number>();
  const texts: string[] = [];
  let cursor = 0;
  for (const delta of deltas) {
    const shape = delta.map((op) => String.fromCharCode(signOf(op))).join('');
    encoding.writeVarUint(
      columns.shapes,
      indexIn(shapes, shape, () => writeShape(columns, shape)),
    );
    let index = 0;
    for (const [i, op] of delta.entries()) {
      index += writeOp(columns, op, i === 0 ? cursor : null, texts);
      for (const value of [op.attributes, typeof op.insert === 'object' ? op.insert : undefined]) {
        if (value === undefined) continue;
        const json = JSON.stringify(value);
        const known = indexIn(values, json, () => encoding.writeVarString(columns.value_table, json));
        encoding.writeVarUint(columns.values, known);
      }
    }
    cursor = exact(index);
  }
  const text = texts.join('');
  const well_formed = text.isWellFormed();
  encoding.writeUint8(columns.text_form, well_formed ? UTF_8 : UTF_16);
  encoding.writeUint8Array(columns.text, Buffer.from(text, well_formed ? 'utf8' : 'utf16le'));
  return seal(kind, COLUMNS, columns);
}

/** Opens what {@link sealDeltas} made. Equal attributes and embeds are one object. Throws DamagedColumns. */
export function unsealDeltas(kind: ColumnKind, sealed: Uint8Array): DeltaOps[] {
  return unseal(kind, COLUMNS, sealed, (columns) => {
    const shapes: Uint8Array[] = [];
    while (decoding.hasContent(columns.shape_table))
      shapes.push(take(columns.shape_table, decoding.readVarUint(columns.shape_table)));
    const values: (Attributes | Embed)[] = [];
    while (decoding.hasContent(columns.value_table)) values.push(parseObject(takeString(columns.value_table)));
    const text = new TextSource(readText(columns));
    const deltas: DeltaOps[] = [];
    let cursor = 0;
    while (decoding.hasContent(columns.shapes)) {
      const delta: DeltaOps = [];
      let index = 0;
      for (const sign of shapes[takeIndex(columns.shapes, shapes.length)] ?? []) {
        const op = readOp(columns, sign, delta.length === 0 ? cursor : null, text, values);
        delta.push(op);
        index += op.retain ?? (op.insert === undefined ? 0 : typeof op.insert === 'string' ? op.insert.length : 1);
      }
      cursor = exact(index);
      deltas.push(delta);
    }
    text.finish();
    return deltas;
  });
}

function signOf({ insert, retain, delete: gone, attributes }: DeltaOp): number {
  const formatted = attributes === undefined ? 0 : FORMATTED;
  if (typeof insert === 'string') return formatted + (insert.length === 1 ? INSERT_ONE : INSERT);
  if (insert !== undefined) return formatted + EMBED;
  if (retain !== undefined) return formatted + RETAIN;
  return gone === 1 ? DELETE_ONE : DELETE;
}

function writeShape(columns: Writers, shape: string): void {
  encoding.writeVarUint(columns.shape_table, shape.length);
  for (let i = 0; i < shape.length; i++) encoding.writeUint8(columns.shape_table, shape.charCodeAt(i));
}

/** Writes the numbers of an op and collects its text; `cursor` is what a retain at the start is told from. Returns its length in the new text. */
function writeOp(columns: Writers, op: DeltaOp, cursor: number | null, texts: string[]): number {
  const { insert, retain, delete: gone } = op;
  if (insert !== undefined) {
    if (typeof insert !== 'string') return 1;
    if (insert.length !== 1) encoding.writeVarUint(columns.counts, insert.length);
    texts.push(insert);
    return insert.length;
  }
  if (retain !== undefined) {
    if (cursor === null) encoding.writeVarUint(columns.counts, exact(retain));
    else encoding.writeVarInt(columns.starts, exact(retain - cursor));
    return retain;
  }
  if (gone !== 1) encoding.writeVarUint(columns.counts, exact(gone));
  return 0;
}

function readOp(
  columns: Readers,
  sign: number,
  cursor: number | null,
  text: TextSource,
  values: readonly (Attributes | Embed)[],
): DeltaOp {
  const count = (): number => decoding.readVarUint(columns.counts);
  const value = (): Attributes | Embed => values[takeIndex(columns.values, values.length)] ?? {};
  const attributes = sign >= FORMATTED ? { attributes: value() } : undefined;
  switch (sign & ~FORMATTED) {
    case RETAIN:
      return { retain: cursor === null ? count() : exact(cursor + decoding.readVarInt(columns.starts)), ...attributes };
    case INSERT_ONE:
      return { insert: text.next(1), ...attributes };
    case INSERT:
      return { insert: text.next(count()), ...attributes };
    case EMBED:
      return { insert: value(), ...attributes };
    case DELETE_ONE:
      return { delete: 1 };
    case DELETE:
      return { delete: count() };
    default:
      throw new Error(`an op of kind ${sign}`);
  }
}

function readText(columns: Readers): string {
  const form = takeByte(columns.text_form);
  const bytes = take(columns.text, columns.text.arr.length);
  if (form !== UTF_8 && form !== UTF_16) throw new Error(`a text in form ${form}`);
  if (form === UTF_16) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf16le');
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}

/** Hands out a text in stretches. */
class TextSource {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  next(units: number): string {
    if (units > this.#text.length - this.#at) throw new Error('an insert reaches past the text');
    this.#at += units;
    return this.#text.slice(this.#at - units, this.#at);
  }

  finish(): void {
    if (this.#at < this.#text.length) throw new Error('some of the text belongs to no insert');
  }
}

function parseObject(json: string): Attributes | Embed {
  const value: unknown = JSON.parse(json);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('formatting is no object');
  return value as Attributes;
}

/** The index of a value in its table; a new one is entered at the end by `enter`. */
function indexIn(table: Map<string, number>, value: string, enter: () => void): number {
  const known = table.get(value);
  if (known !== undefined) return known;
  enter();
  table.set(value, table.size);
  return table.size - 1;
}
