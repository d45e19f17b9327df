// Loaded before a server, Concord's or a peer's, on Bun or on Node: at SIGUSR2 it collects garbage and says so. The
// server itself is left as it is, and all are treated alike.
import { writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

if (isMainThread)
  process.on('SIGUSR2', () => {
    if (globalThis.Bun) globalThis.Bun.gc(true);
    else globalThis.gc();
    writeSync(1, 'collected\n');
  });
