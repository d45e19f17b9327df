/** The thread that large snapshots are made on: see snapshots.ts. */
import { makeSnapshot, type SnapshotInput } from './make-snapshot.ts';

declare const self: Worker;

self.onmessage = (event: MessageEvent<SnapshotInput>) => {
  self.postMessage(makeSnapshot(event.data));
};
