/**
 * Editing traces: what real people typed, keystroke by keystroke, in the format of https://github.com/josephg/editing-traces.
 *
 * A sequential trace is a list of transactions, each of which follows on the last. In a concurrent one each names its
 * `parents`, the transactions whose texts its author had merged when making it, so that the trace is a graph; but since
 * nobody is concurrent with themselves, what a transaction was made against is said by one number per author: how many of
 * their transactions it knows.
 *
 * Positions and lengths of a trace count Unicode code points, those of Concord UTF-16 units: see {@link Astral}.
 */
import type { DeltaOps } from '../src/protocol/content/delta.ts';

/** `[position, deleted, inserted]`, in code points; the patches of a transaction apply one after the other. */
export type Patch = readonly [number, number, string];

/** What one author did in one go. */
export interface Step {
  readonly agent: number;
  readonly patches: readonly Patch[];
  /** How many steps of each agent it was made on top of; of its own, all that came before. */
  readonly knows: readonly number[];
}

/** A whole trace, cut into steps in an order in which nothing comes before what it knows. */
export interface Trace {
  readonly agents: number;
  readonly steps: readonly Step[];
  /** Keystrokes: patches of all steps. */
  readonly patches: number;
  readonly end: string;
}

interface TraceFile {
  readonly kind?: string;
  readonly startContent?: string;
  readonly endContent: string;
  readonly numAgents?: number;
  readonly txns: readonly {
    readonly agent?: number;
    readonly parents?: readonly number[];
    readonly patches: readonly Patch[];
  }[];
}

/**
 * Reads a trace, gzipped or not. `batch` is how many transactions of one author make one step at most: as many as follow
 * each other on the same knowledge, and no more than others knew of them.
 */
export async function readTrace(path: string, batch = 1): Promise<Trace> {
  const bytes = await Bun.file(path).bytes();
  const json = bytes[0] === 0x1f && bytes[1] === 0x8b ? Bun.gunzipSync(bytes as Uint8Array<ArrayBuffer>) : bytes;
  const file = JSON.parse(new TextDecoder().decode(json)) as TraceFile;
  if (typeof file.endContent !== 'string' || !Array.isArray(file.txns))
    throw new Error(`${path} is not an editing trace`);
  if (file.startContent) throw new Error(`${path} does not start with an empty text, as all known traces do`);
  const agents = file.numAgents ?? 1;
  return {
    agents,
    steps: toSteps(file, agents, batch),
    patches: file.txns.reduce((sum, { patches }) => sum + patches.length, 0),
    end: file.endContent,
  };
}

function toSteps(file: TraceFile, agents: number, batch: number): Step[] {
  const known = knowledge(file, agents);
  // After how many of an agent's transactions somebody else looked: a step must not reach over that.
  const looked = Array.from({ length: agents }, () => new Set<number>());
  for (const [i, { agent = 0 }] of file.txns.entries())
    for (let other = 0; other < agents; other++) if (other !== agent) looked[other]?.add(known[i]?.[other] ?? 0);

  const steps: { agent: number; patches: Patch[]; knows: readonly number[]; txns: number }[] = [];
  const open: ((typeof steps)[number] | undefined)[] = [];
  const done = new Array<number>(agents).fill(0);
  /** Transactions of an agent → its steps that hold them. */
  const stepsOf = Array.from({ length: agents }, () => new Map<number, number>([[0, 0]]));
  const counts = new Array<number>(agents).fill(0);
  for (const [i, { agent = 0, patches }] of file.txns.entries()) {
    const knows = known[i] ?? [];
    const before = done[agent] ?? 0;
    const last = open[agent];
    const follows =
      last !== undefined &&
      last.txns < batch &&
      !looked[agent]?.has(before) &&
      knows.every((count, other) => other === agent || stepsOf[other]?.get(count) === last.knows[other]);
    if (follows) {
      last.patches.push(...patches);
      last.txns += 1;
    } else {
      const inSteps = knows.map((count, other) =>
        other === agent ? (counts[agent] ?? 0) : stepOf(stepsOf[other], count),
      );
      const step = { agent, patches: [...patches], knows: inSteps, txns: 1 };
      steps.push(step);
      open[agent] = step;
      counts[agent] = (counts[agent] ?? 0) + 1;
    }
    done[agent] = before + 1;
    stepsOf[agent]?.set(before + 1, counts[agent] ?? 0);
  }
  return steps;
}

function stepOf(steps: ReadonlyMap<number, number> | undefined, transactions: number): number {
  const found = steps?.get(transactions);
  if (found === undefined) throw new Error('a transaction stands before one that it knows');
  return found;
}

/** For each transaction: how many of each agent's it builds on. */
function knowledge(file: TraceFile, agents: number): readonly (readonly number[])[] {
  const after: number[][] = [];
  return file.txns.map(({ agent = 0, parents = after.length === 0 ? [] : [after.length - 1] }) => {
    const knows = new Array<number>(agents).fill(0);
    for (const parent of parents)
      for (const [other, count] of (after[parent] ?? []).entries()) knows[other] = Math.max(knows[other] ?? 0, count);
    const own = knows[agent] ?? 0;
    after.push(knows.map((count, other) => (other === agent ? own + 1 : count)));
    return knows;
  });
}

/**
 * Where the characters of two UTF-16 units stand in a text: all that it takes to turn positions in code points into
 * UTF-16 units, and next to nothing for most texts.
 */
export class Astral {
  /** Ascending positions, in UTF-16 units, of the first units of such characters. */
  #at: number[] = [];

  /** The position in UTF-16 units of a position in code points. */
  units(point: number): number {
    let low = 0;
    let high = this.#at.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      // The i-th of them has i others before it, so it is i code points less far in than it is units.
      if ((this.#at[middle] ?? 0) - middle < point) low = middle + 1;
      else high = middle;
    }
    return point + low;
  }

  /** The text changes by this delta, in UTF-16 units. */
  apply(delta: DeltaOps): void {
    let index = 0;
    for (const { retain, insert, delete: gone } of delta) {
      if (retain !== undefined) index += retain;
      else if (gone !== undefined) this.#replace(index, gone, '');
      else if (typeof insert === 'string') {
        this.#replace(index, 0, insert);
        index += insert.length;
      }
    }
  }

  #replace(index: number, gone: number, inserted: string): void {
    const fresh: number[] = [];
    for (const { index: at } of inserted.matchAll(/[\u{10000}-\u{10ffff}]/gu)) fresh.push(index + at);
    if (this.#at.length === 0 && fresh.length === 0) return;
    const before = this.#at.filter((at) => at < index);
    const behind = this.#at.filter((at) => at >= index + gone).map((at) => at + inserted.length - gone);
    this.#at = [...before, ...fresh, ...behind];
  }
}

/** A step's patches as one delta in UTF-16 units; `astral` follows along. */
export function patchDeltas(patches: readonly Patch[], astral: Astral): DeltaOps[] {
  return patches.map(([point, deleted, inserted]) => {
    const start = astral.units(point);
    const gone = astral.units(point + deleted) - start;
    const delta: DeltaOps = [
      ...(start > 0 ? [{ retain: start }] : []),
      ...(inserted.length > 0 ? [{ insert: inserted }] : []),
      ...(gone > 0 ? [{ delete: gone }] : []),
    ];
    astral.apply(delta);
    return delta;
  });
}
