import { describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { type Random, seededRandom } from '../../base/random.ts';
import { snapshotOf, TEXT_ROOT } from '../../protocol/snapshot.ts';
import { Replica } from '../replica.ts';
import { serverClientId } from '../server-ids.ts';
import { createPastDoc } from './past-doc.ts';
import { rootsBack } from './roots.ts';

const below = (random: Random, bound: number): number => Math.floor(random.float() * bound);

/** A document from bytes, as the thread that looks back has it: but for the text nobody has said what its roots are. */
function opened(state: Uint8Array): Y.Doc {
  const doc = createPastDoc();
  Y.applyUpdate(doc, state);
  return doc;
}

const stateOf = (doc: Y.Doc): Uint8Array => Y.encodeStateAsUpdate(doc);

/** What is in the roots, to the last format. */
function read(state: Uint8Array): unknown {
  const doc = opened(state);
  const tree = (node: unknown): unknown => {
    if (node instanceof Y.XmlText || node instanceof Y.Text)
      return (node.toDelta() as { insert: unknown }[]).map((op) => ({ ...op, insert: tree(op.insert) }));
    if (node instanceof Y.XmlElement) return [node.nodeName, node.getAttributes(), node.toArray().map(tree)];
    if (node instanceof Y.XmlFragment || node instanceof Y.Array) return node.toArray().map(tree);
    if (node instanceof Y.Map) return Object.fromEntries([...node.entries()].sort().map(([k, v]) => [k, tree(v)]));
    return node;
  };
  return [doc.getMap('map'), doc.getArray('array'), doc.getXmlFragment('prose'), doc.getText('notes')].map(tree);
}

/** Goes back, and returns how many bytes that took. */
function back(doc: Y.Doc, past: Uint8Array): number {
  const update = rootsBack(opened(past), opened(stateOf(doc)));
  if (update !== null) Y.applyUpdate(doc, update);
  return update?.length ?? 0;
}

function element(name: string, text: string): Y.XmlElement {
  const made = new Y.XmlElement(name);
  made.insert(0, [new Y.XmlText(text)]);
  return made;
}

describe('going back', () => {
  test('brings back entries, elements, nested types and formats, and leaves the text alone', () => {
    const doc = new Y.Doc();
    doc.getText(TEXT_ROOT).insert(0, 'text');
    doc.getMap('map').set('nested', new Y.Map<unknown>([['list', Y.Array.from([1, new Uint8Array([1])])]]));
    doc.getMap('map').set('gone', { deep: [null, 2n] });
    doc.getArray('array').push([1, 'two', { three: 3 }]);
    doc.getXmlFragment('prose').insert(0, [element('p', 'one'), element('h1', 'two')]);
    doc.getText('notes').insert(0, 'plain bold');
    doc.getText('notes').format(6, 4, { bold: true });
    const past = stateOf(doc);
    doc.getMap('map').delete('gone');
    doc.getMap('map').set('nested', 'no more');
    doc.getMap('map').set('new', 1);
    doc.getArray('array').delete(0, 2);
    doc.getXmlFragment('prose').delete(0, 1);
    doc.getXmlFragment('prose').push([element('p', 'three')]);
    doc.getText('notes').format(0, 8, { bold: null, italic: true });
    doc.getText('notes').delete(5, 5);
    doc.getText(TEXT_ROOT).insert(4, ' grows');
    back(doc, past);
    expect(read(stateOf(doc))).toEqual(read(past));
    expect(doc.getText(TEXT_ROOT).toString()).toBe('text grows');
  });

  test('to where it is already changes nothing, also when things came back under new names', () => {
    const doc = new Y.Doc();
    doc.getXmlFragment('prose').insert(0, [element('p', 'one'), element('p', 'two')]);
    doc.getMap('map').set('a', new Y.Map([['b', 1]]));
    const past = stateOf(doc);
    expect(back(doc, past)).toBe(0);
    doc.getXmlFragment('prose').delete(0, 2);
    doc.getMap('map').delete('a');
    expect(back(doc, past)).toBeGreaterThan(0);
    expect(back(doc, past)).toBe(0);
  });

  test('keeps what is typed meanwhile into what stayed, and into what an earlier restore brought', () => {
    const doc = new Y.Doc();
    const prose = doc.getXmlFragment('prose');
    prose.insert(0, [element('p', 'one'), element('p', 'two')]);
    const past = stateOf(doc);
    prose.delete(0, 1);
    back(doc, past);
    const paragraph = (i: number): Y.XmlText => (prose.get(i) as Y.XmlElement).get(0) as Y.XmlText;
    paragraph(0).insert(3, ', changed');
    paragraph(1).insert(3, ', changed');
    const update = rootsBack(opened(past), opened(stateOf(doc))) ?? new Uint8Array();
    paragraph(0).insert(0, '<typed>');
    paragraph(1).insert(0, '<typed>');
    Y.applyUpdate(doc, update);
    expect(prose.toString()).toBe(
      '<p>&lt;typed&gt;one</p><p>&lt;typed&gt;two</p>'.replaceAll('&lt;', '<').replaceAll('&gt;', '>'),
    );
  });

  test('tears no character in two', () => {
    const doc = new Y.Doc();
    const notes = doc.getText('notes');
    notes.insert(0, '-😀-');
    const past = stateOf(doc);
    notes.delete(0, 4);
    notes.insert(0, '+😁-');
    back(doc, past);
    expect(notes.toString()).toBe('-😀-');
  });

  test('to a time before a root was there empties it', () => {
    const doc = new Y.Doc();
    doc.getMap('map').set('a', 1);
    doc.getArray('array').push([1, 2]);
    back(doc, stateOf(new Y.Doc()));
    expect(read(stateOf(doc))).toEqual([{}, [], [], []]);
  });
});

/** Several people with a document each, who edit at random and hear of each other late. */
class Crowd {
  readonly docs: Y.Doc[];

  constructor(
    private readonly random: Random,
    size: number,
  ) {
    this.docs = Array.from({ length: size }, () => new Y.Doc());
  }

  meet(): void {
    for (const one of this.docs) for (const other of this.docs) Y.applyUpdate(other, stateOf(one));
  }

  edit(): void {
    const doc = this.docs[below(this.random, this.docs.length)] as Y.Doc;
    doc.transact(() => this.#change(doc));
    if (below(this.random, 4) === 0) this.meet();
  }

  #change(doc: Y.Doc): void {
    const { random } = this;
    const roots = [doc.getMap('map'), doc.getArray('array'), doc.getXmlFragment('prose'), doc.getText('notes')];
    let at: unknown = roots[below(random, roots.length)];
    for (let depth = below(random, 3); depth > 0; depth--) {
      const inside = children(at).filter((child) => child instanceof Y.AbstractType);
      at = inside[below(random, inside.length)] ?? at;
    }
    if (at instanceof Y.Text) return this.#write(at);
    if (at instanceof Y.Map) {
      const key = 'abc'[below(random, 3)] as string;
      if (below(random, 3) === 0) at.delete(key);
      else at.set(key, this.#value());
      return;
    }
    if (!(at instanceof Y.Array || at instanceof Y.XmlFragment)) return;
    const index = below(random, at.length + 1);
    if (below(random, 2) === 0 && at.length > 0) at.delete(Math.min(index, at.length - 1), 1);
    else if (at instanceof Y.Array) at.insert(index, [this.#value(), below(random, 5)]);
    else
      at.insert(index, [
        below(random, 4) === 0 ? new Y.XmlText('x') : element('ph'[below(random, 2)] as string, 'word'),
      ]);
    if (at instanceof Y.XmlElement) at.setAttribute('class', String(below(random, 3)));
  }

  #write(text: Y.Text): void {
    const { random } = this;
    const index = below(random, text.length + 1);
    const length = Math.min(below(random, 4), text.length - index);
    const what = below(random, 5);
    if (what === 0) text.delete(index, length);
    else if (what === 1) text.format(index, length, { bold: below(random, 2) === 0 ? true : null });
    else if (what === 2) text.insertEmbed(index, { image: below(random, 3) });
    else text.insert(index, ['ab', 'c', 'the quick'][below(random, 3)] as string);
  }

  #value(): unknown {
    const { random } = this;
    const made = [1, 'a', { deep: [1] }, new Y.Map([['k', 1]]), Y.Array.from([1, 2]), new Y.Text('some')];
    return made[below(random, made.length)];
  }
}

function children(type: unknown): unknown[] {
  if (type instanceof Y.Map) return [...type.values()];
  return type instanceof Y.Array || type instanceof Y.XmlFragment ? type.toArray() : [];
}

test('whatever a crowd did, all of it is back, then and again, and everybody has the same', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const crowd = new Crowd(seededRandom(seed), 3);
    const [first] = crowd.docs as [Y.Doc];
    const pasts = [stateOf(first)];
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 15; i++) crowd.edit();
      crowd.meet();
      const past = pasts[(seed * 7 + round * 3) % pasts.length] as Uint8Array;
      pasts.push(stateOf(first));
      back(first, past);
      crowd.meet();
      for (const doc of crowd.docs)
        expect({ seed, round, now: read(stateOf(doc)) }).toEqual({ seed, round, now: read(past) });
      expect([seed, round, back(first, past)]).toEqual([seed, round, 0]);
      pasts.push(stateOf(first));
    }
  }
});

describe('going back under an owner who is lost before it is on disk', () => {
  const doc_id = seededRandom(88).id();
  const author = new Y.Doc();
  author.getMap('map').set('key', 'then');
  const past = stateOf(author);
  author.getMap('map').set('key', 'now');
  const present = stateOf(author);

  /** What the next owner has once a client, who had heard of it, has come back. */
  function afterLoss(client: number | null): unknown {
    const head = opened(present);
    if (client !== null) head.clientID = client;
    const [heard, stored, seen] = [opened(present), opened(present), new Y.Doc()];
    Y.applyUpdate(heard, rootsBack(opened(past), head) as Uint8Array);
    const next = new Replica(doc_id, serverClientId(doc_id, 2), snapshotOf(stored), []);
    next.applyUpdates([stateOf(heard)]);
    for (const update of next.missingFor(null)) Y.applyUpdate(seen, update);
    return seen.getMap('map').toJSON();
  }

  test('is brought along whole by the clients who had heard of it', () => {
    expect(afterLoss(null)).toEqual({ key: 'then' });
  });

  test('would leave neither what was nor what is, were it written under the owner, whose lost structs are deleted', () => {
    expect(afterLoss(serverClientId(doc_id, 1))).toEqual({});
  });
});
