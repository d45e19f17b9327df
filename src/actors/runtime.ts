/**
 * The living document behind the statechart: its data, and the life of one edit from the mailbox to the ack.
 *
 *   1. {@link DocumentRuntime.turn} takes everything that arrived in one turn of the event loop, in order.
 *   2. An edit is authorised, recognised if it was seen before, carried to the head, checked and applied (`#deltaEdit`),
 *      or, from the Yjs doors, applied with all its sender's others of the turn in one transaction (`#yjsUpdates`).
 *   3. {@link EditLog.record} gives it the next `rev` and hands it to the journal.
 *   4. {@link Broadcast} sends the turn out: one frame for all Yjs members, one event per revision for JSON members, one message
 *      for other nodes.
 *   5. {@link DocumentRuntime.committed}, called by the journal and by nothing else, after PostgreSQL's commit, sends
 *      the ack.
 *
 * Nothing here waits: durability follows behind, so people go on editing while storage is away, until the backlog is
 * full. Whatever cannot be served is said: an error event, a close code, a status.
 */
import { isoTime } from '../base/clock.ts';
import { CLOSE, type CloseCode } from '../protocol/close.ts';
import { ConcordError, unavailable } from '../protocol/errors.ts';
import { type PresenceEntry, roleAllows } from '../protocol/messages.ts';
import { DOCUMENT_FULL, deniedFrame, step1Frame, step2Frame, updateFrame } from '../protocol/yjs-wire.ts';
import { Acks } from './acks.ts';
import { Answers } from './answers.ts';
import { Broadcast, type Outgoing } from './broadcast.ts';
import { textCursors } from './cursors.ts';
import { DocumentSize, type SizeNews } from './document-size.ts';
import { EditLog, entryEvent } from './edit-log.ts';
import type { DeltaEdit, EditOutcome, Entry, ResumePoint, SyncEntry } from './entries.ts';
import type { Ledger } from './ledger.ts';
import { type JsonMember, type Member, tell, type YjsMember } from './member.ts';
import { type Updates, updatesByMember } from './member-updates.ts';
import { Membership } from './membership.ts';
import { placeEdit } from './place-edit.ts';
import { type Change, EMPTY_UPDATE, type Replica } from './replica.ts';
import type { RuntimeParts } from './runtime-parts.ts';
import { SaveStatus } from './save-status.ts';
import type { EditWindow } from './window.ts';

/** What one turn has made so far and not sent yet. */
interface Outbox {
  edits: Outgoing[];
  /** Tells senders what became of their delta edits, once the events are out. */
  reports: (() => void)[];
  /** Who has to start over, at the end of the turn: however often one asked for it, it gets the text once. */
  readonly stale: Set<JsonMember>;
}

/** See the head of this file. */
export class DocumentRuntime {
  readonly doc_id: string;
  readonly ledger: Ledger;
  readonly log: EditLog;
  readonly replica: Replica;
  readonly members: Membership;
  readonly #parts: RuntimeParts;
  readonly #broadcast: Broadcast;
  readonly #status: SaveStatus;
  readonly #acks: Acks;
  readonly #answers: Answers;
  readonly #size: DocumentSize;
  /** Viewers whose client called something a clean-up that was none. */
  readonly #suspects = new WeakSet<YjsMember>();
  #ended = false;
  /** Who waits for a revision to be on disk, by revision. */
  #waiters: { readonly rev: number; readonly done: () => void; readonly lost: (error: Error) => void }[] = [];

  constructor(doc_id: string, replica: Replica, ledger: Ledger, window: EditWindow, parts: RuntimeParts) {
    this.doc_id = doc_id;
    this.replica = replica;
    this.ledger = ledger;
    this.log = new EditLog(doc_id, ledger, window);
    this.#parts = parts;
    const { clock, random, fanout } = parts;
    this.#broadcast = new Broadcast(doc_id, fanout, () => {
      const { claim_id, epoch } = ledger;
      return { claim_id, epoch, rev: this.log.head };
    });
    this.#acks = new Acks({
      doc_id,
      clock,
      listeners: () => this.#broadcast.listeners,
      announce: (rev, epoch) => this.#broadcast.ack(rev, epoch),
    });
    this.#answers = new Answers(clock, (question) => parts.again(question));
    const occupied = (members: number): void => parts.occupied(members);
    const left = (member: Member): void => this.#left(member);
    const cursors = textCursors(replica, window);
    const reopened = ledger.epoch > 1;
    const broadcast = this.#broadcast;
    this.members = new Membership({ doc_id, clock, random, cursors, broadcast, reopened, occupied, left });
    const noticed = (news: SizeNews, bytes: number): void => parts.observer.sized(doc_id, news, bytes);
    this.#size = new DocumentSize({ doc_id, clock, replica, bytes_max: parts.document_bytes_max, noticed });
    this.#status = new SaveStatus(clock, ledger, parts.nodeIsFull, () => this.#statusChanged());
  }

  /** Who is here. */
  presence(): PresenceEntry[] {
    return this.members.list();
  }

  /** Notes how many subscribers outside this node the document's channel has. */
  heardElsewhere(subscribers: number): void {
    this.#broadcast.subscribers = subscribers;
  }

  /** See {@link Broadcast.beacon}. */
  readonly beacon = (): void => this.#broadcast.beacon(this.ledger.durable_rev);

  /** Does one turn's work; see the head of this file. `received` is when its first entry came, on the monotonic clock. */
  turn(entries: readonly Entry[], received: number): void {
    const out: Outbox = { edits: [], reports: [], stale: new Set() };
    const head = this.log.head;
    const updates = updatesByMember(entries);
    for (const entry of entries) this.#handle(entry, updates, out);
    this.#send(out);
    for (const member of out.stale)
      if (this.members.has(member) && this.#answers.admits({ kind: 'start_over', member }, this.replica.size))
        this.#sendReady(member, null, out);
    if (this.log.head > head) {
      this.#status.update();
      this.#parts.observer.fannedOut(this.#parts.clock.monotonic() - received);
      const warning = this.#size.warning();
      if (warning !== null) this.#broadcast.events([warning]);
    }
    this.members.scheduleTick();
  }

  /** The journal committed everything up to `rev`: this is where edits are acknowledged. */
  committed(rev: number, epoch: number): void {
    this.#acks.committed(rev, epoch);
    while (this.#waiters[0] !== undefined && this.#waiters[0].rev <= rev) this.#waiters.shift()?.done();
    this.#status.update();
  }

  /** Resolves once `rev` is on disk; rejects with UNAVAILABLE when the document ends before that is known. */
  durable(rev: number): Promise<void> {
    if (rev <= this.ledger.durable_rev) return Promise.resolve();
    if (this.#ended) return Promise.reject(unavailable('The document moved before the edit was written.', 1));
    return new Promise((resolve, reject) => {
      const at = this.#waiters.findIndex((waiter) => waiter.rev > rev);
      this.#waiters.splice(at === -1 ? this.#waiters.length : at, 0, { rev, done: resolve, lost: reject });
    });
  }

  /** Ends all connections and timers. The ledger stays its owner's to close. */
  end(code: CloseCode, reason: string): void {
    this.#ended = true;
    this.#acks.flush();
    this.#answers.end();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { lost } of waiters) lost(unavailable('The document moved before the edit was written.', 1));
    this.members.end(code, reason);
    this.#status.close();
    this.replica.destroy();
  }

  #handle(entry: Entry, updates: Map<YjsMember, Updates>, out: Outbox): void {
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
        return this.#answerSync(entry.member, entry, out);
      case 'start_over':
        return void out.stale.add(entry.member);
      case 'awareness':
        return this.members.awareness(entry.member, entry.entries);
      case 'query_awareness':
        return this.members.tellAwareness(entry.member);
      case 'presence':
        return this.members.show(entry.member, entry.state);
      case 'join_json':
        return this.#joinJson(entry.member, entry.resume, entry.last_seq, out);
      case 'join_yjs':
        return this.#joinYjs(entry.member, out);
      case 'leave':
        return this.members.leave(entry.member);
      case 'role':
        // What was refused until now is asked for: their screens show it.
        for (const member of this.members.role(entry.user_id, entry.role))
          member.send(step1Frame(this.replica.stateVector()));
        return;
    }
  }

  // ── edits ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #deltaEdit(author: JsonMember | null, edit: DeltaEdit, outcome: EditOutcome, out: Outbox): void {
    if (author !== null && !this.members.has(author)) return;
    if (author !== null && !roleAllows(author.role, 'editor'))
      return outcome.refused(new ConcordError('FORBIDDEN', 'Your role on this document does not allow editing.'));
    const placed = placeEdit(this.log, this.replica, edit);
    switch (placed.kind) {
      case 'duplicate':
        return this.#answerDuplicate(edit, placed.seq, outcome, out);
      case 'refused':
        outcome.refused(placed.error);
        if (placed.error.code === 'STALE_REVISION' && author !== null) out.stale.add(author);
        return;
      case 'new':
        if (this.#status.state === 'read_only')
          return outcome.refused(unavailable('Too much text waits for storage; the document is read-only for now.'));
        return this.#applyDelta(placed.delta, edit, author, outcome, out);
    }
  }

  #applyDelta(
    delta: DeltaEdit['delta'],
    edit: DeltaEdit,
    author: JsonMember | null,
    outcome: EditOutcome,
    out: Outbox,
  ): void {
    const roots = edit.roots ?? null;
    const flaw = roots === null ? null : this.replica.rootsFlaw(roots);
    // What it is made of is on disk, so it is here: this is a bug, and nothing has happened yet.
    if (flaw !== null) return outcome.refused(new ConcordError('INTERNAL', `The update of other roots ${flaw}.`));
    const too_large = this.#size.refusesDelta(delta, edit.roots);
    if (too_large !== null) return outcome.refused(too_large);
    // Nothing may be left of an edit once it is carried over others; it still takes its revision and its seq.
    const change =
      delta.length === 0 && roots === null
        ? { update: EMPTY_UPDATE, delta: [], amended: false }
        : this.replica.applyDelta(delta, roots);
    this.#size.took(change.delta);
    const recorded = this.log.record(change, edit, this.#parts.clock.now());
    this.#parts.observer.edits(edit.door, 1);
    out.edits.push({ recorded, author: null, amended: true });
    if (author !== null) this.#acks.placed(author, recorded.rev);
    out.reports.push(() => outcome.applied(recorded.rev, recorded.event, false));
  }

  #answerDuplicate(edit: DeltaEdit, seq: number, outcome: EditOutcome, out: Outbox): void {
    const { user_id, client_id } = edit;
    const known = this.log.window.find(user_id, client_id, seq);
    if (known !== null) {
      out.reports.push(() => outcome.applied(known.rev, entryEvent(this.doc_id, known), true));
      return;
    }
    const unknown = new ConcordError('CONFLICT', `seq ${seq} is behind what this document holds of this client.`);
    this.#parts.findEdit(this.doc_id, user_id, client_id, seq).then(
      (found) => (found === null ? outcome.refused(unknown) : outcome.applied(found.rev, found.event, true)),
      () => outcome.refused(unavailable()),
    );
  }

  #yjsUpdates(member: YjsMember, updates: Updates, out: Outbox): void {
    if (!this.members.has(member)) return;
    const { bytes } = updates;
    if (!roleAllows(member.role, 'editor')) return this.#viewerUpdates(member, updates, out);
    const known = (): boolean => bytes.every((update) => this.replica.covers(update));
    if (this.#status.state === 'read_only') {
      // Its edits stay in the client's own document and come again when it is back.
      if (known()) this.#took(member, updates, false);
      else this.members.expel(member, CLOSE.OVERLOADED, 'read-only: storage is away');
      return;
    }
    const { taken, refused } = this.#size.admit(bytes);
    // Not closed: its client still reads, and what is refused comes again by itself once there is room.
    if (refused) member.send(deniedFrame(DOCUMENT_FULL));
    const applied = this.replica.applyUpdates(taken);
    if (applied.kind === 'later_owner') return this.#doubt(member);
    if (applied.kind === 'changed') this.#recordYjs(member, applied.change, taken.length, out);
    if (applied.malformed) return this.members.expel(member, CLOSE.MALFORMED, 'an update does not decode');
    this.#took(member, updates, applied.missing || refused);
    if (applied.missing) member.send(step1Frame(this.replica.stateVector()));
  }

  /** A client knows of a later owner. If it is right we are none any more; if not, this costs nobody but itself the line. */
  #doubt(member: YjsMember): void {
    this.#parts.doubted();
    this.members.expel(member, CLOSE.RESTART, 'the document moved; reconnect');
  }

  #recordYjs(member: YjsMember, change: Change, updates: number, out: Outbox): void {
    const author = { user_id: member.user_id, client_id: member.client_id, seq: null };
    this.#size.took(change.delta);
    const recorded = this.log.record(change, author, this.#parts.clock.now());
    this.#parts.observer.edits(member.door, updates);
    out.edits.push({ recorded, author: member, amended: change.amended });
  }

  /**
   * A viewer's edits are refused. What the viewer's client does by itself is not an edit: formatting that it cleaned up is
   * taken when the text reads the same without, and what a lost owner left with it, it is told to drop.
   */
  #viewerUpdates(member: YjsMember, updates: Updates, out: Outbox): void {
    let refused = false;
    for (const update of updates.bytes) {
      if (this.replica.covers(update)) continue;
      const { kind, ghosts } = this.replica.judgeViewer(update);
      if (kind === 'later_owner') return this.#doubt(member);
      if (ghosts !== null) member.send(updateFrame(ghosts));
      if (kind === 'nothing') continue;
      const looked = kind === 'clean_up' && this.#status.state !== 'read_only' && !this.#suspects.has(member);
      const change = looked ? this.replica.applyCleanUp(update) : null;
      if (change !== null) this.#recordYjs(member, change, 1, out);
      else refused = true;
      // Looking costs a walk over the text, and a wrong one the whole document: once is enough.
      if (looked && change === null) this.#suspects.add(member);
    }
    if (refused) member.send(deniedFrame('permission denied'));
    this.#took(member, updates, refused);
  }

  /** A member's updates are worked off; `missing`: something of them is not in the document. */
  #took(member: YjsMember, { bytes, whole }: Updates, missing: boolean): void {
    const { epoch, durable_rev } = this.ledger;
    this.#acks.took(member, bytes.length, this.log.head, { missing, whole, epoch, durable_rev });
  }

  /** Sends what is ready; before somebody joins too, so that they get it in the state and not twice. */
  #send(out: Outbox): void {
    const { edits, reports } = out;
    out.edits = [];
    out.reports = [];
    if (edits.length > 0) this.#broadcast.edits(edits);
    for (const report of reports) report();
  }

  // ── coming and going ───────────────────────────────────────────────────────────────────────────────────────────────

  #joinJson(member: JsonMember, resume: ResumePoint | null, last_seq: number, out: Outbox): void {
    this.log.noteSeq(member.user_id, member.client_id, last_seq);
    if (!this.members.join(member)) return;
    this.log.keep(member.user_id, member.client_id);
    this.#sendReady(member, resume, out);
    member.subscribe();
    member.send(this.statusEvent());
    if (this.#size.standing !== null) member.send(this.#size.standing);
  }

  #sendReady(member: JsonMember, resume: ResumePoint | null, out: Outbox): void {
    this.#send(out);
    const { doc_id } = this;
    const { user_id, client_id, role } = member;
    const { epoch, durable_rev } = this.ledger;
    const missed = resume === null ? null : this.log.window.after(resume.rev);
    const last_seq = this.log.knownSeq(user_id, client_id) ?? 0;
    const rev = this.log.head;
    const timestamp = isoTime(this.#parts.clock.now());
    const presence = this.members.list();
    const at = { epoch, rev, presence, last_seq, timestamp };
    const ready = JSON.stringify({ type: 'ready', doc_id, user_id, client_id, role, ...at });
    // The text is JSON already; encoding it again would cost more than everything else here.
    member.send(missed === null ? `${ready.slice(0, -1)},"content":${this.replica.json()}}` : ready);
    for (const entry of missed ?? []) member.send(entryEvent(doc_id, entry));
    if (durable_rev > 0) tell(member, { type: 'ack', doc_id, epoch, rev: durable_rev });
  }

  #statusChanged(): void {
    if (this.#broadcast.events_wanted) this.#broadcast.events([this.statusEvent()]);
    this.#parts.saved(this.#status.state === 'saved');
  }

  /** How saving goes, as an event in JSON. */
  statusEvent(): string {
    const { state, since } = this.#status;
    return JSON.stringify({ type: 'status', doc_id: this.doc_id, state, since: isoTime(since) });
  }

  #joinYjs(member: YjsMember, out: Outbox): void {
    this.#send(out);
    member.subscribe();
    member.send(step1Frame(this.replica.stateVector()));
    if (this.members.size > 0) this.members.tellAwareness(member);
    this.#acks.join(member, this.ledger.epoch, this.ledger.durable_rev);
    this.members.join(member);
  }

  /** Sends what a client with this state vector lacks; edits of this very turn go first, as the others get them. */
  #answerSync(member: YjsMember, question: SyncEntry, out: Outbox): void {
    if (!this.members.has(member) || !this.#answers.admits(question, this.replica.size)) return;
    const { state_vector, ask } = question;
    this.#send(out);
    let missing: Uint8Array[];
    try {
      missing = this.replica.missingFor(state_vector);
    } catch {
      return this.members.expel(member, CLOSE.MALFORMED, 'the state vector does not decode');
    }
    // A stock client calls itself synchronised at the step 2, so that comes last.
    const last = missing.length - 1;
    for (const [i, update] of missing.entries()) member.send(i < last ? updateFrame(update) : step2Frame(update));
    if (ask === true) member.send(step1Frame(this.replica.stateVector()));
  }

  #left(member: Member): void {
    this.#acks.leave(member);
    this.#answers.leave(member);
    if (member.wire === 'json') this.log.letGo(member.user_id, member.client_id);
  }
}
