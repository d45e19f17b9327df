/**
 * Yjs updates (version 1) as columns.
 *
 * The update of a keystroke is some 25 bytes that say one character: client and clock of itself and of its two neighbours,
 * nearly all of it known from the keystroke before. So its fields go to columns, each as the difference from what was to be
 * expected (see update-fields.ts, which walks over them): {@link Packing} reads them from an update and writes columns,
 * {@link Unpacking} does the reverse, {@link Echo} reads and writes an update.
 *
 * The invariant of exactness rests on Echo: an update that it does not write as it read it (one of another form, or with
 * numbers written in more bytes than needed) is kept as it is.
 */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { columnWriters, exact, seal, skipBytes, take, takeByte, takeIndex, unseal } from './columns.ts';
import {
  Expectations,
  type FieldColumn,
  type Id,
  NUMBER_MAX,
  type Transfer,
  transferUpdate,
  unitsOf,
} from './update-fields.ts';

const COLUMNS = [
  'clients',
  'forms',
  'counts',
  'client_indexes',
  'clocks',
  'infos',
  'lengths',
  'left_choices',
  'right_choices',
  'id_clients',
  'id_clocks',
  'deletion_choices',
  'deletions',
  'text_lengths',
  'text',
  'blob_lengths',
  'blobs',
] as const;

type Writers = Record<(typeof COLUMNS)[number], encoding.Encoder>;
type Readers = Readonly<Record<(typeof COLUMNS)[number], decoding.Decoder>>;

/** How an update is kept. */
const AS_IT_IS = 0;
const IN_COLUMNS = 1;

/** Seals updates in their order. */
export function sealUpdates(updates: readonly Uint8Array[]): Uint8Array {
  const columns = columnWriters(COLUMNS);
  const clients = new Map<number, number>();
  const expectations = new Expectations();
  for (const update of updates) {
    if (isReproducible(update)) {
      encoding.writeUint8(columns.forms, IN_COLUMNS);
      transferUpdate(new Packing(update, columns, clients), expectations);
    } else {
      encoding.writeUint8(columns.forms, AS_IT_IS);
      encoding.writeVarUint(columns.blob_lengths, update.length);
      encoding.writeUint8Array(columns.blobs, update);
    }
  }
  return seal('updates', COLUMNS, columns);
}

/** Opens what {@link sealUpdates} made. Throws DamagedColumns. */
export function unsealUpdates(sealed: Uint8Array): Uint8Array[] {
  return unseal('updates', COLUMNS, sealed, (columns) => {
    const clients: number[] = [];
    while (decoding.hasContent(columns.clients)) clients.push(decoding.readVarUint(columns.clients));
    const expectations = new Expectations();
    // All in one buffer: most are of a few bytes, and thousands of small ones cost more than what is in them.
    const unpacking = new Unpacking(columns, clients);
    const ends: number[] = [];
    while (decoding.hasContent(columns.forms)) {
      const form = takeByte(columns.forms);
      if (form === AS_IT_IS)
        encoding.writeUint8Array(unpacking.update, take(columns.blobs, decoding.readVarUint(columns.blob_lengths)));
      else if (form === IN_COLUMNS) transferUpdate(unpacking, expectations);
      else throw new Error(`an update of form ${form}`);
      ends.push(encoding.length(unpacking.update));
    }
    const bytes = encoding.toUint8Array(unpacking.update);
    return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
  });
}

/** Whether {@link transferUpdate} passes all of an update on, and to the same bytes. */
function isReproducible(update: Uint8Array): boolean {
  const echo = new Echo(update);
  try {
    transferUpdate(echo, new Expectations());
  } catch {
    return false;
  }
  return Buffer.compare(encoding.toUint8Array(echo.update), update) === 0;
}

/** Reads an update; what to do with its fields is the subclass's. */
abstract class Reading implements Transfer {
  readonly #decoder: decoding.Decoder;

  constructor(update: Uint8Array) {
    this.#decoder = decoding.createDecoder(update);
  }

  uint(column: FieldColumn, expected: number): number {
    const value = this.#read();
    this.gotUint(value, column, expected);
    return value;
  }

  uintAmong(choices: FieldColumn, column: FieldColumn, expected: readonly number[]): number {
    const value = this.#read();
    this.gotUintAmong(value, choices, column, expected);
    return value;
  }

  byte(column: FieldColumn): number {
    const value = takeByte(this.#decoder);
    this.gotByte(value, column);
    return value;
  }

  client(): number {
    const client = this.#read();
    this.gotClient(client);
    return client;
  }

  idAmong(choices: FieldColumn, expected: readonly Id[]): Id {
    const client = this.#read();
    const id = { client, clock: this.#read() };
    this.gotIdAmong(id, choices, expected);
    return id;
  }

  text(): number {
    const bytes = take(this.#decoder, this.#read());
    this.gotBytes(bytes, 'text_lengths', 'text');
    return unitsOf(bytes, 0, bytes.length);
  }

  bytes(): void {
    this.gotBytes(take(this.#decoder, this.#read()), 'blob_lengths', 'blobs');
  }

  opaque(skip: (decoder: decoding.Decoder) => void): void {
    const from = this.#decoder.pos;
    skip(this.#decoder);
    this.gotOpaque(this.#decoder.arr.subarray(from, this.#decoder.pos));
  }

  #read(): number {
    const value = decoding.readVarUint(this.#decoder);
    if (value > NUMBER_MAX) throw new Error('a number that no document reaches');
    return value;
  }

  protected abstract gotUint(value: number, column: FieldColumn, expected: number): void;
  protected abstract gotUintAmong(
    value: number,
    choices: FieldColumn,
    column: FieldColumn,
    expected: readonly number[],
  ): void;
  protected abstract gotByte(value: number, column: FieldColumn): void;
  protected abstract gotClient(client: number): void;
  protected abstract gotIdAmong(id: Id, choices: FieldColumn, expected: readonly Id[]): void;
  protected abstract gotBytes(bytes: Uint8Array, lengths: FieldColumn, column: FieldColumn): void;
  protected abstract gotOpaque(bytes: Uint8Array): void;
}

/** Update to update. */
class Echo extends Reading {
  readonly update = encoding.createEncoder();

  protected override gotUint(value: number): void {
    encoding.writeVarUint(this.update, value);
  }
  protected override gotUintAmong(value: number): void {
    encoding.writeVarUint(this.update, value);
  }
  protected override gotByte(value: number): void {
    encoding.writeUint8(this.update, value);
  }
  protected override gotClient(client: number): void {
    encoding.writeVarUint(this.update, client);
  }
  protected override gotIdAmong({ client, clock }: Id): void {
    encoding.writeVarUint(this.update, client);
    encoding.writeVarUint(this.update, clock);
  }
  protected override gotBytes(bytes: Uint8Array): void {
    encoding.writeVarUint8Array(this.update, bytes);
  }
  protected override gotOpaque(bytes: Uint8Array): void {
    encoding.writeUint8Array(this.update, bytes);
  }
}

/** Update to columns. */
class Packing extends Reading {
  readonly #columns: Writers;
  readonly #clients: Map<number, number>;

  constructor(update: Uint8Array, columns: Writers, clients: Map<number, number>) {
    super(update);
    this.#columns = columns;
    this.#clients = clients;
  }

  protected override gotUint(value: number, column: FieldColumn, expected: number): void {
    encoding.writeVarInt(this.#columns[column], value - expected);
  }

  protected override gotUintAmong(
    value: number,
    choices: FieldColumn,
    column: FieldColumn,
    expected: readonly number[],
  ): void {
    const choice = expected.indexOf(value);
    encoding.writeVarUint(this.#columns[choices], choice + 1);
    if (choice < 0) encoding.writeVarInt(this.#columns[column], value - (expected[0] ?? 0));
  }

  protected override gotByte(value: number, column: FieldColumn): void {
    encoding.writeUint8(this.#columns[column], value);
  }

  protected override gotClient(client: number): void {
    this.#writeClient('client_indexes', client);
  }

  protected override gotIdAmong(id: Id, choices: FieldColumn, expected: readonly Id[]): void {
    const choice = expected.findIndex(({ client, clock }) => client === id.client && clock === id.clock);
    encoding.writeVarUint(this.#columns[choices], choice + 1);
    if (choice >= 0) return;
    this.#writeClient('id_clients', id.client);
    encoding.writeVarInt(this.#columns.id_clocks, id.clock - (expected.at(-1)?.clock ?? 0));
  }

  protected override gotBytes(bytes: Uint8Array, lengths: FieldColumn, column: FieldColumn): void {
    encoding.writeVarUint(this.#columns[lengths], bytes.length);
    encoding.writeUint8Array(this.#columns[column], bytes);
  }

  protected override gotOpaque(bytes: Uint8Array): void {
    this.gotBytes(bytes, 'blob_lengths', 'blobs');
  }

  #writeClient(column: FieldColumn, client: number): void {
    let index = this.#clients.get(client);
    if (index === undefined) {
      index = this.#clients.size;
      this.#clients.set(client, index);
      encoding.writeVarUint(this.#columns.clients, client);
    }
    encoding.writeVarUint(this.#columns[column], index);
  }
}

/** Columns to updates, one behind the other. */
class Unpacking implements Transfer {
  readonly update = encoding.createEncoder();
  readonly #columns: Readers;
  readonly #clients: readonly number[];

  constructor(columns: Readers, clients: readonly number[]) {
    this.#columns = columns;
    this.#clients = clients;
  }

  uint(column: FieldColumn, expected: number): number {
    return this.#writeUint(expected + decoding.readVarInt(this.#columns[column]));
  }

  uintAmong(choices: FieldColumn, column: FieldColumn, expected: readonly number[]): number {
    const choice = takeIndex(this.#columns[choices], expected.length + 1);
    if (choice === 0) return this.uint(column, expected[0] ?? 0);
    return this.#writeUint(expected[choice - 1] ?? 0);
  }

  byte(column: FieldColumn): number {
    const value = takeByte(this.#columns[column]);
    encoding.writeUint8(this.update, value);
    return value;
  }

  client(): number {
    return this.#readClient('client_indexes');
  }

  idAmong(choices: FieldColumn, expected: readonly Id[]): Id {
    const choice = takeIndex(this.#columns[choices], expected.length + 1);
    const chosen = expected[choice - 1];
    if (chosen === undefined) {
      const client = this.#readClient('id_clients');
      return { client, clock: this.uint('id_clocks', expected.at(-1)?.clock ?? 0) };
    }
    this.#writeUint(chosen.client);
    this.#writeUint(chosen.clock);
    return chosen;
  }

  text(): number {
    const length = decoding.readVarUint(this.#columns.text_lengths);
    encoding.writeVarUint(this.update, length);
    const from = this.#copy(this.#columns.text, length);
    return unitsOf(this.#columns.text.arr, from, from + length);
  }

  bytes(): void {
    const length = decoding.readVarUint(this.#columns.blob_lengths);
    encoding.writeVarUint(this.update, length);
    this.#copy(this.#columns.blobs, length);
  }

  opaque(): void {
    this.#copy(this.#columns.blobs, decoding.readVarUint(this.#columns.blob_lengths));
  }

  /** Passes on the next `length` bytes of a column; returns where they begin in it. */
  #copy(column: decoding.Decoder, length: number): number {
    const from = skipBytes(column, length);
    // Most are of a character, for which this is quicker than a view.
    if (length > 8) encoding.writeUint8Array(this.update, column.arr.subarray(from, from + length));
    else for (let i = from; i < from + length; i++) encoding.writeUint8(this.update, column.arr[i] as number);
    return from;
  }

  #readClient(column: FieldColumn): number {
    return this.#writeUint(this.#clients[takeIndex(this.#columns[column], this.#clients.length)] ?? 0);
  }

  /** Refuses what no update can hold: lib0 would write it without end. */
  #writeUint(value: number): number {
    if (value < 0) throw new Error(`a negative number, ${value}, in an update`);
    encoding.writeVarUint(this.update, exact(value));
    return value;
  }
}
