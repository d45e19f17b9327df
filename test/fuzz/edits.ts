/**
 * Random edits of a text, as deltas. They crowd: half of them go to the two ends or the middle, so that concurrent ones
 * meet at the same place. Positions never split a surrogate pair, which the server would refuse.
 */
import Delta, { type AttributeMap, type Op } from 'quill-delta';
import type { Random } from '../../src/base/random.ts';

/** Draws from a seeded source. */
export class Dice {
  constructor(readonly random: Random) {}

  /** A whole number below `limit`. */
  below(limit: number): number {
    return Math.floor(this.random.float() * limit);
  }

  /** True once in `n` times. */
  once(n: number): boolean {
    return this.below(n) === 0;
  }

  /** One of these. */
  pick<T>(items: readonly [T, ...T[]]): T {
    return items[this.below(items.length)] ?? items[0];
  }
}

const WORDS = ['a', 'bc', 'Grüße', '😀', '👩‍👩‍👧', 'x😀y', '\n', 'éé', '日本', 'lorem ipsum'] as const;
const FORMATS: readonly [AttributeMap, ...AttributeMap[]] = [
  { bold: true },
  { bold: null },
  { italic: true },
  { italic: null, bold: true },
  { colour: 'red' },
  { colour: 'blue' },
  { colour: null },
  { link: { href: 'https://example.org', rel: ['a', 'b'] } },
  { link: null },
];
const EMBEDS: readonly [Record<string, unknown>, ...Record<string, unknown>[]] = [
  { image: 'https://example.org/1.png' },
  { mention: { id: 7, name: 'Ü😀' } },
];

/** The flat text of a document; an embed is one U+FFFC. */
export function flatText(ops: readonly Op[]): string {
  return ops.map(({ insert }) => (typeof insert === 'string' ? insert : '\ufffc')).join('');
}

/** Formats that new text may have; none is taken away by it. */
function newFormat(dice: Dice): AttributeMap | undefined {
  const format = dice.pick(FORMATS);
  return dice.once(3) && Object.values(format).every((value) => value !== null) ? format : undefined;
}

/** A place in the text, moved off the middle of a pair. */
function place(dice: Dice, text: string): number {
  const spots: readonly [number, ...number[]] = [0, text.length, Math.floor(text.length / 2)];
  return offPair(text, dice.once(2) ? dice.pick(spots) : dice.below(text.length + 1));
}

function offPair(text: string, index: number): number {
  return /^[\ud800-\udbff][\udc00-\udfff]/.test(text.slice(Math.max(0, index - 1), index + 1)) && index > 0
    ? index - 1
    : index;
}

/** Text to insert; with a marker when one is given. */
export function newText(dice: Dice, marker: string | null): string {
  return marker ?? dice.pick(WORDS);
}

/** A random edit of the document whose flat text this is; `marker` is inserted when given. */
export function randomDelta(dice: Dice, text: string, marker: string | null): Delta {
  const at = place(dice, text);
  const to = offPair(text, Math.min(text.length, at + 1 + dice.below(8)));
  const edit = new Delta().retain(at);
  if (marker !== null) {
    if (to > at && dice.once(4)) edit.delete(to - at);
    return edit.insert(marker, newFormat(dice));
  }
  const kind = to > at ? dice.below(10) : 0;
  if (kind < 3) return edit.insert(newText(dice, null), newFormat(dice));
  if (kind === 3) return edit.insert(dice.pick(EMBEDS), newFormat(dice));
  if (kind < 6) return edit.delete(to - at);
  if (kind < 9) return edit.retain(to - at, dice.pick(FORMATS));
  // Several at once: format, insert, delete to the end of a short stretch.
  edit.retain(to - at, dice.pick(FORMATS)).insert(newText(dice, null), newFormat(dice));
  const end = offPair(text, Math.min(text.length, to + dice.below(4)));
  return end > to ? edit.delete(end - to) : edit;
}

/** Everything that `edit` deletes of a document with this flat text. */
export function deletedBy(edit: Delta, text: string): string {
  let index = 0;
  let gone = '';
  for (const op of edit.ops) {
    if (op.delete !== undefined) gone += text.slice(index, index + op.delete);
    index += op.delete ?? (typeof op.retain === 'number' ? op.retain : 0);
  }
  return gone;
}
