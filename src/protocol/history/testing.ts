/** Random texts and deltas for the tests of the folds and the codec, from seeded chance. */
import Delta from 'quill-delta';
import type { Random } from '../../base/random.ts';
import type { Attributes, DeltaOps, Embed } from '../content/delta.ts';
import { pick } from '../content/testing.ts';

const TEXTS: readonly string[] = ['a', 'bc', 'def', ' ', '\n', '😀', 'x😀y', '\ud83d', '\ude00', 'word', 'é'];
const EMBEDS: readonly Embed[] = [{ image: 'x' }, { image: 'y' }, { mention: { id: 1, deep: [null] } }];
const ATTRIBUTES: readonly Attributes[] = [
  { bold: true },
  { italic: true },
  { bold: true, italic: true },
  { italic: true, bold: true },
  { link: 'http://a' },
  { comment: { by: 'b', at: [1] } },
];
const CHANGES: readonly Attributes[] = [...ATTRIBUTES, { bold: null }, { italic: null, link: null }, { comment: null }];

/** A delta that fits a text of `length` units, in quill-delta's normal form. */
export function drawDelta(random: Random, length: number): DeltaOps {
  const delta = new Delta();
  let left = length;
  for (let i = random.uint32() % 7; i >= 0; i--) {
    const count = Math.min(left, 1 + (random.uint32() % (random.float() < 0.2 ? 40 : 4)));
    const kind = random.float();
    if (kind < 0.45) insertSomething(random, delta);
    else if (count === 0) continue;
    else if (kind < 0.7) delta.delete(count);
    else delta.retain(count, kind < 0.85 ? pick(random, CHANGES) : undefined);
    if (kind >= 0.45) left -= count;
  }
  return delta.chop().ops as DeltaOps;
}

/** A document, in quill-delta's normal form. */
export function drawText(random: Random): DeltaOps {
  const delta = new Delta();
  for (let i = random.uint32() % 12; i > 0; i--) insertSomething(random, delta);
  return delta.ops as DeltaOps;
}

function insertSomething(random: Random, delta: Delta): void {
  const insert = random.float() < 0.15 ? pick(random, EMBEDS) : pick(random, TEXTS);
  delta.insert(insert, random.float() < 0.4 ? pick(random, ATTRIBUTES) : undefined);
}
