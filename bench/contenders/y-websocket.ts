/** y-websocket 2 on Node, with the server that it brings along. */
import type { RunningServer, YjsContender } from '../contender.ts';
import { Echoes } from './confirmations.ts';
import { NODE, startPeer, type Workshop } from './peer.ts';
import { connectYjs } from './yjs-client.ts';

/** See the head of this file. */
export function yWebsocket(workshop?: Workshop): YjsContender {
  return {
    name: 'y-websocket on node',
    wire: 'yjs',
    confirms: 'in memory: the edit came back to its author',
    start: () => startPeer({ runtime: NODE, script: 'y-websocket.mjs', workshop }),
    connect: ({ url }: RunningServer, document, options) =>
      connectYjs(
        {
          address: `${url}/${document}`,
          prefix: new Uint8Array(),
          hello: [],
          asks: true,
          confirmations: new Echoes(),
        },
        options,
      ),
  };
}
