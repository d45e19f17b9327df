/**
 * What a transaction did to a text, told from the items that it changed.
 *
 * Yjs's own event delta walks the text from its first character, at every keystroke. Here each run of changed items finds
 * its place by walking left, until it meets a *mark*: a visible item whose position is known. Marks are left where edits
 * happen and along the way of long walks, and move with every effect, so the next keystroke is a step or two away from one.
 *
 * Positions are those before the transaction. To them an item counts when it was visible then, be it deleted now; what the
 * transaction added counts only among what it added at the same place. Formatting in force is gathered on the same walk.
 * A transaction that changes formatting, or brings what is neither text nor an embed object, is not told here: the marks
 * are forgotten and Yjs is to be asked.
 */
import Delta from 'quill-delta';
import * as Y from 'yjs';
import type { DeltaOps, Embed, JsonValue } from '../protocol/content/delta.ts';
import { isForeign } from '../protocol/text-ops.ts';

/** Formatting in force: keys to values that are not null. */
type Attributes = ReadonlyMap<string, JsonValue>;

/** Where an item begins. */
interface Mark {
  index: number;
  readonly attributes: Attributes;
}

/** Neighbours that a transaction changed alike. */
interface Run {
  readonly added: boolean;
  readonly first: Y.Item;
  last: Y.Item;
  length: number;
  /** What was added. */
  insert: string | Embed;
  /** Position before the transaction; -1 while it is not known. */
  index: number;
  /** Units that the transaction added at the same position, further left. */
  behind: number;
  attributes: Attributes;
}

/** More runs than this, and one walk over the text is cheaper. */
const RUNS_MAX = 1_000;
/** Marks that are kept. */
const MARKS_MAX = 128;
/** A walk of so many items leaves a mark where it began, and one more each so many. */
const MARK_AFTER = 16;
const MARK_EACH = 512;

const PLAIN: Attributes = new Map();

/** See the head of this file. One per live text; it must hear of every change. */
export class TextEffects {
  readonly #text: Y.Text;
  /** Least recently met first. */
  readonly #marks = new Map<Y.Item, Mark>();

  constructor(text: Y.Text) {
    this.#text = text;
  }

  /** The effect of a transaction on the text, to be asked in its observer; null when only Yjs can tell. */
  of(transaction: Y.Transaction): DeltaOps | null {
    const runs = new Runs(this.#text);
    if (!runs.gather(transaction)) {
      this.#marks.clear();
      return null;
    }
    for (const run of runs.all) this.#place(run, runs.by_last);
    const delta = deltaOf(runs.all);
    this.#shift(delta);
    return delta;
  }

  /** The text was changed, with this effect. */
  follow(delta: DeltaOps): void {
    if (this.#text._hasFormatting || delta.some(({ attributes }) => attributes !== undefined)) this.#marks.clear();
    else this.#shift(delta);
  }

  /** Finds where a run stands. A walk ends at a run whose place is known, too. */
  #place(run: Run, runs: ReadonlyMap<Y.Item, Run>): void {
    /** What is in force, nearest first. */
    const formats: Y.ContentFormat[] = [];
    /** Items that get a mark if the walk is long. */
    const passed: { readonly item: Y.Item; readonly units: number; readonly formats: number }[] = [];
    let [units, behind, steps] = [0, 0, 0];
    let start: Pick<Mark, 'index' | 'attributes'> = { index: 0, attributes: PLAIN };
    for (let left = run.first.left; left !== null; left = left.left, steps++) {
      const other = runs.get(left);
      if (other !== undefined) {
        if (other.added && units === 0) behind += other.length + Math.max(0, other.behind);
        if (!other.added) units += other.length;
        left = other.first;
        if (other.index === -1) continue;
        start = other;
        break;
      }
      if (left.deleted) continue;
      if (left.content instanceof Y.ContentFormat) formats.push(left.content);
      if (!left.countable) continue;
      units += left.length;
      const mark = this.#marks.get(left);
      if (mark !== undefined) {
        this.#mark(left, mark);
        start = mark;
        break;
      }
      if (passed.length === 0 || steps % MARK_EACH === 0) passed.push({ item: left, units, formats: formats.length });
    }
    run.index = start.index + units;
    run.behind = behind;
    run.attributes = entered(start.attributes, formats, 0);
    if (steps < MARK_AFTER) return;
    for (const mark of passed)
      this.#mark(mark.item, {
        index: run.index - mark.units,
        attributes: entered(start.attributes, formats, mark.formats),
      });
  }

  #mark(item: Y.Item, mark: Mark): void {
    this.#marks.delete(item);
    this.#marks.set(item, mark);
    if (this.#marks.size <= MARKS_MAX) return;
    for (const oldest of this.#marks.keys()) {
      this.#marks.delete(oldest);
      return;
    }
  }

  /** Moves the marks with an effect; those of items that went go too. */
  #shift(delta: DeltaOps): void {
    for (const [item, mark] of this.#marks) {
      if (item.deleted) {
        this.#marks.delete(item);
        continue;
      }
      let [reached, moved] = [0, 0];
      for (const op of delta) {
        if (reached > mark.index) break;
        if (op.retain !== undefined) reached += op.retain;
        else if (op.delete !== undefined) {
          reached += op.delete;
          if (reached <= mark.index) moved -= op.delete;
        } else moved += typeof op.insert === 'string' ? op.insert.length : 1;
      }
      mark.index += moved;
    }
  }
}

/** The items of a text that a transaction changed, in runs. */
class Runs {
  readonly all: Run[] = [];
  /** Each run by its last item. */
  readonly by_last = new Map<Y.Item, Run>();
  readonly #text: Y.Text;
  #plain = true;

  constructor(text: Y.Text) {
    this.#text = text;
  }

  /** False when there are too many, or one of them is neither text nor an embed object. */
  gather(transaction: Y.Transaction): boolean {
    const { beforeState, afterState, deleteSet, doc } = transaction;
    for (const [client, clock] of afterState) {
      const known = beforeState.get(client) ?? 0;
      const structs = known === clock ? undefined : doc.store.clients.get(client);
      if (structs === undefined) continue;
      for (let i = Y.findIndexSS(structs, known); i < structs.length; i++) {
        const struct = structs[i];
        if (struct !== undefined && !struct.deleted) this.#take(struct, true);
      }
    }
    if (deleteSet.clients.size > 0)
      Y.iterateDeletedStructs(transaction, deleteSet, (struct) => {
        if (struct.id.clock < (beforeState.get(struct.id.client) ?? 0)) this.#take(struct, false);
      });
    return this.#plain;
  }

  #take(item: Y.AbstractStruct, added: boolean): void {
    if (!(item instanceof Y.Item) || item.parent !== this.#text || item.parentSub !== null) return;
    const { content, length } = item;
    this.#plain &&= item.countable && !isForeign(content) && this.all.length < RUNS_MAX;
    if (!this.#plain) return;
    const before = item.left === null ? undefined : this.by_last.get(item.left);
    const insert = content instanceof Y.ContentString ? content.str : ((content as Y.ContentEmbed).embed as object);
    if (before?.added === added && (!added || (typeof before.insert === 'string' && typeof insert === 'string'))) {
      this.by_last.delete(before.last);
      before.last = item;
      before.length += length;
      if (added) before.insert = `${before.insert as string}${insert as string}`;
      this.by_last.set(item, before);
      return;
    }
    const run: Run = {
      ...{ added, first: item, last: item, length, insert: insert as Run['insert'] },
      ...{ index: -1, behind: 0, attributes: PLAIN },
    };
    this.all.push(run);
    this.by_last.set(item, run);
  }
}

/** The formatting after `formats[from]` and all further left of it have been entered; the nearest comes first. */
function entered(start: Attributes, formats: readonly Y.ContentFormat[], from: number): Attributes {
  if (formats.length <= from) return start;
  const attributes = new Map(start);
  for (const { key, value } of formats.slice(from).reverse()) {
    if (value === null) attributes.delete(key);
    else attributes.set(key, value as unknown as JsonValue);
  }
  return attributes;
}

function deltaOf(runs: Run[]): DeltaOps {
  const [only] = runs;
  // What is typed is one run: that needs no sorting, and none of the copies that Delta makes.
  if (only !== undefined && runs.length === 1)
    return only.index > 0 ? [{ retain: only.index }, opOf(only)] : [opOf(only)];
  runs.sort(
    (one, other) => one.index - other.index || Number(other.added) - Number(one.added) || one.behind - other.behind,
  );
  const delta = new Delta();
  let reached = 0;
  for (const run of runs) {
    delta.retain(run.index - reached).push(opOf(run));
    reached = run.added ? run.index : run.index + run.length;
  }
  return delta.ops as DeltaOps;
}

function opOf({ added, insert, attributes, length }: Run): DeltaOps[number] {
  if (!added) return { delete: length };
  return attributes.size === 0 ? { insert } : { insert, attributes: Object.fromEntries(attributes) };
}
