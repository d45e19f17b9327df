/**
 * What the clients of a fault test were promised. Every edit inserts one marker, a text that no other edit holds, so that
 * the document itself tells which edits it has and how often. A marker that was acknowledged may be missing in no state
 * that is read from storage afterwards, whatever died in between; and no marker, acknowledged or not, may be there twice.
 *
 * Every step of an edit's life is counted here. Those counts are the clock of the tests: a server is killed when so and
 * so many edits were sent, seen or acknowledged, and not after so and so many milliseconds.
 */
import { until } from '../support/until.ts';

/** A step in the life of an edit, or a client's arrival. */
export type Step = 'sent' | 'seen' | 'acked' | 'joined';

/** See the head of this file. */
export class Ledger {
  /** What clients found wrong with what they were sent. */
  readonly faults: string[] = [];
  /** Marker → its document and when it was made, for all that were. */
  readonly #made = new Map<string, { readonly doc_id: string; readonly at: number }>();
  /** When the edit was made, by document, that was made last of all that were acknowledged. */
  readonly #flowed = new Map<string, number>();
  readonly #acked = new Set<string>();
  readonly #counts: Record<Step, number> = { sent: 0, seen: 0, acked: 0, joined: 0 };
  #alarms: { readonly step: Step; readonly at: number; readonly ring: () => void }[] = [];

  /** A new marker of the author's `n`th edit. Author names hold no angle brackets. */
  make(doc_id: string, author: string, n: number): string {
    const marker = `<${author}.${n}>`;
    this.#made.set(marker, { doc_id, at: performance.now() });
    return marker;
  }

  /** How many edits were made and acknowledged. */
  get totals(): { readonly made: number; readonly acked: number } {
    return { made: this.#made.size, acked: this.#acked.size };
  }

  /** Counts a step. */
  count(step: Step): void {
    this.#counts[step] += 1;
    const due = this.#alarms.filter((alarm) => alarm.step === step && alarm.at <= this.#counts[step]);
    if (due.length === 0) return;
    this.#alarms = this.#alarms.filter((alarm) => !due.includes(alarm));
    for (const { ring } of due) ring();
  }

  /** The marker's edit was acknowledged: from here on nothing may lose it. */
  ack(marker: string): void {
    if (this.#acked.has(marker)) return;
    this.#acked.add(marker);
    const made = this.#made.get(marker);
    if (made !== undefined) this.#flowed.set(made.doc_id, Math.max(made.at, this.#flowed.get(made.doc_id) ?? 0));
    this.count('acked');
  }

  /** Whether an edit of this document was acknowledged that was made after `since`, of `performance.now()`. */
  flowsSince(doc_id: string, since: number): boolean {
    return (this.#flowed.get(doc_id) ?? 0) > since;
  }

  /** Resolves at the `n`th step of this kind from now on, within the very turn in which it happened. */
  async after(n: number, step: Step): Promise<void> {
    const rung = Promise.withResolvers<boolean>();
    this.#alarms.push({ step, at: this.#counts[step] + n, ring: () => rung.resolve(true) });
    let over = false;
    void rung.promise.then(() => {
      over = true;
    });
    // The second is only there to fail, by name, when edits stop flowing.
    await Promise.race([rung.promise, until(`${n} edits to be ${step}`, () => over, 20_000)]);
  }

  /** What is wrong with this text of a document. `complete`: every edit that was made must be there, acknowledged or not. */
  wrongs(doc_id: string, text: string, complete = false): string[] {
    const found = new Map<string, number>();
    for (const [marker] of text.matchAll(/<[^<>]*>/g)) found.set(marker, (found.get(marker) ?? 0) + 1);
    const wrongs: string[] = [];
    for (const [marker, times] of found) {
      if (this.#made.get(marker)?.doc_id !== doc_id) wrongs.push(`${marker} was never written into this document`);
      if (times > 1) wrongs.push(`${marker} is there ${times} times`);
    }
    for (const [marker, made] of this.#made)
      if (made.doc_id === doc_id && !found.has(marker) && (complete || this.#acked.has(marker)))
        wrongs.push(`${marker} is missing${this.#acked.has(marker) ? ', though it was acknowledged' : ''}`);
    return wrongs;
  }
}

/** What edits put beside a marker, and others delete again. */
export const FILLER = '~';

/** Places between markers. An edit anywhere else would cut a marker in two, which nobody could tell from losing it. */
export function isBetweenMarkers(text: string, index: number): boolean {
  const before = text[index - 1];
  return before === undefined || before === '>' || before === FILLER || before === '\n';
}

/** The nearest such place at or after `index`. */
export function nextPlace(text: string, index: number): number {
  let place = Math.min(Math.max(0, index), text.length);
  while (place < text.length && !isBetweenMarkers(text, place)) place += 1;
  return place;
}
