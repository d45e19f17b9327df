/**
 * Yjs updates (version 1) as columns.
 *
 * The update of a keystroke is some 25 bytes that say one character: client and clock of itself and of its two neighbours, nearly
 * all of it known from the keystroke before. So its fields go to columns, each as the difference from what was to be
 * expected ({@link Expectations}).
 *
 * The form of an update is told once ({@link transferUpdate}), as a walk over its fields that neither knows where they come
 * from nor where they go: {@link Packing} reads them from an update and writes columns, {@link Unpacking} does the reverse, {@link Echo} reads
 * and writes an update. The invariant of exactness rests on Echo: an update that it does not write as it read it (one of another
 * form, or with numbers written in more bytes than needed) is kept as it is.
 *
 * The form is that of `readClientsStructRefs`, `readItemContent` and `readDeleteSet` of Yjs 13.6.
 */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { columnWriters, exact, seal, take, takeByte, takeIndex, unseal } from './columns.ts';

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

type Column = (typeof COLUMNS)[number];
type Writers = Record<Column, encoding.Encoder>;
type Readers = Readonly<Record<Column, decoding.Decoder>>;

/** How an update is kept. */
const AS_IT_IS = 0;
const IN_COLUMNS = 1;

/** Identity of a unit of content in Yjs. */
interface Id {
  readonly client: number;
  readonly clock: number;
}

/** Where the fields of an update come from and go to. Each method passes one field on and returns it. */
interface Transfer {
  /** An integer, stored as its difference from `expected`. */
  uint(column: Column, expected: number): number;
  /** An integer that is probably one of those expected. */
  uintAmong(choices: Column, column: Column, expected: readonly number[]): number;
  byte(column: Column): number;
  client(): number;
  /** An identity that is probably one of those expected. */
  idAmong(choices: Column, expected: readonly Id[]): Id;
  /** A length and as many bytes. */
  bytes(lengths: Column, column: Column): Uint8Array;
  /** Bytes whose end `skip` finds. */
  opaque(skip: (decoder: decoding.Decoder) => void): void;
}

/** What the updates so far let expect of the next. Packing and unpacking see the same updates, so they expect the same. */
class Expectations {
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
    const updates: Uint8Array[] = [];
    while (decoding.hasContent(columns.forms)) {
      const form = takeByte(columns.forms);
      if (form === AS_IT_IS) {
        updates.push(take(columns.blobs, decoding.readVarUint(columns.blob_lengths)).slice());
      } else if (form === IN_COLUMNS) {
        const unpacking = new Unpacking(columns, clients);
        transferUpdate(unpacking, expectations);
        updates.push(encoding.toUint8Array(unpacking.update));
      } else {
        throw new Error(`an update of form ${form}`);
      }
    }
    return updates;
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

function transferUpdate(fields: Transfer, expectations: Expectations): void {
  for (let clients = fields.uint('counts', 1); clients > 0; clients--) {
    const count = fields.uint('counts', 1);
    const client = fields.client();
    let clock = fields.uint('clocks', expectations.next(client));
    for (let i = 0; i < count; i++) clock += transferStruct(fields, expectations, { client, clock });
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

/** A struct's first byte: in the lowest bits what it holds, in the highest what else is said. */
const HAS_LEFT = 0x80;
const HAS_RIGHT = 0x40;
const HAS_KEY = 0x20;
const CONTENT = 0x1f;
const GARBAGE = 0;
const SKIP = 10;

/** Passes a struct on; returns its length in clocks. */
function transferStruct(fields: Transfer, expectations: Expectations, id: Id): number {
  const info = fields.byte('infos');
  const content = info & CONTENT;
  if (content === GARBAGE || content === SKIP) return fields.uint('lengths', 1);
  let left: Id = { client: id.client, clock: id.clock - 1 };
  if (info & HAS_LEFT) {
    const { client, clock } = left;
    left = fields.idAmong('left_choices', [left, expectations.left]);
    if (left.client !== client || left.clock !== clock) expectations.left = left;
  }
  if (info & HAS_RIGHT) {
    const behind_left = { client: left.client, clock: left.clock + 1 };
    expectations.right = fields.idAmong('right_choices', [expectations.right, behind_left]);
  }
  if ((info & (HAS_LEFT | HAS_RIGHT)) === 0) {
    if (fields.uint('counts', 1) === 1) fields.bytes('blob_lengths', 'blobs');
    else fields.idAmong('left_choices', [expectations.left]);
    if (info & HAS_KEY) fields.bytes('blob_lengths', 'blobs');
  }
  return transferContent(fields, content);
}

/** The contents of Yjs by the number that stands for them. */
const DELETED = 1;
const JSON_VALUES = 2;
const BINARY = 3;
const STRING = 4;
const EMBED = 5;
const FORMAT = 6;
const TYPE = 7;
const ANY_VALUES = 8;
const DOCUMENT = 9;

/** The types that carry a name: XML elements and hooks. */
const NAMED_TYPES: readonly number[] = [3, 5];

/** Passes the content of an item on; returns its length in clocks. */
function transferContent(fields: Transfer, content: number): number {
  switch (content) {
    case DELETED:
      return fields.uint('lengths', 1);
    case STRING:
      return unitsOf(fields.bytes('text_lengths', 'text'));
    case JSON_VALUES:
    case ANY_VALUES: {
      const count = fields.uint('counts', 1);
      for (let i = 0; i < count; i++) {
        if (content === JSON_VALUES) fields.bytes('blob_lengths', 'blobs');
        else fields.opaque(decoding.readAny);
      }
      return count;
    }
    case BINARY:
    case EMBED:
      fields.bytes('blob_lengths', 'blobs');
      return 1;
    case FORMAT:
      fields.bytes('blob_lengths', 'blobs');
      fields.bytes('blob_lengths', 'blobs');
      return 1;
    case TYPE:
      if (NAMED_TYPES.includes(fields.uint('counts', 1))) fields.bytes('blob_lengths', 'blobs');
      return 1;
    case DOCUMENT:
      fields.bytes('blob_lengths', 'blobs');
      fields.opaque(decoding.readAny);
      return 1;
    default:
      throw new Error(`Yjs knows no content ${content}`);
  }
}

/** How many UTF-16 units some UTF-8 is. */
function unitsOf(utf8: Uint8Array): number {
  let units = 0;
  for (const byte of utf8) {
    if ((byte & 0xc0) !== 0x80) units += byte >= 0xf0 ? 2 : 1;
  }
  return units;
}

/** Reads an update; what to do with its fields is the subclass's. */
abstract class Reading implements Transfer {
  readonly #decoder: decoding.Decoder;

  constructor(update: Uint8Array) {
    this.#decoder = decoding.createDecoder(update);
  }

  uint(column: Column, expected: number): number {
    const value = decoding.readVarUint(this.#decoder);
    this.gotUint(value, column, expected);
    return value;
  }

  uintAmong(choices: Column, column: Column, expected: readonly number[]): number {
    const value = decoding.readVarUint(this.#decoder);
    this.gotUintAmong(value, choices, column, expected);
    return value;
  }

  byte(column: Column): number {
    const value = takeByte(this.#decoder);
    this.gotByte(value, column);
    return value;
  }

  client(): number {
    const client = decoding.readVarUint(this.#decoder);
    this.gotClient(client);
    return client;
  }

  idAmong(choices: Column, expected: readonly Id[]): Id {
    const client = decoding.readVarUint(this.#decoder);
    const id = { client, clock: decoding.readVarUint(this.#decoder) };
    this.gotIdAmong(id, choices, expected);
    return id;
  }

  bytes(lengths: Column, column: Column): Uint8Array {
    const bytes = take(this.#decoder, decoding.readVarUint(this.#decoder));
    this.gotBytes(bytes, lengths, column);
    return bytes;
  }

  opaque(skip: (decoder: decoding.Decoder) => void): void {
    const from = this.#decoder.pos;
    skip(this.#decoder);
    this.gotOpaque(this.#decoder.arr.subarray(from, this.#decoder.pos));
  }

  protected abstract gotUint(value: number, column: Column, expected: number): void;
  protected abstract gotUintAmong(value: number, choices: Column, column: Column, expected: readonly number[]): void;
  protected abstract gotByte(value: number, column: Column): void;
  protected abstract gotClient(client: number): void;
  protected abstract gotIdAmong(id: Id, choices: Column, expected: readonly Id[]): void;
  protected abstract gotBytes(bytes: Uint8Array, lengths: Column, column: Column): void;
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

  protected override gotUint(value: number, column: Column, expected: number): void {
    encoding.writeVarInt(this.#columns[column], value - expected);
  }

  protected override gotUintAmong(value: number, choices: Column, column: Column, expected: readonly number[]): void {
    const choice = expected.indexOf(value);
    encoding.writeVarUint(this.#columns[choices], choice + 1);
    if (choice < 0) encoding.writeVarInt(this.#columns[column], value - (expected[0] ?? 0));
  }

  protected override gotByte(value: number, column: Column): void {
    encoding.writeUint8(this.#columns[column], value);
  }

  protected override gotClient(client: number): void {
    this.#writeClient('client_indexes', client);
  }

  protected override gotIdAmong(id: Id, choices: Column, expected: readonly Id[]): void {
    const choice = expected.findIndex(({ client, clock }) => client === id.client && clock === id.clock);
    encoding.writeVarUint(this.#columns[choices], choice + 1);
    if (choice >= 0) return;
    this.#writeClient('id_clients', id.client);
    encoding.writeVarInt(this.#columns.id_clocks, id.clock - (expected.at(-1)?.clock ?? 0));
  }

  protected override gotBytes(bytes: Uint8Array, lengths: Column, column: Column): void {
    encoding.writeVarUint(this.#columns[lengths], bytes.length);
    encoding.writeUint8Array(this.#columns[column], bytes);
  }

  protected override gotOpaque(bytes: Uint8Array): void {
    this.gotBytes(bytes, 'blob_lengths', 'blobs');
  }

  #writeClient(column: Column, client: number): void {
    let index = this.#clients.get(client);
    if (index === undefined) {
      index = this.#clients.size;
      this.#clients.set(client, index);
      encoding.writeVarUint(this.#columns.clients, client);
    }
    encoding.writeVarUint(this.#columns[column], index);
  }
}

/** Columns to update. */
class Unpacking implements Transfer {
  readonly update = encoding.createEncoder();
  readonly #columns: Readers;
  readonly #clients: readonly number[];

  constructor(columns: Readers, clients: readonly number[]) {
    this.#columns = columns;
    this.#clients = clients;
  }

  uint(column: Column, expected: number): number {
    return this.#writeUint(expected + decoding.readVarInt(this.#columns[column]));
  }

  uintAmong(choices: Column, column: Column, expected: readonly number[]): number {
    const choice = takeIndex(this.#columns[choices], expected.length + 1);
    if (choice === 0) return this.uint(column, expected[0] ?? 0);
    return this.#writeUint(expected[choice - 1] ?? 0);
  }

  byte(column: Column): number {
    const value = takeByte(this.#columns[column]);
    encoding.writeUint8(this.update, value);
    return value;
  }

  client(): number {
    return this.#readClient('client_indexes');
  }

  idAmong(choices: Column, expected: readonly Id[]): Id {
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

  bytes(lengths: Column, column: Column): Uint8Array {
    const bytes = this.#read(lengths, column);
    encoding.writeVarUint8Array(this.update, bytes);
    return bytes;
  }

  opaque(): void {
    encoding.writeUint8Array(this.update, this.#read('blob_lengths', 'blobs'));
  }

  #read(lengths: Column, column: Column): Uint8Array {
    return take(this.#columns[column], decoding.readVarUint(this.#columns[lengths]));
  }

  #readClient(column: Column): number {
    return this.#writeUint(this.#clients[takeIndex(this.#columns[column], this.#clients.length)] ?? 0);
  }

  /** Refuses what no update can hold: lib0 would write it without end. */
  #writeUint(value: number): number {
    if (value < 0) throw new Error(`a negative number, ${value}, in an update`);
    encoding.writeVarUint(this.update, exact(value));
    return value;
  }
}
