/**
 * Somebody who types on a document of their own while others misbehave, in a thread of its own: the attackers of a test keep
 * its event loop busy, and what is measured is to be the server's time and not theirs. Each edit waits until the one before it
 * is on disk. Posts the milliseconds from each edit to its ack, or a text that says what went wrong.
 */
import { parentPort, workerData } from 'node:worker_threads';

/** A breath between two edits, as people take; without it the typist would be a flood of its own. */
const PAUSE_MS = 3;

const { url } = workerData as { readonly url: string };
const post = (message: unknown): void => parentPort?.postMessage(message);

const socket = new WebSocket(url);
let [rev, seq, sent_at] = [0, 0, 0];

function type(): void {
  seq += 1;
  // The text stays short: a letter comes, and goes with the next edit.
  const delta = seq % 2 === 1 ? [{ insert: 'x' }] : [{ delete: 1 }];
  sent_at = performance.now();
  socket.send(JSON.stringify({ type: 'edit', changes: { base_rev: rev, delta }, seq }));
}

socket.onmessage = ({ data }) => {
  const event = JSON.parse(data as string);
  if (event.type === 'ready') {
    rev = event.rev;
    type();
  }
  if (event.type === 'edit') rev = event.changes.rev;
  if (event.type === 'error') post(`refused: ${data}`);
  if (event.type !== 'ack' || event.rev < rev || sent_at === 0) return;
  post(performance.now() - sent_at);
  sent_at = 0;
  setTimeout(type, PAUSE_MS);
};
socket.onclose = ({ code, reason }) => post(`closed with ${code}: ${reason}`);
