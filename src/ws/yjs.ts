/**
 * The Yjs door, CONTRACT.md section 4: the y-websocket wire, so that stock providers work unchanged. It reads frames and
 * hands them on; what they mean is the document's business.
 */
import type { ServerWebSocket } from 'bun';
import type { JoinRequest } from '../actors/handle.ts';
import { type Member, nextMemberId, type YjsMember } from '../actors/member.ts';
import { isUuid } from '../base/ids.ts';
import { CLOSE } from '../protocol/close.ts';
import { type ConcordError, invalidField } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import { awarenessFrame, MESSAGE, readYjsFrame, uncounted, type YjsFrame } from '../protocol/yjs-wire.ts';
import type { DoorParts, Hello, Identity, SocketData } from './parts.ts';
import { Session } from './session.ts';
import { type PublishingMember, topics } from './topics.ts';

const STILL_HERE = awarenessFrame([]);

/** See the head of this file. */
export class YjsSession extends Session {
  readonly door = 'yjs';

  static readonly make = (parts: DoorParts) => (socket: ServerWebSocket<SocketData>, hello: Hello) =>
    new YjsSession(socket, hello, parts);

  /** A provider that hears nothing for 30 s takes the line for dead; an empty awareness message tells it otherwise. */
  keepAlive(): void {
    this.socket.sendBinary(STILL_HERE);
  }

  protected explain(_error: ConcordError): void {
    // This wire has no error message; the close code says it.
  }

  protected join(identity: Identity): JoinRequest {
    const named = this.hello.query.get('client_id');
    if (named !== null && !isUuid(named)) throw invalidField('/client_id', 'is not a UUID');
    const client_id = named?.toLowerCase() ?? this.parts.random.id();
    return { member: this.#member(identity, client_id), named: named !== null, point: null };
  }

  protected take(frame: string | Uint8Array, member: Member): void {
    if (typeof frame === 'string') return this.refuseFrame('text', CLOSE.MALFORMED, 'frames of this door are binary');
    let read: YjsFrame;
    try {
      read = readYjsFrame(frame, LIMITS.awareness_clients_per_frame_max);
    } catch {
      return this.refuseFrame('undecodable', CLOSE.MALFORMED, 'a frame does not decode');
    }
    const yjs = member as YjsMember;
    switch (read.kind) {
      case 'step1':
        return this.push({ kind: 'sync', member: yjs, state_vector: read.state_vector });
      case 'update':
        return this.push({ kind: 'update', member: yjs, update: read.update, whole: read.whole });
      case 'awareness':
        return this.push({ kind: 'awareness', member: yjs, entries: read.entries });
      case 'query_awareness':
        return this.push({ kind: 'query_awareness', member: yjs });
      case 'unknown':
        this.parts.metrics.frames_refused.inc({ door: this.door, reason: 'unknown_type' });
        return;
    }
  }

  #member(identity: Identity, client_id: string): PublishingMember {
    const { socket, doc_id } = this;
    const asked = this.hello.query.get('acks');
    const acks = asked === '1' || asked === '2';
    return {
      wire: 'yjs',
      door: this.door,
      acks,
      socket,
      named: null,
      member_id: nextMemberId(),
      place: 'here',
      user_id: identity.caller.user_id,
      display_name: identity.display_name,
      client_id,
      role: identity.role,
      subscribe: () => {
        socket.subscribe(topics.yjs(doc_id));
        if (acks) socket.subscribe(topics.acks(doc_id));
        this.joined();
      },
      send: (frame) => {
        socket.sendBinary(asked === '1' && frame[0] === MESSAGE.ACK ? uncounted(frame) : frame);
      },
      close: (code, reason) => this.close(code, reason),
    };
  }
}
