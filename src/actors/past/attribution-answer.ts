/**
 * Who wrote what, as JSON. A text that was typed letter by letter has a stretch for each, so there may be hundreds of
 * thousands of them: authors and times stay in columns, and the JSON is written as bytes, digit by digit.
 */
import { isoTime } from '../../base/clock.ts';
import type { AttributionRun } from '../../protocol/history/entry.ts';
import { AttributionFold } from '../../protocol/history/pieces.ts';
import { unpackAttribution, unpackAuthors } from '../../protocol/history/segment.ts';
import { effectsOf, parseMetas } from './effects.ts';
import type { Answers, Piece } from './pieces.ts';

/** Authors and times of consecutive revisions. */
interface Authors {
  readonly from_rev: number;
  readonly ids: readonly string[];
  readonly users: ArrayLike<number>;
  readonly times: ArrayLike<number>;
}

/**
 * See the head of this file. First comes what happened, oldest first (the journal's pages say whose it was as well);
 * behind a `turn` who made the packed revisions, newest first.
 */
export class AttributionAnswer {
  #fold: AttributionFold | null = null;
  #runs: AttributionRun[] | null = null;
  /** The oldest revision that wrote some of the text. */
  #oldest = Number.POSITIVE_INFINITY;
  readonly #authors: Authors[] = [];

  /** Takes the next piece. True when every author is known. */
  feed(piece: Piece): boolean {
    const authors = authorsOf(piece);
    if (authors !== null) this.#authors.push(authors);
    if (this.#runs !== null) return authors !== null && authors.from_rev <= this.#oldest;
    if (piece.kind === 'attribution') this.#fold = new AttributionFold(unpackAttribution(piece.bytes));
    else if (piece.kind === 'turn') {
      this.#runs = this.#fold?.runs() ?? [];
      this.#oldest = this.#runs.reduce((oldest, { rev }) => Math.min(oldest, rev), this.#oldest);
    } else
      for (const { rev, delta } of effectsOf(piece)) {
        this.#fold ??= new AttributionFold([]);
        this.#fold.apply(delta, rev);
      }
    return false;
  }

  finish(): Answers['attribution'] {
    const writer = new StretchWriter(this.#runs?.length ?? 0);
    // The journal's come oldest first, those of segments newest first.
    const all = this.#authors.toSorted((one, other) => one.from_rev - other.from_rev);
    let start = 0;
    let authors = all[0];
    for (const { length, rev } of this.#runs ?? []) {
      // Neighbours are mostly of one time.
      if (authors === undefined || !covers(authors, rev)) authors = authorsAt(all, rev);
      if (authors === undefined || !covers(authors, rev)) throw new Error(`the author of revision ${rev} is not known`);
      const i = rev - authors.from_rev;
      writer.write(start, length, authors.ids[authors.users[i] ?? 0] ?? '', rev, authors.times[i] ?? 0);
      start += length;
    }
    return { runs_json: writer.end() };
  }
}

function covers({ from_rev, users }: Authors, rev: number): boolean {
  return rev >= from_rev && rev < from_rev + users.length;
}

/** The last of these that begin at or before `rev`; undefined when none does. */
function authorsAt(ascending: readonly Authors[], rev: number): Authors | undefined {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle]?.from_rev ?? 0) <= rev) low = middle + 1;
    else high = middle;
  }
  return ascending[low - 1];
}

function authorsOf(piece: Piece): Authors | null {
  if (piece.kind === 'segment') return { from_rev: piece.from_rev, ...unpackAuthors(piece.meta) };
  if (piece.kind !== 'journal') return null;
  const metas = parseMetas(piece.page);
  const ids = [...new Set(metas.map(({ user_id }) => user_id))];
  const place = new Map(ids.map((id, i) => [id, i]));
  const users = metas.map(({ user_id }) => place.get(user_id) ?? 0);
  return { from_rev: piece.page.from_rev, ids, users, times: metas.map(({ at }) => at) };
}

/** The most that one stretch takes: three numbers of up to 16 digits, an id, a time and the names. */
const STRETCH_BYTES_MAX = 192;
const STRETCH_BYTES_USUAL = 128;
const MINUTE_MS = 60_000;
const ASCII = new TextEncoder();
const START = ASCII.encode('{"start":');
const LENGTH = ASCII.encode(',"length":');
const AT = ASCII.encode(',"at":"');
const ZERO = 48;

/** Writes stretches as a JSON list. */
class StretchWriter {
  #bytes: Uint8Array;
  #end = 0;
  /** Each minute up to its seconds: a text is not in the order in which it was written. */
  readonly #minutes = new Map<number, Uint8Array>();
  readonly #users = new Map<string, Uint8Array>();

  /** `stretches`: how many will come. */
  constructor(stretches: number) {
    this.#bytes = new Uint8Array((stretches + 2) * STRETCH_BYTES_USUAL);
    this.#bytes[this.#end++] = 0x5b; // [
  }

  write(start: number, length: number, user_id: string, rev: number, at: number): void {
    if (this.#end + STRETCH_BYTES_MAX > this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2 + STRETCH_BYTES_MAX);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    if (this.#end > 1) this.#bytes[this.#end++] = 0x2c; // ,
    this.#copy(START);
    this.#number(start);
    this.#copy(LENGTH);
    this.#number(length);
    this.#copy(this.#user(user_id));
    this.#number(rev);
    this.#copy(AT);
    this.#time(at);
    this.#bytes[this.#end++] = 0x22; // "
    this.#bytes[this.#end++] = 0x7d; // }
  }

  end(): Uint8Array {
    this.#bytes[this.#end++] = 0x5d; // ]
    return this.#bytes.subarray(0, this.#end);
  }

  #user(id: string): Uint8Array {
    let bytes = this.#users.get(id);
    if (bytes === undefined) {
      bytes = ASCII.encode(`,"user_id":"${id}","rev":`);
      this.#users.set(id, bytes);
    }
    return bytes;
  }

  #copy(bytes: Uint8Array): void {
    // For a few bytes quicker than `set`.
    const [target, start] = [this.#bytes, this.#end];
    for (let i = 0; i < bytes.length; i++) target[start + i] = bytes[i] as number;
    this.#end = start + bytes.length;
  }

  #number(value: number): void {
    let width = 1;
    for (let bound = 10; value >= bound; bound *= 10) width += 1;
    this.#digits(value, width);
  }

  #digits(value: number, width: number): void {
    const [target, start] = [this.#bytes, this.#end];
    let left = value;
    for (let i = start + width - 1; i >= start; i--) {
      const next = Math.trunc(left / 10);
      target[i] = ZERO + left - next * 10;
      left = next;
    }
    this.#end = start + width;
  }

  /** As isoTime has it, which is asked once for each minute only. */
  #time(at: number): void {
    const minute = Math.floor(at / MINUTE_MS);
    let until_seconds = this.#minutes.get(minute);
    if (until_seconds === undefined) {
      until_seconds = ASCII.encode(isoTime(minute * MINUTE_MS).slice(0, -'00.000Z'.length));
      this.#minutes.set(minute, until_seconds);
    }
    this.#copy(until_seconds);
    const ms = at - minute * MINUTE_MS;
    this.#digits(Math.floor(ms / 1_000), 2);
    this.#bytes[this.#end++] = 0x2e; // .
    this.#digits(ms % 1_000, 3);
    this.#bytes[this.#end++] = 0x5a; // Z
  }
}
