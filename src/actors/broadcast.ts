/**
 * What leaves a document, to whom, in what form: one frame per turn for all Yjs members here, one event per revision for
 * JSON members here, one message per turn on `collab:<doc_id>` for the nodes that have other members, and for whoever
 * else subscribed there. That message names the claim that its sender holds the document by: under another one the same
 * revision may be another edit.
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
  /** How many listen on this node; kept by the membership. */
  json_members = 0;
  yjs_members = 0;
  /** How many have their socket on another node; kept by the membership, too. */
  members_elsewhere = 0;
  /** Subscribers of the document's channel, as far as Redis told. */
  subscribers = 0;

  constructor(
    private readonly doc_id: string,
    private readonly fanout: Fanout,
    private readonly head: () => { readonly claim_id: string; readonly epoch: number; readonly rev: number },
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
    this.#events(events, null);
  }

  /** Sends what changed of who is here: `entries` to Yjs members, `events` to all others. */
  presence(entries: readonly AwarenessEntry[], events: readonly string[]): void {
    const frame = entries.length === 0 ? null : awarenessFrame(entries);
    if (this.yjs_members > 0 && frame !== null) this.fanout.yjs(this.doc_id, frame, null);
    this.#events(events, frame);
  }

  /** Tells other nodes how far the document is, and how far on disk, lest the loss of the last message go unseen. */
  beacon(durable_rev: number): void {
    if (this.#heard > 0) this.#elsewhere([], `,"durable":${durable_rev}`);
  }

  /** How many hear JSON events: members, and subscribers elsewhere. */
  get listeners(): number {
    return this.json_members + this.#heard;
  }

  /** Listeners to the channel. What Redis says of them lags behind what we know ourselves. */
  get #heard(): number {
    return Math.max(this.subscribers, Math.min(this.members_elsewhere, 1));
  }

  #events(events: readonly string[], awareness: Uint8Array | null): void {
    if (this.json_members > 0) for (const event of events) this.fanout.json(this.doc_id, event);
    if (this.#heard > 0 && (events.length > 0 || awareness !== null))
      this.#elsewhere(events, awareness === null ? '' : `,"awareness":"${base64(awareness)}"`);
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
    const only = batch.length === 1 && first !== undefined && !first.amended ? first.author : null;
    this.fanout.yjs(this.doc_id, updateFrame(update), only?.place === 'here' ? only : null);
  }

  /** `more`: further fields of the message, as JSON behind a comma. */
  #elsewhere(events: readonly string[], more = ''): void {
    const { claim_id, epoch, rev } = this.head();
    const message = `{"v":1,"from":"${claim_id}","epoch":${epoch},"rev":${rev},"events":[${events.join(',')}]${more}}`;
    // What Redis does not take is counted by the fan-out; who listens there sees the gap in `rev`.
    this.fanout.remote(this.doc_id, message, this.#heard > 0, (subscribers) => {
      this.subscribers = subscribers;
    });
  }
}

/** An edit's event as `collab:<doc_id>` carries it: with the Yjs bytes. */
export function withUpdate({ update, event }: { readonly update: Uint8Array; readonly event: string }): string {
  return `${event.slice(0, -1)},"update":"${base64(update)}"}`;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
