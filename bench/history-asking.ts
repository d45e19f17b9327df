/**
 * Asks for history.ts, which holds the whole trace: cleaning that up would take time within the answers. Spawned with a
 * channel (`ipc`) and PLACE as JSON in the environment; takes paths, one at a time, and sends {@link Asked} for each.
 */
import { systemClock } from '../src/base/clock.ts';
import type { Place } from './place.ts';

/** An answer and how long it took until all of it was here as text. */
export interface Asked {
  readonly ms: number;
  readonly body: string;
}

const { url, token } = JSON.parse(process.env.PLACE ?? '') as Place;
process.on('message', async (path: string) => {
  const started = systemClock.monotonic();
  const response = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } });
  const body = await response.text();
  const asked: Asked = { ms: systemClock.monotonic() - started, body };
  process.send?.(asked);
});
