/**
 * Measures the history of a long document: `bun bench/history.ts FILE [--revs N]`.
 *
 * FILE is an editing trace (see trace.ts); every keystroke is a revision. The history is written as the journal has it (see
 * history-seed.ts), then: opening from storage before and after compaction; compaction itself, and what somebody who types
 * into the same document feels of it; what all of it takes on disk; content, diffs and attribution over REST, each held
 * against a replay of the trace. A server is started for it and removed in the end.
 */
import { parseArgs } from 'node:util';
import Delta from 'quill-delta';
import { loadDocument } from '../src/actors/loader.ts';
import { systemClock } from '../src/base/clock.ts';
import type { DeltaOps } from '../src/protocol/content/delta.ts';
import { sqlDocumentStore } from '../src/store/document-store.ts';
import { readHead } from '../src/store/heads.ts';
import { connectDatabase } from '../src/store/postgres.ts';
import { snapshotDocument } from '../src/workers/snapshots.ts';
import { Latencies } from './figures.ts';
import type { Asked } from './history-asking.ts';
import type { CompactionFigures } from './history-compaction.ts';
import { seedHistory } from './history-seed.ts';
import type { TypingFigures } from './history-typing.ts';
import { startOwnServer } from './own-server.ts';
import { createDocument, typeLetter } from './place.ts';
import { readTrace } from './trace.ts';

const PROBES = 50;
const ATTRIBUTIONS = 20;
const OPENINGS = 20;
/** How long somebody types while nothing else goes on. */
const QUIET_MS = 3_000;

const { values, positionals } = parseArgs({ allowPositionals: true, options: { revs: { type: 'string' } } });
const [file] = positionals;
if (file === undefined) {
  console.error('usage: bun bench/history.ts FILE [--revs N]');
  process.exit(1);
}
const rows: string[][] = [];
const note = (what: string, ...figures: string[]): void => {
  rows.push([what, figures.join(', ')]);
  console.log(`${what.padEnd(58)} ${figures.join(', ')}`);
};
const ms = (value: number): string => `${value.toFixed(1)} ms`;

const server = await startOwnServer();
let answered = Promise.withResolvers<Asked>();
const asker = Bun.spawn([process.execPath, `${import.meta.dir}/history-asking.ts`], {
  env: { ...process.env, PLACE: JSON.stringify({ url: server.url, token: server.token }) },
  stderr: 'inherit',
  ipc: (message: Asked) => answered.resolve(message),
});
const sql = connectDatabase(server.database_url, { connections_max: 4, application_name: 'bench' });
let right = false;
try {
  right = await measure();
} finally {
  asker.kill();
  await sql.end({ timeout: 1 });
  await server.stop();
}
console.log(right ? 'every answer is what the trace says' : 'SOME ANSWERS ARE NOT WHAT THE TRACE SAYS');
process.exit(right ? 0 : 1);

async function measure(): Promise<boolean> {
  const whole = await readTrace(file ?? '');
  const trace = values.revs === undefined ? whole : cut(whole, Number(values.revs));
  const head = trace.patches;
  const doc_id = await createDocument(server, 'A long history');
  const probes = Array.from({ length: PROBES }, (_, i) => 1 + Math.floor(((i + 0.5 * noise(i)) * head) / PROBES));
  const texts = await seedHistory(sql, doc_id, trace, probes);
  await snapshotDocument(sql, doc_id);
  await sql`ANALYZE`;
  note('revisions, one keystroke each', String(head));
  note('opening from storage before compaction', String(await openings(doc_id)));
  // Cleaning up after the openings would take the processor from those who are measured.
  Bun.gc(true);
  await typed('typing without compaction', doc_id, Bun.sleep(QUIET_MS));
  await compacted(doc_id);
  await sql`VACUUM FULL`;
  // As when the document is given up, which the server does once its last reader is away for a while.
  await snapshotDocument(sql, doc_id);
  note('opening from storage after compaction', String(await openings(doc_id)));
  await sizes(doc_id, head);
  return await answers(doc_id, probes, texts);
}

function cut(trace: Awaited<ReturnType<typeof readTrace>>, revs: number): typeof trace {
  const steps = trace.steps.slice(0, revs);
  const text = steps.reduce(
    (sum, { patches }) => patches.reduce((now, [at, gone, put]) => now.slice(0, at) + put + now.slice(at + gone), sum),
    '',
  );
  return { ...trace, steps, patches: steps.reduce((sum, { patches }) => sum + patches.length, 0), end: text };
}

/** A repeatable number of [0, 1). */
function noise(i: number): number {
  return (Math.imul(i + 1, 2_654_435_761) >>> 0) / 2 ** 32;
}

/** What the server does between a claim and its first answer to a client that has nothing. */
async function openings(doc_id: string): Promise<Latencies> {
  const times = new Latencies();
  for (let i = 0; i < OPENINGS; i++) {
    const started = systemClock.monotonic();
    const found = await readHead(sql, doc_id);
    const { replica } = await loadDocument(sqlDocumentStore(sql), doc_id, 1, found?.head_rev ?? 0);
    replica.missingFor(null);
    times.add(systemClock.monotonic() - started);
  }
  return times;
}

/** Compaction in a process of its own, as `SERVICES=worker` has it, while somebody types. */
async function compacted(doc_id: string): Promise<void> {
  const worker = Bun.spawn([process.execPath, `${import.meta.dir}/history-compaction.ts`, doc_id], {
    env: { ...process.env, DATABASE_URL: server.database_url },
    stderr: 'inherit',
  });
  const done = new Response(worker.stdout).text();
  await typed('typing during compaction', doc_id, done);
  const { took_ms, segments, held_ms } = JSON.parse(await done) as CompactionFigures;
  note('compaction', `${(took_ms / 1000).toFixed(1)} s`, `${segments} segments`);
  note('  its own event loop was held', `${ms(held_ms)} at most`);
}

/** Somebody types in a process of its own until `over`: this one holds the whole trace, and cleaning that up takes time. */
async function typed(what: string, doc_id: string, over: Promise<unknown>): Promise<void> {
  const place = JSON.stringify({ url: server.url, token: server.token });
  const typist = Bun.spawn([process.execPath, `${import.meta.dir}/history-typing.ts`, doc_id], {
    env: { ...process.env, PLACE: place },
    stdin: 'pipe',
    stderr: 'inherit',
  });
  await over;
  typist.stdin.end();
  const { echoes, acks } = JSON.parse(await new Response(typist.stdout).text()) as TypingFigures;
  note(`${what}: to the own event`, echoes);
  note(`${what}: to the ack`, acks);
}

async function sizes(doc_id: string, head: number): Promise<void> {
  const columns = ['meta', 'deltas', 'updates', 'total', 'checkpoint'];
  for (const column of columns) {
    const [size] = await sql<{ bytes: number }[]>`
      SELECT coalesce(sum(pg_column_size(${sql(column)})), 0)::int AS bytes FROM document_segments WHERE doc_id = ${doc_id}`;
    note(`  segments.${column}`, `${((size?.bytes ?? 0) / head).toFixed(2)} bytes a keystroke`);
  }
  const [state] = await sql<{ state: number; attribution: number }[]>`
    SELECT pg_column_size(state)::int AS state, pg_column_size(attribution)::int AS attribution
    FROM document_history WHERE doc_id = ${doc_id}`;
  note('  history.state, .attribution', ...[state?.state, state?.attribution].map((n) => ((n ?? 0) / head).toFixed(2)));
  let all = 0;
  for (const table of ['document_segments', 'document_history', 'document_clients', 'document_updates']) {
    const [size] = await sql<{ bytes: number; rows: number }[]>`
      SELECT pg_total_relation_size(${table}::regclass)::int AS bytes, (SELECT count(*)::int FROM ${sql(table)}) AS rows`;
    all += size?.bytes ?? 0;
    note(`${table}, all of it`, `${((size?.bytes ?? 0) / head).toFixed(2)} bytes a keystroke`, `${size?.rows} rows`);
  }
  note('all history on disk, the rest of the journal included', `${(all / head).toFixed(2)} bytes a keystroke`);
}

async function answers(doc_id: string, probes: readonly number[], texts: Map<number, string>): Promise<boolean> {
  const path = `/v1/documents/${doc_id}`;
  let right = true;
  const shuffled = probes.toSorted((a, b) => noise(a) - noise(b));
  for (const format of ['text', 'delta']) {
    const times = new Latencies();
    for (const rev of shuffled) {
      const { value } = await timed<{ value: string | DeltaOps }>(times, `${path}/content?format=${format}&rev=${rev}`);
      const text = typeof value === 'string' ? value : value.map(({ insert }) => insert).join('');
      if (text !== texts.get(rev)) right = false;
    }
    note(`content at a random revision as ${format}`, String(times));
  }
  for (const way of ['forwards', 'backwards'] as const) {
    const times = new Latencies();
    for (const [i, one] of shuffled.entries()) {
      const other = shuffled.at(i - 1) ?? one;
      const [low, high] = [Math.min(one, other), Math.max(one, other)];
      const [from, to] = way === 'forwards' ? [low, high] : [high, low];
      const { delta } = await timed<{ delta: DeltaOps }>(times, `${path}/diff?from=${from}&to=${to}`);
      const reached = new Delta().insert(texts.get(from) ?? '').compose(new Delta(delta)).ops;
      if (reached.map(({ insert }) => insert).join('') !== texts.get(to)) right = false;
    }
    note(`diff of two random revisions, ${way}`, String(times));
  }
  const anew = await attributions(doc_id, true);
  const again = await attributions(doc_id, false);
  note('attribution of the present text, after an edit', String(anew.times), `${anew.stretches} stretches`);
  note('  asked before', String(again.times));
  if (!anew.right || !again.right) right = false;
  const runs = new Latencies();
  for (let i = 0; i < 5; i++) await timed(runs, `${path}/history`);
  note('first page of the runs of edits', String(runs));
  const states = new Latencies();
  for (const rev of shuffled.slice(0, 5)) await timed(states, `${path}/content?format=yjs&rev=${rev}`);
  note('Yjs state at a random revision', String(states));
  return right;
}

/** Who wrote what, many times; `anew`: with an edit in between, so that no answer is known before. */
async function attributions(
  doc_id: string,
  anew: boolean,
): Promise<{ readonly times: Latencies; readonly stretches: number; readonly right: boolean }> {
  const path = `/v1/documents/${doc_id}`;
  const times = new Latencies();
  let [stretches, right] = [0, true];
  for (let i = 0; i < ATTRIBUTIONS; i++) {
    if (anew) await typeLetter(server, doc_id);
    const { value } = await timed<{ value: string }>(new Latencies(), `${path}/content?format=text`);
    const { runs } = await timed<{ runs: { length: number }[] }>(times, `${path}/attribution`);
    stretches = runs.length;
    if (runs.reduce((sum, { length }) => sum + length, 0) !== value.length) right = false;
  }
  return { times, stretches, right };
}

/** Asks as history-asking.ts does, and adds the time until the answer is here as text. */
async function timed<T>(times: Latencies, path: string): Promise<T> {
  const { ms, body } = await ask(path);
  times.add(ms);
  const { success, data } = JSON.parse(body) as { success: boolean; data: T };
  if (!success) throw new Error(`${path}: ${body}`);
  return data;
}

function ask(path: string): Promise<Asked> {
  answered = Promise.withResolvers<Asked>();
  asker.send(path);
  return answered.promise;
}
