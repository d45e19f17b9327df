/**
 * Many small documents: two clients on each, both writing now and then. Shows what an open document costs, in memory and
 * for each edit, where there is nobody to share the cost of a frame with.
 */
import type { Figure, RunningServer, Scenario, YjsContender } from '../contender.ts';
import { Latencies } from '../figures.ts';
import { heat } from './hot.ts';
import { cpuPerEdit, driverFigure, less, meter, quantiles } from './support/meter.ts';
import { pooled, timetable, within } from './support/pace.ts';
import { expectEqual, sampleOf } from './support/replicas.ts';
import { clientId, Progress, typeRun, wantedFrom } from './support/typing.ts';
import { closeAll, connectAll, freshReplica, type Sizes, visitWarm } from './support/visit.ts';

const CREATES_AT_ONCE = 20;
const SETTLE_MS_MAX = 60_000;

interface Size {
  readonly documents: number;
  readonly edits_per_second: number;
  readonly edits_each: number;
}

const SIZES: Sizes<Size> = {
  warm: { documents: 100, edits_per_second: 1_000, edits_each: 10 },
  full: { documents: 1_000, edits_per_second: 2_000, edits_each: 5 },
  quick: { documents: 20, edits_per_second: 100, edits_each: 2 },
};

async function run(contender: YjsContender, server: RunningServer, size: Size): Promise<readonly Figure[]> {
  const people = 2 * size.documents;
  const edits = people * size.edits_each;
  const typed = Array.from({ length: people }, (_, n) => typeRun(clientId(n), size.edits_each));
  const due_at = typed.map((): number[] => []);
  const times = new Latencies();
  // Clients 2d and 2d + 1 share document d: each waits for the edits of the other.
  const readers = typed.map((_, n) => {
    const other = n ^ 1;
    return new Progress(wantedFrom([clientId(other)], size.edits_each), (_writer, from, to, at) => {
      for (let i = from; i < to; i++) times.add(at - (due_at[other]?.[i] ?? Number.NaN));
    });
  });
  const confirmed = typed.map(() => Promise.withResolvers<void>());
  const sample = sampleOf(size.documents);
  const documents = await pooled(size.documents, CREATES_AT_ONCE, () => server.createDocument());
  const rss_before = await server.rss();
  const clients = await connectAll(contender, server, people, (n) => {
    const [document, reader] = [documents[n >> 1], readers[n]];
    if (document === undefined || reader === undefined) throw new Error(`there is no client ${n}`);
    return {
      document,
      keep: sample.has(n >> 1),
      onUpdates: reader.take,
      onConfirmed: (count) => count === size.edits_each && confirmed[n]?.resolve(),
    };
  });

  const stop = meter(server);
  await timetable(edits, size.edits_per_second, (k, due) => {
    const [n, i] = [k % people, Math.floor(k / people)];
    const update = typed[n]?.[i];
    due_at[n]?.push(due);
    if (update !== undefined) clients[n]?.sendUpdate(update);
  });
  const all = Promise.all([...readers.map(({ complete }) => complete), ...confirmed.map(({ promise }) => promise)]);
  await within(SETTLE_MS_MAX, 'every edit is confirmed and with its reader', all, () => {
    return ` (${readers.filter(({ missing }) => missing > 0).length} of ${people} readers lack some)`;
  });
  const cost = stop();
  const rss = await server.rss();

  for (const d of sample) {
    const fresh = await freshReplica(contender, server, documents[d] ?? '', people + d);
    const replicas = [2 * d, 2 * d + 1].map((n) => ({
      who: `client ${n}`,
      updates: [...(clients[n]?.received ?? []), ...(typed[n] ?? [])],
    }));
    expectEqual([...fresh, ...replicas], 2 * size.edits_each);
  }
  await closeAll(clients);
  return [
    ...cpuPerEdit(cost, edits),
    less('memory', 'KB per open document', (rss - rss_before) / size.documents / 1024),
    ...quantiles('delivery', times),
    driverFigure(cost),
  ];
}

export const documents1000: Scenario = {
  name: 'documents-1000',
  what: '1,000 documents with two clients each who all write: 2,000 edits a second in all, for 5 s.',
  run: (contender, size) => visitWarm(contender, size, SIZES, (server, each) => run(contender, server, each), heat),
};
