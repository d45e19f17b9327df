/**
 * A client of the JSON door that keeps to its rules and to nothing else: one edit in flight; what was not acknowledged is
 * kept; after a reconnect what the document does not hold is sent again under its old `seq`, carried over what happened
 * meanwhile, and what it holds is not. It complains, in the ledger, of a gap in `rev`, of an `ack` of what was never seen,
 * of an epoch that falls, of an edit that does not fit.
 */
import Delta from 'quill-delta';
import type { Random } from '../../src/base/random.ts';
import type { DeltaOps } from '../../src/protocol/content/delta.ts';
import type { AckEvent, EditEvent, ReadyEvent, SaveState, StatusEvent } from '../../src/protocol/messages.ts';
import { until } from '../support/until.ts';
import type { Person } from './concord.ts';
import type { Entrance } from './entrance.ts';
import { FILLER, type Ledger, nextPlace } from './ledger.ts';

/** An edit that was sent and is not acknowledged. */
interface Kept {
  readonly seq: number;
  readonly marker: string;
  /** What to send, at the client's present revision; after the edit was seen, what it was when that happened. */
  delta: Delta;
  /** The revision it became; null until its event came. */
  rev: number | null;
}

/** What a {@link JsonClient} is made of. */
export interface ClientParts {
  readonly concord: Entrance;
  readonly ledger: Ledger;
  readonly random: Random;
  readonly person: Person;
  readonly doc_id: string;
  /** Unique within a test. */
  readonly name: string;
  /** The pause between two edits, on average; without it the next is made as soon as it may be. */
  readonly think_ms?: number;
  /** How long coming back may take before it counts as a fault; half a minute unless said. */
  readonly patience_ms?: number;
}

/** Has `next` called after a client's pause. */
export function afterThinking({ think_ms, random }: ClientParts, next: () => void): void {
  if (think_ms === undefined) next();
  else setTimeout(next, think_ms * 2 * random.float());
}

/** Connects; a refusal is passed on after a moment, which differs from client to client. */
export async function comeBack(client: { connect(): Promise<void> }, { random }: ClientParts): Promise<void> {
  try {
    await client.connect();
  } catch (refused) {
    await Bun.sleep(RETRY_MS_MAX * random.float());
    throw refused;
  }
}

const RETRY_MS_MAX = 200;
/** After an edit was refused because nobody could take it just now. */
const AGAIN_MS = 200;

/** Before that an attempt to connect is given up, as when a node hangs. */
export const CONNECT_MS_MAX = 10_000;
export const PATIENCE_MS = 30_000;

interface ErrorEvent {
  readonly type: 'error';
  readonly code: string;
  readonly message: string;
  readonly seq?: number;
}

type Event = ReadyEvent | EditEvent | AckEvent | StatusEvent | ErrorEvent | { readonly type: 'presence' | 'role' };

/** See the head of this file. */
export class JsonClient {
  /** Whether it makes the next edit as soon as it may. */
  typing = false;
  /** The last state that `status` told. */
  status: SaveState | null = null;
  /** Every state that was told, in order. */
  readonly statuses: SaveState[] = [];
  /** Code of the last close. */
  closed_with: number | null = null;
  content = new Delta();
  epoch = 0;
  /** -1: never seen. */
  rev = -1;
  #acked_rev = 0;
  #seq = 0;
  /** What is not acknowledged, oldest first; only the last may have no revision yet. */
  #kept: Kept[] = [];
  #socket: WebSocket | null = null;
  /** The head at `ready`, until everything up to there has come. */
  #catching_up_to: number | null = null;
  #ended = false;
  #gone: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #client_id: string;

  constructor(private readonly parts: ClientParts) {
    this.#client_id = parts.random.id();
  }

  get name(): string {
    return this.parts.name;
  }

  /** The document that it edits. */
  get doc_id(): string {
    return this.parts.doc_id;
  }

  /** The text as the client shows it. */
  get text(): string {
    return this.content.reduce((text, { insert }) => text + (typeof insert === 'string' ? insert : '\ufffc'), '');
  }

  /** Whether it is connected and has everything. */
  get is_ready(): boolean {
    return this.#socket !== null && this.#catching_up_to === null && this.rev >= 0;
  }

  /** Whether nothing of its own waits for anything. */
  get is_settled(): boolean {
    return this.#kept.length === 0;
  }

  /** Connects whenever the server lets clients in, until {@link leave}. */
  stay(): void {
    void this.#stay();
  }

  /** Connects once; rejects when the socket closes before `ready`. */
  connect(): Promise<void> {
    const { concord, doc_id, person } = this.parts;
    const query = new URLSearchParams({ token: person.token, client_id: this.#client_id });
    if (this.rev >= 0) {
      query.set('epoch', String(this.epoch));
      query.set('rev', String(this.rev));
    }
    const socket = new WebSocket(`${concord.ws_url}/v1/collab/${doc_id}?${query}`);
    this.#gone = Promise.withResolvers();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => socket.close(), CONNECT_MS_MAX);
      socket.onmessage = ({ data }) => {
        const event = JSON.parse(data as string) as Event;
        if (event.type === 'ready') this.#socket = socket;
        this.#take(event);
        if (event.type === 'ready') {
          clearTimeout(timer);
          resolve();
        }
      };
      socket.onclose = ({ code }) => {
        clearTimeout(timer);
        this.closed_with = code;
        this.#socket = null;
        this.#gone.resolve();
        reject(new Error(`closed with ${code}`));
      };
    });
  }

  /** Makes one edit if it may: somewhere between markers, sometimes formatted, sometimes deleting a filler. */
  type(): string | null {
    if (!this.is_ready || this.#kept.some(({ rev }) => rev === null)) return null;
    const { ledger, doc_id, name, random } = this.parts;
    const { text } = this;
    this.#seq += 1;
    const marker = ledger.make(doc_id, name, this.#seq);
    const place = nextPlace(text, Math.floor(random.float() * (text.length + 1)));
    const delta = new Delta().retain(place).insert(marker, random.float() < 0.2 ? { bold: true } : {});
    if (random.float() < 0.3) delta.insert(FILLER);
    if (text[place] === FILLER) delta.delete(1);
    this.#kept.push({ seq: this.#seq, marker, delta, rev: null });
    this.#send();
    return marker;
  }

  /** Leaves for good. */
  leave(): void {
    this.#ended = true;
    this.#socket?.close();
  }

  async #stay(): Promise<void> {
    const { concord, name, patience_ms = PATIENCE_MS } = this.parts;
    while (!this.#ended) {
      await concord.serving();
      await until(
        `${name} to connect`,
        async () => {
          if (concord.is_open && !this.#ended) await comeBack(this, this.parts);
          return true;
        },
        patience_ms,
      ).catch((error: Error) => this.#complain(error.message));
      if (this.#socket !== null) await this.#gone.promise;
    }
  }

  #take(event: Event): void {
    switch (event.type) {
      case 'ready':
        return this.#ready(event);
      case 'edit':
        return this.#edit(event);
      case 'ack':
        return this.#ack(event);
      case 'status':
        this.status = event.state;
        this.statuses.push(event.state);
        return;
      case 'error':
        return this.#error(event);
      default:
        return;
    }
  }

  #ready(event: ReadyEvent): void {
    if (event.epoch < this.epoch) this.#complain(`the epoch fell from ${this.epoch} to ${event.epoch}`);
    this.epoch = event.epoch;
    this.parts.ledger.count('joined');
    if (event.content !== undefined) this.#startOver(event, event.content);
    else if (this.#kept.some(({ seq, rev }) => rev !== null && seq > event.last_seq))
      this.#complain('an edit that the client has seen is not held, though its revision is said to be history');
    this.#catching_up_to = event.rev;
    this.#caughtUp();
  }

  /** The content came whole: what the document does not hold is carried over to it. */
  #startOver(event: ReadyEvent, content: DeltaOps): void {
    const before = this.text;
    const difference = this.content.diff(new Delta(content as DeltaOps));
    this.content = new Delta(content as DeltaOps);
    this.rev = event.rev;
    for (const kept of this.#kept) {
      if (kept.seq <= event.last_seq) kept.rev = event.rev;
      else {
        // Where it stands in the old text, or was about to.
        const stood = before.indexOf(kept.marker);
        const place = difference.transformPosition(stood >= 0 ? stood : placeOf(kept.delta));
        kept.delta = new Delta().retain(nextPlace(this.text, place)).insert(kept.marker);
        kept.rev = null;
      }
    }
  }

  #edit(event: EditEvent): void {
    const { rev, delta } = event.changes;
    const own = event.client_id === this.#client_id;
    const kept = own ? this.#kept.find(({ seq, rev: seen }) => seq === event.seq && seen === null) : undefined;
    if (rev !== this.rev + 1) {
      // The answer to a resend of what the document held already, to its sender alone.
      if (kept === undefined || rev > this.rev) return this.#complain(`revision ${rev} came after ${this.rev}`);
      this.#seen(kept, rev);
      return;
    }
    this.rev = rev;
    const change = new Delta(delta as DeltaOps);
    this.content = this.content.compose(change);
    if (this.content.ops.some(({ insert }) => insert === undefined))
      this.#complain(`revision ${rev} reaches past the end`);
    for (const other of this.#kept)
      if (other !== kept && other.rev === null) other.delta = change.transform(other.delta, true);
    if (kept !== undefined) this.#seen(kept, rev);
    this.#caughtUp();
  }

  #seen(kept: Kept, rev: number): void {
    kept.rev = rev;
    this.parts.ledger.count('seen');
    this.#forget();
    if (this.#kept.some(({ rev: seen }) => seen === null)) this.#send();
    else this.#typeOn();
  }

  #ack(event: AckEvent): void {
    if (event.epoch < this.epoch) this.#complain(`an ack of epoch ${event.epoch} came in epoch ${this.epoch}`);
    this.epoch = event.epoch;
    this.#acked_rev = event.rev;
    this.#forget();
  }

  /** Drops what is acknowledged. */
  #forget(): void {
    while (this.#kept[0] !== undefined && this.#kept[0].rev !== null && this.#kept[0].rev <= this.#acked_rev) {
      const [kept] = this.#kept.splice(0, 1);
      if (kept !== undefined) this.parts.ledger.ack(kept.marker);
    }
  }

  #error(event: ErrorEvent): void {
    // A fresh `ready` follows, and with it the resend.
    if (event.code === 'STALE_REVISION') return;
    if (event.code === 'UNAVAILABLE') {
      // The close code that follows says when to come back; where none does, the edit, which used no seq up, goes again.
      const [socket, { seq }] = [this.#socket, event];
      if (seq !== undefined) setTimeout(() => this.#again(seq, socket), AGAIN_MS);
      return;
    }
    this.#complain(`${event.code}: ${event.message}`);
  }

  /** Everything up to the head of the `ready` is here: what is not confirmed goes out again, then the next edit. */
  #caughtUp(): void {
    if (this.#catching_up_to === null || this.rev < this.#catching_up_to) return;
    this.#catching_up_to = null;
    if (this.#kept.some(({ rev }) => rev === null)) this.#send();
    else this.#typeOn();
  }

  #typeOn(): void {
    if (this.typing) afterThinking(this.parts, () => this.typing && this.type());
  }

  /** Sends the first edit that is not confirmed. */
  #send(): void {
    const next = this.#kept.find(({ rev }) => rev === null);
    if (next === undefined || this.#socket === null) return;
    this.parts.ledger.count('sent');
    const changes = { base_rev: this.rev, delta: next.delta.ops };
    this.#socket.send(JSON.stringify({ type: 'edit', changes, seq: next.seq }));
  }

  /** Sends an edit again that was refused on `socket`; on another one it went again after the `ready`, and is in flight. */
  #again(seq: number, socket: WebSocket | null): void {
    const next = this.#kept.find(({ rev }) => rev === null);
    if (this.is_ready && this.#socket === socket && next?.seq === seq) this.#send();
  }

  #complain(what: string): void {
    this.parts.ledger.faults.push(`${this.parts.name}: ${what}`);
  }
}

/** Where an edit of ours inserts. */
function placeOf(delta: Delta): number {
  const [first] = delta.ops;
  return typeof first?.retain === 'number' ? first.retain : 0;
}
