/**
 * A socket that is on one document, from its upgrade to its close: the JSON and the Yjs door. What it goes through is told
 * in attendance.ts; here is what makes it one with its socket. A refusal is upgraded and closed with its code, because a
 * browser cannot read an HTTP status.
 */
import type { ServerWebSocket } from 'bun';
import { CLOSE, type CloseCode } from '../protocol/close.ts';
import { Attendance } from './attendance.ts';
import type { WatchedSocket } from './hub.ts';
import type { DoorParts, Frame, Hello, SocketData, SocketHandler } from './parts.ts';

/** See the head of this file. Each wire extends it. */
export abstract class Session extends Attendance implements SocketHandler, WatchedSocket {
  protected readonly socket: ServerWebSocket<SocketData>;
  #closed = false;

  constructor(socket: ServerWebSocket<SocketData>, hello: Hello, parts: DoorParts) {
    super(hello, parts);
    this.socket = socket;
  }

  begin(): void {
    this.parts.hub.addSocket(this);
    this.parts.metrics.sockets.inc({ door: this.door });
    void this.attend();
  }

  gone(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.end();
    this.parts.hub.removeSocket(this);
    this.parts.metrics.sockets.dec({ door: this.door });
  }

  get unsent(): number {
    return this.socket.getBufferedAmount();
  }

  cut(): void {
    this.gone();
    this.socket.terminate();
  }

  /** Sends something harmless when the line has been still for long. */
  abstract keepAlive(): void;

  /** Counts and closes for a frame that a client should not have sent. */
  protected refuseFrame(reason: string, code: CloseCode, message: string): void {
    this.countRefused(reason);
    this.close(code, message);
  }

  /** A wire that cannot refuse one frame without losing it for ever ends here. */
  overLimit(_frame: Frame, _last: boolean): void {
    this.refuseFrame('rate', CLOSE.OVERLOADED, TOO_MUCH);
  }

  protected hangUp(code: CloseCode, reason: string): void {
    this.gone();
    this.socket.close(code, reason);
  }
}

/** Why a writer that sends too much is closed. */
export const TOO_MUCH = 'over the message limits; back off and come again';
