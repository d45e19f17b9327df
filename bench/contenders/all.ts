/** Everyone in the benchmark, Concord first. */
import type { JsonContender, YjsContender } from '../contender.ts';
import { concord, concordJson } from './concord.ts';
import { floor } from './floor.ts';
import { hocuspocus } from './hocuspocus.ts';
import { sharedb } from './sharedb.ts';
import { yWebsocket } from './y-websocket.ts';

/** On the Yjs wires. */
export const YJS_CONTENDERS: readonly YjsContender[] = [
  concord(),
  hocuspocus('bun'),
  hocuspocus('node'),
  yWebsocket(),
  floor(),
];

/** On JSON wires. */
export const JSON_CONTENDERS: readonly JsonContender[] = [concordJson('event'), concordJson('disk'), sharedb()];
