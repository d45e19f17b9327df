/**
 * What several nodes cost and how soon they help each other: `bun bench/cluster.ts`. Starts three nodes, a PostgreSQL and a
 * Redis of their own on this machine, and prints markdown for docs/RELIABILITY.md.
 *
 *   --only=A,B     of: latency, takeover, redis
 *   --rounds=N     kills, 20 unless said
 *   --edits=N      edits of each client, 1000 unless said
 */
import { parseArgs } from 'node:util';
import { Client, type Took } from './cluster-client.ts';
import { type Node, type Nodes, startNodes } from './cluster-nodes.ts';
import { Latencies } from './figures.ts';
import { machineFacts } from './machine.ts';
import { createDocument } from './place.ts';
import { carry, type Spent, watch } from './redis-load.ts';

const PARTS = ['latency', 'takeover', 'redis'] as const;
/** Between two edits of one client. */
const PACE_MS = 5;
/** Between two attempts to come back. */
const RETRY_MS = 20;
const GIVE_UP_MS = 30_000;
const LOAD_S = 5;
/** Of a message about one typed character, should the run not measure it. */
const MESSAGE_BYTES = 420;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: PARTS.join(',') },
    rounds: { type: 'string', default: '20' },
    edits: { type: 'string', default: '1000' },
  },
});
const [rounds, edits, chosen] = [Number(values.rounds), Number(values.edits), values.only.split(',')];
if (!(Number.isInteger(rounds) && rounds > 0)) throw new Error('--rounds is a whole number above 0');
if (!(Number.isInteger(edits) && edits > 0)) throw new Error('--edits is a whole number above 0');
for (const wish of chosen)
  if (!PARTS.some((part) => part === wish)) throw new Error(`--only: '${wish}' is none of ${PARTS.join(', ')}`);

const cluster = await startNodes(3);
try {
  const [first, ...more] = cluster.nodes;
  const [second] = more;
  if (first === undefined || second === undefined) throw new Error('there are three nodes');
  console.log(
    (await machineFacts())
      .slice(0, 2)
      .map((fact) => `${fact}  `)
      .join('\n'),
  );
  let message_bytes = MESSAGE_BYTES;
  if (chosen.includes('latency')) message_bytes = await latency(cluster, first, second);
  if (chosen.includes('takeover')) await takeover(cluster, first, second);
  if (chosen.includes('redis')) await redisLoad(cluster, message_bytes);
} finally {
  await cluster.stop();
}

/** Local edits against remote ones, and what both cost in Redis; returns the mean size of a message. */
async function latency(nodes: Nodes, owner: Node, other: Node): Promise<number> {
  const rows: string[] = [];
  const costs: string[] = [];
  let message_bytes = 0;
  const measure = async (what: string, by: Node, listener: Node | null): Promise<void> => {
    const doc_id = await createDocument(nodes.place(owner), what);
    // Whoever opens it first is the owner.
    const near = await Client.connect(nodes.place(owner), doc_id);
    await near.edit([{ insert: '-' }]);
    const far = listener === null ? null : await Client.connect(nodes.place(listener), doc_id);
    const author = by === owner ? near : far;
    if (author === null) throw new Error('the author is connected');
    for (let i = 0; i < 50; i++) await author.edit([{ insert: 'w' }]);
    const look = await watch(nodes.redis_url);
    const [events, acks] = [new Latencies(), new Latencies()];
    const begun = performance.now();
    for (let i = 0; i < edits; i++) {
      const { event_ms, ack_ms } = await author.edit([{ insert: 'x' }]);
      events.add(event_ms);
      acks.add(ack_ms);
      await Bun.sleep(PACE_MS);
    }
    const [spent, seconds] = [await look(), (performance.now() - begun) / 1_000];
    for (const client of [near, far]) client?.leave();
    rows.push(`| ${what} | ${ms(events, 0.5)} | ${ms(events, 0.99)} | ${ms(acks, 0.5)} | ${ms(acks, 0.99)} |`);
    costs.push(`| ${what} | ${cost(spent, edits)} | ${(edits / seconds).toFixed(0)} |`);
    if (listener !== null && by === owner) message_bytes = Math.round(spent.bytes_out / Math.max(1, spent.messages));
  };
  await measure('local, nobody on other nodes', owner, null);
  await measure('local, one reader on another node', owner, other);
  await measure('remote: the author is on another node than the owner', other, other);
  console.log(
    [
      `\n### A remote edit against a local one (${edits} edits each, one at a time)\n`,
      '| edit | own event, p50 | p99 | acknowledged, p50 | p99 |',
      '|---|---|---|---|---|',
      ...rows,
      '\n### What an edit costs in Redis (beats and beacons of three nodes included)\n',
      '| edit | published messages per edit | commands per edit | bytes in per edit | bytes out per edit | edits/s |',
      '|---|---|---|---|---|---|',
      ...costs,
    ].join('\n'),
  );
  return message_bytes;
}

function cost({ messages, commands, bytes_in, bytes_out }: Spent, count: number): string {
  const each = (all: number, digits: number): string => (all / count).toFixed(digits);
  return `${each(messages, 2)} | ${each(commands, 2)} | ${each(bytes_in, 0)} | ${each(bytes_out, 0)}`;
}

/** From a kill -9 of the owner to the first acknowledged edit elsewhere. */
async function takeover(nodes: Nodes, owner: Node, other: Node): Promise<void> {
  const [stayed, moved] = [new Latencies(), new Latencies()];
  for (let round = 0; round < rounds; round++) {
    const doc_ids = [
      await createDocument(nodes.place(owner), 'stayed'),
      await createDocument(nodes.place(owner), 'moved'),
    ];
    const near = await Promise.all(doc_ids.map((doc_id) => Client.connect(nodes.place(owner), doc_id)));
    for (const client of near) await client.edit([{ insert: '-' }]);
    const [there, abandoned] = doc_ids as [string, string];
    const far = await Client.connect(nodes.place(other), there);
    await far.edit([{ insert: '-' }]);
    const killed_at = performance.now();
    await Promise.all([
      owner.kill(),
      firstAck(far, nodes, other, there).then(() => stayed.add(performance.now() - killed_at)),
      firstAck(null, nodes, other, abandoned).then(() => moved.add(performance.now() - killed_at)),
    ]);
    process.stderr.write(`kill ${round + 1}: ${Math.round(performance.now() - killed_at)} ms\n`);
    await owner.start();
  }
  const row = (who: string, times: Latencies): string =>
    `| ${who} | ${times.count} | ${seconds(times, 0.5)} | ${seconds(times, 0.99)} | ${seconds(times, 1)} |`;
  console.log(
    [
      '\n### Takeover: from kill -9 of the owner to an acknowledged edit through another node\n',
      '| client | kills | p50 | p99 | longest |',
      '|---|---|---|---|---|',
      row('was connected to the other node', stayed),
      row('comes from the node that was killed', moved),
    ].join('\n'),
  );
}

/** Edits until an edit is acknowledged, connecting again and again; resolves with that edit's times. */
async function firstAck(connected: Client | null, nodes: Nodes, node: Node, doc_id: string): Promise<Took> {
  const deadline = performance.now() + GIVE_UP_MS;
  let client = connected;
  for (;;) {
    try {
      client ??= await Client.connect(nodes.place(node), doc_id);
      const took = await client.edit([{ insert: 'x' }]);
      client.leave();
      return took;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      client?.leave();
      client = null;
      await Bun.sleep(RETRY_MS);
    }
  }
}

/** What one Redis carries. */
async function redisLoad({ redis_url }: Nodes, message_bytes: number): Promise<void> {
  const rows: string[] = [];
  for (const [how, at_once] of [
    ['a command each', 1],
    ['20 in one command', 20],
  ] as const)
    for (const subscribers of [0, 1, 3]) {
      const { messages, wall_s, processor_s } = await carry({
        redis_url,
        message_bytes,
        at_once,
        subscribers,
        seconds: LOAD_S,
      });
      const [rate, full] = [messages / wall_s, messages / processor_s];
      rows.push(
        `| ${how} | ${subscribers} | ${thousands(rate)} | ${Math.round((100 * processor_s) / wall_s)} % | ${thousands(full)} |`,
      );
    }
  console.log(
    [
      `\n### What one Redis carries (messages of ${message_bytes} bytes)\n`,
      '| published | nodes that listen | messages/s here | Redis’s core busy | messages/s of a full core |',
      '|---|---|---|---|---|',
      ...rows,
    ].join('\n'),
  );
}

function ms(times: Latencies, share: number): string {
  return `${times.quantile(share).toFixed(2)} ms`;
}

function seconds(times: Latencies, share: number): string {
  return `${(times.quantile(share) / 1_000).toFixed(2)} s`;
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
