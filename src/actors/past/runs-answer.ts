/**
 * Runs of edits, gathered from the newest revisions backwards. Where a run begins and ends depends on neighbouring
 * revisions alone, so it does not matter in which pieces they come, nor where a page of the answer ends.
 */
import { type EditRun, joinRuns, runsOfEdits } from '../../protocol/history/runs.ts';
import { changeOf, effectsOf, metasOf } from './effects.ts';
import type { Answers, Piece } from './pieces.ts';

/** See the head of this file. Pieces come newest first. */
export class RunsAnswer {
  /** Newest first. */
  #runs: EditRun[] = [];

  constructor(private readonly limit: number) {}

  /** Takes the next piece. True when there are runs enough, each with its beginning. */
  feed(piece: Piece): boolean {
    const effects = effectsOf(piece);
    const edits = metasOf(piece).map((meta, i) => ({ ...meta, ...changeOf(effects[i]?.delta ?? []) }));
    this.#runs = joined(this.#runs, runsOfEdits(edits).toReversed());
    return this.#runs.length > this.limit;
  }

  finish(): Answers['runs'] {
    return { runs: this.#runs };
  }
}

/** Runs, newest first, before older ones that they follow on. */
function joined(newer: EditRun[], older: EditRun[]): EditRun[] {
  const [first, second] = [older[0], newer.at(-1)];
  const run = first === undefined || second === undefined ? null : joinRuns(first, second);
  return run === null ? [...newer, ...older] : [...newer.slice(0, -1), run, ...older.slice(1)];
}
