/**
 * 500 people on one document whose cursors all move once a second: a quarter of a million deliveries a second, if each
 * were one. A server may put many states into a frame and leave out what a newer state of the same person replaced; such
 * a state counts as delivered when the newer one arrives, which is when the screen is right again.
 */
import type { Figure, RunningServer, Scenario, YjsContender } from '../contender.ts';
import { Latencies } from '../figures.ts';
import { heat } from './hot.ts';
import { driverFigure, less, meter, quantiles } from './support/meter.ts';
import { timetable, within } from './support/pace.ts';
import { expectEqual, sampleOf } from './support/replicas.ts';
import { closeAll, connectAll, freshReplica, type Sizes, visitWarm } from './support/visit.ts';

const SETTLE_MS_MAX = 90_000;

interface Size {
  readonly people: number;
  readonly seconds: number;
}

const SIZES: Sizes<Size> = {
  warm: { people: 100, seconds: 3 },
  full: { people: 500, seconds: 8 },
  quick: { people: 20, seconds: 2 },
};

/** A state as an editor has it, by which a receiver knows whose and which one it sees. */
export function stateNumbered(person: number, n: number): object {
  const cursor = { type: { client: 1_500_000_000, clock: 0 }, item: { client: 1_500_000_101, clock: n * 7 + person } };
  return { user: { name: `Person ${person}`, color: '#30bced' }, at: [person, n], cursor: { anchor: cursor } };
}

/** Whose and which states a frame holds, in whatever form the wire has: the states themselves are JSON everywhere. */
export function readNumbers(frame: Uint8Array | string, take: (person: number, n: number) => void): void {
  const text = typeof frame === 'string' ? frame : Buffer.from(frame).toString('latin1');
  for (const [, person, n] of text.matchAll(/"at":\[(\d+),(\d+)\]/g)) take(Number(person), Number(n));
}

/** What one receiver has seen of the states of all others. */
class Watch {
  readonly #seen: number[];
  readonly #complete = Promise.withResolvers<void>();
  #missing: number;

  constructor(
    readonly me: number,
    people: number,
    private readonly rounds: number,
    private readonly due_at: readonly (readonly number[])[],
    private readonly times: Latencies,
  ) {
    this.#seen = new Array<number>(people).fill(0);
    this.#missing = (people - 1) * rounds;
  }

  get complete(): Promise<void> {
    return this.#complete.promise;
  }

  get missing(): number {
    return this.#missing;
  }

  take(frame: Uint8Array | string, at: number): void {
    readNumbers(frame, (person, n) => {
      if (person === this.me) return;
      // States before the last are late by as much as they were replaced.
      for (let k = this.#seen[person] ?? this.rounds; k <= n; k++) {
        this.times.add(at - (this.due_at[person]?.[k] ?? Number.NaN));
        this.#missing -= 1;
        this.#seen[person] = k + 1;
      }
    });
    if (this.#missing === 0) this.#complete.resolve();
  }
}

async function run(
  contender: YjsContender,
  server: RunningServer,
  { people, seconds }: Size,
): Promise<readonly Figure[]> {
  const due_at = Array.from({ length: people }, (): number[] => []);
  const times = new Latencies();
  const watches = new Map([...sampleOf(people)].map((n) => [n, new Watch(n, people, seconds, due_at, times)] as const));
  let frames = 0;
  const document = await server.createDocument();
  const clients = await connectAll(contender, server, people, (n) => {
    const watch = watches.get(n);
    return {
      document,
      onPresence(frame, at) {
        frames += 1;
        watch?.take(frame, at);
      },
    };
  });
  frames = 0;

  const stop = meter(server);
  await timetable(people * seconds, people, (k, due) => {
    const [person, n] = [k % people, Math.floor(k / people)];
    due_at[person]?.push(due);
    clients[person]?.sendPresence(stateNumbered(person, n));
  });
  const all = Promise.all([...watches.values()].map(({ complete }) => complete));
  await within(SETTLE_MS_MAX, 'the sample has seen the last state of everybody', all, () => {
    return ` (missing ${[...watches.values()].map(({ missing }) => missing).join(' ')})`;
  });
  const cost = stop();
  const fresh = await freshReplica(contender, server, document, people);
  expectEqual([...fresh, ...clients.map(({ received }, n) => ({ who: `client ${n}`, updates: received }))], 0);
  await closeAll(clients);
  return [
    ...quantiles('delivery', times, [0.5, 0.95, 0.99]),
    less('server CPU', 'ms/s', (cost.server_ms * 1000) / cost.ms),
    less('server CPU', 'µs/state sent', (cost.server_ms * 1000) / (people * seconds)),
    less('frames', 'per second and receiver', (frames * 1000) / cost.ms / people),
    driverFigure(cost),
  ];
}

export const presence500: Scenario = {
  name: 'presence-500',
  what: '500 people on one document, each moving a cursor once a second for 8 s.',
  run: (contender, size) => visitWarm(contender, size, SIZES, (server, each) => run(contender, server, each), heat),
};
