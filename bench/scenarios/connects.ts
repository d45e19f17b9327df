/**
 * Everybody comes at once, as after a deployment: 2,000 sockets on 200 documents with a little text, each connected,
 * authenticated where that is needed, and synced. Then they sit there, and take room.
 */
import type { Figure, RunningServer, Scenario, YjsContender } from '../contender.ts';
import { heat } from './hot.ts';
import { driverFigure, less, meter } from './support/meter.ts';
import { pooled } from './support/pace.ts';
import { expectEqual } from './support/replicas.ts';
import { clientId, stateOf } from './support/typing.ts';
import { closeAll, connectAll, keepsDocuments, type Sizes, visitWarm } from './support/visit.ts';

const CREATES_AT_ONCE = 20;
const TEXT = 'The quick brown fox jumps over the lazy dog. '.repeat(20);

interface Size {
  readonly sockets: number;
  readonly documents: number;
  readonly idle_ms: number;
}

const SIZES: Sizes<Size> = {
  warm: { sockets: 400, documents: 40, idle_ms: 200 },
  full: { sockets: 2_000, documents: 200, idle_ms: 2_000 },
  quick: { sockets: 40, documents: 4, idle_ms: 200 },
};

async function run(contender: YjsContender, server: RunningServer, size: Size): Promise<readonly Figure[]> {
  const state = stateOf(clientId(size.sockets), TEXT);
  const documents = await pooled(size.documents, CREATES_AT_ONCE, () => server.createDocument(state));
  const rss_before = await server.rss();
  const stop = meter(server);
  const clients = await connectAll(contender, server, size.sockets, (n) => ({
    document: documents[n % size.documents] ?? '',
  }));
  const cost = stop();
  await Bun.sleep(size.idle_ms);
  const rss = await server.rss();
  const replicas = clients.map(({ received }, n) => ({ who: `client ${n}`, updates: received }));
  expectEqual(replicas, keepsDocuments(contender) ? TEXT.length : 0);
  await closeAll(clients);
  return [
    less('all synced', 's', cost.ms / 1000),
    less('server CPU', 'ms per connect', cost.server_ms / size.sockets),
    less('stores CPU', 'ms per connect', cost.stores_ms / size.sockets),
    less('memory', 'KB per idle connection', (rss - rss_before) / size.sockets / 1024),
    driverFigure(cost),
  ];
}

export const connects2000: Scenario = {
  name: 'connects-2000',
  what: '2,000 sockets on 200 documents, at most 50 handshakes under way, until all have the text; then 2 s of rest.',
  run: (contender, size) => visitWarm(contender, size, SIZES, (server, each) => run(contender, server, each), heat),
};
