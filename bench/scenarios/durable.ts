/**
 * How long an edit takes to the disk under load: 4,000 or 8,000 edits a second over 400 documents on a timetable, from the time that
 * an edit was due to the acknowledgement that PostgreSQL has it. The peers acknowledge from memory, or not at all, so
 * there is nobody to compare with.
 */
import type { Figure, RunningServer, Scenario, YjsContender } from '../contender.ts';
import { Latencies } from '../figures.ts';
import { heat } from './hot.ts';
import { cpuPerEdit, driverFigure, meter, more, quantiles } from './support/meter.ts';
import { pooled, timetable, within } from './support/pace.ts';
import { expectEqual, sampleOf } from './support/replicas.ts';
import { clientId, typeRun } from './support/typing.ts';
import { closeAll, connectAll, freshReplica, type Sizes, visitWarm } from './support/visit.ts';

const CREATES_AT_ONCE = 20;
const SETTLE_MS_MAX = 60_000;

interface Size {
  readonly documents: number;
  readonly edits_per_second: number;
  readonly edits_each: number;
}

const DOCUMENTS = 400;
const SECONDS = 10;

function sizes(edits_per_second: number): Sizes<Size> {
  return {
    warm: { documents: 100, edits_per_second: edits_per_second / 2, edits_each: 80 },
    full: { documents: DOCUMENTS, edits_per_second, edits_each: (edits_per_second / DOCUMENTS) * SECONDS },
    quick: { documents: 20, edits_per_second: 400, edits_each: 20 },
  };
}

async function run(contender: YjsContender, server: RunningServer, size: Size): Promise<readonly Figure[]> {
  const typed = Array.from({ length: size.documents }, (_, n) => typeRun(clientId(n), size.edits_each));
  const due_at = typed.map((): number[] => []);
  const counts = typed.map(() => 0);
  const done = typed.map(() => Promise.withResolvers<void>());
  const times = new Latencies();
  const documents = await pooled(size.documents, CREATES_AT_ONCE, () => server.createDocument());
  const clients = await connectAll(contender, server, size.documents, (n) => ({
    document: documents[n] ?? '',
    onConfirmed(edits, at) {
      for (let i = counts[n] ?? 0; i < edits; i++) times.add(at - (due_at[n]?.[i] ?? Number.NaN));
      counts[n] = edits;
      if (edits === size.edits_each) done[n]?.resolve();
    },
  }));

  const edits = size.documents * size.edits_each;
  const stop = meter(server);
  await timetable(edits, size.edits_per_second, (k, due) => {
    const n = k % size.documents;
    const update = typed[n]?.[Math.floor(k / size.documents)];
    due_at[n]?.push(due);
    if (update !== undefined) clients[n]?.sendUpdate(update);
  });
  const all = Promise.all(done.map(({ promise }) => promise));
  await within(SETTLE_MS_MAX, 'every edit is on disk', all, () => ` (${times.count} of ${edits} are)`);
  const cost = stop();

  for (const n of sampleOf(size.documents)) {
    const fresh = await freshReplica(contender, server, documents[n] ?? '', size.documents + n);
    const own = [...(clients[n]?.received ?? []), ...(typed[n] ?? [])];
    expectEqual([...fresh, { who: `writer ${n}`, updates: own }], size.edits_each);
  }
  await closeAll(clients);
  return [
    ...quantiles('durable', times),
    more('rate', 'edits/s', (edits * 1000) / cost.ms),
    ...cpuPerEdit(cost, edits),
    driverFigure(cost),
  ];
}

function durable(rate: number): Scenario {
  return {
    name: `durable-${rate}`,
    what: `${DOCUMENTS} documents with one writer each, ${rate.toLocaleString('en')} edits a second in all for ${SECONDS} s: until PostgreSQL has them.`,
    run: (contender, size) =>
      visitWarm(contender, size, sizes(rate), (server, each) => run(contender, server, each), heat),
  };
}

export const durables: readonly Scenario[] = [durable(4_000), durable(8_000)];
