/**
 * Going back for everything but the text: the update that turns the other roots of a document (maps, arrays, XML, further
 * texts) from what they are into what they were, without a word about what is the same.
 *
 * Both states are of one document, so their items have the same names. What is there in both is left alone, and with it
 * whatever is typed into it meanwhile. What came since is deleted; what went is inserted anew, item by item as Yjs keeps
 * it (formatting marks are items too), where its remains still stand. So nothing here needs to know what a root is used as.
 *
 * Between two items that stayed, what went and what came may be the same again: a restore brings things back under new
 * names. These are found by what they hold, and are left alone as well; and where a type went and one of its kind came,
 * the new one is made into the old one. So a restore of what is there already changes nothing.
 */
import * as Y from 'yjs';
import { TEXT_ROOT } from '../../protocol/snapshot.ts';
import { Matcher } from './match.ts';
import { ItemTokens, kindOf, type Shared, sharedIn, type Unit } from './tokens.ts';

/** Some units of an item. */
interface Slice {
  readonly item: Y.Item;
  readonly from: number;
  to: number;
}

/** What came and what went between two items that stayed. */
interface Gap {
  /** The last unit before it; null at the start of the list. */
  readonly after: Y.ID | null;
  readonly came: Slice[];
  readonly went: Slice[];
}

/** The update that makes the other roots of `head` what they are in `past`; null when they are. Changes `head`. */
export function rootsBack(past: Y.Doc, head: Y.Doc): Uint8Array | null {
  const updates: Uint8Array[] = [];
  head.on('update', (update: Uint8Array) => updates.push(update));
  head.transact((transaction) => {
    const way = new WayBack(past, transaction);
    for (const name of otherRoots(head)) way.same(head.get(name) as Shared, rootOf(past, name));
  });
  if (updates.length > 1) throw new Error('Yjs told of one change in parts');
  return updates[0] ?? null;
}

/** Names of the roots of a document besides the text. */
export function otherRoots(doc: Y.Doc): string[] {
  return [...doc.share.keys()].filter((name) => name !== TEXT_ROOT);
}

function rootOf(doc: Y.Doc, name: string): Shared | null {
  return doc.share.has(name) ? (doc.get(name) as Shared) : null;
}

class WayBack {
  readonly #past: Y.Doc;
  readonly #transaction: Y.Transaction;
  readonly #head: Y.Doc;
  readonly #tokens = new ItemTokens();
  readonly #matcher = new Matcher();

  constructor(past: Y.Doc, transaction: Y.Transaction) {
    this.#past = past;
    this.#transaction = transaction;
    this.#head = transaction.doc;
  }

  /** Makes a type what the same one was. */
  same(now: Shared, was: Shared | null): void {
    this.#entries(now, was);
    const gaps: Gap[] = [{ after: null, came: [], went: [] }];
    const stayed: [Shared, Shared][] = [];
    for (let item = now._start; item !== null; item = item.right) {
      const { client, clock } = item.id;
      const known = Math.min(Math.max(Y.getState(this.#past.store, client) - clock, 0), item.length);
      if (item.deleted) {
        if (known > 0) this.#aliveThen(client, clock, clock + known, (gaps.at(-1) as Gap).went);
        continue;
      }
      if (known > 0) {
        gaps.push({ after: Y.createID(client, clock + known - 1), came: [], went: [] });
        const [type, old] = [sharedIn(item), sharedIn(Y.getItem(this.#past.store, item.id) as Y.Item)];
        if (type !== null && old !== null) stayed.push([type, old]);
      }
      if (known < item.length) gaps.at(-1)?.came.push({ item, from: known, to: item.length });
    }
    for (const gap of gaps) this.#close(now, gap);
    for (const [type, old] of stayed) this.same(type, old);
  }

  /** Makes a type what another one of its kind was. */
  #alike(now: Shared, was: Shared): void {
    this.#entries(now, was);
    this.#close(now, { after: null, came: alive(now), went: alive(was) });
  }

  #entries(now: Shared, was: Shared | null): void {
    for (const key of new Set([...now._map.keys(), ...(was?._map.keys() ?? [])])) {
      const [present, old] = [now._map.get(key) ?? null, was?._map.get(key) ?? null];
      const there = present !== null && !present.deleted;
      if (old === null || old.deleted) {
        if (there) present.delete(this.#transaction);
        continue;
      }
      const pair = there ? bothShared(present, old) : null;
      if (there && Y.compareIDs(present.lastId, old.lastId)) {
        if (pair !== null) this.same(...pair);
      } else if (there && this.#tokens.last(present) === this.#tokens.last(old)) continue;
      else if (pair !== null) this.#alike(...pair);
      else this.#put(now, present, null, key, { item: old, from: 0, to: old.length });
    }
  }

  /** The units of a client that were there then. */
  #aliveThen(client: number, from: number, to: number, found: Slice[]): void {
    const structs = this.#past.store.clients.get(client) ?? [];
    for (let i = Y.findIndexSS(structs, from); i < structs.length; i++) {
      const item = structs[i];
      if (item === undefined || item.id.clock >= to) return;
      if (!(item instanceof Y.Item) || item.deleted) continue;
      const start = Math.max(from - item.id.clock, 0);
      const end = Math.min(to - item.id.clock, item.length);
      const last = found.at(-1);
      // Cut elsewhere since, and perhaps within a character.
      if (last?.item === item && last.to === start) last.to = end;
      else found.push({ item, from: start, to: end });
    }
  }

  #close(parent: Shared, { after, came, went }: Gap): void {
    if (came.length === 0 || went.length === 0) {
      for (const { item, from, to } of came) this.#remove(item.id.client, item.id.clock + from, item.id.clock + to);
      this.#insert(parent, after, went);
      return;
    }
    const [now, old] = [this.#units(came), this.#units(went)];
    const partners = this.#matcher.match(now, old);
    let at = after;
    let waiting: Slice[] = [];
    for (const [i, unit] of old.entries()) {
      const partner = now[partners[i] ?? -1];
      if (partner === undefined) {
        const last = waiting.at(-1);
        if (last?.item === unit.item && last.to === unit.from) last.to = unit.to;
        else waiting.push({ item: unit.item, from: unit.from, to: unit.to });
        continue;
      }
      this.#insert(parent, at, waiting);
      waiting = [];
      at = Y.createID(partner.client, partner.clock + partner.to - partner.from - 1);
      const pair = bothShared(partner.item, unit.item);
      if (pair !== null && partner.token !== unit.token) this.#alike(...pair);
    }
    this.#insert(parent, at, waiting);
    const stay = new Set(partners);
    for (const [i, { client, clock, from, to }] of now.entries())
      if (!stay.has(i)) this.#remove(client, clock, clock + to - from);
  }

  #units(slices: readonly Slice[]): Unit[] {
    return slices.flatMap(({ item, from, to }) => this.#tokens.units(item, from, to));
  }

  #insert(parent: Shared, after: Y.ID | null, slices: readonly Slice[]): void {
    let at = after;
    for (const slice of slices) {
      const left = at === null ? null : Y.getItemCleanEnd(this.#transaction, this.#head.store, at);
      at = this.#put(parent, left, left === null ? parent._start : left.right, null, slice).lastId;
    }
  }

  /** Inserts a copy of what stood in the past, with all that was in it. */
  #put(parent: Shared, left: Y.Item | null, right: Y.Item | null, key: string | null, slice: Slice): Y.Item {
    const { clientID, store } = this.#head;
    const id = Y.createID(clientID, Y.getState(store, clientID));
    const content = contentOf(slice);
    const item = new Y.Item(id, left, left?.lastId ?? null, right, right?.id ?? null, parent, key, content);
    item.integrate(this.#transaction, 0);
    const pair = bothShared(item, slice.item);
    if (pair !== null) this.#fill(...pair);
    return item;
  }

  #fill(empty: Shared, was: Shared): void {
    for (const [key, item] of was._map)
      if (!item.deleted) this.#put(empty, null, null, key, { item, from: 0, to: item.length });
    this.#insert(empty, null, alive(was));
  }

  #remove(client: number, from: number, to: number): void {
    for (let clock = from; clock < to; ) {
      const item = Y.getItemCleanStart(this.#transaction, Y.createID(client, clock));
      if (clock + item.length > to) Y.getItemCleanStart(this.#transaction, Y.createID(client, to));
      item.delete(this.#transaction);
      clock += item.length;
    }
  }
}

function alive(type: Shared): Slice[] {
  const slices: Slice[] = [];
  for (let item = type._start; item !== null; item = item.right)
    if (!item.deleted) slices.push({ item, from: 0, to: item.length });
  return slices;
}

/** The types that two items hold, if both hold one of the same kind. */
function bothShared(one: Y.Item, other: Y.Item): [Shared, Shared] | null {
  const [a, b] = [sharedIn(one), sharedIn(other)];
  return a !== null && b !== null && kindOf(a) === kindOf(b) ? [a, b] : null;
}

function contentOf({ item, from, to }: Slice): Y.Item['content'] {
  const content = item.content.copy();
  if (to < item.length) content.splice(to);
  return from > 0 ? content.splice(from) : content;
}
