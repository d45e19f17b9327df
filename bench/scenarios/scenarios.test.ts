/** Each scenario once, small, against Concord and against the floor: that it converges and measures, never how fast. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { recordsFolder, runFolder, uniqueName } from '../../test/support/environment.ts';
import type { Figure, JsonContender, RunningServer, YjsContender } from '../contender.ts';
import { concord, concordJson } from '../contenders/concord.ts';
import { floor } from '../contenders/floor.ts';
import type { Patch, Trace } from '../trace.ts';
import { allScenarios, type Entry } from './all.ts';

const text = 'Typed by hand, one letter after the other.';
const trace: Trace = {
  agents: 1,
  patches: text.length + 2,
  end: text.replace('hand', 'hound'),
  steps: [
    ...[...text].map((letter, i): Patch => [i, 0, letter]),
    [text.indexOf('hand') + 1, 1, ''] satisfies Patch,
    [text.indexOf('hand') + 1, 0, 'ou'] satisfies Patch,
  ].map((patch, i) => ({ agent: 0, patches: [patch], knows: [i] })),
};
const entries = allScenarios(() => Promise.resolve(trace));

/** A server for all scenarios, whose starts and stops do nothing. */
function shared<C extends YjsContender | JsonContender>(contender: C, running: () => RunningServer): C {
  return {
    ...contender,
    start: () => Promise.resolve({ ...running(), stop: () => Promise.resolve() }),
    connect: (_: RunningServer, document: string, options: never) => contender.connect(running(), document, options),
  };
}

let ours: RunningServer;
let bare: RunningServer;
const workshop = () => ({ folder: runFolder(uniqueName('bench')), records: recordsFolder() });

beforeAll(async () => {
  [ours, bare] = await Promise.all([concord(workshop()).start(), floor(workshop()).start()]);
});

afterAll(() => Promise.all([ours?.stop(), bare?.stop()]));

function expectSane(figures: readonly Figure[]): void {
  const names = figures.map(({ name, unit }) => `${name}, ${unit}`);
  expect(new Set(names).size).toBe(names.length);
  expect(names.at(-1)).toBe('driver CPU, %');
  for (const { name, value } of figures) {
    expect(value, name).toBeFinite();
    // Memory may have been given back meanwhile.
    if (name !== 'memory') expect(value, name).toBeGreaterThanOrEqual(0);
  }
}

function runOurs(entry: Entry): Promise<readonly Figure[]> {
  return entry.wire === 'json'
    ? entry.scenario.run(
        shared(concordJson(), () => ours),
        'quick',
      )
    : entry.scenario.run(
        shared(concord(), () => ours),
        'quick',
      );
}

for (const entry of entries)
  test(`${entry.scenario.name} converges on Concord and measures it`, async () => {
    expectSane(await runOurs(entry));
  });

for (const entry of entries.filter(({ scenario }) =>
  /^(hot-50|fanout-10|fanout-cursor-10|presence-500)$/.test(scenario.name),
))
  test(`${entry.scenario.name} converges on the floor and measures it`, async () => {
    if (entry.wire === 'yjs')
      expectSane(
        await entry.scenario.run(
          shared(floor(), () => bare),
          'quick',
        ),
      );
  });
