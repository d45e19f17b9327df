/** The thread that large snapshots are made on: see snapshots.ts. */
import { stepBehind } from '../base/priority.ts';
import { makeSnapshot, type SnapshotInput } from './make-snapshot.ts';

declare const self: Worker;

stepBehind();

self.onmessage = (event: MessageEvent<SnapshotInput>) => {
  self.postMessage(makeSnapshot(event.data));
};
