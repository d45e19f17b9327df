/**
 * What writers type, made before any clock starts, and how far a reader has come with it.
 *
 * Each writer types a run of its own, one character an edit, in a `Y.Doc` that knows of nobody else: so an update is what
 * an editor would send, needs nothing but the writer's earlier ones, and the clock of a character is the number of the
 * edit that typed it. How many edits a frame brought can then be read off the updates' headers, which costs the driver
 * next to nothing, where taking each into a document would make it the slowest part of every measurement.
 */
import * as Y from 'yjs';
import { TEXT_ROOT } from '../../../src/protocol/snapshot.ts';

/** ClientIDs as Yjs draws them, of 32 bits, so that they take the usual room on the wire. */
const FIRST_CLIENT_ID = 1_500_000_000;

/** The clientID of the n-th client of a scenario. */
export function clientId(n: number): number {
  return FIRST_CLIENT_ID + n * 101;
}

/** One edit, and the cursor that an editor would show with it: just before the character. */
export interface Typed {
  readonly update: Uint8Array;
  /** As y-protocols' awareness carries it: relative positions in JSON. */
  readonly cursor: { readonly anchor: unknown; readonly head: unknown };
}

/** `count` edits of a client, each of one ASCII character behind the last. */
export function typeRun(client_id: number, count: number): Uint8Array[] {
  return typeWithCursors(client_id, count, () => null).map(({ update }) => update);
}

/** See {@link typeRun}; with the cursor after each edit. */
export function typeWithCursors<C = Typed['cursor']>(
  client_id: number,
  count: number,
  cursorAt: (text: Y.Text, index: number) => C = bothAt as (text: Y.Text, index: number) => C,
): { readonly update: Uint8Array; readonly cursor: C }[] {
  const doc = new Y.Doc();
  doc.clientID = client_id;
  let made: Uint8Array = new Uint8Array();
  doc.on('update', (update: Uint8Array) => {
    made = update;
  });
  const text = doc.getText(TEXT_ROOT);
  const typed = Array.from({ length: count }, (_, i) => {
    text.insert(i, i % 7 === 6 ? ' ' : String.fromCharCode(97 + ((client_id + i * i) % 26)));
    return { update: made, cursor: cursorAt(text, i) };
  });
  doc.destroy();
  return typed;
}

function bothAt(text: Y.Text, index: number): Typed['cursor'] {
  const position = Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(text, index));
  return { anchor: position, head: position };
}

/** A document's whole state after a client wrote this text in one go. */
export function stateOf(client_id: number, text: string): Uint8Array {
  const doc = new Y.Doc();
  doc.clientID = client_id;
  doc.getText(TEXT_ROOT).insert(0, text);
  const state = Y.encodeStateAsUpdate(doc);
  doc.destroy();
  return state;
}

/** Flags of an item's info byte in Yjs's update format, version 1. */
const [HAS_ORIGIN, HAS_RIGHT_ORIGIN, HAS_PARENT_SUB, KIND, STRING] = [0x80, 0x40, 0x20, 0x1f, 4];

/**
 * Tells for each client in an update the clock at which its part ends. Reads inserted ASCII text by itself and leaves
 * all else to Yjs, at the cost of taking every struct apart.
 */
export function readEnds(update: Uint8Array, take: (client_id: number, end: number) => void): void {
  let at = 0;
  const varuint = (): number => {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = update[at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  };
  const skipString = (): number => {
    const length = varuint();
    at += length;
    return length;
  };
  const found: [number, number][] = [];
  for (let clients = varuint(); clients > 0; clients--) {
    let structs = varuint();
    const client_id = varuint();
    let clock = varuint();
    for (; structs > 0; structs--) {
      const info = update[at++] ?? 0;
      if ((info & KIND) !== STRING) return readEndsByYjs(update, take);
      if ((info & HAS_ORIGIN) !== 0) varuint() + varuint();
      if ((info & HAS_RIGHT_ORIGIN) !== 0) varuint() + varuint();
      if ((info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN)) === 0) {
        if (varuint() === 1) skipString();
        else varuint() + varuint();
        if ((info & HAS_PARENT_SUB) !== 0) skipString();
      }
      clock += skipString();
    }
    found.push([client_id, clock]);
  }
  for (const [client_id, end] of found) take(client_id, end);
}

function readEndsByYjs(update: Uint8Array, take: (client_id: number, end: number) => void): void {
  for (const [client_id, end] of Y.parseUpdateMeta(update).to) take(client_id, end);
}

/** How far one reader has come with the edits of writers. Resolves `complete` when nothing is missing. */
export class Progress {
  readonly #ends: number[];
  readonly #complete = Promise.withResolvers<void>();
  #missing: number;
  #frames = 0;

  /**
   * `wanted` says per writer's clientID how many edits are to come; `onSeen` is told of each stretch of new ones, by the
   * writer's place in `wanted` and the numbers of its edits, the end excluded.
   */
  constructor(
    private readonly wanted: ReadonlyMap<number, { readonly writer: number; readonly edits: number }>,
    private readonly onSeen: (writer: number, from: number, to: number, at: number) => void = () => {},
  ) {
    this.#ends = [...wanted.values()].map(() => 0);
    this.#missing = [...wanted.values()].reduce((sum, { edits }) => sum + edits, 0);
    if (this.#missing === 0) this.#complete.resolve();
  }

  get complete(): Promise<void> {
    return this.#complete.promise;
  }

  get missing(): number {
    return this.#missing;
  }

  /** Frames with updates. */
  get frames(): number {
    return this.#frames;
  }

  /** Takes a frame's updates. A bound method, to be handed to a client. */
  readonly take = (updates: readonly Uint8Array[], at: number): void => {
    this.#frames += 1;
    for (const update of updates) readEnds(update, (client_id, end) => this.#reach(client_id, end, at));
  };

  #reach(client_id: number, end: number, at: number): void {
    const wanted = this.wanted.get(client_id);
    if (wanted === undefined) return;
    const { writer, edits } = wanted;
    // Some servers send a writer's own edits back, of which none are waited for.
    const [before, reached] = [this.#ends[writer] ?? 0, Math.min(end, edits)];
    if (reached <= before) return;
    this.#ends[writer] = reached;
    this.#missing -= reached - before;
    this.onSeen(writer, before, reached, at);
    if (this.#missing === 0) this.#complete.resolve();
  }
}

/** What {@link Progress} waits for: `edits` edits of each writer but `except`. */
export function wantedFrom(ids: readonly number[], edits: number, except?: number) {
  return new Map(ids.map((id, writer) => [id, { writer, edits: id === except ? 0 : edits }] as const));
}
