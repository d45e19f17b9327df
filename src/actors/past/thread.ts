/** The thread that large questions about the past are answered on: see threads.ts. One question at a time. */
import { systemClock } from '../../base/clock.ts';
import { packAttribution, packMeta } from '../../protocol/history/segment.ts';
import { type Answering, answering } from './answer.ts';
import type { ToThread } from './threads.ts';

declare const self: Worker;

/** Enough for the compiler to take notice. */
const REHEARSED_REVS = 20_000;
const REHEARSED_STRETCHES = 60_000;

let now: Answering | null = null;
let rehearsed = false;

self.onmessage = (event: MessageEvent<ToThread>) => {
  try {
    const value = step(event.data);
    self.postMessage({ ok: true, value }, buffersOf(value));
    if (now !== null || rehearsed) return;
    rehearsed = true;
    systemClock.after(0, rehearse);
  } catch (error) {
    now = null;
    self.postMessage({ ok: false, message: error instanceof Error ? error.message : String(error) });
  }
};

/**
 * Who wrote what is the longest answer there is, and takes twice as long the first time, until its code is compiled. So it
 * is given once for nobody, after the first question, while the thread has nothing to do.
 */
function rehearse(): void {
  const at = Date.UTC(2026, 0, 1);
  const entries = Array.from({ length: REHEARSED_REVS }, (_, i) => {
    return { rev: 1 + i, epoch: 1, user_id: 'nobody', client_id: 'nobody', seq: i, at: at + 181 * i };
  });
  const lengths = new Float64Array(REHEARSED_STRETCHES).fill(1);
  const revs = lengths.map((_, i) => 1 + (i % REHEARSED_REVS));
  const rehearsal = answering({ kind: 'attribution' });
  rehearsal.feed({ kind: 'attribution', bytes: packAttribution({ lengths, revs }) });
  rehearsal.feed({ kind: 'turn' });
  const none = new Uint8Array();
  const range = { from_rev: 1, after_rev: 0, to_rev: REHEARSED_REVS };
  rehearsal.feed({ kind: 'segment', meta: packMeta(entries), deltas: none, updates: none, ...range });
  rehearsal.finish();
}

/** Bytes of an answer are handed over, not copied. */
function buffersOf(value: unknown): ArrayBuffer[] {
  const parts = typeof value === 'object' && value !== null ? Object.values(value) : [];
  return parts.flatMap((part) =>
    part instanceof Uint8Array && part.buffer instanceof ArrayBuffer ? [part.buffer] : [],
  );
}

function step(message: ToThread): unknown {
  if ('question' in message) {
    now = answering(message.question);
    return null;
  }
  if (now === null) throw new Error('there is no question to go on with');
  let enough = false;
  for (const piece of message.pieces) enough = now.feed(piece) || enough;
  if (!message.finish) return enough;
  const answer = now.finish();
  now = null;
  return answer;
}
