/**
 * The y-websocket wire (CONTRACT.md section 4): a frame is a varuint message type, then its payload. Frames are made
 * and read here, so that the doors and the actor agree byte for byte.
 */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';

/** Message types; y-protocols calls them messageSync, messageAwareness, messageAuth and messageQueryAwareness. */
export const MESSAGE = { SYNC: 0, AWARENESS: 1, AUTH: 2, QUERY_AWARENESS: 3, ACK: 100 } as const;

/** Sub-types of a sync message. */
export const SYNC = { STEP1: 0, STEP2: 1, UPDATE: 2 } as const;

/** One client's entry in an awareness message; `state` is JSON text, `null` as text for a client that left. */
export interface AwarenessEntry {
  readonly client: number;
  readonly clock: number;
  readonly state: string;
}

/** A frame that a Yjs client sent. */
export type YjsFrame =
  | { readonly kind: 'step1'; readonly state_vector: Uint8Array }
  /** An Update, or with `whole` a SyncStep2: the answer to our step 1. */
  | { readonly kind: 'update'; readonly update: Uint8Array; readonly whole: boolean }
  | { readonly kind: 'awareness'; readonly entries: readonly AwarenessEntry[] }
  | { readonly kind: 'query_awareness' }
  /** A type that this server does not know: ignored, as stock servers do. */
  | { readonly kind: 'unknown'; readonly type: number };

/** Reads one frame. Throws on anything that does not decode, or an awareness message of more than `clients_max` clients. */
export function readYjsFrame(frame: Uint8Array, clients_max: number): YjsFrame {
  const decoder = decoding.createDecoder(frame);
  const type = decoding.readVarUint(decoder);
  switch (type) {
    case MESSAGE.SYNC:
      return readSync(decoder);
    case MESSAGE.AWARENESS:
      return { kind: 'awareness', entries: readAwareness(decoding.readVarUint8Array(decoder), clients_max) };
    case MESSAGE.QUERY_AWARENESS:
      return { kind: 'query_awareness' };
    default:
      return { kind: 'unknown', type };
  }
}

function readSync(decoder: decoding.Decoder): YjsFrame {
  const step = decoding.readVarUint(decoder);
  const payload = decoding.readVarUint8Array(decoder);
  if (step === SYNC.STEP1) return { kind: 'step1', state_vector: payload };
  if (step === SYNC.STEP2 || step === SYNC.UPDATE)
    return { kind: 'update', update: payload, whole: step === SYNC.STEP2 };
  throw new Error(`unknown sync message ${step}`);
}

/** Reads the payload of an awareness message. */
export function readAwareness(payload: Uint8Array, clients_max: number): AwarenessEntry[] {
  const decoder = decoding.createDecoder(payload);
  const count = decoding.readVarUint(decoder);
  if (count > clients_max) throw new Error(`an awareness message of ${count} clients`);
  const entries: AwarenessEntry[] = [];
  for (let i = 0; i < count; i++) {
    const client = decoding.readVarUint(decoder);
    const clock = decoding.readVarUint(decoder);
    entries.push({ client, clock, state: decoding.readVarString(decoder) });
  }
  return entries;
}

function syncFrame(step: number, payload: Uint8Array): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, MESSAGE.SYNC);
  encoding.writeVarUint(encoder, step);
  encoding.writeVarUint8Array(encoder, payload);
  return encoding.toUint8Array(encoder);
}

/** Asks for what the sender of `state_vector` lacks. */
export function step1Frame(state_vector: Uint8Array): Uint8Array {
  return syncFrame(SYNC.STEP1, state_vector);
}

/** Answers a step 1. */
export function step2Frame(update: Uint8Array): Uint8Array {
  return syncFrame(SYNC.STEP2, update);
}

/** Carries an edit. */
export function updateFrame(update: Uint8Array): Uint8Array {
  return syncFrame(SYNC.UPDATE, update);
}

/** Carries presence. With no entries it says nothing and keeps the line alive. */
export function awarenessFrame(entries: readonly AwarenessEntry[]): Uint8Array {
  const payload = encoding.createEncoder();
  encoding.writeVarUint(payload, entries.length);
  for (const { client, clock, state } of entries) {
    encoding.writeVarUint(payload, client);
    encoding.writeVarUint(payload, clock);
    encoding.writeVarString(payload, state);
  }
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, MESSAGE.AWARENESS);
  encoding.writeVarUint8Array(encoder, encoding.toUint8Array(payload));
  return encoding.toUint8Array(encoder);
}

/** Asks for everybody's presence. */
export function queryAwarenessFrame(): Uint8Array {
  return Uint8Array.of(MESSAGE.QUERY_AWARENESS);
}

/** The reason in the auth message that refuses a write because the document is full. */
export const DOCUMENT_FULL = 'document too large';

/** Refuses a write: y-protocols' auth message, which stock providers show as "permission denied". */
export function deniedFrame(reason: string): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, MESSAGE.AUTH);
  encoding.writeVarUint(encoder, 0);
  encoding.writeVarString(encoder, reason);
  return encoding.toUint8Array(encoder);
}

/**
 * "Durable up to here", for sockets that asked for it. `frames`, when given, counts how many update frames of the very
 * socket are covered, which is how a client of `?acks=2` knows that its own last edit is safe; see {@link uncounted}.
 */
export function ackFrame(epoch: number, rev: number, frames?: number): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, MESSAGE.ACK);
  encoding.writeVarUint(encoder, epoch);
  encoding.writeVarUint(encoder, rev);
  if (frames !== undefined) encoding.writeVarUint(encoder, frames);
  return encoding.toUint8Array(encoder);
}

/** An ack without its count, as sockets opened with `?acks=1` get it: epoch and revision alone. */
export function uncounted(frame: Uint8Array): Uint8Array {
  const decoder = decoding.createDecoder(frame);
  for (let i = 0; i < 3; i++) decoding.readVarUint(decoder);
  return frame.subarray(0, decoder.pos);
}

/** How many of a member's update frames an ack covers; null when it does not say. */
export function readAckFrames(frame: Uint8Array): number | null {
  const decoder = decoding.createDecoder(frame);
  for (let i = 0; i < 3; i++) decoding.readVarUint(decoder);
  return decoding.hasContent(decoder) ? decoding.readVarUint(decoder) : null;
}
