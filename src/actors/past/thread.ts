/** The thread that large questions about the past are answered on: see threads.ts. One question at a time. */
import { systemClock, type Timer } from '../../base/clock.ts';
import { packAttribution } from '../../protocol/history/segment.ts';
import { type Answering, answering } from './answer.ts';
import type { FromThread, ToThread } from './threads.ts';

declare const self: Worker;

/** Enough for the compiler to take notice, and to do its best. */
const REHEARSED_STRETCHES = 60_000;
const REHEARSALS = 4;
/** For how long nobody has asked before it is done again. */
const IDLE_MS = 100;

let now: Answering | null = null;
let rehearsals = 0;
let rehearsing: Timer = systemClock.after(IDLE_MS, rehearse);

self.onmessage = (event: MessageEvent<ToThread>) => {
  rehearsing.cancel();
  try {
    const value = step(event.data);
    tell({ value }, buffersOf(value));
    if (now === null && rehearsals < REHEARSALS)
      rehearsing = systemClock.after(rehearsals === 0 ? 0 : IDLE_MS, rehearse);
  } catch (error) {
    now = null;
    tell({ message: error instanceof Error ? error.message : String(error) });
  }
};

/**
 * Who wrote what is the longest answer there is, and takes three times as long until its code is compiled. So it is given for
 * nobody, a few times while the thread has nothing to do; once at least after the first question.
 */
function rehearse(): void {
  rehearsals += 1;
  const lengths = new Float64Array(REHEARSED_STRETCHES).fill(1);
  const revs = lengths.map((_, i) => 1 + i);
  const times = revs.map((rev) => Date.UTC(2026, 0, 1) + 181 * rev);
  const authors = new Float64Array(REHEARSED_STRETCHES);
  const rehearsal = answering({ kind: 'attribution' });
  const bytes = packAttribution({ users: ['nobody'], lengths, revs, authors, times });
  rehearsal.feed({ kind: 'attribution', bytes });
  rehearsal.finish(() => {});
  if (rehearsals < REHEARSALS) rehearsing = systemClock.after(IDLE_MS, rehearse);
}

function tell(told: FromThread, handed_over: ArrayBuffer[] = []): void {
  self.postMessage(told, handed_over);
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
  const answer = now.finish((part) => tell({ part }, buffersOf({ part })));
  now = null;
  return answer;
}
