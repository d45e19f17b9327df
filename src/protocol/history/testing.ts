/** Random texts, deltas and updates for the tests of the folds and the codec, from seeded chance. */
import Delta from 'quill-delta';
import * as Y from 'yjs';
import type { Random } from '../../base/random.ts';
import type { Attributes, DeltaOps, Embed } from '../content/delta.ts';
import { pick } from '../content/testing.ts';
import type { Stretches } from './entry.ts';

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

/** Updates of two people who write to one document and its other roots, each seen by the other sooner or later; some say what was said. */
export function drawUpdates(random: Random): Uint8Array[] {
  const docs = [new Y.Doc(), new Y.Doc()];
  const updates: Uint8Array[] = [];
  for (const doc of docs) {
    doc.clientID = random.uint32();
    doc.on('update', (update: Uint8Array) => updates.push(update));
  }
  for (let i = 0; i < 24; i++) {
    const doc = pick(random, docs);
    if (random.float() < 0.2) for (const update of updates.slice()) Y.applyUpdate(doc, update);
    editSomehow(random, doc);
  }
  const wholes = docs.map((doc) => Y.encodeStateAsUpdate(doc));
  return [...updates, ...wholes, Y.encodeStateAsUpdate(new Y.Doc()), Y.mergeUpdates([...wholes, ...updates.slice(18)])];
}

function editSomehow(random: Random, doc: Y.Doc): void {
  const text = doc.getText('content');
  const at = random.uint32() % (text.length + 1);
  const edits: (() => void)[] = [
    () => text.insert(at, pick(random, ['a', 'word ', '😀', 'é\n', '\ud83d'])),
    () => text.insert(at, 'b', { bold: true, link: 'http://a' }),
    () => text.insertEmbed(at, { image: 'x' }),
    () => text.delete(at, Math.min(3, text.length - at)),
    () => text.format(at, Math.min(4, text.length - at), { bold: random.float() < 0.5 ? null : true }),
    () => doc.getMap('map').set(pick(random, ['k', 'l']), pick(random, [1, 'x', null, { deep: [1.5, true] }, 2 ** 60])),
    () => doc.getArray('list').push([new Uint8Array([1, 2]), [1, undefined], new Y.Map(), new Y.Text('inner')]),
    () => doc.getXmlFragment('xml').push([new Y.XmlElement('p'), new Y.XmlText('t')]),
    () => doc.getMap('map').set('hook', new Y.XmlHook('h')),
    () => doc.getMap('map').set('sub', new Y.Doc({ guid: 'g' })),
    () => doc.getArray('list').delete(0, Math.min(2, doc.getArray('list').length)),
  ];
  pick(random, edits)();
}

/** Who made a revision, and when, if nothing else is to tell. */
export function madeOf(rev: number): { rev: number; user_id: string; at: number } {
  return { rev, user_id: `user ${rev % 3}`, at: 1_000_000 + ((rev * 7_919) % 100_000) };
}

/** Stretches out of lengths and revisions, each made as {@link madeOf} says. */
export function stretchesOf(pairs: readonly (readonly [length: number, rev: number])[]): Stretches {
  const made = pairs.map(([, rev]) => madeOf(rev));
  const users = [...new Set(made.map(({ user_id }) => user_id))];
  return {
    users,
    lengths: Float64Array.from(pairs, ([length]) => length),
    revs: Float64Array.from(pairs, ([, rev]) => rev),
    authors: Float64Array.from(made, ({ user_id }) => users.indexOf(user_id)),
    times: Float64Array.from(made, ({ at }) => at),
  };
}

/** What stretches say, one by one: in which order they know their users does not matter. */
export function readStretches({ users, lengths, revs, authors, times }: Stretches): unknown[] {
  return Array.from(revs, (rev, i) => ({ length: lengths[i], rev, user_id: users[authors[i] ?? -1], at: times[i] }));
}
