/** Which units of one list are those of another: the longest common run of units in order, as far as it is cheap to find. */
import { kindOf, sharedIn, type Unit } from './tokens.ts';

/** Steps of comparing that one matcher takes in all, and for one pair of lists: ten million take some 30 ms. */
const STEPS_MAX = 10_000_000;
const STEPS_AT_ONCE_MAX = 4_000_000;

/** See the head of this file. */
export class Matcher {
  #steps_left = STEPS_MAX;

  /**
   * For each unit of `old` the place in `now` of the one that it is, or -1: equal ones first, then types of one kind that stand
   * between the same equal ones. Partners come in the order of both lists.
   */
  match(now: readonly Unit[], old: readonly Unit[]): Int32Array {
    const partners = this.#equal(now, old);
    let [after, from] = [-1, 0];
    for (let i = 0; i <= old.length; i++) {
      const partner = i === old.length ? now.length : (partners[i] ?? -1);
      if (partner === -1) continue;
      pairKinds(now, after + 1, partner, old, from, i, partners);
      [after, from] = [partner, i + 1];
    }
    return partners;
  }

  #equal(now: readonly Unit[], old: readonly Unit[]): Int32Array {
    const partners = new Int32Array(old.length).fill(-1);
    const same = (i: number, j: number): boolean => now[i]?.token === old[j]?.token;
    const shorter = Math.min(now.length, old.length);
    let start = 0;
    while (start < shorter && same(start, start)) {
      partners[start] = start;
      start += 1;
    }
    let end = 0;
    while (end < shorter - start && same(now.length - 1 - end, old.length - 1 - end)) {
      end += 1;
      partners[old.length - end] = now.length - end;
    }
    const [rows, columns] = [now.length - start - end, old.length - start - end];
    const steps = rows * columns;
    if (steps === 0 || steps > Math.min(this.#steps_left, STEPS_AT_ONCE_MAX)) return partners;
    this.#steps_left -= steps;
    // The length of the longest common run from row `i` and column `j` on.
    const width = columns + 1;
    const longest = new Uint32Array((rows + 1) * width);
    for (let i = rows - 1; i >= 0; i--)
      for (let j = columns - 1; j >= 0; j--) {
        const here = i * width + j;
        longest[here] = same(start + i, start + j)
          ? (longest[here + width + 1] as number) + 1
          : Math.max(longest[here + width] as number, longest[here + 1] as number);
      }
    for (let i = 0, j = 0; i < rows && j < columns; ) {
      const here = i * width + j;
      if (same(start + i, start + j)) partners[start + j++] = start + i++;
      else if ((longest[here + width] as number) >= (longest[here + 1] as number)) i += 1;
      else j += 1;
    }
    return partners;
  }
}

function pairKinds(
  now: readonly Unit[],
  now_from: number,
  now_to: number,
  old: readonly Unit[],
  old_from: number,
  old_to: number,
  partners: Int32Array,
): void {
  let next = now_from;
  for (let j = old_from; j < old_to; j++) {
    const kind = kindIn(old[j]);
    if (kind === null) continue;
    let i = next;
    while (i < now_to && kindIn(now[i]) !== kind) i += 1;
    if (i === now_to) continue;
    partners[j] = i;
    next = i + 1;
  }
}

function kindIn(unit: Unit | undefined): string | null {
  const type = unit === undefined ? null : sharedIn(unit.item);
  return type === null ? null : kindOf(type);
}
