/**
 * A long sequence of pieces that is edited at positions: what all folds of deltas stand on.
 *
 * Array of pieces → an edit in the middle moves everything behind it, and finding the middle reads everything before.
 * So the pieces stand in chunks of about {@link CHUNK_PIECES} at most with their lengths summed, and the list remembers the chunk of
 * the last edit: people type where they typed before, so most edits find their place in a step or two; a far one walks
 * over chunks, of which there are pieces / 64 or so.
 *
 * The invariant: no piece is empty, no chunk is empty unless it is the only one, and each chunk's `length` is the sum of
 * its pieces'. Neighbours that could be one piece may be two: whoever reads the list joins them.
 */

/**
 * A chunk with more pieces than this is cut in two when it is next visited: moving so many costs about as much as walking
 * over the chunks of a large text.
 */
const CHUNK_PIECES = 128;

/** How pieces are cut and joined. Pieces are never changed, only replaced. */
export interface PieceRules<P extends { readonly length: number }> {
  /** The two parts of a piece; `0 < at < piece.length`. */
  cut(piece: P, at: number): readonly [P, P];
  /** What a piece becomes when `next`, new, follows right behind it; null when they stay two. */
  join(piece: P, next: P): P | null;
}

interface Chunk<P> {
  pieces: P[];
  length: number;
}

/** See the head of this file. Positions and lengths in UTF-16 units; a position beyond the end throws a RangeError. */
export class PieceList<P extends { readonly length: number }> {
  readonly #rules: PieceRules<P>;
  #chunks: Chunk<P>[] = [{ pieces: [], length: 0 }];
  #length = 0;
  /** The chunk of the last edit, and where it starts. */
  #near = 0;
  #near_start = 0;

  constructor(rules: PieceRules<P>, start: Iterable<P>) {
    this.#rules = rules;
    let chunk = this.#chunk();
    for (const piece of start) {
      if (piece.length === 0) continue;
      if (chunk.pieces.length === CHUNK_PIECES / 2) {
        chunk = { pieces: [], length: 0 };
        this.#chunks.push(chunk);
      }
      chunk.pieces.push(piece);
      chunk.length += piece.length;
      this.#length += piece.length;
    }
  }

  get length(): number {
    return this.#length;
  }

  /** All pieces in order, in lists of some: of very many at a fraction of what iterating over each costs. */
  chunks(): readonly (readonly P[])[] {
    return this.#chunks.map(({ pieces }) => pieces);
  }

  /** All pieces in order. */
  *[Symbol.iterator](): Generator<P, void, undefined> {
    for (const chunk of this.#chunks) yield* chunk.pieces;
  }

  /** Puts a piece, not an empty one, in at a position. */
  insert(index: number, piece: P): void {
    const at = this.#boundary(index);
    const chunk = this.#chunk();
    const before = chunk.pieces[at - 1];
    const joined = before === undefined ? null : this.#rules.join(before, piece);
    if (joined !== null) chunk.pieces[at - 1] = joined;
    else if (at === chunk.pieces.length) chunk.pieces.push(piece);
    else chunk.pieces.splice(at, 0, piece);
    chunk.length += piece.length;
    this.#length += piece.length;
  }

  /** Takes `count` units away from a position on. */
  remove(index: number, count: number): void {
    this.#checkEnd(index, count);
    this.#eachFrom(index, count, () => null);
    this.#length -= count;
    this.#dropEmpty();
  }

  /** Replaces every piece among the `count` units from a position on by one of the same length. */
  change(index: number, count: number, replace: (piece: P) => P): void {
    this.#checkEnd(index, count);
    this.#eachFrom(index, count, replace);
  }

  /** Refuses what reaches past the end. */
  #checkEnd(index: number, count: number): void {
    if (!(index + count <= this.#length)) throw pastEnd(index + count, this.#length);
  }

  /** Runs over exactly the units asked for, whole pieces at a time; null takes a piece away. Leaves emptied chunks. */
  #eachFrom(index: number, count: number, replace: (piece: P) => P | null): void {
    let left = count;
    let at = this.#boundary(index);
    for (let i = this.#near; left > 0; i++, at = 0) {
      const chunk = this.#chunks[i];
      if (chunk === undefined) throw pastEnd(index + count, this.#length);
      const fresh: P[] = [];
      let end = at;
      for (; end < chunk.pieces.length && left > 0; end++) {
        const piece = chunk.pieces[end] as P;
        const [taken, rest] = piece.length <= left ? [piece, null] : this.#rules.cut(piece, left);
        left -= taken.length;
        const replaced = replace(taken);
        if (replaced === null) chunk.length -= taken.length;
        else fresh.push(replaced);
        if (rest !== null) fresh.push(rest);
      }
      if (end - at === 1 && fresh.length === 1) chunk.pieces[at] = fresh[0] as P;
      else if (end > at) chunk.pieces.splice(at, end - at, ...fresh);
    }
  }

  /**
   * Makes sure that a piece starts at a position (or the list ends there), and says where it stands, or would, in the
   * chunk that is `#near` afterwards. Where two chunks meet it is the end of the left one, for joining.
   */
  #boundary(index: number): number {
    if (!(index >= 0 && index <= this.#length)) throw pastEnd(index, this.#length);
    this.#approach(index);
    if (this.#chunk().pieces.length > CHUNK_PIECES) {
      this.#halve();
      this.#approach(index);
    }
    const chunk = this.#chunk();
    let start = this.#near_start;
    let at = 0;
    // From the nearer end: typing at the end of a text finds its place at once.
    if (index - start > chunk.length / 2) {
      at = chunk.pieces.length;
      start += chunk.length;
      while (start > index) start -= (chunk.pieces[--at] as P).length;
    } else {
      while (start < index) start += (chunk.pieces[at++] as P).length;
      if (start > index) start -= (chunk.pieces[--at] as P).length;
    }
    if (start === index) return at;
    const [left, right] = this.#rules.cut(chunk.pieces[at] as P, index - start);
    chunk.pieces.splice(at, 1, left, right);
    return at + 1;
  }

  /** Moves `#near` to the first chunk that ends at or behind a position. */
  #approach(index: number): void {
    while (this.#near > 0 && this.#near_start >= index) {
      this.#near -= 1;
      this.#near_start -= this.#chunk().length;
    }
    while (this.#near_start + this.#chunk().length < index) {
      this.#near_start += this.#chunk().length;
      this.#near += 1;
    }
  }

  #chunk(): Chunk<P> {
    const chunk = this.#chunks[this.#near];
    if (chunk === undefined) throw new Error('the list of pieces lost count of its chunks');
    return chunk;
  }

  /** Cuts the chunk at `#near` in two. */
  #halve(): void {
    const chunk = this.#chunk();
    const pieces = chunk.pieces.splice(chunk.pieces.length >> 1);
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    chunk.length -= length;
    this.#chunks.splice(this.#near + 1, 0, { pieces, length });
  }

  /** Takes out the chunks from `#near` on that a removal has emptied: they stand together. */
  #dropEmpty(): void {
    let from = this.#near;
    if (this.#chunk().length > 0) from += 1;
    let to = from;
    while (to < this.#chunks.length && this.#chunks[to]?.length === 0) to += 1;
    if (to > from) this.#chunks.splice(from, to - from);
    if (this.#chunks.length === 0) this.#chunks.push({ pieces: [], length: 0 });
    if (this.#near >= this.#chunks.length) {
      this.#near = this.#chunks.length - 1;
      this.#near_start = this.#length - this.#chunk().length;
    }
  }
}

function pastEnd(index: number, length: number): RangeError {
  return new RangeError(`position ${index} lies outside a text of ${length} units`);
}
