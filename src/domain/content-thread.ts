/** The thread that large content is worked on: see content-heavy.ts. */
import { type HeavyTask, performHeavy } from './content-heavy.ts';

declare const self: Worker;

self.onmessage = (event: MessageEvent<HeavyTask>) => {
  self.postMessage(performHeavy(event.data));
};
