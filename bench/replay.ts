/**
 * Replays what real people typed through a running server, and holds the text that comes out of it against the trace's
 * own end, byte for byte.
 *
 *   bun bench/replay.ts FILE [--door json|yjs] [--batch N] [--in-flight N] [--url URL --token TOKEN]
 *
 * FILE is an editing trace, gzipped or not, of https://github.com/josephg/editing-traces: sequential or concurrent.
 * `--door` is where the edits go in: `json` (the default) or `yjs`. See json-door.ts and yjs-door.ts for what is replayed,
 * and why that is fair. `--batch` makes one edit of up to so many keystrokes, as an editor that gathers them for a moment
 * would; the default is 1. `--in-flight` bounds how many edits of an author wait for their ack on the Yjs door (100 by
 * default); the JSON door takes one at a time. Without `--url` a server is started for the replay, which is killed with -9
 * once everything is acknowledged, and started again: then its text is compared once more.
 *
 * Exits with 0 when the text is right, with 1 when it is not.
 */
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { replayThroughJson } from './json-door.ts';
import { startOwnServer } from './own-server.ts';
import { createDocument, type Place, readText } from './place.ts';
import { readTrace, type Trace } from './trace.ts';
import { replayThroughYjs } from './yjs-door.ts';

interface Options {
  readonly file: string;
  readonly door: 'json' | 'yjs';
  readonly batch: number;
  readonly in_flight: number;
  /** Null: start a server. */
  readonly place: Place | null;
}

const USAGE = 'usage: bun bench/replay.ts FILE [--door json|yjs] [--batch N] [--in-flight N] [--url URL --token TOKEN]';

function readOptions(): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      door: { type: 'string', default: 'json' },
      batch: { type: 'string', default: '1' },
      'in-flight': { type: 'string', default: '100' },
      url: { type: 'string' },
      token: { type: 'string' },
    },
  });
  const [file] = positionals;
  const { door, url, token } = values;
  if (file === undefined || positionals.length > 1) throw new Error('name one trace');
  if (door !== 'json' && door !== 'yjs') throw new Error('--door is json or yjs');
  if ((url === undefined) !== (token === undefined)) throw new Error('--url and --token go together');
  return {
    file,
    door,
    batch: count('--batch', values.batch),
    in_flight: count('--in-flight', values['in-flight']),
    place: url === undefined || token === undefined ? null : { url: url.replace(/\/+$/, ''), token },
  };
}

function count(name: string, text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new Error(`${name} is a whole number from 1 on`);
  return Number(text);
}

/** Compares the document with the end of the trace; says how it went. */
async function compare(place: Place, doc_id: string, trace: Trace, when: string): Promise<boolean> {
  const begun = performance.now();
  const { rev, value } = await readText(place, doc_id);
  const ms = performance.now() - begun;
  const [found, wanted] = [Buffer.from(value), Buffer.from(trace.end)];
  if (found.equals(wanted)) {
    console.log(
      `${when}: all ${wanted.length} bytes as in the trace, at revision ${rev} (read in ${ms.toFixed(0)} ms)`,
    );
    return true;
  }
  const at = wanted.findIndex((byte, i) => byte !== found[i]);
  console.log(
    `${when}: WRONG: ${found.length} bytes instead of ${wanted.length}, other from byte ${at < 0 ? wanted.length : at} on, at revision ${rev}`,
  );
  return false;
}

async function replay(
  { file, door, batch, in_flight }: Options,
  place: Place,
): Promise<{ doc_id: string; trace: Trace }> {
  const trace = await readTrace(file, batch);
  const name = basename(file);
  const doc_id = await createDocument(place, name.slice(0, 200));
  const { edits, ms, acks } = await (door === 'json'
    ? replayThroughJson(place, doc_id, trace)
    : replayThroughYjs(place, doc_id, trace, in_flight));
  const seconds = ms / 1000;
  const how = door === 'json' ? 'one at a time' : `up to ${in_flight} in flight per author`;
  console.log(
    `${name} through the ${door} door: ${trace.patches} keystrokes of ${trace.agents} in ${edits} edits, ${how}, ` +
      `in ${seconds.toFixed(1)} s: ${Math.round(edits / seconds)} edits/s; ack ${acks}`,
  );
  return { doc_id, trace };
}

async function main(): Promise<boolean> {
  const options = readOptions();
  if (options.place !== null) {
    const { doc_id, trace } = await replay(options, options.place);
    return compare(options.place, doc_id, trace, 'the end');
  }
  const server = await startOwnServer();
  try {
    const { doc_id, trace } = await replay(options, server);
    const right = await compare(server, doc_id, trace, 'the end');
    await server.restart('kill');
    return (await compare(server, doc_id, trace, 'after kill -9 and a new start')) && right;
  } finally {
    await server.stop();
  }
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  console.error(`replay: ${(error as Error).message}\n${USAGE}`);
  process.exitCode = 1;
}
