/** What happened in a run: a number that stands for all of it, and the lines themselves when somebody wants to read them. */
import type { Time } from './time.ts';

/** See the head of this file. */
export class Trace {
  readonly lines: string[] = [];
  #hash = 0x811c9dc5;

  constructor(
    private readonly time: Time,
    private readonly keep: boolean,
  ) {}

  /** Notes that something happened to somebody now. */
  note(who: string, what: string): void {
    const { now } = this.time;
    this.#mix(now);
    for (let i = 0; i < who.length; i++) this.#mix(who.charCodeAt(i));
    for (let i = 0; i < what.length; i++) this.#mix(what.charCodeAt(i));
    if (this.keep) this.lines.push(`${(now / 1000).toFixed(3).padStart(8)} ${who.padEnd(8)} ${what}`);
  }

  /** The number; equal runs have equal ones. FNV-1a (Fowler, Noll, Vo; public domain), a code unit at a time. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  #mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ value, 0x01000193);
  }
}
