/**
 * What leaves a document, to whom, in what form: one frame per turn for all Yjs members, one event per revision for JSON
 * members, one message per turn on `collab:<doc_id>` for other nodes and whoever subscribed there.
 */
import { stringTogether } from '../protocol/strung-updates.ts';
import { type AwarenessEntry, ackFrame, awarenessFrame, updateFrame } from '../protocol/yjs-wire.ts';
import type { Recorded } from './edit-log.ts';
import type { Fanout, YjsMember } from './member.ts';
import { EMPTY_UPDATE } from './replica.ts';
import { mergeAll } from './updates.ts';

/** A recorded edit on its way out. */
export interface Outgoing {
  readonly recorded: Recorded;
  /** The Yjs member that sent it, if one did. */
  readonly author: YjsMember | null;
  /** Whether the bytes hold more than the author sent, so that the author needs them too. */
  readonly amended: boolean;
}

/** See the head of this file. */
export class Broadcast {
  /** How many listen; kept by the membership. */
  json_members = 0;
  yjs_members = 0;
  /** Subscribers of the document's channel, as far as is known. */
  listeners_elsewhere = 0;

  constructor(
    private readonly doc_id: string,
    private readonly fanout: Fanout,
    private readonly head: () => { readonly epoch: number; readonly rev: number },
  ) {}

  /** Whether anybody reads JSON events. */
  get events_wanted(): boolean {
    return this.listeners > 0;
  }

  /** Sends the edits of a turn. */
  edits(batch: readonly Outgoing[]): void {
    if (this.yjs_members > 0) this.#updates(batch);
    if (this.json_members > 0) for (const { recorded } of batch) this.fanout.json(this.doc_id, recorded.event);
    // Always published: whoever subscribes to the channel is not announced to us.
    this.#elsewhere(batch.map(({ recorded }) => withUpdate(recorded)));
  }

  /** Sends events other than edits; `events` are JSON. */
  events(events: readonly string[]): void {
    if (this.json_members > 0) for (const event of events) this.fanout.json(this.doc_id, event);
    if (this.listeners_elsewhere > 0 && events.length > 0) this.#elsewhere(events);
  }

  /** Sends presence to Yjs members. */
  awareness(entries: readonly AwarenessEntry[]): void {
    if (this.yjs_members > 0 && entries.length > 0) this.fanout.yjs(this.doc_id, awarenessFrame(entries), null);
  }

  /** How many hear JSON events: members, and subscribers elsewhere. */
  get listeners(): number {
    return this.json_members + this.listeners_elsewhere;
  }

  /** Tells everybody that everything up to `rev` is committed. */
  ack(rev: number, epoch: number): void {
    if (this.events_wanted) this.events([`{"type":"ack","doc_id":"${this.doc_id}","epoch":${epoch},"rev":${rev}}`]);
    if (this.yjs_members > 0) this.fanout.acks(this.doc_id, ackFrame(epoch, rev));
  }

  #updates(batch: readonly Outgoing[]): void {
    const updates = batch.map(({ recorded }) => recorded.update).filter((update) => update !== EMPTY_UPDATE);
    const update = (updates.length > 1 ? stringTogether(updates) : null) ?? mergeAll(updates);
    if (update === null) return;
    const [first] = batch;
    // A single author whose bytes were taken as they are need not read them again.
    const except = batch.length === 1 && first !== undefined && !first.amended ? first.author : null;
    this.fanout.yjs(this.doc_id, updateFrame(update), except);
  }

  #elsewhere(events: readonly string[]): void {
    const { epoch, rev } = this.head();
    const message = `{"v":1,"epoch":${epoch},"rev":${rev},"events":[${events.join(',')}]}`;
    // What Redis does not take is counted by the fan-out; who listens there sees the gap in `rev`.
    this.fanout.remote(this.doc_id, message, this.listeners_elsewhere > 0, (listeners) => {
      this.listeners_elsewhere = listeners;
    });
  }
}

/** The event as `collab:<doc_id>` carries it: with the Yjs bytes. */
function withUpdate({ update, event }: Recorded): string {
  const base64 = Buffer.from(update.buffer, update.byteOffset, update.byteLength).toString('base64');
  return `${event.slice(0, -1)},"update":"${base64}"}`;
}
