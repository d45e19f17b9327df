/** Going back with everything that Yjs clients keep beside the text, from outside: a whole server and stock clients. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test';
import * as Y from 'yjs';
import type { Restored } from '../src/domain/restore.ts';
import { openRestWorld, type RestWorld } from './support/rest.ts';
import { JsonClient } from './support/sockets.ts';
import { StockClient } from './support/stock-client.ts';

let world: RestWorld;
let doc_id = '';
let ada: StockClient;
let bob: StockClient;

beforeAll(async () => {
  world = await openRestWorld();
});
afterAll(() => world.close());
beforeEach(async () => {
  doc_id = await world.sharedDocument();
  ada = new StockClient(world.server, doc_id, world.owner);
  bob = new StockClient(world.server, doc_id, world.editor);
  await Promise.all([ada.synced(), bob.synced()]);
});

const path = (rest = '') => `/v1/documents/${doc_id}${rest}`;
const restore = (rev: number): Promise<Restored> => world.done(200, 'POST', path('/restore'), world.editor, { rev });
const leave = (): void => {
  ada.destroy();
  bob.destroy();
};

/** The whole document at a revision, as REST tells it. */
async function past(rev?: number): Promise<{ rev: number; doc: Y.Doc }> {
  const query = rev === undefined ? '' : `&rev=${rev}`;
  const answer = await world.done(200, 'GET', path(`/content?format=yjs${query}`), world.viewer);
  const doc = new Y.Doc();
  Y.applyUpdate(doc, Buffer.from(answer.value, 'base64'));
  return { rev: answer.rev, doc };
}

const read = (doc: Y.Doc): string =>
  JSON.stringify([
    doc.getText('content').toDelta(),
    doc.getMap('board').toJSON(),
    doc.getArray('list').toJSON(),
    doc.getXmlFragment('prose').toString(),
  ]);

const paragraph = (text: string): Y.XmlElement => {
  const made = new Y.XmlElement('paragraph');
  made.insert(0, [new Y.XmlText(text)]);
  return made;
};

/** The revision in which the server has all that `one` has. */
async function settled(one: StockClient): Promise<number> {
  for (;;) {
    const { rev, doc } = await past();
    if (read(doc) === read(one.doc)) return rev;
  }
}

function fill(doc: Y.Doc): void {
  doc.transact(() => {
    doc.getText('content').insert(0, 'The plan');
    doc.getMap('board').set('title', 'Plan');
    doc.getMap('board').set('cards', Y.Array.from([1, 2, 3]));
    doc.getArray('list').push(['a', { b: 1 }, 'c']);
    doc.getXmlFragment('prose').push([paragraph('one'), paragraph('two'), paragraph('three')]);
  });
}

function spoil(doc: Y.Doc): void {
  doc.transact(() => {
    doc.getText('content').delete(0, 4);
    doc.getMap('board').delete('cards');
    doc.getMap('board').set('title', 'Mess');
    doc.getArray('list').delete(0, 2);
    doc.getXmlFragment('prose').delete(0, 2);
    doc.getXmlFragment('prose').insert(0, [paragraph('new')]);
  });
}

test('maps, arrays and XML go back with the text, in one revision, there and back again', async () => {
  fill(ada.doc);
  const good = await settled(ada);
  const was = read(ada.doc);
  spoil(bob.doc);
  const bad = await settled(bob);
  const mess = read(bob.doc);
  const json = await JsonClient.join(world.server, doc_id, world.viewer);
  expect((await restore(good)).rev).toBe(bad + 1);
  const { changes } = await json.take('edit', (event) => event.changes.rev === bad + 1);
  expect(changes.delta).toEqual([{ insert: 'The ' }]);
  await Promise.all([ada, bob].map((one) => one.until('the restore', () => read(one.doc) === was)));
  expect((await restore(good)).rev).toBe(bad + 1);
  expect((await restore(bad)).rev).toBe(bad + 2);
  await Promise.all([ada, bob].map((one) => one.until('the mess', () => read(one.doc) === mess)));
  expect((await restore(good)).rev).toBe(bad + 3);
  expect(read((await past(bad + 3)).doc)).toBe(was);
  expect(read((await past(bad)).doc)).toBe(mess);
  await json.leave();
  leave();
});

test('only other roots changed: the text is not edited, and the revision is one more', async () => {
  fill(ada.doc);
  const good = await settled(ada);
  const was = read(ada.doc);
  ada.doc.getMap('board').set('title', 'Other');
  const head = await settled(ada);
  expect((await restore(good)).rev).toBe(head + 1);
  await bob.until('the restore', () => read(bob.doc) === was);
  expect((await world.done(200, 'GET', path(`/diff?from=${head}&to=${head + 1}`), world.viewer)).delta).toEqual([]);
  leave();
});

test('who types into what stayed, while it happens twice, keeps every letter, and all have the same', async () => {
  fill(ada.doc);
  const good = await settled(ada);
  const text = (doc: Y.Doc): Y.XmlText => {
    const prose = doc.getXmlFragment('prose');
    return (prose.get(prose.length - 1) as Y.XmlElement).get(0) as Y.XmlText;
  };
  for (let round = 0; round < 2; round++) {
    spoil(bob.doc);
    await settled(bob);
    const restoring = restore(good);
    let done = false;
    void restoring.finally(() => {
      done = true;
    });
    // Typed until the answer is here, one letter a turn, into the one paragraph that is never lost.
    for (let i = 0; !done; i++) {
      text(ada.doc).insert(text(ada.doc).length, 'x');
      ada.doc.getArray('list').push([`${round}-${i}`]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await restoring;
    await settled(ada);
    await bob.until('the same', () => read(bob.doc) === read(ada.doc));
    const { doc } = ada;
    expect(doc.getMap('board').toJSON()).toEqual({ title: 'Plan', cards: [1, 2, 3] });
    expect(doc.getXmlFragment('prose').toString()).toMatch(
      /^<paragraph>one<\/paragraph><paragraph>two<\/paragraph><paragraph>threex*<\/paragraph>$/,
    );
    expect(doc.getArray('list').toArray().slice(0, 3)).toEqual(['a', { b: 1 }, 'c']);
    await restore(good);
    await settled(ada);
  }
  leave();
});
