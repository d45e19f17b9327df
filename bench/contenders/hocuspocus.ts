/** Hocuspocus 4, on Bun and on Node. Its wire is y-websocket's with the document's name before every frame. */
import * as encoding from 'lib0/encoding';
import type { RunningServer, YjsContender } from '../contender.ts';
import { SyncStatuses } from './confirmations.ts';
import { BUN, NODE, startPeer, type Workshop } from './peer.ts';
import { connectYjs } from './yjs-client.ts';

/** Message and kind of the first thing its provider sends, and its version, which the provider tells too. */
const AUTH = 2;
const TOKEN = 0;
const PROVIDER_VERSION = '4.7.0';

/** See the head of this file. */
export function hocuspocus(runtime: 'bun' | 'node', workshop?: Workshop): YjsContender {
  return {
    name: `hocuspocus on ${runtime}`,
    wire: 'yjs',
    confirms: 'in memory: its sync status, sent once the edit is merged',
    start: () => startPeer({ runtime: runtime === 'bun' ? BUN : NODE, script: 'hocuspocus.mjs', workshop }),
    connect: ({ url }: RunningServer, document, options) =>
      connectYjs(
        {
          address: url,
          prefix: encoding.encode((encoder) => encoding.writeVarString(encoder, document)),
          hello: [authFrame()],
          asks: true,
          confirmations: new SyncStatuses(),
        },
        options,
      ),
  };
}

/** With no token: the server has nothing that would look at it. */
function authFrame(): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, AUTH);
    encoding.writeVarUint(encoder, TOKEN);
    encoding.writeVarString(encoder, '');
    encoding.writeVarString(encoder, PROVIDER_VERSION);
  });
}
