/**
 * The Hocuspocus door, CONTRACT.md section 5: the wire of `@hocuspocus/provider` 4.x, so that stock providers work
 * unchanged. One socket carries any number of documents, each with a token of its own (hocuspocus-document.ts); here is
 * the socket, which hands each frame to the document that it names.
 *
 * Nobody is known when the socket opens. A name becomes a document's with a token, and until the token and the rights
 * were looked up little is kept, for all names together. What comes under a name without a document is dropped: the
 * provider of a document that was refused goes on sending, and whatever it sends comes again with the synchronisation
 * once it was let in.
 */
import type { ServerWebSocket } from 'bun';
import { CLOSE, type CloseCode } from '../protocol/close.ts';
import {
  type DocumentName,
  documentIdOf,
  isOf,
  isPong,
  isToken,
  PING_FRAME,
  permissionDeniedFrame,
  readName,
  readToken,
} from '../protocol/hocuspocus-wire.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import type { Waiting } from './attendance.ts';
import { HocuspocusDocument, type Line } from './hocuspocus-document.ts';
import type { WatchedSocket } from './hub.ts';
import type { DoorParts, Frame, Hello, SocketData, SocketHandler } from './parts.ts';
import { TOO_MUCH } from './session.ts';

const DOOR = 'hocuspocus';

/** See the head of this file. */
export class HocuspocusSocket implements SocketHandler, WatchedSocket, Line {
  readonly socket: ServerWebSocket<SocketData>;
  readonly waiting: Waiting = { bytes: 0 };
  readonly #hello: Hello;
  readonly #parts: DoorParts;
  readonly #documents = new Map<string, HocuspocusDocument>();
  /** Where the last frame went: most sockets have one document, and need not read its name again and again. */
  #latest: HocuspocusDocument | null = null;
  /** When somebody must have been let in; null once that is so. */
  #sign_in_by: number | null;
  #closed = false;

  constructor(socket: ServerWebSocket<SocketData>, hello: Hello, parts: DoorParts) {
    this.socket = socket;
    this.#hello = hello;
    this.#parts = parts;
    this.#sign_in_by = parts.clock.now() + TIMES.sign_in_ms;
  }

  static readonly make = (parts: DoorParts) => (socket: ServerWebSocket<SocketData>, hello: Hello) =>
    new HocuspocusSocket(socket, hello, parts);

  begin(): void {
    this.#parts.hub.addSocket(this);
    this.#parts.metrics.sockets.inc({ door: DOOR });
    if (this.#hello.visit?.admitted === false) this.overLimit();
  }

  receive(frame: Frame): void {
    if (this.#closed) return;
    if (typeof frame === 'string') return this.malformed('text', 'frames of this door are binary');
    const latest = this.#latest;
    if (latest !== null && isOf(latest.name, frame)) return latest.receive(frame.subarray(latest.name.prefix.length));
    if (isPong(frame)) return;
    let name: DocumentName;
    try {
      name = readName(frame, LIMITS.document_name_bytes_max);
    } catch {
      return this.malformed('undecodable', 'a frame without the name of a document');
    }
    this.dispatch(name, frame.subarray(name.prefix.length));
  }

  /** All documents of the socket go with it: a frame that was left out would be missing for ever. */
  overLimit(): void {
    this.#refused('rate');
    this.close(CLOSE.OVERLOADED, TOO_MUCH);
  }

  dispatch(name: DocumentName, message: Uint8Array): void {
    if (this.#closed) return;
    const document = this.#documents.get(name.text);
    if (document === undefined) return this.#open(name, message);
    this.#latest = document;
    document.receive(message);
  }

  gone(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const document of [...this.#documents.values()]) document.gone();
    this.#parts.hub.removeSocket(this);
    this.#parts.metrics.sockets.dec({ door: DOOR });
  }

  close(code: CloseCode, reason: string): void {
    if (this.#closed) return;
    this.gone();
    this.socket.close(code, reason);
  }

  get unsent(): number {
    return this.socket.getBufferedAmount();
  }

  cut(): void {
    this.gone();
    this.socket.terminate();
  }

  malformed(reason: string, message: string): void {
    this.#refused(reason);
    this.close(CLOSE.MALFORMED, message);
  }

  signedIn(): void {
    this.#sign_in_by = null;
  }

  forget(document: HocuspocusDocument): void {
    if (this.#latest === document) this.#latest = null;
    if (this.#documents.get(document.name.text) === document) this.#documents.delete(document.name.text);
  }

  /** A provider that hears nothing for 30 s takes the line for dead, whatever its documents are about. */
  keepAlive(): void {
    this.socket.sendBinary(PING_FRAME);
  }

  sweep(): void {
    if (this.#sign_in_by !== null && this.#sign_in_by <= this.#parts.clock.now() && this.#documents.size === 0)
      this.close(CLOSE.UNAUTHENTICATED, 'nobody signed in');
  }

  /** Begins a document, if the message signs in. */
  #open(name: DocumentName, message: Uint8Array): void {
    if (!isToken(message)) return this.#refused('not_signed_in');
    let token: string;
    try {
      token = readToken(message);
    } catch {
      return this.malformed('undecodable', 'a token does not decode');
    }
    if (this.waiting.bytes + token.length > LIMITS.queued_bytes_before_open_max)
      return this.close(CLOSE.OVERLOADED, 'too much was sent before the connection was open');
    if (this.#documents.size >= LIMITS.documents_per_socket_max) {
      this.#refused('too_many_documents');
      this.socket.sendBinary(permissionDeniedFrame(name, `${CLOSE.OVERLOADED}: too many documents on one socket`));
      return;
    }
    const hello = { ...this.#hello, doc_id: documentIdOf(name.text), token };
    const document = new HocuspocusDocument(name, hello, this, this.#parts);
    this.#documents.set(name.text, document);
    this.#latest = document;
    document.begin();
  }

  #refused(reason: string): void {
    this.#parts.metrics.frames_refused.inc({ door: DOOR, reason });
  }
}
