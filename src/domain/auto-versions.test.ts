import { describe, expect, test } from 'bun:test';
import { seededRandom } from '../base/random.ts';
import type { Authorship } from '../store/versions.ts';
import { dueVersions, type VersionPace } from './auto-versions.ts';

const PACE: VersionPace = { pause_ms: 300_000, edits: 500 };
const NEVER = 0;

/** Edits after revision `after`, each `[author, seconds since the one before]`. */
function edits(after: number, ...made: readonly (readonly [string, number])[]): Authorship[] {
  let at = 1_000_000;
  return made.map(([user_id, seconds], i) => {
    at += seconds * 1_000;
    return { rev: after + 1 + i, user_id, at };
  });
}

const last = (made: readonly Authorship[]): number => made.at(-1)?.at ?? 0;

describe('an automatic version is due', () => {
  test('at the last edit before a pause, under the name of who made it, with all who took part', () => {
    const made = edits(7, ['ada', 0], ['ben', 10], ['ada', 10], ['cleo', 300], ['ben', 299]);
    expect(dueVersions(made, last(made), PACE)).toEqual([{ rev: 10, created_by: 'ada', contributors: ['ada', 'ben'] }]);
  });

  test('at the head once it has been still for the pause, to the millisecond', () => {
    const made = edits(0, ['ada', 0], ['ben', 1]);
    expect(dueVersions(made, last(made) + 299_999, PACE)).toEqual([]);
    expect(dueVersions(made, last(made) + 300_000, PACE)).toEqual([
      { rev: 2, created_by: 'ben', contributors: ['ada', 'ben'] },
    ]);
  });

  test('after so many edits without a pause, and again after as many', () => {
    const made = edits(20, ...Array.from({ length: 1_250 }, () => ['ada', 1] as const));
    expect(dueVersions(made, NEVER, PACE).map(({ rev }) => rev)).toEqual([520, 1_020]);
    expect(dueVersions(made.slice(0, 499), NEVER, PACE)).toEqual([]);
  });

  test('counting starts anew after a pause, and contributors with it', () => {
    const pace = { pause_ms: 1_000, edits: 3 };
    const made = edits(0, ['a', 0], ['b', 0], ['c', 1], ['c', 0], ['d', 0], ['e', 0]);
    expect(dueVersions(made, NEVER, pace)).toEqual([
      { rev: 2, created_by: 'b', contributors: ['a', 'b'] },
      { rev: 5, created_by: 'd', contributors: ['c', 'd'] },
    ]);
  });

  test('not where nobody edited, nor because a clock went back', () => {
    expect(dueVersions([], Number.MAX_SAFE_INTEGER, PACE)).toEqual([]);
    expect(dueVersions(edits(0, ['a', 0], ['b', -900]), NEVER, PACE)).toEqual([]);
  });

  test('at the same revisions however often it is looked, in whatever pieces', () => {
    const random = seededRandom(77);
    const pace = { pause_ms: 60_000, edits: 20 };
    for (let round = 0; round < 200; round++) {
      const made = edits(
        0,
        ...Array.from({ length: 150 }, () => [`u${random.uint32() % 4}`, random.float() < 0.05 ? 90 : 2] as const),
      );
      const at_once = dueVersions(made, last(made), pace);
      const found: typeof at_once = [];
      for (let seen = 0; seen < made.length; ) {
        seen = Math.min(made.length, seen + 1 + (random.uint32() % 40));
        const after = found.at(-1)?.rev ?? 0;
        const known = made.slice(after, seen);
        // Looked at the moment when the next edit comes, or at the end.
        found.push(...dueVersions(known, made[seen]?.at ?? last(made), pace));
      }
      expect(found).toEqual(at_once);
    }
  });
});
