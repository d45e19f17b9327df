/**
 * The text as one client knows it, without any input or output: what the server confirmed, and on top of it what this
 * client typed.
 *
 *   confirmed   the document at `rev` of the server's history.
 *   pending     own edits with a place in the client's sequence, oldest first. The first is in flight, or waits to be
 *               sent; there is more than one only when edits were lost and have to be sent again.
 *   buffer      what was typed since, composed into one edit that has no place in the sequence yet.
 *
 * The invariant: confirmed, then pending, then buffer, composed in this order, is exactly what the user sees
 * ({@link SharedText.content}). Every method that changes what the user sees for any other reason than the user's own
 * typing returns that change, made for what they saw before. An edit that came from the server is the earlier one and
 * stays left of ours, as on the server: `earlier.transform(later, true)`.
 *
 * Own edits that the document holds but that were not acked are kept, because an owner that dies takes them with it:
 *
 *   landed      those whose event we saw. Each has its undo, made for the document that it produced, and all that others
 *               did since. When such an edit turns out to be lost, its undo is carried over what the others did and
 *               applied to our document: that takes away what is left of the edit and nothing else. The inverse of that undo
 *               is the edit again, as it stood at the end: with the text that somebody typed into its middle beside it,
 *               without what somebody deleted of it.
 *   past        those that were landed or in flight when the content came whole. How we got from the old content to the new
 *               one is only a guess (a comparison), so nothing is carried over it before it has to be: they stay as
 *               they were, on the old document, until they are acked or lost.
 *
 * When the content comes whole, own edits above the server's `last_seq` are carried over the difference between the
 * document that they were made for and the new content, one generation after the other, oldest first.
 */
import Delta, { type Op } from 'quill-delta';
import { carry, checkedEdit, cutEdit, difference, documentOf, isNothing } from './delta.ts';

/** An own edit whose event we saw and that is not acked. */
interface Landed {
  readonly seq: number;
  readonly rev: number;
  /** Takes it away again, from the document that it produced. */
  readonly undo: Delta;
  /** What others did since, up to the next landed edit. */
  after: Delta;
}

/** An own edit with its place in the sequence. */
interface Placed {
  readonly seq: number;
  /** A revision by which the document held it; null while we do not know of one. */
  readonly rev: number | null;
  readonly delta: Delta;
}

/** A document, and own edits made one on top of the other on it. */
interface Generation {
  readonly base: Delta;
  readonly edits: readonly Placed[];
}

/** An edit to be sent. */
export interface Outgoing {
  readonly seq: number;
  readonly base_rev: number;
  readonly delta: Delta;
}

/** How a connection's first event fits what we know: go on, or ask for the whole content. */
export type Resumed = 'resumed' | 'content_needed';

const NOTHING = new Delta();

/** See the head of this file. */
export class SharedText {
  #confirmed = NOTHING;
  #pending: Delta[] = [];
  #buffer = NOTHING;
  #landed: Landed[] = [];
  #past: Generation[] = [];
  /** The last seq that the document held when we last knew; pending edits count on from here. */
  #last_seq = 0;
  #in_flight = false;
  #rev = 0;
  #epoch = 0;
  #durable_rev = 0;
  #known = false;
  #content: Delta | null = NOTHING;

  /** What the user sees. */
  get content(): Delta {
    this.#content ??= composeAll(this.#confirmed, [...this.#pending, this.#buffer]);
    return this.#content;
  }

  /** The last revision that we have; 0 before the first. */
  get rev(): number {
    return this.#rev;
  }

  /** The owner's epoch that `rev` is known under. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Whether any content was received yet, so that `rev` is a point of the document's history. */
  get known(): boolean {
    return this.#known;
  }

  /** Own edits that the server did not confirm; what is in the buffer counts as one. */
  get unconfirmed(): number {
    return this.#pending.length + (isNothing(this.#buffer) ? 0 : 1);
  }

  /** Own edits that are not on disk as far as we know. */
  get unacked(): number {
    return this.#past.reduce((sum, { edits }) => sum + edits.length, this.unconfirmed + this.#landed.length);
  }

  /** The seq of the edit that was sent and not answered; null for none. */
  get in_flight_seq(): number | null {
    return this.#in_flight ? this.#last_seq + 1 : null;
  }

  /** The user typed. Throws (see {@link checkedEdit}) when the edit does not fit the text. */
  edit(edit: Delta | readonly Op[]): void {
    const checked = checkedEdit(edit, this.content);
    if (checked.ops.length === 0) return;
    this.#buffer = this.#buffer.compose(checked);
    this.#content = null;
  }

  /** The next edit to send, which is in flight from now on; null when there is none or the last one was not answered. */
  take(): Outgoing | null {
    if (this.#in_flight) return null;
    // What came to nothing is never sent, and its seq goes to the next one.
    while (this.#pending[0] !== undefined && isNothing(this.#pending[0])) this.#pending.shift();
    if (this.#pending.length === 0 && !isNothing(this.#buffer)) {
      const { first, rest } = cutEdit(this.#buffer);
      this.#pending.push(first);
      this.#buffer = rest ?? NOTHING;
    }
    const delta = this.#pending[0];
    if (delta === undefined) return null;
    this.#in_flight = true;
    return { seq: this.#last_seq + 1, base_rev: this.#rev, delta };
  }

  /** The edit in flight has to be sent again, now or later. */
  takeBack(): void {
    this.#in_flight = false;
  }

  /** Somebody else's edit became `rev`. Returns the change of what the user sees. */
  remote(rev: number, ops: readonly Op[]): Delta {
    const delta = new Delta(ops as Op[]);
    this.#rev = rev;
    const last = this.#landed.at(-1);
    if (last !== undefined) last.after = last.after.compose(delta);
    this.#confirmed = this.#confirmed.compose(delta);
    return this.#carryOwn(delta);
  }

  /**
   * The edit in flight became `rev`. Returns the change of what the user sees: nothing, unless the server's text formed
   * another opinion of the edit than we did.
   */
  landed(rev: number, ops: readonly Op[]): Delta {
    const delta = new Delta(ops as Op[]);
    const expected = this.#pending.shift() ?? NOTHING;
    const before = this.#confirmed;
    this.#confirmed = before.compose(delta);
    this.#rev = rev;
    this.#last_seq += 1;
    this.#in_flight = false;
    if (rev > this.#durable_rev)
      this.#landed.push({ seq: this.#last_seq, rev, undo: delta.invert(before), after: NOTHING });
    if (JSON.stringify(expected.ops) === JSON.stringify(delta.ops)) return NOTHING;
    return this.#carryOwn(difference(before.compose(expected), this.#confirmed));
  }

  /** Everything up to `rev` is on disk, under `epoch`. */
  acked(epoch: number, rev: number): void {
    this.#epoch = epoch;
    this.#durable_rev = Math.max(this.#durable_rev, rev);
    this.#landed = this.#landed.filter((edit) => edit.rev > this.#durable_rev);
    this.#past = this.#past.flatMap((generation) => {
      const kept = settle(generation, (edit) => edit.rev !== null && edit.rev <= this.#durable_rev);
      return kept.edits.length > 0 ? [kept] : [];
    });
  }

  /** The server refused the edit in flight for good. Returns the change of what the user sees, and what is lost by it. */
  refused(): { readonly change: Delta; readonly lost: Delta } {
    const lost = this.#pending.shift() ?? NOTHING;
    this.#in_flight = false;
    return { change: this.#carryOwn(lost.invert(this.#confirmed)), lost };
  }

  /** The connection is gone; what was in flight may have arrived or not. */
  disconnected(): void {
    this.#in_flight = false;
  }

  /**
   * A connection began at our point: the edits that we missed follow. `last_seq` tells whether the document holds what
   * was in flight: then its event is among those that follow, otherwise it is to be sent again.
   */
  resume(epoch: number, last_seq: number): Resumed {
    const held = last_seq - this.#last_seq;
    if (!this.#known || held < 0 || held > Math.min(1, this.#pending.length)) return 'content_needed';
    this.#epoch = epoch;
    this.#in_flight = held === 1;
    return 'resumed';
  }

  /**
   * The content came whole. Own edits up to `last_seq` are in it; all above are pending after this, confirmed before or not.
   * Returns the change of what the user sees.
   */
  replace(epoch: number, rev: number, last_seq: number, ops: readonly Op[]): Delta {
    const content = documentOf(ops);
    const isHeld = (edit: Placed): boolean => edit.seq <= last_seq;
    const generations = [...this.#past, this.#present()];
    const pending: Delta[] = [];
    let target = content;
    let change = NOTHING;
    for (const [index, generation] of generations.entries()) {
      const { base, edits } = settle(generation, isHeld);
      const own = edits.map(({ delta }) => delta);
      if (index === generations.length - 1) own.push(this.#buffer);
      const carried = carry(difference(base, target), own);
      pending.push(...carried.edits);
      target = composeAll(target, carried.edits);
      change = carried.change;
    }
    this.#buffer = pending.pop() ?? NOTHING;
    this.#pending = pending;
    this.#past = generations
      .map(({ base, edits }) => ({
        base,
        edits: edits.filter(isHeld).map((edit) => ({ ...edit, rev: Math.min(edit.rev ?? rev, rev) })),
      }))
      .filter(({ edits }) => edits.length > 0);
    this.#landed = [];
    this.#confirmed = content;
    this.#content = null;
    this.#last_seq = last_seq;
    this.#in_flight = false;
    this.#rev = rev;
    this.#epoch = epoch;
    this.#durable_rev = Math.min(this.#durable_rev, rev);
    this.#known = true;
    return change;
  }

  /** Our document with the landed edits undone, and on top of it these again, then those that are pending. */
  #present(): Generation {
    let base = this.#confirmed;
    const edits: Placed[] = this.#pending.map((delta, i) => ({ seq: this.#last_seq + 1 + i, rev: null, delta }));
    const undos = undoAll(this.#landed);
    for (const { seq, rev } of this.#landed.toReversed()) {
      const undo = undos.shift() ?? NOTHING;
      edits.unshift({ seq, rev, delta: undo.invert(base) });
      base = base.compose(undo);
    }
    return { base, edits };
  }

  /** A change of the confirmed text, carried over own edits, which are carried over it. */
  #carryOwn(change: Delta): Delta {
    if (change.ops.length === 0) return change;
    const carried = carry(change, [...this.#pending, this.#buffer]);
    this.#buffer = carried.edits.pop() ?? NOTHING;
    this.#pending = carried.edits;
    this.#content = null;
    return carried.change;
  }
}

/**
 * The undos of landed edits, newest first: the first applies to the document as it is now, each other one where the one
 * before it was applied.
 */
function undoAll(landed: readonly Landed[]): Delta[] {
  let undos: Delta[] = [];
  for (const { undo, after } of landed) undos = carry(after, [undo, ...undos]).edits;
  return undos;
}

/** Makes the edits that `isSettled`, which are the oldest ones, part of the document. */
function settle({ base, edits }: Generation, isSettled: (edit: Placed) => boolean): Generation {
  const settled = edits.filter(isSettled).map(({ delta }) => delta);
  return { base: composeAll(base, settled), edits: edits.slice(settled.length) };
}

function composeAll(document: Delta, edits: readonly Delta[]): Delta {
  return edits.reduce((text, edit) => text.compose(edit), document);
}
