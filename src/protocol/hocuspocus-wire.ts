/**
 * The wire of `@hocuspocus/provider` 4.x (CONTRACT.md section 5): a frame is the name of a document as a string, a varuint
 * message type, and the payload. Behind the name, sync and awareness are those of the y-websocket wire byte for byte, so
 * what the document actor sends only needs the name in front ({@link named}). A name is a document id; with session
 * awareness it is `<document id>\0<session>`, so that one socket can hold the same document several times.
 *
 * Outside of all documents there is one message of a single byte, the ping, which the provider answers with a pong.
 */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { readYjsFrame, type YjsFrame } from './yjs-wire.ts';

/** Message types. Those of Sync, Awareness and QueryAwareness are the ones of yjs-wire.ts. */
export const HOCUSPOCUS = {
  SYNC: 0,
  AWARENESS: 1,
  AUTH: 2,
  QUERY_AWARENESS: 3,
  CLOSE: 7,
  SYNC_STATUS: 8,
  PING: 9,
  PONG: 10,
} as const;

/** Sub-types of an auth message. */
export const HOCUSPOCUS_AUTH = { TOKEN: 0, PERMISSION_DENIED: 1, AUTHENTICATED: 2 } as const;

/** What a user may do, as this wire says it. */
export type Scope = 'readonly' | 'read-write';

/** A message of a document, without its name. */
export type HocuspocusMessage =
  | YjsFrame
  /** Signs in to the document, or brings a fresh token. */
  | { readonly kind: 'token'; readonly token: string }
  /** The client is done with the document. */
  | { readonly kind: 'close' };

/** A document's name on a socket. */
export interface DocumentName {
  /** As the client wrote it. */
  readonly text: string;
  /** What stands in front of each of its frames. */
  readonly prefix: Uint8Array;
}

/** Keeps a line alive, and is answered by a pong. */
export const PING_FRAME = Uint8Array.of(HOCUSPOCUS.PING);

/** Whether a frame is the answer to a ping. */
export function isPong(frame: Uint8Array): boolean {
  return frame.length === 1 && frame[0] === HOCUSPOCUS.PONG;
}

/** Reads the name in front of a frame. Throws when there is none, or one of more than `bytes_max` bytes. */
export function readName(frame: Uint8Array, bytes_max: number): DocumentName {
  const decoder = decoding.createDecoder(frame);
  const length = decoding.readVarUint(decoder);
  if (length > bytes_max || decoder.pos + length > frame.length) throw new Error('no document name');
  const end = decoder.pos + length;
  decoder.pos = 0;
  return { text: decoding.readVarString(decoder), prefix: frame.slice(0, end) };
}

/** Whether a frame belongs to the document of this name. */
export function isOf({ prefix }: DocumentName, frame: Uint8Array): boolean {
  if (frame.length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (frame[i] !== prefix[i]) return false;
  return true;
}

/** The document id in a name, unchecked. */
export function documentIdOf(name: string): string {
  const end = name.indexOf('\0');
  return end === -1 ? name : name.slice(0, end);
}

/** Whether a message signs in, without reading more of it. */
export function isToken(message: Uint8Array): boolean {
  return message[0] === HOCUSPOCUS.AUTH && message[1] === HOCUSPOCUS_AUTH.TOKEN;
}

/** Reads a message behind its name. Throws on what does not decode, and on awareness of more than `clients_max` clients. */
export function readMessage(message: Uint8Array, clients_max: number): HocuspocusMessage {
  if (isToken(message)) return { kind: 'token', token: readToken(message) };
  if (message[0] === HOCUSPOCUS.CLOSE) return { kind: 'close' };
  return readYjsFrame(message, clients_max);
}

/** The token of a message that signs in. The version of the provider, which stands behind it, is nobody's concern. */
export function readToken(message: Uint8Array): string {
  const decoder = decoding.createDecoder(message);
  decoding.readVarUint(decoder);
  decoding.readVarUint(decoder);
  return decoding.readVarString(decoder);
}

/** A frame of the y-websocket wire, or any message, with a document's name in front. */
export function named({ prefix }: DocumentName, message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(prefix.length + message.length);
  frame.set(prefix);
  frame.set(message, prefix.length);
  return frame;
}

function authMessage(name: DocumentName, type: number, text: string): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, HOCUSPOCUS.AUTH);
  encoding.writeVarUint(encoder, type);
  encoding.writeVarString(encoder, text);
  return named(name, encoding.toUint8Array(encoder));
}

/** Lets the client in, and says what it may do. */
export function authenticatedFrame(name: DocumentName, scope: Scope): Uint8Array {
  return authMessage(name, HOCUSPOCUS_AUTH.AUTHENTICATED, scope);
}

/** Refuses a document. */
export function permissionDeniedFrame(name: DocumentName, reason: string): Uint8Array {
  return authMessage(name, HOCUSPOCUS_AUTH.PERMISSION_DENIED, reason);
}

/** Ends a document on its socket. */
export function closeFrame(name: DocumentName, reason: string): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, HOCUSPOCUS.CLOSE);
  encoding.writeVarString(encoder, reason);
  return named(name, encoding.toUint8Array(encoder));
}

/** `saved`: one more of the client's changes is on disk. Otherwise: one was not taken. */
export function syncStatusFrame(name: DocumentName, saved: boolean): Uint8Array {
  return named(name, Uint8Array.of(HOCUSPOCUS.SYNC_STATUS, saved ? 1 : 0));
}
