/**
 * One writes, many watch: 50 edits a second on a timetable, each of which must reach every receiver; in the second kind
 * the writer's cursor follows each edit in a frame of its own. Of cursors a server may leave out those that a newer one
 * replaced, but the last must reach everybody.
 *
 * A delivery is one edit at one receiver, however the server packs them, so the cost of one means the same for all.
 */
import type { Figure, RunningServer, Scenario, YjsContender } from '../contender.ts';
import { Latencies } from '../figures.ts';
import { heat } from './hot.ts';
import { driverFigure, less, meter, quantiles } from './support/meter.ts';
import { timetable, within } from './support/pace.ts';
import { expectEqual, sampleOf } from './support/replicas.ts';
import { clientId, Progress, typeWithCursors, wantedFrom } from './support/typing.ts';
import { closeAll, connectAll, freshReplica, visitWarm } from './support/visit.ts';

const EDITS_PER_SECOND = 50;
/** How long the last deliveries may take once the writer is done. */
const SETTLE_MS_MAX = 60_000;

interface Size {
  readonly receivers: number;
  readonly edits: number;
}

/** Sees whether the last cursor has come; looks into frames only once it was sent. */
class CursorWatch {
  readonly #arrived = Promise.withResolvers<void>();
  #frames = 0;

  constructor(private readonly expected: () => Buffer | null) {}

  get arrived(): Promise<void> {
    return this.#arrived.promise;
  }

  get frames(): number {
    return this.#frames;
  }

  readonly take = (frame: Uint8Array | string): void => {
    this.#frames += 1;
    const expected = this.expected();
    if (expected !== null && Buffer.from(frame as Uint8Array).includes(expected)) this.#arrived.resolve();
  };
}

async function run(
  contender: YjsContender,
  server: RunningServer,
  { receivers, edits }: Size,
  with_cursor: boolean,
): Promise<readonly Figure[]> {
  const writer_id = clientId(0);
  const typed = typeWithCursors(writer_id, edits);
  const due_at: number[] = [];
  const times = new Latencies();
  const readers = Array.from(
    { length: receivers },
    () =>
      new Progress(wantedFrom([writer_id], edits), (_, from, to, at) => {
        for (let i = from; i < to; i++) times.add(at - (due_at[i] ?? Number.NaN));
      }),
  );
  let last_cursor: Buffer | null = null;
  const watches = readers.map(() => new CursorWatch(() => last_cursor));
  const sample = sampleOf(receivers);
  const confirmed = Promise.withResolvers<void>();
  const document = await server.createDocument();
  const [writer, ...others] = await connectAll(contender, server, receivers + 1, (n) => {
    if (n === 0) return { document, onConfirmed: (count) => count === edits && confirmed.resolve() };
    const [reader, watch] = [readers[n - 1], watches[n - 1]];
    if (reader === undefined || watch === undefined) throw new Error(`there is no receiver ${n}`);
    return { document, keep: sample.has(n - 1), onUpdates: reader.take, onPresence: watch.take };
  });
  if (writer === undefined) throw new Error('nobody writes');

  const stop = meter(server);
  await timetable(edits, EDITS_PER_SECOND, (k, due) => {
    const edit = typed[k];
    if (edit === undefined) return;
    due_at[k] = due;
    writer.sendUpdate(edit.update);
    if (!with_cursor) return;
    // The cursor stands at the character of this very edit, so its clock tells this state from all others.
    if (k === edits - 1) last_cursor = Buffer.from(`"clock":${k}`);
    writer.sendPresence({ user: { name: 'Ada Lovelace', color: '#30bced' }, cursor: edit.cursor });
  });
  const shown = [...readers.map(({ complete }) => complete), ...(with_cursor ? watches.map((w) => w.arrived) : [])];
  await within(SETTLE_MS_MAX, 'everybody has everything', Promise.all([confirmed.promise, ...shown]), () => {
    const lacking = readers.filter(({ missing }) => missing > 0).length;
    return ` (${lacking} of ${receivers} lack edits)`;
  });
  const cost = stop();

  const replicas = [...sample].map((n) => ({ who: `receiver ${n}`, updates: others[n]?.received ?? [] }));
  expectEqual([...(await freshReplica(contender, server, document, receivers + 1)), ...replicas], edits);
  const frames = readers.reduce((sum, reader) => sum + reader.frames, 0);
  const cursor_frames = watches.reduce((sum, watch) => sum + watch.frames, 0);
  await closeAll([writer, ...others]);
  return [
    ...quantiles('delivery', times),
    less('server CPU', 'ms per 1,000 deliveries', (cost.server_ms * 1000) / (edits * receivers)),
    less('stores CPU', 'µs/edit', (cost.stores_ms * 1000) / edits),
    less('update frames', 'per edit and receiver', frames / edits / receivers),
    ...(with_cursor ? [less('cursor frames', 'per edit and receiver', cursor_frames / edits / receivers)] : []),
    driverFigure(cost),
  ];
}

function fanout(receivers: number, with_cursor: boolean): Scenario {
  return {
    name: `fanout${with_cursor ? '-cursor' : ''}-${receivers}`,
    what: `One writer, ${EDITS_PER_SECOND} edits a second for 6 s${with_cursor ? ', the cursor after each' : ''}, ${receivers} receivers.`,
    run: (contender, size) =>
      visitWarm(
        contender,
        size,
        {
          warm: { receivers, edits: 2 * EDITS_PER_SECOND },
          full: { receivers, edits: 6 * EDITS_PER_SECOND },
          quick: { receivers: Math.min(20, receivers), edits: 25 },
        },
        (server, each) => run(contender, server, each, with_cursor),
        heat,
      ),
  };
}

export const fanouts: readonly Scenario[] = [false, true].flatMap((with_cursor) =>
  [10, 100, 500].map((receivers) => fanout(receivers, with_cursor)),
);
