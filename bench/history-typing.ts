/**
 * The typing that history.ts measures: `bun bench/history-typing.ts DOC_ID`, with PLACE as JSON in the environment. Somebody
 * types one letter after the other, the next as soon as the last is on disk, until the standard input ends; then prints
 * {@link TypingFigures} as JSON.
 */
import { systemClock } from '../src/base/clock.ts';
import { Latencies } from './figures.ts';
import { doorUrl, type Place } from './place.ts';

/** How it went, in words. */
export interface TypingFigures {
  /** From an edit to the own event. */
  readonly echoes: string;
  /** From an edit to its ack. */
  readonly acks: string;
}

/** Edits that are not counted: the first one builds the document from its bytes, whoever else is at work. */
const WARM_UP_EDITS = 20;

const place = JSON.parse(process.env.PLACE ?? '') as Place;
const [echoes, acks] = [new Latencies(), new Latencies()];
let stopped = false;
void Bun.stdin.text().then(() => {
  stopped = true;
});
await type(process.argv[2] ?? '');
const told = (times: Latencies): string => `${times}, longest ${times.quantile(1).toFixed(1)} ms`;
const figures: TypingFigures = { echoes: told(echoes), acks: told(acks) };
console.log(JSON.stringify(figures));
process.exit(0);

async function type(doc_id: string): Promise<void> {
  const socket = new WebSocket(doorUrl(place, 'collab', doc_id, { client_id: crypto.randomUUID() }));
  const ended = Promise.withResolvers<void>();
  let [rev, seq, sent] = [0, 0, 0];
  const next = (): void => {
    if (stopped) return socket.close();
    sent = systemClock.monotonic();
    socket.send(JSON.stringify({ type: 'edit', changes: { base_rev: rev, delta: [{ insert: 'x' }] }, seq: ++seq }));
  };
  socket.onmessage = ({ data }) => {
    const event = JSON.parse(String(data)) as { type: string; rev: number; changes: { rev: number } };
    if (event.type === 'ready') {
      rev = event.rev;
      next();
    } else if (event.type === 'edit') {
      rev = event.changes.rev;
      if (seq > WARM_UP_EDITS) echoes.add(systemClock.monotonic() - sent);
    } else if (event.type === 'ack' && event.rev >= rev) {
      if (seq > WARM_UP_EDITS) acks.add(systemClock.monotonic() - sent);
      systemClock.after(10, next);
    } else if (event.type === 'error') ended.reject(new Error(String(data)));
  };
  socket.onclose = () => ended.resolve();
  await ended.promise;
}
