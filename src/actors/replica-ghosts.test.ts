/**
 * Ghosts (see server-ids.ts): what a lost owner broadcast and the journal never held is deleted by the next owner, whoever
 * brings it, and nothing else is.
 */
import { describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { RuntimeRig } from '../../test/support/runtime.ts';
import { changed, plainText } from '../../test/support/yjs.ts';
import { seededRandom } from '../base/random.ts';
import { snapshotOf } from '../protocol/snapshot.ts';
import { type Change, EMPTY_STATE, Replica } from './replica.ts';
import { isServerClientId, serverClientId } from './server-ids.ts';

const random = seededRandom(72);
const DOC = random.id();

const fresh = (epoch = 1) => new Replica(DOC, serverClientId(DOC, epoch), EMPTY_STATE, []);

/** An owner of epoch 1 that journaled 'kept' and broadcast `lost` before it died. */
function lostOwner(lost: (owner: Replica) => Change): { base: ReturnType<typeof snapshotOf>; heard: Y.Doc } {
  const owner = fresh(1);
  const kept = owner.applyDelta([{ insert: 'kept' }]);
  const [stored, heard] = [new Y.Doc(), new Y.Doc()];
  for (const doc of [stored, heard]) Y.applyUpdate(doc, kept.update);
  Y.applyUpdate(heard, lost(owner).update);
  return { base: snapshotOf(stored), heard };
}

const next = (base: ReturnType<typeof snapshotOf>) => new Replica(DOC, serverClientId(DOC, 2), base, []);

test('are merged and deleted in the same change, also where Yjs merges them into an older item of that owner', () => {
  const { base, heard } = lostOwner((owner) => owner.applyDelta([{ retain: 4 }, { insert: ' lost' }]));
  const replica = next(base);
  const applied = replica.applyUpdates([Y.encodeStateAsUpdate(heard, replica.stateVector())]);
  const change = changed(applied);
  expect(change).toMatchObject({ delta: [], amended: true });
  expect(plainText(replica)).toBe('kept');
  Y.applyUpdate(heard, change.update);
  expect(heard.getText('content').toString()).toBe('kept');
  expect(Y.encodeStateVector(heard)).toEqual(replica.stateVector());
});

test('do not take along what a client typed beside and within them', () => {
  const { base, heard } = lostOwner((owner) => owner.applyDelta([{ retain: 2 }, { insert: 'LOST' }]));
  heard.getText('content').insert(4, 'mine');
  expect(heard.getText('content').toString()).toBe('keLOmineSTpt');
  const replica = next(base);
  const change = changed(replica.applyUpdates([Y.encodeStateAsUpdate(heard, replica.stateVector())]));
  expect(plainText(replica)).toBe('keminept');
  expect(change.delta).toEqual([{ retain: 2 }, { insert: 'mine' }]);
  Y.applyUpdate(heard, change.update);
  expect(heard.getText('content').toString()).toBe('keminept');
});

test('are gone with their formats and embeds', () => {
  const { base, heard } = lostOwner((owner) =>
    owner.applyDelta([{ retain: 4, attributes: { bold: true } }, { insert: { image: 'x' } }]),
  );
  const replica = next(base);
  const change = changed(replica.applyUpdates([Y.encodeStateAsUpdate(heard, replica.stateVector())]));
  expect(replica.ops()).toEqual([{ insert: 'kept' }]);
  Y.applyUpdate(heard, change.update);
  expect(heard.getText('content').toDelta()).toEqual([{ insert: 'kept' }]);
});

test('come back from nobody: a second client that brings them changes nothing', () => {
  const { base, heard } = lostOwner((owner) => owner.applyDelta([{ insert: 'lost ' }]));
  const replica = next(base);
  const brought = Y.encodeStateAsUpdate(heard, replica.stateVector());
  replica.applyUpdates([brought]);
  expect(replica.applyUpdates([brought]).kind).toBe('nothing');
  expect(plainText(replica)).toBe('kept');
});

test('of several edits are gone, each time a client brings some of them', () => {
  const pieces: Uint8Array[] = [];
  const { base } = lostOwner((owner) => {
    pieces.push(owner.applyDelta([{ retain: 4 }, { insert: 'one' }]).update);
    const last = owner.applyDelta([{ retain: 2 }, { insert: 'two' }]);
    pieces.push(last.update);
    return last;
  });
  const replica = next(base);
  for (const piece of pieces) {
    expect(changed(replica.applyUpdates([piece])).delta).toEqual([]);
    expect(plainText(replica)).toBe('kept');
  }
});

test('what the journal holds of an earlier owner is no ghost', () => {
  const owner = fresh(1);
  const { update } = owner.applyDelta([{ insert: 'journaled' }]);
  const replica = new Replica(DOC, serverClientId(DOC, 2), EMPTY_STATE, [{ update, delta: [{ insert: 'journaled' }] }]);
  expect(replica.applyUpdates([update]).kind).toBe('nothing');
  expect(plainText(replica)).toBe('journaled');
});

test('what a later owner wrote is none: it is not touched, and says that we are the owner no more', () => {
  const { base, heard } = lostOwner((owner) => owner.applyDelta([{ retain: 4 }, { insert: ' lost' }]));
  const later = new Replica(DOC, serverClientId(DOC, 3), base, []);
  Y.applyUpdate(heard, later.applyDelta([{ retain: 4 }, { insert: ' on disk' }]).update);
  const stale = next(base);
  const brought = Y.encodeStateAsUpdate(heard, stale.stateVector());
  expect(stale.applyUpdates([brought])).toEqual({ kind: 'later_owner', missing: false, malformed: false });
  expect(stale.judgeViewer(brought)).toEqual({ kind: 'later_owner', ghosts: null });
  expect(plainText(stale)).toBe('kept');
});

for (const role of ['editor', 'viewer'] as const)
  test(`a ${role} who brings what a later owner wrote is sent to look for that one, and the node looks too`, () => {
    const rig = new RuntimeRig(891);
    const [member, other] = [rig.yjs(role), rig.yjs()];
    const later = new Replica(rig.doc_id, serverClientId(rig.doc_id, 2), EMPTY_STATE, []);
    const { update } = later.applyDelta([{ insert: 'on disk' }]);
    other.raw.length = 0;
    rig.turn({ kind: 'update', member, update, whole: true });
    expect(member.closed?.code).toBe(1012);
    expect(rig.doubts).toBe(1);
    expect(other.raw).toEqual([]);
    expect(plainText(rig.runtime.replica)).toBe('');
  });

test('another document whose text was copied over with its structs is not one', () => {
  let other = random.id();
  while (isServerClientId(DOC, serverClientId(other, 1))) other = random.id();
  const source = new Replica(other, serverClientId(other, 1), EMPTY_STATE, []);
  source.applyDelta([{ insert: 'copied' }]);
  const replica = fresh(2);
  changed(replica.applyUpdates([source.state()]));
  expect(plainText(replica)).toBe('copied');
});

describe('a viewer', () => {
  /** A document at its second owner, with text and another root, and what a viewer of it holds. */
  function world() {
    const rig = new RuntimeRig(890);
    const editor = rig.yjs();
    const ada = new Y.Doc();
    ada.getMap('meta').set('title', 'kept');
    ada.getText('content').insert(0, 'bold 😀', { bold: true });
    ada.getText('notes').insert(0, 'bold notes', { bold: true });
    rig.turn({ kind: 'update', member: editor, update: Y.encodeStateAsUpdate(ada), whole: true });
    const viewer = rig.yjs('viewer');
    const doc = new Y.Doc();
    Y.applyUpdate(doc, rig.runtime.replica.state());
    return { rig, viewer, doc };
  }

  const state = (rig: RuntimeRig) => {
    const doc = new Y.Doc();
    Y.applyUpdate(doc, rig.runtime.replica.state());
    const [text, notes] = [doc.getText('content').toDelta() as unknown, doc.getText('notes').toDelta() as unknown];
    return { text, notes, meta: doc.getMap('meta').toJSON() };
  };

  const attacks: [string, (doc: Y.Doc) => void][] = [
    ['replaces an entry of a map', (doc) => doc.getMap('meta').set('title', 'hers')],
    ['tears a surrogate pair', (doc) => doc.getText('content').insert(6, 'x')],
    ['puts the same formatting before the real one', (doc) => doc.getText('content').insert(0, 'x', { bold: true })],
    ['formats what is formatted', (doc) => doc.getText('content').format(0, 4, { bold: null })],
    ['inserts text', (doc) => doc.getText('content').insert(0, 'x')],
    ['deletes text', (doc) => doc.getText('content').delete(0, 4)],
    ['deletes an entry of a map', (doc) => doc.getMap('meta').delete('title')],
  ];
  for (const [what, attack] of attacks)
    test(`who ${what} in the name of a lost owner changes nothing for anybody`, () => {
      const { rig, viewer, doc } = world();
      const before = state(rig);
      // Epoch 0 had no owner at all; nobody can tell that from one that was lost.
      doc.clientID = serverClientId(rig.doc_id, 0);
      const updates: Uint8Array[] = [];
      doc.on('update', (update: Uint8Array) => updates.push(update));
      attack(doc);
      for (const update of updates) rig.turn({ kind: 'update', member: viewer, update, whole: false });
      expect(state(rig)).toEqual(before);
      expect(rig.runtime.replica.ops() as unknown).toEqual(before.text);
    });

  test('who takes the formatting of another root away, as if cleaning up, changes nothing for anybody', () => {
    const { rig, viewer, doc } = world();
    const before = state(rig);
    const updates: Uint8Array[] = [];
    doc.on('update', (update: Uint8Array) => updates.push(update));
    const notes = doc.getText('notes');
    doc.transact((transaction) => {
      for (let item = notes._start; item !== null; item = item.right)
        if (item.content instanceof Y.ContentFormat) item.delete(transaction);
    });
    expect(notes.toDelta() as unknown).toEqual([{ insert: 'bold notes' }]);
    for (const update of updates) rig.turn({ kind: 'update', member: viewer, update, whole: false });
    expect(state(rig)).toEqual(before);
  });

  test('who holds ghosts gets rid of them', () => {
    const { rig, viewer, doc } = world();
    doc.clientID = serverClientId(rig.doc_id, 0);
    doc.getText('content').insert(3, 'GHOST');
    const own = new Y.Doc();
    Y.applyUpdate(own, Y.encodeStateAsUpdate(doc));
    rig.turn({
      kind: 'update',
      member: viewer,
      update: Y.encodeStateAsUpdate(own, rig.runtime.replica.stateVector()),
      whole: true,
    });
    for (const update of viewer.updates()) Y.applyUpdate(own, update);
    expect(own.getText('content').toDelta() as unknown).toEqual(state(rig).text);
  });
});

describe("a viewer's client that cleans up formatting by itself", () => {
  /** A stored text in which two people made the same word bold at once, and nobody has cleaned up yet. */
  function doubled(): { replica: Replica; viewer: Y.Doc; marks: Uint8Array } {
    const [one, two] = [new Y.Doc(), new Y.Doc()];
    one.getText('content').insert(0, 'hello world');
    Y.applyUpdate(two, Y.encodeStateAsUpdate(one));
    for (const doc of [one, two]) doc.getText('content').format(0, 5, { bold: true });
    const stored = new Y.Doc();
    Y.applyUpdate(stored, Y.mergeUpdates([Y.encodeStateAsUpdate(one), Y.encodeStateAsUpdate(two)]));
    const replica = new Replica(DOC, serverClientId(DOC, 2), snapshotOf(stored), []);
    const viewer = new Y.Doc();
    viewer.getText('content');
    const sent: Uint8Array[] = [];
    viewer.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== 'server') sent.push(update);
    });
    Y.applyUpdate(viewer, replica.state(), 'server');
    const [marks] = sent;
    if (marks === undefined) throw new Error('the client had nothing to clean up');
    return { replica, viewer, marks };
  }

  const BOLD = [{ insert: 'hello', attributes: { bold: true } }, { insert: ' world' }];

  test('is no editor: what it does is taken, and reads the same for everybody', () => {
    const { replica, marks } = doubled();
    expect(replica.judgeViewer(marks)).toEqual({ kind: 'clean_up', ghosts: null });
    expect(replica.applyCleanUp(marks)?.delta).toEqual([]);
    expect(replica.ops()).toEqual(BOLD);
    expect(replica.judgeViewer(marks)).toEqual({ kind: 'nothing', ghosts: null });
    expect(replica.applyCleanUp(marks)).toBeNull();
    const opened = new Y.Doc();
    Y.applyUpdate(opened, replica.state());
    expect(opened.getText('content').toDelta()).toEqual(BOLD);
  });

  test('has nothing taken that reads differently, and the document goes on as it was', () => {
    const { replica, viewer } = doubled();
    const before = replica.state();
    const sent: Uint8Array[] = [];
    viewer.on('update', (update: Uint8Array) => sent.push(update));
    viewer.transact((transaction) => {
      for (let item = viewer.getText('content')._start; item !== null; item = item.right)
        if (item.content instanceof Y.ContentFormat) item.delete(transaction);
    });
    for (const update of sent) expect(replica.applyCleanUp(update)).toBeNull();
    expect(replica.state()).toEqual(before);
    expect(replica.ops()).toEqual(BOLD);
    expect(replica.applyDelta([{ retain: 11 }, { insert: '!' }]).delta).toEqual([{ retain: 11 }, { insert: '!' }]);
  });
});
