/**
 * JSON edits: operational transformation on both sides, with no Yjs in the client. Each writer inserts at the start, so
 * that no two edits are spared the transformation, and has one edit under way, as both protocols have it.
 */
import type { Figure, JsonContender, RunningServer, Scenario } from '../contender.ts';
import { Latencies } from '../figures.ts';
import { cpuPerEdit, driverFigure, meter, more, quantiles } from './support/meter.ts';
import { pooled, within } from './support/pace.ts';
import { visitWarm } from './support/visit.ts';

const RUN_MS_MAX = 120_000;
const SETTLE_MS_MAX = 30_000;

async function run(
  contender: JsonContender,
  server: RunningServer,
  writers: number,
  edits_each: number,
): Promise<readonly Figure[]> {
  const document = await server.createDocument();
  const clients = await pooled(writers, writers, () => contender.connect(server, document));
  const times = new Latencies();
  const edits = writers * edits_each;
  const stop = meter(server);
  const writing = clients.map(async (client, n) => {
    for (let i = 0; i < edits_each; i++) {
      const begun = performance.now();
      await client.insertAtStart(String.fromCharCode(97 + n));
      times.add(performance.now() - begun);
    }
  });
  const settled = Promise.all(writing).then(() => Promise.all(clients.map((client) => client.settled(edits))));
  const texts = await within(RUN_MS_MAX, 'every edit is confirmed and with everybody', settled);
  const cost = stop();

  const late = await contender.connect(server, document);
  texts.push(await within(SETTLE_MS_MAX, 'a client that comes in the end has the text', late.settled(0)));
  if (texts.some((text) => text.length !== edits || text !== texts[0]))
    throw new Error(
      `the texts differ; they have ${texts.map(({ length }) => length).join(' ')} of ${edits} characters`,
    );
  await Promise.all([...clients, late].map((client) => client.close()));
  return [
    more('throughput', 'edits/s', (edits * 1000) / cost.ms),
    ...quantiles('confirmed', times),
    ...cpuPerEdit(cost, edits),
    driverFigure(cost),
  ];
}

function json(writers: number): Scenario<JsonContender> {
  const edits_each = { warm: 16_000 / writers, full: 8_000 / writers, quick: Math.ceil(80 / writers) };
  return {
    name: `json-${writers}`,
    what: `${writers === 1 ? 'One writer' : `${writers} writers`} of JSON in one document, one edit of each under way, 8,000 edits, until all have all and, with Concord, all are on disk.`,
    run: (contender, size) =>
      visitWarm(contender, size, edits_each, (server, each) => run(contender, server, writers, each)),
  };
}

export const json1 = json(1);
export const json8 = json(8);
