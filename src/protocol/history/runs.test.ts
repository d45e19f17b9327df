import { expect, test } from 'bun:test';
import { forSeeds, pick } from '../content/testing.ts';
import { type Edit, type EditRun, joinRuns, RUN_PAUSE_MS, runsOfEdits } from './runs.ts';

const edit = (rev: number, user_id: string, at: number): Edit => ({ rev, user_id, at, inserted: rev, deleted: 1 });

test('a run ends where another person goes on', () => {
  expect(runsOfEdits([edit(1, 'ann', 10), edit(2, 'ann', 20), edit(3, 'bob', 21), edit(4, 'ann', 22)])).toEqual([
    { from_rev: 1, to_rev: 2, user_id: 'ann', started_at: 10, ended_at: 20, inserted: 3, deleted: 2 },
    { from_rev: 3, to_rev: 3, user_id: 'bob', started_at: 21, ended_at: 21, inserted: 3, deleted: 1 },
    { from_rev: 4, to_rev: 4, user_id: 'ann', started_at: 22, ended_at: 22, inserted: 4, deleted: 1 },
  ]);
});

test('a pause of five minutes begins a new run, a shorter one does not, and pauses do not add up', () => {
  const ats = [0, RUN_PAUSE_MS - 1, 2 * RUN_PAUSE_MS - 2, 3 * RUN_PAUSE_MS - 2];
  const runs = runsOfEdits(ats.map((at, i) => edit(i + 1, 'ann', at)));
  expect(runs.map(({ from_rev, to_rev }) => [from_rev, to_rev])).toEqual([
    [1, 3],
    [4, 4],
  ]);
});

test('a clock that goes back between two owners ends no run', () => {
  expect(runsOfEdits([edit(1, 'ann', 1_000), edit(2, 'ann', 400)])).toHaveLength(1);
});

test('no revisions make no runs', () => {
  expect(runsOfEdits([])).toEqual([]);
});

test('runs do not depend on how the revisions are cut into pages', () => {
  forSeeds(100, (random) => {
    let at = 0;
    const edits = Array.from({ length: 80 }, (_, i) => {
      at += random.float() < 0.2 ? RUN_PAUSE_MS - 1 + (random.uint32() % 3) : 5;
      return edit(i + 1, pick(random, ['ann', 'ann', 'ann', 'bob']), at);
    });
    const runs: EditRun[] = [];
    for (let from = 0; from < edits.length; ) {
      const to = from + 1 + (random.uint32() % 10);
      for (const run of runsOfEdits(edits.slice(from, to))) {
        const last = runs.at(-1);
        const joined = last === undefined ? null : joinRuns(last, run);
        if (joined === null) runs.push(run);
        else runs[runs.length - 1] = joined;
      }
      from = to;
    }
    expect(runs).toEqual(runsOfEdits(edits));
  });
});
