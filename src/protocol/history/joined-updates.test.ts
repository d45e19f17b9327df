import { describe, expect, test } from 'bun:test';
import * as encoding from 'lib0/encoding';
import * as Y from 'yjs';
import { forSeeds } from '../content/testing.ts';
import { UpdateJoiner } from './joined-updates.ts';
import { drawUpdates } from './testing.ts';

/** What somebody does, an update a time. */
function updatesOf(client: number, edit: (doc: Y.Doc) => void): Uint8Array[] {
  const doc = new Y.Doc();
  doc.clientID = client;
  const updates: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => updates.push(update));
  edit(doc);
  return updates;
}

function applied(updates: readonly Uint8Array[]): Y.Doc {
  const doc = new Y.Doc();
  doc.getText('content');
  // Yjs cleans formats up on its own, now and then.
  doc.on('afterTransaction', (transaction: Y.Transaction) => {
    transaction._needFormattingCleanup = false;
  });
  for (const update of updates) Y.applyUpdate(doc, update);
  return doc;
}

/** Joins as far as it goes, and begins anew where it does not. */
function joined(updates: readonly Uint8Array[]): Uint8Array[] {
  const all: Uint8Array[] = [];
  let joiner = new UpdateJoiner();
  for (const update of updates) {
    if (joiner.add(update)) continue;
    all.push(joiner.finish());
    joiner = new UpdateJoiner();
    if (!joiner.add(update)) all.push(update);
  }
  return [...all, joiner.finish()];
}

const typed = (text: string, client = 7): Uint8Array[] =>
  updatesOf(client, (doc) => {
    for (const character of text) doc.getText('content').insert(doc.getText('content').length, character);
  });

describe('updates that are joined', () => {
  test('do what all of them do: texts, formats, embeds, maps, lists, XML, subdocuments, whoever wrote when', () => {
    let [parts, all] = [0, 0];
    forSeeds(60, (random) => {
      const updates = drawUpdates(random);
      const fewer = joined(updates);
      const [one, other] = [applied(updates), applied(fewer)];
      parts += fewer.length;
      all += updates.length;
      expect(Y.equalSnapshots(Y.snapshot(other), Y.snapshot(one))).toBe(true);
      expect(other.getText('content').toDelta()).toEqual(one.getText('content').toDelta());
      expect(other.getXmlFragment('xml').toString()).toBe(one.getXmlFragment('xml').toString());
      // Which of its keys came first nobody is told.
      const entries = (doc: Y.Doc): string => JSON.stringify(Object.entries(doc.getMap('map').toJSON()).sort());
      expect(entries(other)).toBe(entries(one));
      expect(other.getArray('list').toJSON()).toEqual(one.getArray('list').toJSON());
      expect(other.store.pendingStructs).toEqual(one.store.pendingStructs);
    });
    expect(parts).toBeLessThan(all / 2);
  });

  test('hold one string for what was typed in a row, and one deletion for what was deleted on', () => {
    const updates = updatesOf(7, (doc) => {
      const text = doc.getText('content');
      for (const character of 'abc😀é') text.insert(text.length, character);
      for (let i = 0; i < 3; i++) text.delete(text.length - 1, 1);
      text.insert(1, 'x');
      text.delete(0, 1);
      text.delete(0, 1);
    });
    const [one] = joined(updates);
    const { structs, ds } = Y.decodeUpdate(one as Uint8Array);
    expect(structs.map(({ length }) => length)).toEqual([6, 1]);
    expect(ds.clients.get(7)?.map(({ clock, len }) => [clock, len])).toEqual([
      [0, 1],
      [3, 4],
    ]);
    expect(
      applied([one as Uint8Array])
        .getText('content')
        .toString(),
    ).toBe('bc');
  });

  test('are refused without a trace when they leave something out, repeat something, or break off', () => {
    const [first, second, third] = typed('abc') as [Uint8Array, Uint8Array, Uint8Array];
    const [, later] = typed('xy', 9) as [Uint8Array, Uint8Array];
    const joiner = new UpdateJoiner();
    expect(joiner.add(first)).toBe(true);
    expect(joiner.add(third)).toBe(false);
    expect(joiner.add(first)).toBe(false);
    // One of two clients goes on, in a string that was begun; the other does not.
    const both = Y.mergeUpdates([second, later]);
    expect(joiner.add(later)).toBe(true);
    expect(joiner.add(both)).toBe(false);
    for (let length = 0; length < second.length; length++) expect(joiner.add(second.subarray(0, length))).toBe(false);
    expect(joiner.add(Uint8Array.of(...second, 0))).toBe(false);
    // Yjs puts this where something is missing.
    expect(new UpdateJoiner().add(Y.mergeUpdates([first, third]))).toBe(false);
    expect(joiner.bytes).toBe(first.length + later.length);
    expect(joiner.add(second)).toBe(true);
    expect(joiner.add(third)).toBe(true);
    expect(applied([joiner.finish()]).getText('content').toString()).toBe('abc');
  });

  test('of structs that no document holds are refused', () => {
    const update = (length: number): Uint8Array => {
      const encoder = encoding.createEncoder();
      for (const value of [1, 1, 3, 0, 0, length, 0]) encoding.writeVarUint(encoder, value);
      return encoding.toUint8Array(encoder);
    };
    expect(new UpdateJoiner().add(update(1))).toBe(true);
    expect(new UpdateJoiner().add(update(0))).toBe(false);
    expect(new UpdateJoiner().add(update(2 ** 52 + 1))).toBe(false);
  });

  test('may be none', () => {
    expect([...new UpdateJoiner().finish()]).toEqual([0, 0]);
  });
});
