/**
 * Where requests become sockets. Elysia never sees a WebSocket: Bun's own handlers are used, because they take and send
 * binary as it is and publish natively.
 */
import type { Server, ServerWebSocket, WebSocketHandler } from 'bun';
import { networkOf } from '../base/network.ts';
import { ConcordError, errorBody } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import { HocuspocusSocket } from './hocuspocus.ts';
import { JsonSession } from './json.ts';
import { isForeign, turnAway } from './origin.ts';
import type { DoorParts, Hello, SocketData } from './parts.ts';
import { YjsSession } from './yjs.ts';

/** The doors of a node. */
export interface Doors {
  /**
   * Takes the request if it is for a door; null when it is not. Undefined when it became a socket.
   * @param ip where it came from
   */
  take(request: Request, server: Server<SocketData>, ip: string): Response | undefined | null;
  readonly handlers: WebSocketHandler<SocketData>;
}

/** Opens the doors. */
export function openDoors(parts: DoorParts): Doors {
  const json = JsonSession.make(parts);
  const doors = [
    { path: /^\/v1\/collab\/([^/]*)\/?$/, make: json },
    { path: /^\/v1\/yjs\/([^/]*)\/?$/, make: YjsSession.make(parts) },
    { path: /^\/v1\/hocuspocus\/?$/, make: HocuspocusSocket.make(parts) },
  ];
  return {
    take(request, server, ip) {
      const url = new URL(request.url);
      for (const { path, make } of doors) {
        const match = path.exec(url.pathname);
        if (match === null) continue;
        const hello = readHello(request, url, match[1] ?? '', ip, parts);
        const makeHandler = isForeign(request, parts.cors_origins) ? turnAway(make === json ? 'json' : 'binary') : make;
        const data: SocketData = { hello, handler: null, makeHandler };
        if (server.upgrade(request, { data })) return undefined;
        hello.visit?.leave();
        return upgradeRequired(hello.request_id);
      }
      return null;
    },
    handlers: {
      // JSON frames have a smaller bound of their own; beyond this one Bun itself closes with 1009.
      maxPayloadLength: LIMITS.yjs_frame_bytes_max,
      // A reader that is too slow is told so (slow-readers.ts); this cuts the line of one that outruns even that.
      backpressureLimit: LIMITS.socket_backlog_bytes_hard_max,
      closeOnBackpressureLimit: true,
      idleTimeout: 60,
      sendPings: true,
      perMessageDeflate: false,
      open(socket) {
        socket.data.handler = socket.data.makeHandler(socket, socket.data.hello);
        socket.data.handler.begin();
      },
      message(socket: ServerWebSocket<SocketData>, message) {
        const { handler, hello } = socket.data;
        const verdict = hello.visit === null ? 'take' : hello.visit.arrived(message.length);
        if (verdict === 'take') handler?.receive(message);
        else handler?.overLimit(message, verdict === 'close');
      },
      close(socket) {
        socket.data.handler?.gone();
        socket.data.hello.visit?.leave();
      },
    },
  };
}

function readHello(request: Request, url: URL, doc_id: string, ip: string, parts: DoorParts): Hello {
  const bearer = /^Bearer (\S+)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
  const named = request.headers.get('x-request-id') ?? '';
  return {
    doc_id,
    token: url.searchParams.get('token') || bearer || null,
    query: url.searchParams,
    request_id: /^[A-Za-z0-9._-]{1,128}$/.test(named) ? named : parts.random.id(),
    visit: parts.limits?.arrive(networkOf(ip)) ?? null,
  };
}

function upgradeRequired(request_id: string): Response {
  const headers = { upgrade: 'websocket', connection: 'Upgrade', 'x-request-id': request_id };
  return Response.json(errorBody(new ConcordError('UPGRADE_REQUIRED')), { status: 426, headers });
}
