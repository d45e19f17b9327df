/** The thread that large questions about the past are answered on: see threads.ts. One question at a time. */
import { BEHIND, stepBehind } from '../../base/priority.ts';
import { type Answering, answering } from './answer.ts';
import type { ToThread } from './threads.ts';

declare const self: Worker;

stepBehind(BEHIND.questions);
let now: Answering | null = null;

self.onmessage = (event: MessageEvent<ToThread>) => {
  try {
    const value = step(event.data);
    self.postMessage({ ok: true, value }, buffersOf(value));
  } catch (error) {
    now = null;
    self.postMessage({ ok: false, message: error instanceof Error ? error.message : String(error) });
  }
};

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
