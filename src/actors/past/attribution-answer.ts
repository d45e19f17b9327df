/**
 * Who wrote what, as JSON. A text that was typed letter by letter has a stretch for each, so there may be hundreds of
 * thousands of them: authors and times stay in columns, and the JSON is written as bytes, digit by digit.
 */
import { isoTime } from '../../base/clock.ts';
import { NO_STRETCHES } from '../../protocol/history/entry.ts';
import { AttributionFold } from '../../protocol/history/pieces.ts';
import { unpackAttribution } from '../../protocol/history/segment.ts';
import { effectsOf, metasOf } from './effects.ts';
import type { Answers, Emit, Piece } from './pieces.ts';

/** See the head of this file. */
export class AttributionAnswer {
  #fold = new AttributionFold(NO_STRETCHES);

  /** Takes the next piece; there is no end before the last. */
  feed(piece: Piece): boolean {
    if (piece.kind === 'attribution') {
      this.#fold = new AttributionFold(unpackAttribution(piece.bytes));
      return false;
    }
    const metas = metasOf(piece);
    for (const [i, { delta, rev }] of effectsOf(piece).entries()) {
      const made = metas[i];
      if (made?.rev !== rev) throw new Error(`the author of revision ${rev} is not known`);
      this.#fold.apply(delta, made);
    }
    return false;
  }

  finish(emit: Emit): Answers['attribution'] {
    const { users, lengths, revs, authors, times } = this.#fold.stretches();
    const writer = new StretchWriter(revs.length, emit);
    let start = 0;
    for (let n = 0; n < revs.length; n++) {
      const length = lengths[n] ?? 0;
      writer.write(start, length, users[authors[n] ?? 0] ?? '', revs[n] ?? 0, times[n] ?? 0);
      start += length;
    }
    writer.end();
    return null;
  }
}

/** The most that one stretch takes: three numbers of up to 16 digits, an id, a time and the names. */
const STRETCH_BYTES_MAX = 192;
const STRETCH_BYTES_USUAL = 128;
/** Of a part of the answer: what is read on the way is not yet written, and each costs a message to the main thread. */
const PART_BYTES = 256 * 1024;
const MINUTE_MS = 60_000;
const ASCII = new TextEncoder();
const START_AT = '{"start":'.length;
const ZERO = 48;

/**
 * Writes stretches as a JSON list. One mostly looks like the one before it, of the same author and minute with numbers as
 * long: then that is copied and its digits are written over, since a copy of a hundred bytes costs as much as a few digits.
 */
class StretchWriter {
  #bytes: Uint8Array;
  #end = 1;
  #stretches = 0;
  /** The last stretch of this part and what it looks like. */
  #last = 0;
  #user_id = '';
  #minute = Number.NaN;
  #start_width = 0;
  #length_width = 0;
  #rev_width = 0;
  #start = 0;
  #length = 0;
  #rev = 0;
  #ms = 0;
  /** How far from its beginning its numbers stand. */
  #length_at = 0;
  #rev_at = 0;
  #seconds_at = 0;
  /** Each minute up to its seconds: a text is not in the order in which it was written. */
  readonly #minutes = new Map<number, string>();

  /** `stretches`: how many will come. */
  constructor(
    stretches: number,
    private readonly emit: Emit,
  ) {
    this.#bytes = new Uint8Array(Math.min(stretches * STRETCH_BYTES_USUAL + STRETCH_BYTES_MAX, PART_BYTES));
    this.#bytes[0] = 0x5b; // [
  }

  write(start: number, length: number, user_id: string, rev: number, at: number): void {
    if (this.#end + STRETCH_BYTES_MAX > this.#bytes.length) this.#nextPart();
    this.#stretches += 1;
    const minute = Math.floor(at / MINUTE_MS);
    const alike =
      minute === this.#minute &&
      user_id === this.#user_id &&
      widthOf(start) === this.#start_width &&
      widthOf(length) === this.#length_width &&
      widthOf(rev) === this.#rev_width;
    if (alike) this.#repeat();
    else this.#begin(start, length, user_id, rev, minute);
    const here = this.#last;
    this.#digits(here + START_AT + this.#start_width, start, this.#start);
    this.#digits(here + this.#length_at + this.#length_width, length, this.#length);
    this.#digits(here + this.#rev_at + this.#rev_width, rev, this.#rev);
    const ms = at - minute * MINUTE_MS;
    const [seconds, was_seconds] = [Math.floor(ms / 1_000), Math.floor(this.#ms / 1_000)];
    this.#digits(here + this.#seconds_at + 2, seconds, was_seconds);
    this.#digits(here + this.#seconds_at + 6, ms - seconds * 1_000, this.#ms - was_seconds * 1_000);
    this.#start = start;
    this.#length = length;
    this.#rev = rev;
    this.#ms = ms;
  }

  /** Ends the list; nothing may follow. */
  end(): void {
    if (this.#stretches === 0)
      this.#bytes[this.#end++] = 0x5d; // ]
    else this.#bytes[this.#end - 1] = 0x5d;
    this.emit(this.#bytes.subarray(0, this.#end));
  }

  #nextPart(): void {
    this.emit(this.#bytes.subarray(0, this.#end));
    this.#bytes = new Uint8Array(PART_BYTES);
    this.#end = 0;
    // There is none before it to copy.
    this.#minute = Number.NaN;
  }

  #repeat(): void {
    const here = this.#end;
    this.#bytes.copyWithin(here, this.#last, here);
    this.#end += here - this.#last;
    this.#last = here;
  }

  /** Writes a stretch anew, with zeros for its digits. A comma follows on each: the last one's becomes the end. */
  #begin(start: number, length: number, user_id: string, rev: number, minute: number): void {
    this.#last = this.#end;
    this.#user_id = user_id;
    this.#minute = minute;
    this.#start_width = widthOf(start);
    this.#length_width = widthOf(length);
    this.#rev_width = widthOf(rev);
    this.#start = 0;
    this.#length = 0;
    this.#rev = 0;
    this.#ms = 0;
    const until_length = `{"start":${'0'.repeat(this.#start_width)},"length":`;
    const until_rev = `${until_length}${'0'.repeat(this.#length_width)},"user_id":"${user_id}","rev":`;
    const until_seconds = `${until_rev}${'0'.repeat(this.#rev_width)},"at":"${this.#untilSeconds(minute)}`;
    this.#length_at = until_length.length;
    this.#rev_at = until_rev.length;
    this.#seconds_at = until_seconds.length;
    this.#end += ASCII.encodeInto(`${until_seconds}00.000Z"},`, this.#bytes.subarray(this.#end)).written;
  }

  /** As isoTime has it, which is asked once for each minute only. */
  #untilSeconds(minute: number): string {
    let text = this.#minutes.get(minute);
    if (text === undefined) {
      text = isoTime(minute * MINUTE_MS).slice(0, -'00.000Z'.length);
      this.#minutes.set(minute, text);
    }
    return text;
  }

  /** Writes a number over another of as many digits that ends at `end`, as far as it differs. */
  #digits(end: number, value: number, there: number): void {
    const bytes = this.#bytes;
    let left = value;
    let was = there;
    let i = end - 1;
    // Beyond 32 bits there is no division of integers.
    for (; left > 0x7fffffff || was > 0x7fffffff; i--) {
      const next = Math.trunc(left / 10);
      bytes[i] = ZERO + left - next * 10;
      left = next;
      was = Math.trunc(was / 10);
    }
    left |= 0;
    was |= 0;
    for (; left !== was; i--) {
      const next = (left / 10) | 0;
      bytes[i] = ZERO + left - next * 10;
      left = next;
      was = (was / 10) | 0;
    }
  }
}

/** How many digits a number has. */
function widthOf(value: number): number {
  let width = 1;
  for (let bound = 10; value >= bound; bound *= 10) width += 1;
  return width;
}
