/** The compaction that history.ts measures: a process of its own. Prints {@link CompactionFigures} as JSON. */
import { systemClock } from '../src/base/clock.ts';
import { createLog } from '../src/base/log.ts';
import { connectDatabase } from '../src/store/postgres.ts';
import { compactDocument } from '../src/workers/compaction.ts';

/** How it went. */
export interface CompactionFigures {
  readonly segments: number;
  readonly took_ms: number;
  /** The longest time for which the event loop did not come round: what others in the same process would feel. */
  readonly held_ms: number;
}

const sql = connectDatabase(process.env.DATABASE_URL ?? '', { connections_max: 4, application_name: 'bench' });
const log = createLog({ level: 'error', service: 'bench', node_id: 'bench' });
let [held_ms, last] = [0, systemClock.monotonic()];
const ticking = systemClock.every(1, () => {
  const now = systemClock.monotonic();
  held_ms = Math.max(held_ms, now - last - 1);
  last = now;
});
const started = systemClock.monotonic();
// One job packs a part, and the next look at what is due asks for another.
let segments = 0;
for (let made = -1; made !== 0; segments += made)
  made = await compactDocument({ sql, clock: systemClock, log }, process.argv[2] ?? '');
const took_ms = systemClock.monotonic() - started;
ticking.cancel();
const figures: CompactionFigures = { segments, took_ms, held_ms };
console.log(JSON.stringify(figures));
await sql.end();
