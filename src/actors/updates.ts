/**
 * What can be learnt of a Yjs update without applying it. Joining clients answer our state vector with an update that
 * usually holds nothing new but always carries their whole delete set; recognising that lets readers come and go
 * without a `Y.Doc` ever being built, and lets viewers synchronise without being refused.
 */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import * as Y from 'yjs';
import { LIMITS } from '../protocol/limits.ts';
import { nestsDeeperThan } from '../protocol/nesting.ts';
import { TEXT_ROOT } from '../protocol/snapshot.ts';

/** A delete set as client → ranges. */
type Deletions = ReadonlyMap<number, readonly { readonly clock: number; readonly len: number }[]>;

/** State known by its bytes alone. */
export interface EncodedState {
  readonly state_vector: Uint8Array;
  readonly delete_set: Uint8Array;
}

/** An update, decoded and not applied. */
export type DecodedUpdate = ReturnType<typeof Y.decodeUpdate>;

/** Remembers what it reads from, which Yjs itself does not hand out. */
class WatchedDecoder extends Y.UpdateDecoderV1 {
  static last: decoding.Decoder | null = null;

  constructor(decoder: decoding.Decoder) {
    super(decoder);
    WatchedDecoder.last = decoder;
  }
}

/**
 * Decodes an update, or null when it is malformed. Applying is not a safe way to find out: Yjs allocates what a header
 * announces before it reads on, and takes in an update's structs before it meets a broken delete set. Nothing may stand
 * behind it: an update of version 2 reads as an empty one with much behind it, and whoever sends that would lose all of it.
 */
export function decodeUpdate(update: Uint8Array): DecodedUpdate | null {
  try {
    const decoded = Y.decodeUpdateV2(update, WatchedDecoder);
    return WatchedDecoder.last !== null && decoding.hasContent(WatchedDecoder.last) ? null : decoded;
  } catch {
    return null;
  } finally {
    WatchedDecoder.last = null;
  }
}

/**
 * Whether these deletions only take formatting marks of the root text away. Every stock client that receives formatted text
 * cleans up marks that have no effect, whoever its user is.
 */
function onlyCleansUp(deletions: Deletions, doc: Y.Doc): boolean {
  const text = doc.getText(TEXT_ROOT);
  const isMark = (struct: Y.AbstractStruct): boolean =>
    struct instanceof Y.Item && struct.content instanceof Y.ContentFormat && struct.parent === text;
  for (const [client, ranges] of deletions) {
    const structs = doc.store.clients.get(client) ?? [];
    for (const { clock, len } of ranges) {
      if (clock + len > Y.getState(doc.store, client)) return false;
      for (let i = len === 0 ? structs.length : Y.findIndexSS(structs, clock); i < structs.length; i++) {
        const struct = structs[i];
        if (struct === undefined || struct.id.clock >= clock + len) break;
        if (!struct.deleted && !isMark(struct)) return false;
      }
    }
  }
  return true;
}

/**
 * Which of these updates, that are to be applied together, may be: they decode, are not forged, nest nothing beyond measure,
 * do not name more roots than a document may have, and do not have too many clients wait for what is not here.
 */
export function soundOnes(
  updates: readonly (DecodedUpdate | null)[],
  doc: Y.Doc,
  isForged: (update: DecodedUpdate) => boolean,
): boolean[] {
  const added = new Set<string>();
  return updates.map((update) => {
    if (update === null || isForged(update) || nestsTooDeep(update) || crowdWaits(update, doc)) return false;
    const fresh = rootsOf(update).filter((name) => !doc.share.has(name) && !added.has(name));
    if (fresh.length === 0) return true;
    if (doc.share.size + new Set([...added, ...fresh]).size > LIMITS.yjs_roots_max) return false;
    for (const name of fresh) added.add(name);
    return true;
  });
}

/** Whether an update is of too many clients to have something in it wait: see `yjs_waiting_clients_max`. */
function crowdWaits(update: DecodedUpdate, doc: Y.Doc): boolean {
  if (update.structs.length <= LIMITS.yjs_waiting_clients_max) return false;
  const ends = new Map<number, number>();
  const end = (client: number): number => ends.get(client) ?? Y.getState(doc.store, client);
  let waits = false;
  for (const struct of update.structs) {
    const { client, clock } = struct.id;
    waits ||= clock > end(client);
    ends.set(client, struct instanceof Y.Skip ? end(client) : Math.max(end(client), clock + struct.length));
  }
  if (ends.size <= LIMITS.yjs_waiting_clients_max) return false;
  const isMissing = (id: unknown): boolean => id instanceof Y.ID && id.clock >= end(id.client);
  // An item that was decoded and not applied says by ids what it stands between and within.
  const isAdrift = ({ origin, rightOrigin, parent }: Y.Item): boolean => [origin, rightOrigin, parent].some(isMissing);
  return waits || update.structs.some((struct) => struct instanceof Y.Item && isAdrift(struct));
}

/** Names of roots in an update, perhaps more than once. */
function rootsOf(update: DecodedUpdate): string[] {
  const names: string[] = [];
  // What was decoded and not applied has the name of its root in place of it.
  for (const struct of update.structs)
    if (struct instanceof Y.Item && typeof struct.parent === 'string') names.push(struct.parent);
  return names;
}

/**
 * Whether the update holds a value nested so deep that writing it as JSON would run out of stack. What a text is made of
 * is written out for JSON readers; other roots are only ever carried as bytes.
 */
export function nestsTooDeep(update: DecodedUpdate): boolean {
  return update.structs.some((struct) => struct instanceof Y.Item && contentNests(struct.content));
}

function contentNests(content: Y.Item['content']): boolean {
  const levels = LIMITS.yjs_value_depth_max;
  if (content instanceof Y.ContentEmbed) return nestsDeeperThan(content.embed, levels);
  if (content instanceof Y.ContentFormat) return nestsDeeperThan(content.value, levels);
  if (content instanceof Y.ContentAny || content instanceof Y.ContentJSON) return nestsDeeperThan(content.arr, levels);
  return false;
}

/** What an update of somebody who may only read amounts to. */
export type ViewerUpdate =
  /** Nothing that the document does not hold, ghosts apart. */
  | { readonly kind: 'nothing'; readonly ghosts: Uint8Array | null }
  /** Formatting marks are taken away, perhaps without effect. */
  | { readonly kind: 'clean_up'; readonly ghosts: Uint8Array | null }
  /** A change, which is not theirs to make. */
  | { readonly kind: 'edit'; readonly ghosts: Uint8Array | null }
  /** What a later owner of the document wrote. */
  | { readonly kind: 'later_owner'; readonly ghosts: null };

/**
 * Judges what a viewer's client sends without being asked by its user. Stock clients offer whatever the server seems to
 * lack: clean-ups of formatting, and text that a lost owner broadcast and never wrote. Of the latter nothing is taken in;
 * `ghosts` is an update of deletions alone that makes the client let go of it by itself.
 */
export function judgeViewer(update: DecodedUpdate, doc: Y.Doc, isGhost: (client: number) => boolean): ViewerUpdate {
  const state = (client: number): number => Y.getState(doc.store, client);
  const unknown = update.structs.filter(({ id, length }) => id.clock + length > state(id.client));
  const lost = unknown.filter(({ id }) => isGhost(id.client));
  const ghosts = lost.length === 0 ? null : encodeDeletions(lost, state);
  const deletions = new Map<number, { clock: number; len: number }[]>();
  for (const [client, ranges] of update.ds.clients as Deletions)
    deletions.set(
      client,
      ranges.filter(({ clock }) => !(isGhost(client) && clock >= state(client))),
    );
  if (unknown.length > lost.length) return { kind: 'edit', ghosts };
  if (deletionsDone(deletions, doc)) return { kind: 'nothing', ghosts };
  return { kind: lost.length === 0 && onlyCleansUp(deletions, doc) ? 'clean_up' : 'edit', ghosts };
}

/** An update that deletes these structs, as far as they are not here, and nothing else. */
function encodeDeletions(structs: DecodedUpdate['structs'], state: (client: number) => number): Uint8Array {
  const by_client = Map.groupBy(structs, ({ id }) => id.client);
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, 0);
  encoding.writeVarUint(encoder, by_client.size);
  for (const [client, own] of by_client) {
    encoding.writeVarUint(encoder, client);
    encoding.writeVarUint(encoder, own.length);
    for (const { id, length } of own) {
      const from = Math.max(id.clock, state(client));
      encoding.writeVarUint(encoder, from);
      encoding.writeVarUint(encoder, id.clock + length - from);
    }
  }
  return encoding.toUint8Array(encoder);
}

/**
 * Whether one of these items, which were applied, holds a shared type that stands too deep inside others: Yjs deletes what
 * is within a type by recursion.
 */
export function typesNestTooDeep(structs: DecodedUpdate['structs'], doc: Y.Doc): boolean {
  return structs.some((struct) => {
    if (!(struct instanceof Y.Item) || !(struct.content instanceof Y.ContentType)) return false;
    if (struct.id.clock >= Y.getState(doc.store, struct.id.client)) return false;
    let item: Y.Item | null = Y.getItem(doc.store, struct.id) as Y.Item | null;
    for (let depth = 1; item !== null; depth++) {
      if (depth > LIMITS.yjs_type_depth_max) return true;
      item = item.parent instanceof Y.AbstractType ? item.parent._item : null;
    }
    return false;
  });
}

/**
 * What the update adds to the size of a document with this state vector, its deletions apart: those say which of everything
 * is gone each time, and mostly what is known. Infinite for one that cannot be read.
 */
export function growthBy(update: Uint8Array, state_vector: Uint8Array): number {
  try {
    const { to } = Y.parseUpdateMeta(update);
    const deletions = Y.diffUpdate(update, Y.encodeStateVector(to));
    const fresh = Y.diffUpdate(update, state_vector);
    const items = Y.decodeUpdate(fresh).structs.length;
    return fresh.length - deletions.length + items * LIMITS.document_item_bytes_min;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Whether applying the update to this state would change nothing. */
export function updateAddsNothing(update: DecodedUpdate, state: Y.Doc | EncodedState): boolean {
  const deletions: Deletions = update.ds.clients;
  if (state instanceof Y.Doc) {
    const known = (client: number): number => Y.getState(state.store, client);
    return structsKnown(update.structs, known) && deletionsDone(deletions, state);
  }
  const vector = Y.decodeStateVector(state.state_vector);
  if (!structsKnown(update.structs, (client) => vector.get(client) ?? 0)) return false;
  if (deletions.size === 0) return true;
  return deletionsWithin(deletions, Y.decodeUpdate(state.delete_set).ds.clients);
}

type Structs = DecodedUpdate['structs'];

function structsKnown(structs: Structs, known: (client: number) => number): boolean {
  return structs.every((struct) => struct.id.clock + struct.length <= known(struct.id.client));
}

function deletionsDone(deletions: Deletions, doc: Y.Doc): boolean {
  for (const [client, ranges] of deletions) {
    const structs = doc.store.clients.get(client);
    for (const { clock, len } of ranges) {
      if (len === 0) continue;
      if (structs === undefined || clock + len > Y.getState(doc.store, client)) return false;
      for (let i = Y.findIndexSS(structs, clock); i < structs.length; i++) {
        const struct = structs[i];
        if (struct === undefined || struct.id.clock >= clock + len) break;
        if (!struct.deleted) return false;
      }
    }
  }
  return true;
}

/** Both sides sorted by clock within a client, and ranges of the outer side do not touch: Yjs encodes them so. */
function deletionsWithin(inner: Deletions, outer: Deletions): boolean {
  for (const [client, ranges] of inner) {
    const around = outer.get(client) ?? [];
    let i = 0;
    for (const { clock, len } of [...ranges].sort((a, b) => a.clock - b.clock)) {
      if (len === 0) continue;
      while (i < around.length && (around[i]?.clock ?? 0) + (around[i]?.len ?? 0) < clock + len) i += 1;
      const range = around[i];
      if (range === undefined || range.clock > clock) return false;
    }
  }
  return true;
}

/**
 * Whether applying the update cuts a string of the document between the halves of a surrogate pair. Yjs then turns both
 * halves into U+FFFD, which its event deltas do not mention. `unseen` is the answer for a place in text that is not here
 * yet, because it comes in the same turn.
 */
export function splitsPair(update: DecodedUpdate, doc: Y.Doc, unseen: boolean): boolean {
  const cuts = (client: number, clock: number): boolean => cutsPair(doc, client, clock, unseen);
  for (const struct of update.structs) {
    if (!(struct instanceof Y.Item)) continue;
    if (struct.origin !== null && cuts(struct.origin.client, struct.origin.clock + 1)) return true;
    if (struct.rightOrigin !== null && cuts(struct.rightOrigin.client, struct.rightOrigin.clock)) return true;
  }
  for (const [client, ranges] of update.ds.clients as Deletions)
    for (const { clock, len } of ranges) if (len > 0 && (cuts(client, clock) || cuts(client, clock + len))) return true;
  return false;
}

/** Whether the place just before `clock` lies within a pair. */
function cutsPair(doc: Y.Doc, client: number, clock: number, unseen: boolean): boolean {
  const known = Y.getState(doc.store, client);
  if (clock === known || clock === 0) return false;
  const structs = doc.store.clients.get(client);
  if (structs === undefined || clock > known) return unseen;
  const struct = structs[Y.findIndexSS(structs, clock)];
  if (!(struct instanceof Y.Item) || !(struct.content instanceof Y.ContentString)) return false;
  const before = struct.content.str.charCodeAt(clock - struct.id.clock - 1);
  return before >= 0xd800 && before <= 0xdbff;
}

/**
 * Applies updates as one transaction. Where many have inserted at one place without knowing of each other Yjs walks over all
 * of that for each newcomer: a few kilobytes can ask for millions of steps, and an update of somebody's who means well for
 * some thousands. Throws RangeError beyond {@link LIMITS.yjs_conflicts_max}; the document is not to be used any more then.
 */
export function applyBounded(doc: Y.Doc, updates: readonly Uint8Array[]): void {
  Y.transact(
    doc,
    (transaction) => {
      // Counted down by our patch of Yjs (patches/).
      Object.assign(transaction, { conflictsLeft: LIMITS.yjs_conflicts_max });
      for (const update of updates) Y.applyUpdate(doc, update);
    },
    null,
    false,
  );
}

/** Forgets structs that wait for others: their sender is asked for everything, so they come again. Whether there were any. */
export function dropPending(doc: Y.Doc): boolean {
  if (doc.store.pendingStructs === null && doc.store.pendingDs === null) return false;
  doc.store.pendingStructs = null;
  doc.store.pendingDs = null;
  return true;
}

/** See server-ids.ts: deletes what a lost owner wrote and the journal never held. */
export function removeGhosts(doc: Y.Doc, client: number, from_clock: number): void {
  if (Y.getState(doc.store, client) <= from_clock) return;
  doc.transact((transaction) => {
    // Yjs may have merged a ghost into an older item of the same owner: split it off first.
    Y.getItemCleanStart(transaction, Y.createID(client, from_clock));
    for (const struct of doc.store.clients.get(client) ?? [])
      if (struct.id.clock >= from_clock && struct instanceof Y.Item && !struct.deleted) struct.delete(transaction);
  });
}

/** Merges updates in chunks: one merge of thousands is quadratic. Null for none. */
export function mergeAll(updates: readonly Uint8Array[]): Uint8Array | null {
  if (updates.length <= 1) return updates[0] ?? null;
  let level = updates;
  while (level.length > 1) {
    const next: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 200) next.push(Y.mergeUpdates(level.slice(i, i + 200) as Uint8Array[]));
    level = next;
  }
  return level[0] ?? null;
}
