/**
 * How a client learns that the server has an edit of its own. None of the wires names an edit: some servers count the
 * frames that they took, others send every edit back to its author.
 */
import * as decoding from 'lib0/decoding';
import { MESSAGE } from '../../src/protocol/yjs-wire.ts';

/** Counts the confirmed edits of one socket. */
export interface Confirmations {
  /** An edit is being sent. */
  sentEdit(update: Uint8Array): void;
  /** An answer to the server's question (sync step 2) is being sent. */
  sentState(): void;
  /** An update came: how many edits are confirmed in all, or null when it says nothing of that. */
  update(update: Uint8Array): number | null;
  /** A message came that is neither sync nor awareness; an error for one that refuses. */
  message(type: number, decoder: decoding.Decoder): number | Error | null;
}

/** For servers that count the frames they took, in the order in which these were sent, states among them. */
abstract class FrameCount implements Confirmations {
  #sent = 0;
  /** Which frames were states. */
  readonly #states: number[] = [];

  sentEdit(): void {
    this.#sent += 1;
  }

  sentState(): void {
    this.#states.push(this.#sent);
    this.#sent += 1;
  }

  update(): null {
    return null;
  }

  abstract message(type: number, decoder: decoding.Decoder): number | Error | null;

  /** How many edits are among the first `frames` frames. */
  protected edits(frames: number): number {
    return frames - this.#states.filter((frame) => frame < frames).length;
  }
}

/** Concord's ack: epoch, revision, and perhaps how many frames of this socket are on disk. */
export class DurableAcks extends FrameCount {
  message(type: number, decoder: decoding.Decoder): number | Error | null {
    if (type === MESSAGE.AUTH) return new Error('permission denied');
    if (type !== MESSAGE.ACK) return null;
    decoding.readVarUint(decoder);
    decoding.readVarUint(decoder);
    return decoding.hasContent(decoder) ? this.edits(decoding.readVarUint(decoder)) : null;
  }
}

/** Hocuspocus' messages beyond y-websocket's; see its `MessageType`. */
const HOCUSPOCUS = { AUTH: 2, CLOSE: 7, SYNC_STATUS: 8 } as const;
const PERMISSION_DENIED = 1;

/** Hocuspocus' sync status: one for each frame, once it has been merged. */
export class SyncStatuses extends FrameCount {
  #frames = 0;

  message(type: number, decoder: decoding.Decoder): number | Error | null {
    if (type === HOCUSPOCUS.CLOSE) return new Error('the server gave up the document');
    if (type === HOCUSPOCUS.AUTH)
      return decoding.readVarUint(decoder) === PERMISSION_DENIED ? new Error('permission denied') : null;
    if (type !== HOCUSPOCUS.SYNC_STATUS) return null;
    if (decoding.readVarUint(decoder) !== 1) return new Error('the server refused an edit');
    this.#frames += 1;
    return this.edits(this.#frames);
  }
}

/** For servers that send every edit back to its author in a frame of its own, each author's in order. */
export class Echoes implements Confirmations {
  readonly #waiting: Uint8Array[] = [];
  #confirmed = 0;

  sentEdit(update: Uint8Array): void {
    this.#waiting.push(update);
  }

  sentState(): void {}

  update(update: Uint8Array): number | null {
    const next = this.#waiting[0];
    if (next === undefined || !isSameEdit(next, update)) return null;
    this.#waiting.shift();
    this.#confirmed += 1;
    return this.#confirmed;
  }

  message(): null {
    return null;
  }
}

/** Whether an update of one author is this one. The server may have written it down anew, which keeps its first clock. */
function isSameEdit(sent: Uint8Array, came: Uint8Array): boolean {
  const [author, clock] = firstStruct(sent);
  // Only deletions: they come back as they were.
  if (author === null) return sent.length === came.length && sent.every((byte, i) => byte === came[i]);
  const [came_author, came_clock] = firstStruct(came);
  return came_author === author && came_clock === clock;
}

/** Author and clock that an update in Yjs' first encoding begins with; nulls for one that only deletes. */
function firstStruct(update: Uint8Array): [author: number | null, clock: number | null] {
  const decoder = decoding.createDecoder(update);
  if (decoding.readVarUint(decoder) === 0) return [null, null];
  decoding.readVarUint(decoder); // how many
  return [decoding.readVarUint(decoder), decoding.readVarUint(decoder)];
}
