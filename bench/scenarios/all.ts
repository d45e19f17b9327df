/** Every scenario, in the order of the page. */
import type { JsonContender, Scenario } from '../contender.ts';
import type { Trace } from '../trace.ts';
import { coldOpen } from './cold-open.ts';
import { connects2000 } from './connects.ts';
import { documents1000 } from './documents.ts';
import { durables } from './durable.ts';
import { fanouts } from './fanout.ts';
import { hot1, hot50 } from './hot.ts';
import { json1, json8 } from './json.ts';
import { presence500 } from './presence.ts';

/** A scenario and who takes part. */
export type Entry =
  | {
      readonly wire: 'yjs';
      readonly scenario: Scenario;
      /** `stored`: not those that keep no documents. `ours`: nobody else does what is measured. */
      readonly who: 'all' | 'stored' | 'ours';
    }
  | { readonly wire: 'json'; readonly scenario: Scenario<JsonContender> };

/** `readTrace` gives the trace for cold-open. */
export function allScenarios(readTrace: () => Promise<Trace>): readonly Entry[] {
  const yjs = (scenario: Scenario, who: 'all' | 'stored' | 'ours' = 'all'): Entry => ({ wire: 'yjs', scenario, who });
  return [
    yjs(hot50),
    yjs(hot1),
    ...fanouts.map((scenario) => yjs(scenario)),
    yjs(documents1000),
    yjs(coldOpen(readTrace), 'stored'),
    yjs(connects2000),
    yjs(presence500),
    { wire: 'json', scenario: json1 },
    { wire: 'json', scenario: json8 },
    ...durables.map((scenario) => yjs(scenario, 'ours')),
  ];
}
