/** What becomes of the updates that Yjs clients send, whatever is in them. */
import { describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { changed, client, plainText, updatesOf } from '../../test/support/yjs.ts';
import { seededRandom } from '../base/random.ts';
import { LIMITS } from '../protocol/limits.ts';
import { snapshotOf } from '../protocol/snapshot.ts';
import { textOps } from '../protocol/text-ops.ts';
import { EMPTY_STATE, EMPTY_UPDATE, Replica } from './replica.ts';
import { serverClientId } from './server-ids.ts';

const random = seededRandom(73);
const DOC = random.id();

const fresh = (epoch = 1) => new Replica(DOC, serverClientId(DOC, epoch), EMPTY_STATE, []);

describe("a Yjs client's updates", () => {
  test('of one turn are one change', () => {
    const [replica, ada] = [fresh(), client(7)];
    const updates = ['a', 'b', 'c'].flatMap((letter, i) => updatesOf(ada, (text) => text.insert(i, letter)));
    expect(changed(replica.applyUpdates(updates))).toMatchObject({ delta: [{ insert: 'abc' }], amended: false });
  });

  test('that are known already change nothing, live or not', () => {
    const [replica, ada] = [fresh(), client(7)];
    const updates = updatesOf(ada, (text) => text.insert(0, 'abc'));
    replica.applyUpdates(updates);
    expect(replica.applyUpdates(updates)).toEqual({ kind: 'nothing', missing: false, malformed: false });
    expect(replica.applyUpdates([])).toEqual({ kind: 'nothing', missing: false, malformed: false });
  });

  test('that build on something that is not here are dropped and asked for; what could be placed stays', () => {
    const [replica, ada] = [fresh(), client(7)];
    const [lost = EMPTY_UPDATE] = updatesOf(ada, (text) => text.insert(0, 'lost '));
    const rest = updatesOf(ada, (text) => text.insert(5, 'found'));
    const other = updatesOf(client(9), (text) => text.insert(0, 'other'));
    const first = replica.applyUpdates([...rest, ...other]);
    expect([first.missing, first.malformed]).toEqual([true, false]);
    expect(plainText(replica)).toBe('other');
    // The missing piece alone brings back what came with it, not what was dropped: nothing was kept aside.
    replica.applyUpdates([lost]);
    expect(plainText(replica).split('').toSorted().join('')).toBe('lost other'.split('').toSorted().join(''));
    const answer = Y.encodeStateAsUpdate(ada, replica.stateVector());
    expect(replica.applyUpdates([answer]).missing).toBe(false);
    expect(plainText(replica)).toContain('lost found');
  });

  test('deletions of what is not here are dropped and asked for', () => {
    const [replica, ada] = [fresh(), client(7)];
    const typed = updatesOf(ada, (text) => text.insert(0, 'abc'));
    const removed = updatesOf(ada, (text) => text.delete(0, 3));
    expect(replica.applyUpdates(removed)).toEqual({ kind: 'nothing', missing: true, malformed: false });
    replica.applyUpdates(typed);
    replica.applyUpdates([Y.encodeStateAsUpdate(ada, replica.stateVector())]);
    expect(plainText(replica)).toBe('');
  });

  test('no number of them that wait for something is kept', () => {
    const [replica, ada] = [fresh(), client(7)];
    updatesOf(ada, (text) => text.insert(0, 'never sent'));
    for (let i = 0; i < 200; i++) replica.applyUpdates(updatesOf(ada, (text) => text.insert(text.length, 'x')));
    expect(plainText(replica)).toBe('');
    replica.readText((doc) => expect([doc.store.pendingStructs, doc.store.pendingDs]).toEqual([null, null]));
  });

  test('a clean-up of formatting that Yjs adds is part of the change, and its author needs it too', () => {
    const replica = fresh();
    replica.applyDelta([{ insert: 'hello world' }]);
    const [ada, bob] = [client(7, replica), client(8, replica)];
    const bold = updatesOf(ada, (text) => text.format(0, 5, { bold: true }));
    const also = updatesOf(bob, (text) => text.format(0, 5, { bold: true }));
    replica.applyUpdates(bold);
    const change = changed(replica.applyUpdates(also));
    expect(change).toMatchObject({ amended: true, delta: [] });
    expect(replica.ops()).toEqual([{ insert: 'hello', attributes: { bold: true } }, { insert: ' world' }]);
    // As it goes over the wire: Bob hears of Ada's edit first, cleans up in his own way, and that comes back.
    const reaction = updatesOf(bob, () => {
      for (const update of [...bold, change.update]) Y.applyUpdate(bob, update);
    });
    Y.applyUpdate(ada, change.update);
    expect(textOps(ada.getText('content'))).toEqual(replica.ops());
    const back = changed(replica.applyUpdates(reaction));
    Y.applyUpdate(ada, back.update);
    for (const doc of [ada, bob]) expect(textOps(doc.getText('content'))).toEqual(replica.ops());
  });

  test('other roots are kept and cost the text nothing', () => {
    const [replica, ada] = [fresh(), client(7)];
    replica.applyDelta([{ insert: 'text' }]);
    const change = changed(
      replica.applyUpdates(
        updatesOf(ada, () => {
          ada.getMap('meta').set('title', 'x');
          ada.getArray('list').push([1, { a: [true, null] }]);
          ada.getText('notes').insert(0, 'some notes', { bold: true });
          ada.getXmlFragment('xml').insert(0, [new Y.XmlElement('p')]);
        }),
      ),
    );
    expect(change.delta).toEqual([]);
    const other = client(9, replica);
    expect(other.getMap('meta').toJSON()).toEqual({ title: 'x' });
    expect(other.getArray('list').toJSON()).toEqual([1, { a: [true, null] }]);
    expect(other.getText('notes').toDelta()).toEqual([{ insert: 'some notes', attributes: { bold: true } }]);
    expect(other.getXmlFragment('xml').toString()).toBe('<p></p>');
    expect(plainText(replica)).toBe('text');
  });
});

describe('a malformed update', () => {
  /** Of a document with text, before and after something that must not change it. */
  function unchanged(update: Uint8Array | readonly Uint8Array[]): void {
    const replica = fresh();
    replica.applyDelta([{ insert: 'hello' }]);
    const before = replica.state();
    const applied = replica.applyUpdates(update instanceof Uint8Array ? [update] : update);
    expect(applied).toEqual({ kind: 'nothing', missing: false, malformed: true });
    expect(replica.state()).toEqual(before);
  }

  test('changes nothing, wherever it is cut off', () => {
    const ada = client(7);
    const [update = EMPTY_UPDATE] = updatesOf(ada, (text) => text.insert(0, 'broken'));
    for (let length = 0; length < update.length; length++) unchanged(update.slice(0, length));
  });

  test('changes nothing when only its delete set is broken', () => {
    const [update = EMPTY_UPDATE] = updatesOf(client(7), (text) => text.insert(0, 'broken'));
    unchanged(Uint8Array.from([...update.slice(0, -1), 5]));
  });

  test('takes none of its neighbours of the turn with it', () => {
    const replica = fresh();
    const good = updatesOf(client(7), (text) => text.insert(0, 'good'));
    const applied = replica.applyUpdates([Uint8Array.of(9, 9, 9), ...good]);
    expect(applied.malformed).toBe(true);
    expect(changed(applied).delta).toEqual([{ insert: 'good' }]);
  });

  test('reserves no memory for what it announces', () => {
    const before = process.memoryUsage().rss;
    unchanged(Uint8Array.of(1, 0x80, 0xc2, 0xd7, 0x2f, 7, 0));
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
  });

  test('is never known already', () => {
    const replica = fresh();
    for (let live = 0; live < 2; live++) {
      expect(replica.covers(Uint8Array.of(9, 9, 9))).toBe(false);
      expect(replica.covers(new Uint8Array(0))).toBe(false);
      replica.applyDelta([{ insert: 'x' }]);
    }
  });

  test('that deletes nothing at the end of a client is no reason to stumble', () => {
    const replica = fresh();
    const ada = client(7);
    replica.applyUpdates(updatesOf(ada, (text) => text.insert(0, 'hello')));
    const nothing = Uint8Array.of(0, 1, 7, 1, 5, 0);
    expect(replica.covers(nothing)).toBe(true);
    expect(replica.applyUpdates([nothing]).kind).toBe('nothing');
    expect(plainText(replica)).toBe('hello');
  });

  test(`that nests values more than ${LIMITS.yjs_value_depth_max} deep is refused, since it could not be written as JSON`, () => {
    const levels = LIMITS.yjs_value_depth_max * 2;
    const deep = JSON.parse(`${'{"a":'.repeat(levels)}{}${'}'.repeat(levels)}`) as object;
    for (const update of updatesOf(client(7), (text) => text.insertEmbed(0, deep))) unchanged(update);
  });
});

describe('every unit of the text is one unit of its ops', () => {
  const strange: [string, (text: Y.Text) => void][] = [
    ['an embedded number', (text) => text.insertEmbed(1, 5 as never)],
    ['an embedded list', (text) => text.insertEmbed(1, [1, 2] as never)],
    ['an embedded text', (text) => text.insertEmbed(1, new Y.Text('hello'))],
    ['an embedded element', (text) => text.insertEmbed(1, new Y.XmlElement('p'))],
    ['an embedded map', (text) => text.insertEmbed(1, new Y.Map([['a', 1]]))],
    ['a formatted embed', (text) => text.insertEmbed(1, 7 as never, { bold: true })],
  ];
  for (const [what, edit] of strange)
    test(`${what} counts one, live and stored, and edits around it land where they should`, () => {
      const replica = fresh();
      replica.applyDelta([{ insert: 'ab' }]);
      const ada = client(7, replica);
      const change = changed(replica.applyUpdates(updatesOf(ada, edit)));
      expect(plainText(replica)).toBe('a\ufffcb');
      expect(change.delta).toMatchObject([{ retain: 1 }, { insert: { yjs: expect.anything() as unknown } }]);
      const opened = new Replica(DOC, serverClientId(DOC, 2), snapshotOf(client(9, replica)), []);
      expect([opened.json(), opened.length(), opened.live]).toEqual([replica.json(), 3, false]);
      expect(() => JSON.stringify(change.delta)).not.toThrow();
      replica.applyDelta([{ retain: 2 }, { insert: 'x' }]);
      expect(plainText(replica)).toBe('a\ufffcxb');
      replica.applyDelta([{ retain: 1 }, { delete: 1 }]);
      expect(plainText(replica)).toBe('axb');
    });

  test('a string that was embedded by other means than Yjs offers counts one, too', () => {
    const replica = fresh();
    const [update = EMPTY_UPDATE] = updatesOf(client(7), (text) => text.insertEmbed(0, { a: 1 }));
    const crafted = Buffer.from(update).toString('latin1').replace('{"a":1}', '"abcde"');
    replica.applyUpdates([Uint8Array.from(Buffer.from(crafted, 'latin1'))]);
    expect(replica.ops()).toEqual([{ insert: { yjs: 'abcde' } }]);
    expect(replica.length()).toBe(1);
  });

  test('a root that a client uses as a list is shown unit by unit', () => {
    const replica = fresh();
    const lister = client(7);
    const update: Uint8Array[] = [];
    lister.on('update', (bytes: Uint8Array) => update.push(bytes));
    lister.getArray('content').push([1, 'two', { three: 3 }]);
    const change = changed(replica.applyUpdates(update));
    expect(change.delta).toEqual([
      { insert: { yjs: 1 } },
      { insert: { yjs: 'two' } },
      { insert: { yjs: { three: 3 } } },
    ]);
    expect(replica.length()).toBe(3);
    replica.applyDelta([{ retain: 1 }, { insert: 'x' }]);
    expect(plainText(replica)).toBe('\ufffcx\ufffc\ufffc');
  });
});
