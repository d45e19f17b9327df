/**
 * Which pages may open a socket. A browser says in `Origin` which site's page asks, and no script can make it say another;
 * it does not hold sockets back by itself, as it does calls. So a page of a site that nobody named gets no socket here, not
 * even with a token that it has got hold of, and neither does one that reached us under another name of ours (DNS
 * rebinding). What sends no `Origin` is no browser, and may say what it likes in any case.
 *
 * Our own pages are those of the host that the request itself names. A proxy in front has to pass `Host` on; the scheme may
 * be another behind it and is not compared.
 */
import type { ServerWebSocket } from 'bun';
import { CLOSE } from '../protocol/close.ts';
import { ConcordError, errorBody } from '../protocol/errors.ts';
import type { SocketData, SocketHandler } from './parts.ts';

const REFUSAL = new ConcordError('FORBIDDEN', 'Pages of this origin may not connect; see CORS_ORIGINS.');

/** Whether a page of another site asks; `origins` are those that may. */
export function isForeign(request: Request, origins: readonly string[]): boolean {
  const origin = request.headers.get('origin');
  if (origin === null || origins.includes(origin)) return false;
  // `null` is what pages without a site of their own say: files, sandboxed frames.
  return !URL.canParse(origin) || new URL(origin).host !== new URL(request.url).host;
}

/** Makes what a foreign page's socket is handled by: it is told why on the JSON door, and closed with 4403. */
export function turnAway(wire: 'json' | 'binary'): (socket: ServerWebSocket<SocketData>) => SocketHandler {
  return (socket) => ({
    begin() {
      const { code, message } = errorBody(REFUSAL).error;
      if (wire === 'json') socket.sendText(JSON.stringify({ type: 'error', code, message }));
      socket.close(CLOSE.FORBIDDEN, REFUSAL.message);
    },
    receive() {},
    overLimit() {},
    gone() {},
  });
}
