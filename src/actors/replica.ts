/**
 * The document's CRDT, as bytes for as long as nobody edits and as a live `Y.Doc` from the first edit on.
 *
 * Opening a large document costs a hundred times more than handing its stored bytes to a reader, so a replica starts as
 * a base (a snapshot: state, state vector, delete set, text) plus a tail of updates, and answers joins from those. The
 * invariant: base and tail together are the whole state, whether a `Y.Doc` is live beside them or not. So a document that
 * an update broke half way is simply built again without it. Every change goes through
 * {@link Replica.applyUpdates} or {@link Replica.applyDelta}, which return the bytes that Yjs itself emitted; those, not
 * the client's, are journaled and sent on, and Yjs may emit two for one change, because it cleans up redundant
 * formatting in a transaction of its own.
 */
import Delta from 'quill-delta';
import * as Y from 'yjs';
import { checkFits, type DeltaOps, docLength, lengthChange } from '../protocol/content/delta.ts';
import { difference } from '../protocol/content/difference.ts';
import { countItems, type EncodedState, snapshotOf, TEXT_ROOT } from '../protocol/snapshot.ts';
import { holdsForeign, isForeign, openFormatting, textOps } from '../protocol/text-ops.ts';
import { joinTyping } from '../protocol/typed-run.ts';
import { TextWatch, trueEffect } from './effects.ts';
import { itemsOf, KeptState } from './kept-state.ts';
import { rootsFlaw } from './roots-flaw.ts';
import { isLaterOwner, isServerClientId } from './server-ids.ts';
import { codeUnits, hasObjectValue, holdsSurrogate, SURROGATE, writeDelta } from './text-access.ts';
import {
  applyBounded,
  type DecodedUpdate,
  decodeUpdate,
  dropPending,
  growthBy,
  judgeViewer,
  mergeAll,
  removeGhosts,
  soundOnes,
  splitsPair,
  typesNestTooDeep,
  updateAddsNothing,
  type ViewerUpdate,
} from './updates.ts';

/** The encoding of an update that changes nothing. */
export const EMPTY_UPDATE: Uint8Array = Uint8Array.of(0, 0);

/** The state of a document that was never edited. */
export const EMPTY_STATE: EncodedState = {
  state: EMPTY_UPDATE,
  state_vector: Uint8Array.of(0),
  delete_set: EMPTY_UPDATE,
  delta: '[]',
};

/** One journaled change after the base. */
export interface TailEntry {
  readonly update: Uint8Array;
  /** Effect on the text. */
  readonly delta: DeltaOps;
}

/** What a change did. */
export interface Change {
  /** Yjs's own bytes, merged when it emitted more than one. */
  readonly update: Uint8Array;
  /** Effect on the text. */
  readonly delta: DeltaOps;
  /** Whether the bytes hold more than the author sent (clean-up, removed ghosts), so that the author needs them too. */
  readonly amended: boolean;
}

/** Outcome of applying a Yjs client's updates. */
export type Applied =
  | { readonly kind: 'changed'; readonly change: Change; readonly missing: boolean; readonly malformed: boolean }
  /** Everything was known already; or it holds what a later owner wrote, if its sender is right, and nothing was applied. */
  | { readonly kind: 'nothing' | 'later_owner'; readonly missing: boolean; readonly malformed: boolean };

/** Longer tails are applied to a document instead of being composed. */
const COMPOSE_MAX = 1_000;

/** See the head of this file. */
export class Replica {
  readonly #doc_id: string;
  readonly #client_id: number;
  #doc: Y.Doc | null = null;
  readonly #kept: KeptState;
  /** The text as ops and as JSON, while known without asking Yjs. */
  #ops: DeltaOps | null = null;
  #json: string | null;
  /** Whether the text may hold a surrogate pair that an index could split; null means unknown. */
  #surrogates: boolean | null = null;
  /** The tail's effects on the text, while composing them is a cheaper way to it than building a document. */
  #tail_deltas: readonly TailEntry[] | null;
  #emitted: Uint8Array[] = [];
  /** There while a `Y.Doc` is. */
  #watch: TextWatch | null = null;
  /** Whether the live text holds what only text-ops.ts can show. */
  #foreign = false;

  constructor(doc_id: string, client_id: number, base: EncodedState, tail: readonly TailEntry[]) {
    this.#doc_id = doc_id;
    this.#client_id = client_id;
    this.#kept = new KeptState(base, tail);
    this.#json = tail.length === 0 ? base.delta : null;
    this.#tail_deltas = tail.length <= COMPOSE_MAX ? tail : null;
  }

  /** Whether a `Y.Doc` has been built. */
  get live(): boolean {
    return this.#doc !== null;
  }

  /** The size of the document, from above: see kept-state.ts. */
  get size(): number {
    return this.#kept.size;
  }

  /** Encodes the state anew, so that {@link size} is exact. */
  measure(): void {
    const doc = this.#liveDoc();
    if (!this.#kept.is_whole) this.#kept.replace(snapshotOf(doc), countItems(doc));
  }

  /** How much each of these updates would add to the size: see {@link growthBy}. */
  growth(updates: readonly Uint8Array[]): number[] {
    return updates.map((update) => growthBy(update, this.stateVector()));
  }

  /**
   * Applies what one client sent in a turn, as one transaction.
   * `missing`: something it builds on is not here; what could not be placed was put aside and its sender must be asked
   * for its whole difference. `malformed`: an update does not decode, claims to be written by this replica, or is
   * nested or has roots beyond measure; nothing of that one was applied.
   */
  applyUpdates(received: readonly Uint8Array[]): Applied {
    const updates = joinTyping(received);
    const decoded = updates.map(decodeUpdate);
    const known = this.#doc ?? this.#kept.base;
    if (decoded.every((update) => update !== null && updateAddsNothing(update, known)))
      return { kind: 'nothing', missing: false, malformed: false };
    if (decoded.some((update) => this.#tellsOfLaterOwner(update)))
      return { kind: 'later_owner', missing: false, malformed: false };
    const doc = this.#liveDoc();
    const good = soundOnes(decoded, doc, (update) => this.#isForged(doc, update));
    const structs = decoded.flatMap((update, i) => (good[i] === true ? (update?.structs ?? []) : []));
    const suspects = new Set(structs.map(({ id }) => id.client).filter((client) => this.#isLostOwner(client)));
    const before = [...suspects].map((client) => ({ client, clock: Y.getState(doc.store, client) }));
    const foreign = structs.some((struct) => struct instanceof Y.Item && struct.countable && isForeign(struct.content));
    const tears = this.#tearsPair(doc, structs, decoded);
    let change: Change | null;
    try {
      change = this.#collect(foreign || tears, structs.length, () => {
        applyBounded(
          doc,
          updates.filter((_update, i) => good[i] === true),
        );
        for (const { client, clock } of before) removeGhosts(doc, client, clock);
        if (typesNestTooDeep(structs, doc)) throw new RangeError('shared types are nested beyond measure');
      });
    } catch {
      // It decodes, and yet Yjs could not take it in: what it left behind is not to be trusted.
      this.destroy();
      return { kind: 'nothing', missing: false, malformed: true };
    }
    const missing = dropPending(doc);
    const malformed = good.includes(false);
    return change === null ? { kind: 'nothing', missing, malformed } : { kind: 'changed', change, missing, malformed };
  }

  /**
   * Applies a delta that was checked against the present text (see {@link Replica.unfit}), and with it an update of other
   * roots that was checked too (see {@link Replica.rootsFlaw}).
   */
  applyDelta(delta: DeltaOps, roots: Uint8Array | null = null): Change {
    const doc = this.#liveDoc();
    const text = doc.getText(TEXT_ROOT);
    // Its effect is what it says, so Yjs need not walk the whole text to tell; unless the text is a strange one, or attributes
    // have values in which Yjs does not see every difference.
    const known = this.#foreign || delta.some(hasObjectValue) ? null : delta;
    const write = (): void => {
      // A transaction of its own: within one that takes in an update Yjs forgets its places in the text and tidies it up.
      if (roots !== null) Y.transact(doc, () => Y.applyUpdate(doc, roots), null, false);
      if (delta.length > 0) doc.transact(() => writeDelta(text, delta, this.#foreign));
    };
    const change = this.#collect(false, itemsOf(delta) + (roots?.length ?? 0), write, known);
    return change ?? { update: EMPTY_UPDATE, delta: [], amended: false };
  }

  /** Why `delta` cannot be applied to the present text, or null when it can. */
  unfit(delta: DeltaOps): string | null {
    const doc = this.#liveDoc();
    const text = doc.getText(TEXT_ROOT);
    const at = this.#mayHoldPairs() ? codeUnits(this.ops()) : () => 0;
    return checkFits(new Delta(delta), text.length, at);
  }

  /** Why an update that takes other roots back cannot be applied now, or null when it can. */
  rootsFlaw(update: Uint8Array): string | null {
    return rootsFlaw(update, this.#liveDoc());
  }

  /** Whether the document holds, or ever held, anything beside the text. */
  hasOtherRoots(): boolean {
    return [...this.#liveDoc().share.keys()].some((name) => name !== TEXT_ROOT);
  }

  /** The text as ops. Do not change them. */
  ops(): DeltaOps {
    if (this.#ops === null) {
      if (this.#json !== null) this.#ops = JSON.parse(this.#json) as DeltaOps;
      else if (this.#doc === null && this.#tail_deltas !== null) {
        let text = new Delta(JSON.parse(this.#kept.base.delta) as DeltaOps);
        for (const { delta } of this.#tail_deltas) if (delta.length > 0) text = text.compose(new Delta(delta));
        this.#ops = text.ops as DeltaOps;
      } else this.#ops = textOps(this.#liveDoc().getText(TEXT_ROOT));
    }
    return this.#ops;
  }

  /** The text as the JSON of its ops, ready to be set into a frame. */
  json(): string {
    if (this.#json === null) this.#json = JSON.stringify(this.ops());
    return this.#json;
  }

  /** Length of the text in UTF-16 units. */
  length(): number {
    return this.#doc === null ? docLength(this.ops()) : this.#doc.getText(TEXT_ROOT).length;
  }

  /** The state vector to ask a joining client with. It may lag behind the tail: what then comes twice is harmless. */
  stateVector(): Uint8Array {
    if (this.#doc !== null) return Y.encodeStateVector(this.#doc);
    return this.#kept.base.state_vector;
  }

  /** What a client with this state vector (null: with nothing) lacks, as updates in order. */
  missingFor(state_vector: Uint8Array | null): Uint8Array[] {
    const empty = !state_vector?.length || (state_vector.length === 1 && state_vector[0] === 0);
    if (!empty && (this.#doc !== null || this.#kept.is_scattered))
      return [Y.encodeStateAsUpdate(this.#liveDoc(), state_vector)];
    if (this.#kept.is_scattered) this.measure();
    const { state } = this.#kept.base;
    const first = empty ? state : Y.diffUpdate(state, state_vector);
    const rest = this.#kept.tail();
    return rest === null ? [first] : [first, rest];
  }

  /** The whole state as one update. */
  state(): Uint8Array {
    return mergeAll(this.missingFor(null)) ?? EMPTY_UPDATE;
  }

  /** Whether applying `update` would change nothing; false when it does not decode. */
  covers(update: Uint8Array): boolean {
    const decoded = decodeUpdate(update);
    return decoded !== null && updateAddsNothing(decoded, this.#doc ?? this.#kept.base);
  }

  /** What a viewer's update amounts to; see {@link judgeViewer}. Changes nothing here. */
  judgeViewer(update: Uint8Array): ViewerUpdate {
    const decoded = decodeUpdate(update);
    if (decoded === null) return { kind: 'edit', ghosts: null };
    if (this.#tellsOfLaterOwner(decoded)) return { kind: 'later_owner', ghosts: null };
    return judgeViewer(decoded, this.#liveDoc(), (client) => this.#isLostOwner(client));
  }

  /**
   * Applies deletions of formatting marks, provided that the text reads the same without them and so will what is typed
   * behind it; null when it would not, or nothing changes. What is not to be is undone by building the document again.
   */
  applyCleanUp(update: Uint8Array): Change | null {
    const doc = this.#liveDoc();
    const text = doc.getText(TEXT_ROOT);
    const read = (): DeltaOps => [...textOps(text), ...openFormatting(text)];
    const before = read();
    this.#emitted = [];
    this.#watch?.begin(null);
    Y.transact(doc, () => Y.applyUpdate(doc, update), null, false);
    const emitted = mergeAll(this.#emitted);
    if (emitted === null) return null;
    if (difference(before, read()).length > 0) {
      this.destroy();
      return null;
    }
    this.#extendTail(emitted, 0);
    return { update: emitted, delta: [], amended: this.#emitted.length > 1 };
  }

  /** Runs `read` on the live text; builds the document when it must. */
  readText<T>(read: (doc: Y.Doc, text: Y.Text) => T): T {
    const doc = this.#liveDoc();
    return read(doc, doc.getText(TEXT_ROOT));
  }

  /** Lets go of the live document; the next change builds it again. */
  destroy(): void {
    this.#doc?.destroy();
    this.#doc = null;
  }

  #liveDoc(): Y.Doc {
    if (this.#doc !== null) return this.#doc;
    const doc = new Y.Doc({ gc: true });
    // Before anything is applied: a text that is typed only afterwards does not know that it has formatting.
    const text = doc.getText(TEXT_ROOT);
    // Nor may Yjs clean up on the way in: what it deletes then, the journal would not have.
    doc.once('afterTransaction', (transaction: Y.Transaction) => {
      transaction._needFormattingCleanup = false;
    });
    Y.transact(
      doc,
      () => {
        Y.applyUpdate(doc, this.#kept.base.state);
        const tail = this.#kept.tail();
        if (tail !== null) Y.applyUpdate(doc, tail);
      },
      null,
      false,
    );
    // After it: when a document is built anew, Yjs meets structs of our own in it and would take another clientID.
    doc.clientID = this.#client_id;
    doc.on('update', (update: Uint8Array) => this.#emitted.push(update));
    this.#watch = new TextWatch(text);
    this.#foreign = holdsForeign(text);
    this.#doc = doc;
    this.#kept.counted(countItems(doc));
    return doc;
  }

  /**
   * Runs one change and gathers all that Yjs emitted for it; null when it changed nothing. What is told of its effect may
   * lack something where the text holds what Yjs does not count (see text-ops.ts), or where the change is `suspicious`: it
   * brings such a thing, or tears a surrogate pair. Then it is held against the text itself. `items`: so many at most are
   * new. `known`: nobody needs to ask.
   */
  #collect(suspicious: boolean, items: number, run: () => void, known: DeltaOps | null = null): Change | null {
    const text = this.#liveDoc().getText(TEXT_ROOT);
    const verify = this.#foreign || suspicious;
    const before = verify ? this.ops() : [];
    const length = text.length;
    this.#emitted = [];
    this.#watch?.begin(known);
    run();
    const update = mergeAll(this.#emitted);
    if (update === null) return null;
    const told = this.#watch?.effect() ?? null;
    // Hostile updates exist that leave Yjs with a text of another length than it says.
    if (!verify && (told === null || length + lengthChange(told) !== text.length))
      throw new RangeError('the text is not what its changes make it');
    this.#extendTail(update, items);
    this.#noteText(verify ? null : told);
    if (verify) this.#foreign = holdsForeign(text);
    const delta = verify || told === null ? trueEffect(before, told, this.ops()) : told;
    return { update, delta, amended: this.#emitted.length > 1 };
  }

  #noteText(delta: DeltaOps | null): void {
    if (delta === null) {
      this.#surrogates = this.#surrogates === true ? true : null;
    } else if (this.#surrogates === false) {
      this.#surrogates = delta.some((op) => typeof op.insert === 'string' && SURROGATE.test(op.insert));
    }
    if (delta === null || delta.length > 0) {
      this.#ops = null;
      this.#json = null;
    }
  }

  #mayHoldPairs(): boolean {
    if (this.#surrogates === null) this.#surrogates = SURROGATE.test(this.#liveDoc().getText(TEXT_ROOT).toString());
    return this.#surrogates;
  }

  /** Whether the updates together put something between the halves of a surrogate pair. */
  #tearsPair(doc: Y.Doc, structs: DecodedUpdate['structs'], updates: readonly (DecodedUpdate | null)[]): boolean {
    const incoming = structs.some((struct) => struct instanceof Y.Item && holdsSurrogate(struct.content));
    if (!incoming && !this.#mayHoldPairs()) return false;
    return updates.some((update) => update !== null && splitsPair(update, doc, incoming));
  }

  #extendTail(update: Uint8Array, items: number): void {
    this.#kept.add(update, items);
    this.#tail_deltas = null;
    if (this.#kept.is_outgrown) this.measure();
  }

  /** Whether another owner of this document wrote under this clientID. */
  #isLostOwner(client: number): boolean {
    return client !== this.#client_id && isServerClientId(this.#doc_id, client);
  }

  #tellsOfLaterOwner(update: DecodedUpdate | null): boolean {
    return update?.structs.some(({ id }) => isLaterOwner(this.#doc_id, id.client, this.#client_id)) ?? false;
  }

  /** Nobody but this replica writes under its clientID: what is new there is not ours, whoever says so. */
  #isForged(doc: Y.Doc, update: DecodedUpdate): boolean {
    const own = Y.getState(doc.store, this.#client_id);
    return update.structs.some(({ id, length }) => id.client === this.#client_id && id.clock + length > own);
  }
}
