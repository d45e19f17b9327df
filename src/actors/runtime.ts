/**
 * The living document behind the statechart: its data, and the life of one edit from the mailbox to the ack.
 *
 *   1. {@link DocumentRuntime.turn} takes everything that arrived in one turn of the event loop, in order.
 *   2. An edit is authorised, recognised if it was seen before, carried to the head, checked and applied (`#deltaEdit`),
 *      or, from the Yjs doors, applied with all its sender's others of the turn in one transaction (`#yjsUpdates`).
 *   3. {@link EditLog.record} gives it the next `rev` and hands it to the journal.
 *   4. `#publish` sends the turn out: one frame for all Yjs members, one event per revision for JSON members, one message
 *      for other nodes.
 *   5. {@link DocumentRuntime.committed}, called by the journal and by nothing else, after PostgreSQL's commit, sends
 *      the ack.
 *
 * Nothing here waits: durability follows behind, so people go on editing while storage is away, until the backlog is
 * full. Whatever cannot be served is said: an error event, a close code, a status.
 */
import type { Clock, Timer } from '../base/clock.ts';
import { isoTime } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { CLOSE } from '../protocol/close.ts';
import { ConcordError } from '../protocol/errors.ts';
import { TIMES } from '../protocol/limits.ts';
import { type PresenceEntry, type Role, roleAllows, type SaveState } from '../protocol/messages.ts';
import { ackFrame, awarenessFrame, deniedFrame, step1Frame, step2Frame, updateFrame } from '../protocol/yjs-wire.ts';
import { textCursors } from './cursors.ts';
import { EditLog, entryEvent, type Recorded } from './edit-log.ts';
import type { DeltaEdit, EditOutcome, Entry, ResumePoint } from './entries.ts';
import type { Ledger } from './journal.ts';
import { type Fanout, type JsonMember, type Member, tell, type YjsMember } from './member.ts';
import { placeEdit } from './place-edit.ts';
import { PresenceBook } from './presence.ts';
import { EMPTY_UPDATE, mergeAll, type Replica } from './replica.ts';
import { SaveStatus } from './save-status.ts';
import type { EditWindow } from './window.ts';

/** What the node lends to each of its documents. */
export interface RuntimeParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly fanout: Fanout;
  readonly observer: RuntimeObserver;
  /** Whether the documents of this node together hold as much unwritten text as they may. */
  nodeIsFull(): boolean;
  /** Finds an edit that memory no longer holds: its event as JSON and its revision. */
  findEdit(
    doc_id: string,
    user_id: string,
    client_id: string,
    seq: number,
  ): Promise<{ rev: number; event: string } | null>;
}

/** What a document measures. */
export interface RuntimeObserver {
  edits(door: 'json' | 'rest' | 'yjs', count: number): void;
  fannedOut(duration_ms: number): void;
}

/** What changed for the statechart. */
export interface RuntimeListener {
  occupied(members: number): void;
}

interface Waiter {
  readonly rev: number;
  readonly done: () => void;
}

/** Everything of a turn that goes out at its end. */
interface Outbox {
  readonly recorded: Recorded[];
  readonly amended: boolean[];
  readonly authors: (YjsMember | null)[];
  /** Delta edits to report to their senders once their event is out. */
  readonly after: (() => void)[];
}

/** See the head of this file. */
export class DocumentRuntime {
  readonly doc_id: string;
  readonly ledger: Ledger;
  readonly log: EditLog;
  readonly replica: Replica;
  readonly #parts: RuntimeParts;
  readonly #listener: RuntimeListener;
  readonly #members = new Map<number, Member>();
  readonly #presence: PresenceBook;
  readonly #status: SaveStatus;
  #json_members = 0;
  #listeners_elsewhere = 0;
  /** Until when (monotonic) deltas are computed for readers who may come back. */
  #demand_until = 0;
  #presence_timer: Timer | null = null;
  #waiters: Waiter[] = [];
  /** Per acks socket: frames taken, and which revision covered how many of them. */
  readonly #frames = new Map<number, { taken: number; uncovered: { rev: number; frames: number }[] }>();

  constructor(
    doc_id: string,
    replica: Replica,
    ledger: Ledger,
    window: EditWindow,
    parts: RuntimeParts,
    listener: RuntimeListener,
  ) {
    this.doc_id = doc_id;
    this.replica = replica;
    this.ledger = ledger;
    this.log = new EditLog(doc_id, ledger, window);
    this.#parts = parts;
    this.#listener = listener;
    this.#presence = new PresenceBook(doc_id, parts.clock, parts.random, textCursors(replica));
    this.#status = new SaveStatus(parts.clock, ledger, parts.nodeIsFull, () => this.#statusChanged());
  }

  /** Connections on the document. */
  get members(): number {
    return this.#members.size;
  }

  /** How safe the present text is. */
  get save_state(): SaveState {
    return this.#status.state;
  }

  /** Who is here. */
  presence(): PresenceEntry[] {
    return this.#presence.list();
  }

  /** Somebody reads the text as deltas: go on computing them for a while. */
  wantDeltas(): void {
    this.#demand_until = this.#parts.clock.monotonic() + TIMES.delta_demand_ms;
  }

  /** Notes how many subscribers outside this node the document's channel has. */
  heardElsewhere(subscribers: number): void {
    this.#listeners_elsewhere = subscribers;
  }

  /** Does one turn's work; see the head of this file. `received` is when its first entry came, on the monotonic clock. */
  turn(entries: readonly Entry[], received: number): void {
    const out: Outbox = { recorded: [], amended: [], authors: [], after: [] };
    const updates = this.#updatesByMember(entries);
    for (const entry of entries) this.#handle(entry, updates, out);
    if (out.recorded.length > 0) {
      this.#publish(out);
      this.#status.update();
      this.#parts.observer.fannedOut(this.#parts.clock.monotonic() - received);
    }
    for (const report of out.after) report();
    this.#schedulePresence();
  }

  /** The journal committed everything up to `rev`: this is where edits are acknowledged. */
  committed(rev: number, epoch: number): void {
    if (this.#json_members > 0 || this.#listeners_elsewhere > 0) {
      const ack = `{"type":"ack","doc_id":"${this.doc_id}","epoch":${epoch},"rev":${rev}}`;
      if (this.#json_members > 0) this.#parts.fanout.json(this.doc_id, ack);
      if (this.#listeners_elsewhere > 0) this.#sendElsewhere([ack]);
    }
    if (this.#frames.size > 0) this.#ackYjs(rev, epoch);
    while (this.#waiters[0] !== undefined && this.#waiters[0].rev <= rev) this.#waiters.shift()?.done();
    this.#status.update();
  }

  /** Resolves once `rev` is on disk. */
  durable(rev: number): Promise<void> {
    if (rev <= this.ledger.durable_rev) return Promise.resolve();
    return new Promise((resolve) => {
      const at = this.#waiters.findIndex((waiter) => waiter.rev > rev);
      this.#waiters.splice(at === -1 ? this.#waiters.length : at, 0, { rev, done: resolve });
    });
  }

  /** Keeps JSON members alive in the eyes of stock awareness. */
  renewPresence(): void {
    this.#presence.renew();
    this.#schedulePresence();
  }

  /** Ends all connections and timers. The ledger stays its owner's to close. */
  end(code: (typeof CLOSE)[keyof typeof CLOSE], reason: string): void {
    for (const member of [...this.#members.values()]) member.close(code, reason);
    this.#members.clear();
    this.#frames.clear();
    this.#presence_timer?.cancel();
    this.#presence_timer = null;
    this.#status.close();
    this.replica.destroy();
  }

  #updatesByMember(entries: readonly Entry[]): Map<YjsMember, Uint8Array[]> {
    const updates = new Map<YjsMember, Uint8Array[]>();
    for (const entry of entries) {
      if (entry.kind !== 'update') continue;
      const list = updates.get(entry.member);
      if (list === undefined) updates.set(entry.member, [entry.update]);
      else list.push(entry.update);
    }
    return updates;
  }

  #handle(entry: Entry, updates: Map<YjsMember, Uint8Array[]>, out: Outbox): void {
    switch (entry.kind) {
      case 'edit':
        return this.#deltaEdit(entry.author, entry.edit, entry.outcome, out);
      case 'update': {
        // A member's updates of the turn are applied together, where its first one stood.
        const all = updates.get(entry.member);
        updates.delete(entry.member);
        return all === undefined ? undefined : this.#yjsUpdates(entry.member, all, out);
      }
      case 'sync':
        return this.#answerSync(entry.member, entry.state_vector, out);
      case 'awareness': {
        const refusal = this.#presence.awareness(entry.member, entry.entries);
        return refusal === null ? undefined : entry.member.close(CLOSE.MALFORMED, refusal);
      }
      case 'query_awareness':
        return entry.member.send(awarenessFrame(this.#presence.awarenessEntries()));
      case 'presence':
        return this.#presence.show(entry.member, entry.state);
      case 'join':
        this.#flushOut(out);
        return entry.member.wire === 'json' && 'resume' in entry
          ? this.#joinJson(entry.member, entry.resume, entry.last_seq)
          : this.#joinYjs(entry.member as YjsMember);
      case 'leave':
        return this.#leave(entry.member);
      case 'role':
        return this.#role(entry.user_id, entry.role);
    }
  }

  // ── edits ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #deltaEdit(author: JsonMember | null, edit: DeltaEdit, outcome: EditOutcome, out: Outbox): void {
    if (author !== null && !this.#members.has(author.member_id)) return;
    if (author !== null && !roleAllows(author.role, 'editor')) {
      return outcome.refused(new ConcordError('FORBIDDEN', 'Your role on this document does not allow editing.'));
    }
    const placed = placeEdit(this.log, this.replica, edit);
    if (placed.kind === 'duplicate') return this.#answerDuplicate(edit, placed.seq, outcome);
    if (placed.kind === 'refused') {
      outcome.refused(placed.error);
      if (placed.error.code === 'STALE_REVISION' && author !== null) {
        this.#flushOut(out);
        this.#sendReady(author, null, this.log.knownSeq(author.user_id, author.client_id) ?? 0);
      }
      return;
    }
    if (this.#status.state === 'read_only') {
      return outcome.refused(
        new ConcordError(
          'UNAVAILABLE',
          'Too much text waits for storage; the document is read-only for now.',
          undefined,
          2,
        ),
      );
    }
    const change =
      placed.delta.length === 0
        ? { update: EMPTY_UPDATE, delta: [], amended: false }
        : this.replica.applyDelta(placed.delta);
    const recorded = this.log.record(change, edit, this.#parts.clock.now());
    this.#parts.observer.edits(edit.door, 1);
    this.#put(out, recorded, true, null);
    out.after.push(() => outcome.applied(recorded.rev, recorded.event, false));
  }

  #answerDuplicate(edit: DeltaEdit, seq: number, outcome: EditOutcome): void {
    const known = this.log.window.find(edit.user_id, edit.client_id, seq);
    if (known !== null) return outcome.applied(known.rev, entryEvent(this.doc_id, known), true);
    this.#parts.findEdit(this.doc_id, edit.user_id, edit.client_id, seq).then(
      (found) => {
        if (found !== null) outcome.applied(found.rev, found.event, true);
        else
          outcome.refused(
            new ConcordError('CONFLICT', `seq ${seq} is behind what this document holds of this client.`),
          );
      },
      () => outcome.refused(new ConcordError('UNAVAILABLE', undefined, undefined, 2)),
    );
  }

  #yjsUpdates(member: YjsMember, updates: readonly Uint8Array[], out: Outbox): void {
    if (!this.#members.has(member.member_id)) return;
    if (!roleAllows(member.role, 'editor')) {
      if (!updates.every((update) => this.replica.covers(update))) member.send(deniedFrame('permission denied'));
      return;
    }
    if (this.#status.state === 'read_only') {
      // Its edits stay in the client's own document and come again when it is back.
      if (!updates.every((update) => this.replica.covers(update)))
        this.#expel(member, CLOSE.OVERLOADED, 'read-only: storage is away');
      return;
    }
    const applied = this.replica.applyUpdates(updates, this.#wantsDeltas());
    if (applied.kind === 'changed') {
      const author = { user_id: member.user_id, client_id: member.client_id, seq: null };
      const recorded = this.log.record(applied.change, author, this.#parts.clock.now());
      this.#parts.observer.edits('yjs', updates.length);
      this.#put(out, recorded, applied.change.amended, member);
      this.#countFrames(member, updates.length, recorded.rev);
    } else this.#countFrames(member, updates.length, this.log.head);
    if (applied.malformed) this.#expel(member, CLOSE.MALFORMED, 'an update does not decode');
    else if (applied.missing) member.send(step1Frame(this.replica.stateVector()));
  }

  #put(out: Outbox, recorded: Recorded, amended: boolean, author: YjsMember | null): void {
    out.recorded.push(recorded);
    out.amended.push(amended);
    out.authors.push(author);
  }

  // ── what leaves ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Sends what is ready, so that somebody who joins now gets it in the state and not twice. */
  #flushOut(out: Outbox): void {
    if (out.recorded.length === 0) return;
    this.#publish(out);
    for (const report of out.after) report();
    out.recorded.length = 0;
    out.amended.length = 0;
    out.authors.length = 0;
    out.after.length = 0;
  }

  #publish(out: Outbox): void {
    const { fanout } = this.#parts;
    if (this.#members.size > this.#json_members) {
      const update = mergeAll(
        out.recorded.filter(({ update: bytes }) => bytes !== EMPTY_UPDATE).map(({ update: bytes }) => bytes),
      );
      // One author whose bytes were taken as they are need not read them again.
      const except = out.recorded.length === 1 && out.amended[0] === false ? (out.authors[0] ?? null) : null;
      if (update !== null) fanout.yjs(this.doc_id, updateFrame(update), except);
    }
    if (this.#json_members > 0) for (const { event } of out.recorded) fanout.json(this.doc_id, event);
    this.#sendElsewhere(out.recorded.map(withUpdate));
  }

  #sendElsewhere(events: readonly string[]): void {
    const message = `{"v":1,"epoch":${this.ledger.epoch},"rev":${this.log.head},"events":[${events.join(',')}]}`;
    this.#parts.fanout.remote(this.doc_id, message).then(
      (listeners) => this.heardElsewhere(listeners),
      () => {}, // counted by the fan-out; who listens elsewhere sees the gap in `rev`
    );
  }

  #wantsDeltas(): boolean {
    return (
      this.#json_members > 0 || this.#listeners_elsewhere > 0 || this.#parts.clock.monotonic() < this.#demand_until
    );
  }

  #statusChanged(): void {
    if (this.#json_members > 0) this.#parts.fanout.json(this.doc_id, this.#statusEvent());
    if (this.#listeners_elsewhere > 0) this.#sendElsewhere([this.#statusEvent()]);
  }

  #statusEvent(): string {
    const { state, since } = this.#status;
    return JSON.stringify({ type: 'status', doc_id: this.doc_id, state, since: isoTime(since) });
  }

  // ── who is here ────────────────────────────────────────────────────────────────────────────────────────────────────

  #joinJson(member: JsonMember, resume: ResumePoint | null, last_seq: number): void {
    for (const other of this.#members.values())
      if (other.wire === 'json' && other.user_id === member.user_id && other.client_id === member.client_id)
        this.#expel(other, CLOSE.REPLACED, 'a newer connection has this client_id');
    this.#members.set(member.member_id, member);
    this.#json_members += 1;
    this.wantDeltas();
    this.log.noteSeq(member.user_id, member.client_id, last_seq);
    this.#presence.join(member);
    this.#sendReady(member, resume, this.log.knownSeq(member.user_id, member.client_id) ?? last_seq);
    member.subscribe();
    member.send(this.#statusEvent());
    this.#listener.occupied(this.#members.size);
  }

  #sendReady(member: JsonMember, resume: ResumePoint | null, last_seq: number): void {
    const missed = resume === null ? null : this.log.window.after(resume.rev);
    const head = {
      type: 'ready',
      doc_id: this.doc_id,
      user_id: member.user_id,
      client_id: member.client_id,
      role: member.role,
      epoch: this.ledger.epoch,
      rev: this.log.head,
      presence: this.#presence.list(),
      last_seq,
      timestamp: isoTime(this.#parts.clock.now()),
    };
    const text = JSON.stringify(head);
    member.send(missed === null ? `${text.slice(0, -1)},"content":${this.replica.json()}}` : text);
    for (const entry of missed ?? []) member.send(entryEvent(this.doc_id, entry));
    if (this.ledger.durable_rev > 0)
      tell(member, { type: 'ack', doc_id: this.doc_id, epoch: this.ledger.epoch, rev: this.ledger.durable_rev });
  }

  #joinYjs(member: YjsMember): void {
    this.#members.set(member.member_id, member);
    if (member.acks) this.#frames.set(member.member_id, { taken: 0, uncovered: [] });
    member.subscribe();
    member.send(step1Frame(this.replica.stateVector()));
    const others = this.#presence.awarenessEntries();
    if (others.length > 0) member.send(awarenessFrame(others));
    if (member.acks) member.send(ackFrame(this.ledger.epoch, this.ledger.durable_rev, 0));
    this.#presence.join(member);
    this.#listener.occupied(this.#members.size);
  }

  /** Sends what a client with this state vector lacks; edits of this very turn go first, as the others get them. */
  #answerSync(member: YjsMember, state_vector: Uint8Array, out: Outbox): void {
    if (!this.#members.has(member.member_id)) return;
    this.#flushOut(out);
    let missing: Uint8Array[];
    try {
      missing = this.replica.missingFor(state_vector);
    } catch {
      return this.#expel(member, CLOSE.MALFORMED, 'the state vector does not decode');
    }
    // A stock client calls itself synchronised at the step 2, so that comes last.
    for (const [i, update] of missing.entries())
      member.send(i < missing.length - 1 ? updateFrame(update) : step2Frame(update));
  }

  #leave(member: Member): void {
    if (!this.#members.delete(member.member_id)) return;
    this.#frames.delete(member.member_id);
    if (member.wire === 'json') {
      this.#json_members -= 1;
      this.wantDeltas();
    }
    this.#presence.leave(member);
    this.#listener.occupied(this.#members.size);
  }

  #expel(member: Member, code: (typeof CLOSE)[keyof typeof CLOSE], reason: string): void {
    this.#leave(member);
    member.close(code, reason);
  }

  #role(user_id: string, role: Role | null): void {
    for (const member of [...this.#members.values()]) {
      if (member.user_id !== user_id || member.role === role) continue;
      if (role === null) this.#expel(member, CLOSE.FORBIDDEN, 'you are no longer allowed on this document');
      else {
        member.role = role;
        if (member.wire === 'json') tell(member, { type: 'role', doc_id: this.doc_id, role });
      }
    }
  }

  #schedulePresence(): void {
    if (this.#presence_timer !== null || !this.#presence.dirty) return;
    this.#presence_timer = this.#parts.clock.after(TIMES.presence_tick_ms, () => {
      this.#presence_timer = null;
      const { awareness, events } = this.#presence.take(this.#json_members > 0 || this.#listeners_elsewhere > 0);
      if (awareness.length > 0 && this.#members.size > this.#json_members)
        this.#parts.fanout.yjs(this.doc_id, awarenessFrame(awareness), null);
      const texts = events.map((event) => JSON.stringify(event));
      if (this.#json_members > 0) for (const text of texts) this.#parts.fanout.json(this.doc_id, text);
      if (texts.length > 0 && this.#listeners_elsewhere > 0) this.#sendElsewhere(texts);
    });
  }

  // ── acks of the Yjs door ───────────────────────────────────────────────────────────────────────────────────────────

  #countFrames(member: YjsMember, frames: number, rev: number): void {
    const count = this.#frames.get(member.member_id);
    if (count === undefined) return;
    count.taken += frames;
    if (rev <= this.ledger.durable_rev) member.send(ackFrame(this.ledger.epoch, this.ledger.durable_rev, count.taken));
    else count.uncovered.push({ rev, frames: count.taken });
  }

  #ackYjs(rev: number, epoch: number): void {
    this.#parts.fanout.acks(this.doc_id, ackFrame(epoch, rev));
    for (const [member_id, { uncovered }] of this.#frames) {
      let frames: number | null = null;
      while (uncovered[0] !== undefined && uncovered[0].rev <= rev) frames = uncovered.shift()?.frames ?? null;
      const member = this.#members.get(member_id);
      if (frames !== null && member?.wire === 'yjs') member.send(ackFrame(epoch, rev, frames));
    }
  }
}

/** The event as `collab:<doc_id>` carries it: with the Yjs bytes. */
function withUpdate({ update, event }: Recorded): string {
  const base64 = Buffer.from(update.buffer, update.byteOffset, update.byteLength).toString('base64');
  return `${event.slice(0, -1)},"update":"${base64}"}`;
}
