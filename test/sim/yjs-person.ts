/**
 * Somebody with a Y.Doc on the y-websocket wire, who asked for acks: after a break it exchanges with the server what either
 * lacks. What it typed counts as acked once a frame that carried it is.
 */
import * as decoding from 'lib0/decoding';
import type { Op } from 'quill-delta';
import * as Y from 'yjs';
import { TEXT_ROOT } from '../../src/protocol/snapshot.ts';
import { MESSAGE, SYNC, step1Frame, step2Frame, updateFrame } from '../../src/protocol/yjs-wire.ts';
import { flatText, randomDelta } from '../fuzz/edits.ts';
import type { Line } from './line.ts';
import { AWAY_MS_MAX, BLOCK_MS_MAX, type Client, connect, type Place } from './place.ts';
import { Host } from './time.ts';

/** See the head of this file. */
export class YjsPerson implements Client {
  readonly doc = new Y.Doc();
  readonly #host: Host;
  #line: Line | null = null;
  #open = false;
  #synced = false;
  #calm = false;
  /** Update frames sent on the present line, and how many of them were acked. */
  #sent = 0;
  #acked = 0;
  /** Markers that no ack has covered, with the frame that carried each on the present line. */
  readonly #unacked = new Map<string, number>();
  #failures = 0;
  #heard_at = 0;

  constructor(readonly place: Place) {
    const { name, time, dice } = place;
    this.#host = new Host(name, time);
    this.doc.clientID = dice.random.uint32();
    this.doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== this && this.#open) this.#sendUpdate(updateFrame(update));
    });
    this.#connect();
    // As y-websocket: a line without any frame for half a minute is given up.
    this.#host.clock().every(3_000, () => {
      if (this.#line !== null && time.now - this.#heard_at > 30_000) this.#hangUp();
    });
  }

  get #text(): Y.Text {
    return this.doc.getText(TEXT_ROOT);
  }

  edit(): void {
    const { dice, typed, name, trace } = this.place;
    const text = flatText(this.#text.toDelta() as Op[]);
    const marker = dice.once(3) ? null : typed.marker(name);
    const edit = randomDelta(dice, text, marker);
    trace.note(name, 'types');
    typed.edited(edit, text);
    if (marker !== null) this.#unacked.set(marker, this.#open ? this.#sent + 1 : Number.POSITIVE_INFINITY);
    this.#text.applyDelta(structuredClone(edit.ops));
  }

  disturb(how: 'cut' | 'block' | 'away'): void {
    const { dice } = this.place;
    if (how === 'cut') this.#line?.cut();
    else if (how === 'block') this.#line?.block(dice.below(BLOCK_MS_MAX));
    else this.#hangUp(dice.below(AWAY_MS_MAX));
  }

  calm(): void {
    this.#calm = true;
  }

  unrest(): string | null {
    const { name } = this.place;
    if (!this.#open || !this.#synced) return `${name} is not connected`;
    return this.#acked === this.#sent ? null : `${name} has ${this.#sent - this.#acked} frames that were not acked`;
  }

  content(): readonly Op[] {
    return this.#text.toDelta() as Op[];
  }

  #connect(): void {
    const { place } = this;
    this.#heard_at = place.time.now;
    const line: Line = connect(place, this.#host, 'yjs', null, {
      receive: (frame) => {
        if (line === this.#line) this.#receive(frame as Uint8Array);
      },
      closed: (code) => {
        if (line !== this.#line) return;
        place.trace.note(place.name, `line closed ${code}`);
        if (code >= 4000) place.fault(`${place.name} was closed with ${code}`);
        this.#line = null;
        this.#again();
      },
    });
    this.#line = line;
    // The socket opens a moment later; a stock provider then says at once what it has.
    this.#host.receive(2, () => {
      if (line !== this.#line) return;
      this.#open = true;
      line.fromClient(step1Frame(Y.encodeStateVector(this.doc)));
    });
  }

  #hangUp(away_ms = 0): void {
    this.#line?.closeFromClient();
    this.#line = null;
    this.#again(away_ms);
  }

  #again(away_ms = 0): void {
    this.#open = false;
    this.#synced = false;
    this.#sent = 0;
    this.#acked = 0;
    for (const marker of this.#unacked.keys()) this.#unacked.set(marker, Number.POSITIVE_INFINITY);
    this.#failures += 1;
    const wait_ms = this.place.dice.below(Math.min(2_500, 100 * 2 ** this.#failures));
    this.#host.receive((this.#calm ? 0 : away_ms) + wait_ms, () => {
      if (this.#line === null) this.#connect();
    });
  }

  #sendUpdate(frame: Uint8Array): void {
    this.#sent += 1;
    this.#line?.fromClient(frame);
  }

  #receive(frame: Uint8Array): void {
    this.#heard_at = this.place.time.now;
    const decoder = decoding.createDecoder(frame);
    const type = decoding.readVarUint(decoder);
    if (type === MESSAGE.ACK) return this.#ack(decoder);
    if (type === MESSAGE.AUTH) return this.place.fault(`${this.place.name} was denied`);
    if (type !== MESSAGE.SYNC) return;
    const step = decoding.readVarUint(decoder);
    const payload = decoding.readVarUint8Array(decoder);
    if (step === SYNC.STEP1) {
      const sent = this.#sent + 1;
      // It holds everything, whatever was sent before.
      for (const [marker, frames] of this.#unacked) this.#unacked.set(marker, Math.min(frames, sent));
      this.#sendUpdate(step2Frame(Y.encodeStateAsUpdate(this.doc, payload)));
      return;
    }
    Y.applyUpdate(this.doc, payload, this);
    if (step !== SYNC.STEP2) return;
    this.#synced = true;
    this.#failures = 0;
  }

  /** Holds what the server acks against the journal. */
  #ack(decoder: decoding.Decoder): void {
    const { place } = this;
    decoding.readVarUint(decoder);
    const rev = decoding.readVarUint(decoder);
    if (rev > place.stored.head_rev)
      place.fault(`${place.name} heard an ack of rev ${rev}; the journal ends at ${place.stored.head_rev}`);
    if (!decoding.hasContent(decoder)) return;
    this.#acked = decoding.readVarUint(decoder);
    if (this.#acked > this.#sent) place.fault(`${place.name} sent ${this.#sent} frames and ${this.#acked} were acked`);
    for (const [marker, frames] of this.#unacked) {
      if (frames > this.#acked) continue;
      this.#unacked.delete(marker);
      if (!place.typed.deleted.has(marker) && !place.stored.rows.some(({ delta }) => delta.includes(marker)))
        place.fault(`${place.name} heard an ack of what the journal does not hold`);
    }
  }
}
