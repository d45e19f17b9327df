import { expect, test } from 'bun:test';
import * as Y from 'yjs';
import { snapshotOf, TEXT_ROOT } from './snapshot.ts';

function edited(): Y.Doc {
  const doc = new Y.Doc();
  const text = doc.getText(TEXT_ROOT);
  text.insert(0, 'otters swim', { bold: true });
  text.delete(0, 7);
  doc.getMap('other').set('kept', 1);
  return doc;
}

test('the state alone makes the document again, all roots of it', () => {
  const copy = new Y.Doc();
  Y.applyUpdate(copy, snapshotOf(edited()).state);
  expect(copy.getText(TEXT_ROOT).toDelta()).toEqual([{ insert: 'swim', attributes: { bold: true } }]);
  expect(copy.getMap('other').toJSON()).toEqual({ kept: 1 });
});

test('the delta is the text and the state vector is what the state reaches to', () => {
  const doc = edited();
  const { delta, state_vector } = snapshotOf(doc);
  expect(JSON.parse(delta)).toEqual([{ insert: 'swim', attributes: { bold: true } }]);
  expect(state_vector).toEqual(Y.encodeStateVector(doc));
});

test('the delete set comes without structs and deletes all the same', () => {
  const whole = new Y.Doc();
  whole.getText(TEXT_ROOT).insert(0, 'otters swim');
  const behind = new Y.Doc();
  Y.applyUpdate(behind, Y.encodeStateAsUpdate(whole));
  whole.getText(TEXT_ROOT).delete(0, 7);
  const { delete_set } = snapshotOf(whole);
  expect(Y.decodeUpdate(delete_set).structs).toEqual([]);
  Y.applyUpdate(behind, delete_set);
  expect(behind.getText(TEXT_ROOT).toString()).toBe('swim');
});
