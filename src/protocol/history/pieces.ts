/**
 * Many deltas put together, each at the cost of what it changes.
 *
 * quill-delta's `compose` copies the whole text for every delta; a history of 2,000 keystrokes on 100,000 characters
 * would copy 200 MB to say what the text is. Here the text is a list of pieces (see piece-list.ts) that deltas are applied to
 * where they change it, and it is read once, at the end. What comes out equals `compose` op for op: neighbours that could be one op are
 * one, inserts stand before deletes, and nothing is retained at the end.
 *
 * A composed delta needs no pieces for what was deleted: every piece that is left of the text before knows where it stood there, so
 * deletions are the gaps between them.
 *
 * The folds refuse with a RangeError what does not fit the text; after that a fold may not be used further. The ops given and handed out share their
 * attributes and embeds, and may not be changed.
 */
import { AttributeMap } from 'quill-delta';
import type { Attributes, DeltaOp, DeltaOps, Embed } from '../content/delta.ts';
import type { EntryMeta, Stretches } from './entry.ts';
import { PieceList, type PieceRules } from './piece-list.ts';

/** Text longer than this is not added to in place: cutting a long string that grew by additions copies it. */
const JOINED_UNITS_MAX = 512;

/** A stretch of text: new, or what is left of the text before. */
interface Stretch {
  readonly length: number;
  /** What is new; undefined for what was there before. */
  readonly insert: string | Embed | undefined;
  /** Where it starts in the text before; 0 for what is new. */
  readonly base: number;
  readonly attributes: Attributes | undefined;
}

const STRETCHES: PieceRules<Stretch> = {
  cut: ({ length, insert, base, attributes }, at) =>
    typeof insert === 'string'
      ? [
          { length: at, insert: insert.slice(0, at), base, attributes },
          { length: length - at, insert: insert.slice(at), base, attributes },
        ]
      : [
          { length: at, insert, base, attributes },
          { length: length - at, insert, base: base + at, attributes },
        ],
  join: (piece, next) => {
    if (typeof piece.insert !== 'string' || typeof next.insert !== 'string') return null;
    const length = piece.length + next.length;
    if (length > JOINED_UNITS_MAX || !sameAttributes(piece.attributes, next.attributes)) return null;
    return { length, insert: piece.insert + next.insert, base: 0, attributes: next.attributes };
  },
};

/** A text that deltas are applied to. */
export class TextFold {
  readonly #stretches: PieceList<Stretch>;

  /** `start`: a document's ops, inserts alone. */
  constructor(start: DeltaOps) {
    this.#stretches = new PieceList(STRETCHES, start.map(documentStretch));
  }

  /** UTF-16 units. */
  get length(): number {
    return this.#stretches.length;
  }

  apply(delta: DeltaOps): void {
    applyDelta(this.#stretches, delta);
  }

  /** The text as a document's ops. */
  ops(): DeltaOps {
    return writeDelta(this.#stretches, 0);
  }
}

/** The deltas applied, as one. */
export class DiffFold {
  readonly #stretches: PieceList<Stretch>;
  readonly #length: number;

  /** `length`, in UTF-16 units: of the text before the first delta; where it is not known, any upper bound up to 2^52 does. */
  constructor(length: number) {
    this.#length = length;
    this.#stretches = new PieceList(STRETCHES, [{ length, insert: undefined, base: 0, attributes: undefined }]);
  }

  apply(delta: DeltaOps): void {
    applyDelta(this.#stretches, delta);
  }

  /** What turns the text before into the text after. */
  delta(): DeltaOps {
    return writeDelta(this.#stretches, this.#length);
  }
}

/** Who made a revision, and when. */
export type Made = Pick<EntryMeta, 'rev' | 'user_id' | 'at'>;

/** Text of a revision, or what is left of the text before. */
interface Origin {
  readonly length: number;
  /** Null for what was there before. */
  readonly made: Made | null;
  /** Where it starts in the text before; 0 for what is new. */
  readonly base: number;
}

const ORIGINS: PieceRules<Origin> = {
  cut: ({ length, made, base }, at) => [
    { length: at, made, base },
    { length: length - at, made, base: made === null ? base + at : 0 },
  ],
  join: (piece, next) =>
    piece.made !== null && piece.made.rev === next.made?.rev
      ? { length: piece.length + next.length, made: next.made, base: 0 }
      : null,
};

/** Which revision brought each stretch of a text, and whose it was. Formatting a stretch does not make its formatter the author. */
export class AttributionFold {
  readonly #start: Stretches;
  /** A text has many stretches and few edits change it: those of the start are one piece until an edit cuts it. */
  readonly #origins: PieceList<Origin>;

  constructor(start: Stretches) {
    this.#start = start;
    let length = 0;
    for (let i = 0; i < start.lengths.length; i++) length += start.lengths[i] ?? 0;
    this.#origins = new PieceList(ORIGINS, [{ length, made: null, base: 0 }]);
  }

  /** UTF-16 units. */
  get length(): number {
    return this.#origins.length;
  }

  /** Applies the delta of a revision. */
  apply(delta: DeltaOps, made: Made): void {
    let index = 0;
    for (const { insert, retain, delete: gone } of delta) {
      if (insert !== undefined) {
        const length = typeof insert === 'string' ? insert.length : 1;
        if (length > 0) this.#origins.insert(index, { length, made, base: 0 });
        index += length;
      } else if (gone !== undefined) {
        this.#origins.remove(index, gone);
      } else {
        index += retain;
        if (index > this.#origins.length) throw new RangeError('a delta reaches past the end of the text');
      }
    }
  }

  /** The stretches from the start of the text to its end, neighbours of one revision in one. */
  stretches(): Stretches {
    const { lengths } = this.#start;
    let pieces = 0;
    for (const chunk of this.#origins.chunks()) pieces += chunk.length;
    // A piece is new, or cuts one stretch of the start in two.
    const writer = new StretchWriter(this.#start, lengths.length + pieces);
    let at = 0;
    let at_start = 0;
    for (const chunk of this.#origins.chunks())
      for (const { length, made, base } of chunk) {
        if (made !== null) {
          writer.addNew(length, made);
          continue;
        }
        // What is left of the text before is in its old order.
        const end = base + length;
        for (let from = base; from < end; ) {
          let at_end = at_start + (lengths[at] ?? 0);
          while (at_end <= from) {
            at_start = at_end;
            at += 1;
            at_end += lengths[at] ?? 0;
          }
          const to = Math.min(end, at_end);
          writer.addOld(to - from, at);
          from = to;
        }
      }
    return writer.end();
  }
}

class StretchWriter {
  readonly #start: Stretches;
  readonly #users: string[];
  readonly #places: Map<string, number>;
  readonly #lengths: Float64Array;
  readonly #revs: Float64Array;
  readonly #authors: Float64Array;
  readonly #times: Float64Array;
  #count = 0;

  constructor(start: Stretches, stretches_max: number) {
    this.#start = start;
    this.#users = [...start.users];
    this.#places = new Map(start.users.map((user_id, place) => [user_id, place]));
    this.#lengths = new Float64Array(stretches_max);
    this.#revs = new Float64Array(stretches_max);
    this.#authors = new Float64Array(stretches_max);
    this.#times = new Float64Array(stretches_max);
  }

  /** So much of a stretch of the start. */
  addOld(length: number, stretch: number): void {
    const { revs, authors, times } = this.#start;
    this.#add(length, revs[stretch] ?? 0, authors[stretch] ?? 0, times[stretch] ?? 0);
  }

  addNew(length: number, { rev, user_id, at }: Made): void {
    let author = this.#places.get(user_id);
    if (author === undefined) {
      author = this.#users.push(user_id) - 1;
      this.#places.set(user_id, author);
    }
    this.#add(length, rev, author, at);
  }

  end(): Stretches {
    const [lengths, revs, authors, times] = [this.#lengths, this.#revs, this.#authors, this.#times].map((column) =>
      column.subarray(0, this.#count),
    ) as [Float64Array, Float64Array, Float64Array, Float64Array];
    return { users: this.#users, lengths, revs, authors, times };
  }

  #add(length: number, rev: number, author: number, time: number): void {
    const last = this.#count - 1;
    if (last >= 0 && this.#revs[last] === rev) {
      this.#lengths[last] = (this.#lengths[last] ?? 0) + length;
      return;
    }
    this.#lengths[this.#count] = length;
    this.#revs[this.#count] = rev;
    this.#authors[this.#count] = author;
    this.#times[this.#count] = time;
    this.#count += 1;
  }
}

function documentStretch({ insert, attributes }: DeltaOp): Stretch {
  if (insert === undefined) throw new TypeError('a document consists of inserts');
  return newStretch(insert, attributes);
}

function newStretch(insert: string | Embed, attributes: Attributes | undefined): Stretch {
  return { length: typeof insert === 'string' ? insert.length : 1, insert, base: 0, attributes };
}

function applyDelta(stretches: PieceList<Stretch>, delta: DeltaOps): void {
  let index = 0;
  for (const { insert, retain, delete: gone, attributes } of delta) {
    if (insert !== undefined) {
      const stretch = newStretch(insert, attributes);
      if (stretch.length > 0) stretches.insert(index, stretch);
      index += stretch.length;
    } else if (gone !== undefined) {
      stretches.remove(index, gone);
    } else {
      if (attributes !== undefined) stretches.change(index, retain, (piece) => format(piece, attributes));
      index += retain;
      if (index > stretches.length) throw new RangeError('a delta reaches past the end of the text');
    }
  }
}

/** Formatting taken away must still be said of the text before; from new text it is simply gone. */
function format(piece: Stretch, attributes: Attributes): Stretch {
  const keep_null = piece.insert === undefined;
  const composed = AttributeMap.compose(piece.attributes, attributes, keep_null) as Attributes | undefined;
  return { length: piece.length, insert: piece.insert, base: piece.base, attributes: composed };
}

/** The pieces as a delta on a text of `length` units. */
function writeDelta(stretches: Iterable<Stretch>, length: number): DeltaOps {
  const writer = new DeltaWriter();
  let base = 0;
  for (const stretch of stretches) {
    if (stretch.insert !== undefined) {
      writer.insert(stretch.insert, stretch.attributes);
    } else {
      writer.delete(stretch.base - base);
      writer.retain(stretch.length, stretch.attributes);
      base = stretch.base + stretch.length;
    }
  }
  writer.delete(length - base);
  return writer.ops();
}

/** Writes the one form of a delta: see the head of this file. */
class DeltaWriter {
  readonly #ops: DeltaOps = [];
  /** The text at the end of `#ops`, in parts: adding a hundred thousand strings one by one keeps each of them. */
  #parts: string[] = [];
  #text_attributes: Attributes | undefined;
  /** Deleted since the last retain; stands behind what is inserted there. */
  #deleted = 0;

  insert(insert: string | Embed, attributes: Attributes | undefined): void {
    if (typeof insert === 'string') {
      if (this.#parts.length > 0 && !sameAttributes(this.#text_attributes, attributes)) this.#flushText();
      this.#parts.push(insert);
      this.#text_attributes = attributes;
    } else {
      this.#flushText();
      this.#ops.push(attributes === undefined ? { insert } : { insert, attributes });
    }
  }

  retain(retain: number, attributes: Attributes | undefined): void {
    this.#flush();
    const last = this.#ops.at(-1);
    if (last?.retain !== undefined && sameAttributes(last.attributes, attributes))
      this.#ops[this.#ops.length - 1] = retainOp(last.retain + retain, attributes);
    else this.#ops.push(retainOp(retain, attributes));
  }

  delete(count: number): void {
    this.#deleted += count;
  }

  ops(): DeltaOps {
    this.#flush();
    const last = this.#ops.at(-1);
    if (last?.retain !== undefined && last.attributes === undefined) this.#ops.pop();
    return this.#ops;
  }

  #flush(): void {
    this.#flushText();
    if (this.#deleted > 0) this.#ops.push({ delete: this.#deleted });
    this.#deleted = 0;
  }

  #flushText(): void {
    if (this.#parts.length === 0) return;
    const insert = this.#parts.join('');
    const attributes = this.#text_attributes;
    this.#ops.push(attributes === undefined ? { insert } : { insert, attributes });
    this.#parts = [];
  }
}

function retainOp(retain: number, attributes: Attributes | undefined): DeltaOp {
  return attributes === undefined ? { retain } : { retain, attributes };
}

/** Whether two formattings are one, in whatever order their names stand. */
function sameAttributes(a: Attributes | undefined, b: Attributes | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && Bun.deepEquals(a, b, true));
}
