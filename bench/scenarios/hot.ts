/**
 * One document that everybody writes into at once: 8 writers, each with so many edits under way, as fast as the server
 * confirms them. Over when every edit is confirmed and every writer has been sent everything of all others.
 *
 * With one edit under way the clock shows what a writer waits for; with 50, what the server can take.
 */
import type { Figure, RunningServer, Scenario, YjsClient, YjsContender } from '../contender.ts';
import { Latencies } from '../figures.ts';
import { cpuPerEdit, driverFigure, less, meter, more, quantiles } from './support/meter.ts';
import { within } from './support/pace.ts';
import { expectEqual } from './support/replicas.ts';
import { clientId, Progress, typeRun, wantedFrom } from './support/typing.ts';
import { closeAll, connectAll, freshReplica, type Sizes, visitWarm } from './support/visit.ts';

const WRITERS = 8;
const RUN_MS_MAX = 120_000;

class Writer {
  readonly confirm_ms = new Latencies();
  readonly sent_at: number[] = [];
  readonly #allConfirmed = Promise.withResolvers<void>();
  #confirmed = 0;
  client: YjsClient | null = null;

  constructor(
    readonly updates: readonly Uint8Array[],
    private readonly in_flight: number,
  ) {}

  get allConfirmed(): Promise<void> {
    return this.#allConfirmed.promise;
  }

  get confirmed(): number {
    return this.#confirmed;
  }

  /** Sends what may be under way. */
  send(): void {
    while (this.sent_at.length < this.updates.length && this.sent_at.length - this.#confirmed < this.in_flight) {
      const update = this.updates[this.sent_at.length];
      this.sent_at.push(performance.now());
      if (update !== undefined) this.client?.sendUpdate(update);
    }
  }

  readonly confirm = (edits: number, at: number): void => {
    for (; this.#confirmed < edits; this.#confirmed++)
      this.confirm_ms.add(at - (this.sent_at[this.#confirmed] ?? Number.NaN));
    if (this.#confirmed === this.updates.length) this.#allConfirmed.resolve();
    else this.send();
  };
}

async function run(
  contender: YjsContender,
  server: RunningServer,
  in_flight: number,
  edits_each: number,
): Promise<readonly Figure[]> {
  const ids = Array.from({ length: WRITERS }, (_, n) => clientId(n));
  const writers = ids.map((id) => new Writer(typeRun(id, edits_each), in_flight));
  const seen_ms = new Latencies();
  const readers = ids.map(
    (id) =>
      new Progress(wantedFrom(ids, edits_each, id), (writer, from, to, at) => {
        for (let i = from; i < to; i++) seen_ms.add(at - (writers[writer]?.sent_at[i] ?? Number.NaN));
      }),
  );
  const document = await server.createDocument();
  const clients = await connectAll(contender, server, WRITERS, (n) => {
    const [writer, reader] = [writers[n], readers[n]];
    if (writer === undefined || reader === undefined) throw new Error(`there is no writer ${n}`);
    return { document, onUpdates: reader.take, onConfirmed: writer.confirm };
  });
  for (const [n, writer] of writers.entries()) writer.client = clients[n] ?? null;
  const bytes_before = clients.reduce((sum, { bytes_in }) => sum + bytes_in, 0);

  const stop = meter(server);
  for (const writer of writers) writer.send();
  const all = Promise.all([...writers.map((w) => w.allConfirmed), ...readers.map((r) => r.complete)]);
  await within(RUN_MS_MAX, 'every edit is confirmed and has reached every writer', all, () => {
    const confirmed = writers.map((writer) => writer.confirmed).join(' ');
    return ` (confirmed ${confirmed} of ${edits_each} each, missing ${readers.map((reader) => reader.missing).join(' ')})`;
  });
  const cost = stop();

  const edits = WRITERS * edits_each;
  const bytes = clients.reduce((sum, { bytes_in }) => sum + bytes_in, 0) - bytes_before;
  const frames = readers.reduce((sum, reader) => sum + reader.frames, 0);
  const fresh = await freshReplica(contender, server, document, WRITERS);
  const replicas = clients.map(({ received }, n) => ({
    who: `writer ${n}`,
    updates: [...received, ...(writers[n]?.updates ?? [])],
  }));
  expectEqual([...fresh, ...replicas], edits);
  await closeAll(clients);
  return [
    more('throughput', 'edits/s', (edits * 1000) / cost.ms),
    ...cpuPerEdit(cost, edits),
    less('update frames', 'per edit and client', frames / edits / WRITERS),
    less('bytes received', 'per edit and client', bytes / edits / WRITERS),
    ...(in_flight === 1 ? [...quantiles('confirmed', merged(writers)), ...quantiles('seen', seen_ms)] : []),
    driverFigure(cost),
  ];
}

/**
 * What brings a server to the pace of one that has been up for a while: the writers of {@link run} for some seconds, on a
 * document of its own.
 */
export async function heat(contender: YjsContender, server: RunningServer): Promise<void> {
  for (const in_flight of [1, 20]) await run(contender, server, in_flight, in_flight === 1 ? 750 : 7_500);
}

function merged(writers: readonly Writer[]): Latencies {
  const all = new Latencies();
  for (const { confirm_ms } of writers) all.addAll(confirm_ms);
  return all;
}

function hot(in_flight: number, edits_each: Sizes<number>): Scenario {
  return {
    name: `hot-${in_flight}`,
    what:
      `${WRITERS} writers in one document, ${in_flight === 1 ? 'one edit' : `${in_flight} edits`} of each under way, ` +
      `${(WRITERS * edits_each.full).toLocaleString('en')} edits of one character, until all are confirmed and everybody has everything.`,
    run: (contender, size) =>
      visitWarm(contender, size, edits_each, (server, each) => run(contender, server, in_flight, each), heat),
  };
}

export const hot50 = hot(50, { warm: 3_000, full: 10_000, quick: 200 });
export const hot1 = hot(1, { warm: 500, full: 1_000, quick: 40 });
