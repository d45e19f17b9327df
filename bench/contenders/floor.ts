/** A bare Bun server that publishes every frame to the document's sockets: what cannot be had for less. */
import type { RunningServer, YjsContender } from '../contender.ts';
import { Echoes } from './confirmations.ts';
import { BUN, startPeer, type Workshop } from './peer.ts';
import { connectYjs } from './yjs-client.ts';

/** See the head of this file. It merges nothing and keeps nothing, so it has no part in cold opens. */
export function floor(workshop?: Workshop): YjsContender {
  return {
    name: 'bare bun publish',
    wire: 'yjs',
    confirms: 'nothing is kept: the edit came back to its author',
    start: () => startPeer({ runtime: BUN, script: 'floor.mjs', workshop }),
    connect: ({ url }: RunningServer, document, options) =>
      connectYjs(
        {
          address: `${url}/${document}`,
          prefix: new Uint8Array(),
          hello: [],
          // A question would go to all the others.
          asks: false,
          confirmations: new Echoes(),
        },
        options,
      ),
  };
}
