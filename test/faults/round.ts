/**
 * A round of the long fault test: documents with people and programs on all nodes, some faults one after the other, and
 * then the question whether everything is true that was promised. Documents live one round, so that what a round finds has
 * its cause in it.
 */
import type { Random } from '../../src/base/random.ts';
import { until } from '../support/until.ts';
import { drawFault, type Fault, type Scene } from './chaos.ts';
import type { Person } from './concord.ts';
import { Crowd } from './crowd.ts';
import { Ledger } from './ledger.ts';
import type { Tap } from './tap.ts';

/** What was seen of one fault. */
export interface Observed {
  readonly kind: string;
  readonly detail: string;
  /** From the fault to edits on every document that lost its owner; null when none did. */
  readonly takeover_ms: number | null;
  /** From the cure to edits on every document. */
  readonly recovery_ms: number | null;
  readonly wrongs: readonly string[];
}

/** What a round came to. */
export interface RoundResult {
  readonly observed: readonly Observed[];
  readonly edits: number;
  /** What the questions at its end found. */
  readonly wrongs: readonly string[];
}

/** What a round is made of. */
export interface RoundParts {
  readonly scene: Scene;
  readonly tap: Tap;
  readonly people: readonly [Person, Person, Person];
  readonly random: Random;
  /** Unique within a run. */
  readonly name: string;
  /** Names that the kinds of its faults begin with; all when there is none. */
  readonly only: readonly string[];
  say(what: string): void;
}

const DOCUMENTS = 5;
const THINK_MS = 100;
const FAULTS_MAX = 4;
const TAKEOVER_MS_MAX = 10_000;
/** Where Redis forgot the dead node too, its beat has to be waited for, by whoever had a link to it and by whoever claims. */
const TAKEOVER_FORGOTTEN_MS_MAX = 20_000;
const RECOVERY_MS_MAX = 30_000;
/** What nodes log as errors and is a fault of theirs, whatever happened around them. */
const BUGS = /crashed|could not be handled|nobody looked|deadline/;

/** See the head of this file. */
export async function playRound(parts: RoundParts): Promise<RoundResult> {
  const { scene, tap, people, random, name, only, say } = parts;
  const { cluster } = scene;
  const ledger = new Ledger();
  const crowds: Crowd[] = [];
  for (let i = 0; i < DOCUMENTS; i++) {
    const doc_id = await cluster.createDocument(people[0], people.slice(1));
    await cluster.openOn(cluster.node(i), people[0], [doc_id]);
    crowds.push(
      new Crowd({ cluster, ledger, random, people, doc_id, name: `${name}d${i}`, home: i, think_ms: THINK_MS }),
    );
  }
  const observed: Observed[] = [];
  const wrongs: string[] = [];
  try {
    await Promise.all(crowds.map((crowd) => crowd.arrive()));
    for (const crowd of crowds) crowd.type();
    const faults = 1 + Math.floor(random.float() * FAULTS_MAX);
    for (let i = 0; i < faults; i++) {
      await Bun.sleep(500 + 3_000 * random.float());
      const fault = drawFault(scene, random, only);
      say(`${name}: ${fault.kind} (${fault.detail})`);
      observed.push(await suffer(parts, fault, ledger, crowds));
    }
    await Bun.sleep(1_000 * random.float());
    for (const crowd of crowds) crowd.hush();
    wrongs.push(...(await Promise.all(crowds.map((crowd) => crowd.wrongs({ tap, complete: false })))).flat());
  } catch (error) {
    wrongs.push((error as Error).message);
  }
  for (const crowd of crowds) crowd.hush();
  for (const crowd of crowds) crowd.leave();
  wrongs.push(...ledger.faults, ...tap.faults.splice(0));
  for (const { name: node, concord } of cluster.nodes)
    if (concord.is_running)
      wrongs.push(
        ...concord
          .errors()
          .filter((line) => BUGS.test(line))
          .map((line) => `${node}: ${line}`),
      );
  return { observed, edits: ledger.totals.made, wrongs };
}

/** Lets one fault come and go, and says what it did. */
async function suffer(
  { scene: { cluster }, say }: RoundParts,
  fault: Fault,
  ledger: Ledger,
  crowds: readonly Crowd[],
): Promise<Observed> {
  const doc_ids = crowds.map(({ doc_id }) => doc_id);
  const before = await cluster.owners(doc_ids);
  const lost = doc_ids.filter((doc_id) => fault.loses.some(({ name }) => name === before.get(doc_id)));
  const wrongs: string[] = [];
  const flow = async (on: readonly string[], since: number, within_ms: number): Promise<number> => {
    await until('edits to flow again', () => on.every((doc_id) => ledger.flowsSince(doc_id, since)), within_ms).catch(
      () => {
        const still = on.filter((doc_id) => !ledger.flowsSince(doc_id, since));
        wrongs.push(`no edit was acknowledged within ${within_ms} ms on ${still.join(', ')}`);
      },
    );
    return performance.now() - since;
  };
  let takeover_ms: number | null = null;
  const begun = performance.now();
  await fault.inject().catch((error: Error) => wrongs.push(error.message));
  const struck = performance.now();
  if (fault.flows && lost.length > 0) {
    const forgotten = fault.kind.includes('Redis');
    takeover_ms = await flow(lost, struck, forgotten ? TAKEOVER_FORGOTTEN_MS_MAX : TAKEOVER_MS_MAX);
  }
  await Bun.sleep(Math.max(0, fault.lasts_ms - (performance.now() - struck)));
  await fault.heal().catch((error: Error) => wrongs.push(`it could not be put right: ${error.message}`));
  const healed = performance.now();
  await cluster.ready().catch((error: Error) => wrongs.push(error.message));
  const recovery_ms = await flow(doc_ids, healed, RECOVERY_MS_MAX);
  if (fault.moves_nothing) {
    const after = await cluster.owners(doc_ids);
    const moved = doc_ids.filter((doc_id) => after.get(doc_id) !== before.get(doc_id));
    if (moved.length > 0) wrongs.push(`${moved.length} documents changed hands`);
  }
  say(
    `  ${Math.round(performance.now() - begun)} ms, recovered in ${Math.round(recovery_ms)} ms${wrongs.map((wrong) => `; ${wrong}`).join('')}`,
  );
  return { kind: fault.kind, detail: fault.detail, takeover_ms, recovery_ms, wrongs };
}
