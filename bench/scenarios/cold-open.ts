/**
 * The first to open a long document after the server came up: nothing of it is in memory. The document is a trace of what
 * a person really typed, a quarter of a million keystrokes, one edit each. A peer is given the state that a client ends
 * up with, as its storage would have it; ours is sent every keystroke through its door, since what it makes of a long
 * history is its own affair. Neither is timed.
 *
 * Opened both as the first thing after a start, when the process itself is cold, and after a small document was opened in
 * the same process: then what is left is the document. The two take turns, each after a start of its own.
 */
import * as Y from 'yjs';
import { TEXT_ROOT } from '../../src/protocol/snapshot.ts';
import type { Figure, RunningServer, Scenario, YjsClient, YjsContender } from '../contender.ts';
import type { Trace } from '../trace.ts';
import { produce } from '../yjs-door.ts';
import { type Cost, DRIVER_CPU, less, meter } from './support/meter.ts';
import { within } from './support/pace.ts';
import { contentOf } from './support/replicas.ts';
import { clientId, stateOf } from './support/typing.ts';
import { OURS, visit } from './support/visit.ts';

const OPENS = 5;
const IN_FLIGHT = 200;
const SEED_MS_MAX = 300_000;
const OPEN_MS_MAX = 60_000;

/** What a person typed, as the updates of their editor, and the state that these end in. */
class Typescript {
  readonly updates: readonly Uint8Array[];
  readonly state: Uint8Array;

  constructor(readonly trace: Trace) {
    if (trace.agents !== 1) throw new Error('the trace for cold-open must be that of one person');
    this.updates = produce(trace, [clientId(0)])
      .flat()
      .map(({ update }) => update);
    const doc = new Y.Doc();
    for (const update of this.updates) Y.applyUpdate(doc, update);
    if (doc.getText(TEXT_ROOT).toString() !== trace.end) throw new Error('the trace does not end in its own text');
    this.state = Y.encodeStateAsUpdate(doc);
    doc.destroy();
  }
}

interface Opening extends Cost {
  /** From the question, sent over an open socket, to the whole state; NaN where the client does not tell of it. */
  readonly asked_ms: number;
  readonly bytes: number;
  readonly states: number;
}

/** Sends every edit from one client, and resolves once all are confirmed. */
async function typeAll(
  contender: YjsContender,
  server: RunningServer,
  document: string,
  updates: readonly Uint8Array[],
) {
  const all = Promise.withResolvers<void>();
  let [sent, confirmed] = [0, 0];
  let client: YjsClient | null = null;
  const send = (): void => {
    for (; sent < updates.length && sent - confirmed < IN_FLIGHT; sent++)
      client?.sendUpdate(updates[sent] ?? new Uint8Array());
  };
  client = await contender.connect(server, document, {
    client_id: clientId(0),
    keep: false,
    onConfirmed(edits) {
      confirmed = edits;
      send();
      if (edits === updates.length) all.resolve();
    },
  });
  send();
  await within(
    SEED_MS_MAX,
    'the whole trace is taken in',
    all.promise,
    () => ` (${confirmed} of ${updates.length} are)`,
  );
  await client.close();
}

async function open(
  contender: YjsContender,
  server: RunningServer,
  document: string,
  n: number,
  end: string,
): Promise<Opening> {
  let asked_at = Number.NaN;
  const stop = meter(server);
  const connecting = contender.connect(server, document, {
    client_id: clientId(n),
    onAsked: (at) => {
      asked_at = at;
    },
  });
  const client = await within(OPEN_MS_MAX, 'the document is open', connecting);
  const here_at = performance.now();
  const cost = stop();
  const opening = { ...cost, asked_ms: here_at - asked_at, bytes: client.bytes_in, states: client.states_in };
  if (contentOf({ who: 'the client', updates: client.received }).text !== end)
    throw new Error('the document that was opened has another text than the trace ends in');
  await client.close();
  return opening;
}

async function run(
  contender: YjsContender,
  server: RunningServer,
  { trace, updates, state }: Typescript,
  opens: number,
): Promise<readonly Figure[]> {
  const ours = contender.name === OURS;
  const document = await server.createDocument(ours ? undefined : state);
  if (ours) await typeAll(contender, server, document, updates);
  const small_text = 'A small document.';
  const small = await server.createDocument(stateOf(clientId(0), small_text));
  const [first, warm]: [Opening[], Opening[]] = [[], []];
  for (let n = 1; n <= opens; n++) {
    await server.restart();
    first.push(await open(contender, server, document, 2 * n, trace.end));
    await server.restart();
    await open(contender, server, small, 2 * n, small_text);
    warm.push(await open(contender, server, document, 2 * n + 1, trace.end));
  }
  const all = [...first, ...warm];
  const asked_ms = median(warm, 'asked_ms');
  return [
    less('open', 'ms', median(warm, 'ms')),
    ...(Number.isFinite(asked_ms) ? [less('open, from question to state', 'ms', asked_ms)] : []),
    less('open, first thing after a start', 'ms', median(first, 'ms')),
    less('bytes received', 'KB', median(all, 'bytes') / 1024),
    less('states received', 'per open', Math.max(...all.map(({ states }) => states))),
    less('server CPU', 'ms per open', median(warm, 'server_ms')),
    less(DRIVER_CPU, '%', median(warm, 'driver_percent')),
  ];
}

function median(openings: readonly Opening[], what: keyof Opening): number {
  const sorted = openings.map((opening) => opening[what]).sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/** The trace is read once for all contenders and runs. */
export function coldOpen(read: () => Promise<Trace>): Scenario {
  let typescript: Promise<Typescript> | null = null;
  return {
    name: 'cold-open',
    what: 'The document that a trace of 260,000 keystrokes ends in, opened after the server came up: the median of 5.',
    async run(contender, size) {
      typescript ??= read().then((trace) => new Typescript(trace));
      const ready = await typescript;
      return visit(contender, (server) => run(contender, server, ready, size === 'full' ? OPENS : 1));
    },
  };
}
