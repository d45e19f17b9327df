/**
 * What the indicator may say, and when.
 *
 * An edit is safe when the server has acknowledged it, and that it does only after PostgreSQL has committed. The wire
 * tells no revision of one's own edits; it tells how many of this socket's update frames are on disk. So the frames that
 * leave are counted, and each edit remembers the frame that carried it. An edit that no frame of the present socket
 * carried, made offline or sent on a socket that is gone, waits for the next answer to the server's sync step 1: that
 * answer holds all that the server lacks, and the edits count as carried by it.
 *
 * "Saved" is never said while anything waits. It is said a moment late, so that the word does not flicker at each key.
 */

/** What the indicator says. */
export type SaveWord = 'opening' | 'saved' | 'saving' | 'unsaved' | 'offline' | 'read_only';

/** An edit that waits this long for its acknowledgement is called unsaved. */
export const UNSAVED_AFTER_MS = 2_000;
/** A connection that comes back within this time, as with a fresh token, was never said to be lost. */
export const OFFLINE_AFTER_MS = 1_000;
/** How long all must have been safe before `Saving…` becomes `Saved`. */
export const SETTLED_AFTER_MS = 400;

/** Which of one's own edits wait for the disk. Times are of one monotonic clock, in milliseconds. */
export class Unacked {
  /** Frames of the present socket that wait, oldest first, each with the time of the oldest edit in it. */
  #in_flight: { readonly frame: number; readonly since: number }[] = [];
  /** Time of the oldest edit that no frame of the present socket carried. */
  #unsent: number | null = null;
  /** Update frames that the present socket sent. */
  #frames = 0;
  /** How many there were at the last edit. */
  #frames_seen = 0;

  /** Since when the oldest edit that waits has waited; null when none does. */
  get since(): number | null {
    const times = this.#in_flight.map((entry) => entry.since);
    if (this.#unsent !== null) times.push(this.#unsent);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** A new socket: it has carried nothing yet. */
  opened(): void {
    this.#unsent = this.since;
    this.#in_flight = [];
    this.#frames = 0;
    this.#frames_seen = 0;
  }

  /** An update frame was handed to the socket. `whole`: it answers the server's step 1. */
  sent(whole: boolean): void {
    this.#frames += 1;
    if (!whole) return;
    this.#frames_seen = this.#frames;
    if (this.#unsent !== null) this.#in_flight.push({ frame: this.#frames, since: this.#unsent });
    this.#unsent = null;
  }

  /** An edit was made here. Call it after the provider had its chance to send it. */
  edited(now: number): void {
    if (this.#frames > this.#frames_seen) this.#in_flight.push({ frame: this.#frames, since: now });
    else this.#unsent ??= now;
    this.#frames_seen = this.#frames;
  }

  /** The server has this many of the socket's update frames on disk. */
  acked(frames: number): void {
    while (this.#in_flight[0] !== undefined && this.#in_flight[0].frame <= frames) this.#in_flight.shift();
  }
}

/** What is known about a document when its indicator is to be read. */
export interface SaveFacts {
  readonly now: number;
  readonly may_edit: boolean;
  /** Whether the text was ever received. */
  readonly opened: boolean;
  /** Since when there is no connection in step with the server; null while there is one. */
  readonly lost_since: number | null;
  /** See {@link Unacked.since}. */
  readonly unacked_since: number | null;
  /** When the last acknowledgement left nothing waiting. */
  readonly settled_at: number;
}

/** The word for these facts, and in how many milliseconds it may be another by itself; null: not before something happens. */
export function saveWord(facts: SaveFacts): { readonly word: SaveWord; readonly again_ms: number | null } {
  const { now, lost_since, unacked_since } = facts;
  const lost_ms = lost_since === null ? null : now - lost_since;
  if (lost_ms !== null && lost_ms >= OFFLINE_AFTER_MS) return { word: 'offline', again_ms: null };
  const offline_in = lost_ms === null ? Number.POSITIVE_INFINITY : OFFLINE_AFTER_MS - lost_ms;
  const until = (word: SaveWord, changes_in: number) => {
    const again_ms = Math.min(changes_in, offline_in);
    return { word, again_ms: Number.isFinite(again_ms) ? again_ms : null };
  };
  if (!facts.opened) return until('opening', Number.POSITIVE_INFINITY);
  if (!facts.may_edit) return until('read_only', Number.POSITIVE_INFINITY);
  if (unacked_since !== null) {
    const left = unacked_since + UNSAVED_AFTER_MS - now;
    return left > 0 ? until('saving', left) : until('unsaved', Number.POSITIVE_INFINITY);
  }
  const unsettled = facts.settled_at + SETTLED_AFTER_MS - now;
  return unsettled > 0 ? until('saving', unsettled) : until('saved', Number.POSITIVE_INFINITY);
}
