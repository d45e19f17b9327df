/**
 * Which versions a document gets by itself. They follow from its history alone: one wherever nobody edited for a while, one
 * wherever many edits came without a pause. So it does not matter when, how often or by whom they are derived, nor how
 * late.
 */
import type { Authorship, VersionRow } from '../store/versions.ts';

/** When a document gets a version by itself. */
export interface VersionPace {
  /** After this long without an edit, milliseconds. */
  readonly pause_ms: number;
  /** After so many edits without a pause. */
  readonly edits: number;
}

/** An automatic version that is due. */
export type DueVersion = Pick<VersionRow, 'rev' | 'created_by' | 'contributors'>;

/**
 * The automatic versions among edits that follow on the last version, oldest first. `until` tells how long it has been
 * still after the last of them: the present, or that edit's own time when others follow that are not given.
 */
export function dueVersions(edits: readonly Authorship[], until: number, pace: VersionPace): DueVersion[] {
  const due: DueVersion[] = [];
  let count = 0;
  let contributors = new Set<string>();
  for (const [i, { rev, user_id, at }] of edits.entries()) {
    count += 1;
    contributors.add(user_id);
    const still_ms = (edits[i + 1]?.at ?? until) - at;
    if (count < pace.edits && still_ms < pace.pause_ms) continue;
    due.push({ rev, created_by: user_id, contributors: [...contributors] });
    count = 0;
    contributors = new Set();
  }
  return due;
}
