/** The life of an edit within a document: what becomes of it, who hears of it, and when it is acknowledged. */
import { beforeEach, describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { emptyWindow, type TestYjsMember } from '../../test/support/core.ts';
import { RuntimeRig } from '../../test/support/runtime.ts';
import { updatesOf } from '../../test/support/yjs.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import type { Entry } from './entries.ts';

let rig: RuntimeRig;
let seed = 800;
beforeEach(() => {
  rig = new RuntimeRig(seed++);
});

const update = (member: TestYjsMember, bytes: Uint8Array, whole = false): Entry => ({
  kind: 'update',
  member,
  update: bytes,
  whole,
});
const insert = (text: string): DeltaOps => [{ insert: text }];

describe('an edit', () => {
  test('reaches every JSON member, its author too, as one event per revision in order; the sender is told after that', () => {
    const [author, other] = [rig.json(), rig.json()];
    const [one, two] = [rig.edit(insert('a'), author), rig.edit(insert('b'))];
    const told: number[] = [];
    for (const { entry } of [one, two])
      if (entry.kind === 'edit') {
        const { applied } = entry.outcome;
        Object.assign(entry.outcome, {
          applied: (...args: Parameters<typeof applied>) => {
            told.push(author.of('edit').length);
            applied(...args);
          },
        });
      }
    rig.turn(one.entry, two.entry);
    for (const member of [author, other])
      expect(member.of('edit').map(({ changes }) => changes)).toEqual([
        { rev: 1, delta: insert('a') },
        { rev: 2, delta: insert('b') },
      ]);
    expect(told).toEqual([2, 2]);
    expect([one.ended, two.ended]).toMatchObject([
      { rev: 1, duplicate: false },
      { rev: 2, duplicate: false },
    ]);
    expect(JSON.parse(one.ended.event ?? '')).toEqual(author.of('edit')[0]);
    expect(rig.observed).toEqual({
      edits: [
        ['json', 1],
        ['rest', 1],
      ],
      fanouts: 1,
    });
  });

  test('reaches Yjs members as one frame per turn, whoever wrote it', () => {
    const reader = rig.yjs();
    const before = reader.updates().length;
    rig.turn(...['a', 'b', 'c'].map((text) => rig.edit(insert(text)).entry));
    expect(reader.updates().length - before).toBe(1);
    const doc = new Y.Doc();
    for (const bytes of reader.updates()) Y.applyUpdate(doc, bytes);
    expect(doc.getText('content').toString()).toBe('cba');
  });

  test('of a Yjs member is not sent back to its author when the bytes are as they were, and is when there is more to them', () => {
    const [author, reader, ada] = [rig.yjs(), rig.yjs(), new Y.Doc()];
    const [bytes = new Uint8Array()] = updatesOf(ada, (text) => text.insert(0, 'a'));
    rig.turn(update(author, bytes));
    expect([author.updates().length, reader.updates().length]).toEqual([0, 1]);
    // In company of somebody else's edit there is one frame for all.
    const [more = new Uint8Array()] = updatesOf(ada, (text) => text.insert(1, 'b'));
    rig.turn(update(author, more), rig.edit(insert('x')).entry);
    expect([author.updates().length, reader.updates().length]).toEqual([1, 2]);
  });

  test('takes one revision per edit that carries a seq, and one per Yjs connection and turn', () => {
    const [one, two] = [rig.yjs(), rig.yjs()];
    const [ada, bob] = [new Y.Doc(), new Y.Doc()];
    const mine = ['a', 'b', 'c'].flatMap((letter, i) => updatesOf(ada, (text) => text.insert(i, letter)));
    const theirs = updatesOf(bob, (text) => text.insert(0, 'x'));
    rig.turn(
      ...mine.slice(0, 2).map((bytes) => update(one, bytes)),
      ...theirs.map((bytes) => update(two, bytes)),
      ...mine.slice(2).map((bytes) => update(one, bytes)),
    );
    expect(rig.ledger.all.map(({ rev, client_id, seq }) => [rev, client_id, seq])).toEqual([
      [1, one.client_id, null],
      [2, two.client_id, null],
    ]);
    expect(rig.observed.edits).toEqual([
      ['yjs', 3],
      ['yjs', 1],
    ]);
  });

  test('that came to nothing takes its revision and its seq all the same', () => {
    const author = rig.json();
    rig.write(insert('abc'), author, { seq: 1 });
    rig.write([{ delete: 3 }], null);
    expect(rig.write([{ delete: 3 }], author, { seq: 2, base_rev: 1 })).toMatchObject({ rev: 3 });
    expect(author.of('edit').at(-1)).toMatchObject({ seq: 2, changes: { rev: 3, delta: [] } });
    expect(rig.ledger.all.at(-1)).toMatchObject({ rev: 3, delta: '[]', update: Uint8Array.of(0, 0) });
    expect(rig.write([{ insert: 'x' }], author, { seq: 3 })).toMatchObject({ rev: 4 });
  });

  test('of other roots takes a revision with an empty delta', () => {
    const [author, reader, ada] = [rig.yjs(), rig.json(), new Y.Doc()];
    for (const bytes of updatesOf(ada, () => ada.getMap('meta').set('a', 1))) rig.turn(update(author, bytes));
    expect(reader.of('edit').map(({ changes, client_id }) => [changes, client_id])).toEqual([
      [{ rev: 1, delta: [] }, author.client_id],
    ]);
  });

  test('of a Yjs client has its effect in the journal, whether anybody reads it or not', () => {
    const [author, ada] = [rig.yjs(), new Y.Doc()];
    for (const bytes of updatesOf(ada, (content) => content.insert(0, 'a'))) rig.turn(update(author, bytes));
    for (const bytes of updatesOf(ada, (content) => content.format(0, 1, { bold: true })))
      rig.turn(update(author, bytes));
    expect(rig.ledger.all.map(({ delta }) => delta)).toEqual([
      '[{"insert":"a"}]',
      '[{"retain":1,"attributes":{"bold":true}}]',
    ]);
  });

  test('is published outside this node with its bytes, whoever listens there', () => {
    rig.turn(rig.edit(insert('a')).entry, rig.edit(insert('b')).entry);
    const [message] = rig.stage.remotes;
    expect(message).toMatchObject({ v: 1, epoch: 1, rev: 2 });
    const doc = new Y.Doc();
    for (const { update: bytes } of message?.events ?? []) Y.applyUpdate(doc, Buffer.from(bytes ?? '', 'base64'));
    expect(doc.getText('content').toString()).toBe('ba');
    expect(message?.events.map(({ changes }) => changes?.rev)).toEqual([1, 2]);
  });
});

describe('an edit is refused', () => {
  test('from a viewer, on both wires', () => {
    const [json, yjs, ada] = [rig.json('viewer'), rig.yjs('viewer'), new Y.Doc()];
    expect(rig.write(insert('x'), json)).toMatchObject({ code: 'FORBIDDEN' });
    for (const bytes of updatesOf(ada, (text) => text.insert(0, 'x'))) rig.turn(update(yjs, bytes));
    // y-protocols' auth message: type 2, denied.
    expect([...(yjs.raw.at(-1) ?? [])].slice(0, 2)).toEqual([2, 0]);
    expect([rig.ledger.all, json.closed, yjs.closed]).toEqual([[], null, null]);
  });

  test('from nobody who only says what is known', () => {
    const [viewer, editor, ada] = [rig.yjs('viewer'), rig.yjs(), new Y.Doc()];
    const bytes = updatesOf(ada, (text) => text.insert(0, 'x'));
    for (const one of bytes) rig.turn(update(editor, one));
    const before = viewer.raw.length;
    rig.turn(update(viewer, Y.encodeStateAsUpdate(ada), true));
    expect(viewer.raw.length).toBe(before);
  });

  test('with a base outside the window: the author is told, and gets a fresh ready', () => {
    const author = rig.json();
    rig.write(insert('abc'), author, { seq: 1 });
    const refused = rig.write(insert('x'), author, { seq: 2, base_rev: 7 });
    expect(refused).toMatchObject({ code: 'STALE_REVISION' });
    expect(author.of('ready').at(-1)).toMatchObject({ rev: 1, content: insert('abc'), last_seq: 1 });
    // Over REST there is nobody to greet.
    expect(rig.write(insert('x'), null, { base_rev: 7 })).toMatchObject({ code: 'STALE_REVISION' });
    expect(author.of('ready')).toHaveLength(2);
    expect(rig.write(insert('x'), author, { seq: 2 })).toMatchObject({ rev: 2 });
  });

  test('when it does not fit, and uses no seq up', () => {
    const author = rig.json();
    expect(rig.write([{ retain: 1 }, { insert: 'x' }], author, { seq: 1 })).toMatchObject({ code: 'VALIDATION_ERROR' });
    expect(rig.write(insert('x'), author, { seq: 1 })).toMatchObject({ rev: 1 });
  });

  test('of a member who is gone without a word', () => {
    const [json, yjs, ada] = [rig.json(), rig.yjs(), new Y.Doc()];
    rig.turn({ kind: 'leave', member: json }, { kind: 'leave', member: yjs });
    const { entry, ended } = rig.edit(insert('x'), json);
    rig.turn(entry, ...updatesOf(ada, (text) => text.insert(0, 'x')).map((bytes) => update(yjs, bytes)));
    expect([ended, rig.ledger.all]).toEqual([{}, []]);
  });
});

describe('an edit that was sent before', () => {
  test('is answered with its original event, to the sender alone', () => {
    const [author, other] = [rig.json(), rig.json()];
    const sent = rig.write(insert('a'), author, { seq: 1 });
    const again = rig.write(insert('a'), author, { seq: 1, base_rev: 0 });
    expect(again).toEqual({ rev: 1, event: sent.event ?? '', duplicate: true });
    expect([author.of('edit').length, other.of('edit').length, rig.ledger.all.length]).toEqual([1, 1, 1]);
  });

  test('also when memory no longer holds it: the journal is asked', async () => {
    const author = rig.json();
    rig.write(insert('a'), author, { seq: 1 });
    emptyWindow(rig.runtime.log.window);
    rig.findEdit = () => Promise.resolve({ rev: 1, event: '{"from":"the journal"}' });
    const found = rig.write(insert('a'), author, { seq: 1 });
    await Promise.resolve();
    expect(found).toEqual({ rev: 1, event: '{"from":"the journal"}', duplicate: true });
    rig.findEdit = () => Promise.resolve(null);
    const unknown = rig.write(insert('a'), author, { seq: 1 });
    await Promise.resolve();
    expect(unknown).toMatchObject({ code: 'CONFLICT' });
    rig.findEdit = () => Promise.reject(new Error('PostgreSQL is away'));
    const away = rig.write(insert('a'), author, { seq: 1 });
    await Promise.resolve();
    await Promise.resolve();
    expect(away).toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('within one turn is recognised, too', () => {
    const author = rig.json();
    const [one, two] = [rig.edit(insert('a'), author, { seq: 1 }), rig.edit(insert('a'), author, { seq: 1 })];
    rig.turn(one.entry, two.entry);
    expect([one.ended, two.ended]).toMatchObject([
      { rev: 1, duplicate: false },
      { rev: 1, duplicate: true },
    ]);
    expect(author.of('edit')).toHaveLength(1);
  });
});

describe('an acknowledgement', () => {
  test('leaves when the journal says so and not before, up to the revision that it names', () => {
    const member = rig.json();
    for (const text of ['a', 'b', 'c']) rig.write(insert(text), member);
    expect(member.of('ack')).toEqual([]);
    rig.commit(2);
    expect(member.of('ack')).toEqual([{ type: 'ack', doc_id: rig.doc_id, epoch: 1, rev: 2 }] as never);
    rig.ledger.epoch = 4;
    rig.commit();
    expect(member.of('ack').at(-1)).toMatchObject({ epoch: 4, rev: 3 });
  });

  test('reaches those who wait for a revision, each at its own', async () => {
    const order: number[] = [];
    for (const text of ['a', 'b', 'c']) rig.write(insert(text));
    const waiting = [3, 1, 2, 1].map((rev) => rig.runtime.durable(rev).then(() => order.push(rev)));
    rig.commit(1);
    await Promise.resolve();
    expect(order).toEqual([1, 1]);
    rig.commit(3);
    await Promise.all(waiting);
    expect(order).toEqual([1, 1, 2, 3]);
    await rig.runtime.durable(2);
  });

  test('goes outside this node only while somebody listens there', async () => {
    rig.write(insert('a'));
    rig.commit();
    rig.clock.advance(TIMES.ack_others_ms);
    expect(rig.stage.remotes).toHaveLength(1);
    rig.stage.listeners = 2;
    rig.write(insert('b'));
    await Promise.resolve();
    rig.commit();
    rig.clock.advance(TIMES.ack_others_ms);
    expect(rig.stage.remotes.at(-1)?.events).toEqual([{ type: 'ack', doc_id: rig.doc_id, epoch: 1, rev: 2 }] as never);
    rig.stage.listeners = -1;
    rig.write(insert('c'));
    await Promise.resolve();
    rig.commit();
    rig.clock.advance(TIMES.ack_others_ms);
    expect(rig.stage.remotes.at(-1)?.events).toMatchObject([{ type: 'ack', rev: 3 }]);
  });
});

describe('what is told of the safety of the text', () => {
  const states = (member: { of(type: string): { state?: unknown }[] }) => member.of('status').map(({ state }) => state);

  test('is told when somebody joins and whenever it changes', () => {
    const member = rig.json();
    rig.write(insert('a'), member);
    rig.clock.advance(TIMES.unsaved_after_ms);
    rig.commit();
    rig.clock.advance(TIMES.saved_settle_ms);
    expect(states(member)).toEqual(['saved', 'saving', 'unsaved', 'saved']);
  });

  test('is right when somebody joins or synchronises in the very turn of the edit', () => {
    for (const join of ['join_json', 'sync'] as const) {
      const one = new RuntimeRig(seed++);
      const [watcher, yjs] = [one.json(), one.yjs()];
      const entry: Entry =
        join === 'sync'
          ? { kind: 'sync', member: yjs, state_vector: Uint8Array.of(0) }
          : { kind: 'join_json', member: one.newJson(), resume: null, last_seq: 0 };
      one.turn(one.edit(insert('a')).entry, entry);
      one.clock.advance(TIMES.unsaved_after_ms);
      expect([join, states(watcher)]).toEqual([join, ['saved', 'saving', 'unsaved']]);
    }
  });

  test('read_only: edits are refused on every door, readers stay, and half of it written opens it again', () => {
    const [json, yjs, ada] = [rig.json(), rig.yjs(), new Y.Doc()];
    const [viewer, reader] = [rig.yjs('viewer'), rig.yjs()];
    rig.write(insert('before'));
    for (let i = 0; i < LIMITS.backlog_revs_max - 1; i++)
      rig.ledger.append({
        rev: i + 2,
        user_id: 'u',
        client_id: 'c',
        seq: null,
        at: 0,
        update: new Uint8Array(),
        delta: '[]',
      });
    rig.write(insert('last'));
    expect(states(json).at(-1)).toBe('read_only');
    expect(rig.write(insert('x'), json)).toMatchObject({ code: 'UNAVAILABLE' });
    expect(rig.write(insert('x'))).toMatchObject({ code: 'UNAVAILABLE' });
    rig.turn(update(reader, rig.runtime.replica.state(), true));
    for (const bytes of updatesOf(ada, (text) => text.insert(0, 'x'))) rig.turn(update(yjs, bytes));
    expect(yjs.closed).toMatchObject({ code: 1013 });
    expect([json.closed, viewer.closed, reader.closed]).toEqual([null, null, null]);
    rig.commit(LIMITS.backlog_revs_max / 2 + 2);
    expect(states(json).at(-1)).toBe('saving');
    expect(rig.write(insert('x'), json).rev).toBeNumber();
  });
});

describe("a Yjs member's frames", () => {
  test('that do not decode end its connection with 4400, and what was good of the turn stays', () => {
    const [member, ada] = [rig.yjs(), new Y.Doc()];
    const good = updatesOf(ada, (text) => text.insert(0, 'good'));
    rig.turn(...good.map((bytes) => update(member, bytes)), update(member, Uint8Array.of(9, 9)));
    expect(member.closed).toMatchObject({ code: 4400 });
    expect(rig.runtime.replica.ops()).toEqual(insert('good'));
    expect(rig.runtime.members.size).toBe(0);
  });

  test('that build on something unknown are asked for as a whole', () => {
    const [member, ada] = [rig.yjs(), new Y.Doc()];
    updatesOf(ada, (text) => text.insert(0, 'lost'));
    const asked = member.frames().filter(({ kind }) => kind === 'step1').length;
    for (const bytes of updatesOf(ada, (text) => text.insert(4, '!'))) rig.turn(update(member, bytes));
    expect(member.frames().filter(({ kind }) => kind === 'step1')).toHaveLength(asked + 1);
    expect([rig.ledger.all.length, member.closed]).toEqual([0, null]);
  });

  test('a state vector is answered with what is missing, in as many updates as it takes, the step 2 last', () => {
    rig.write(insert('a'));
    const member = rig.yjs();
    const before = member.raw.length;
    rig.turn(rig.edit(insert('b')).entry, { kind: 'sync', member, state_vector: Uint8Array.of(0) });
    const kinds = member.raw.slice(before).map((frame) => [...frame].slice(0, 2));
    expect(kinds.at(-1)).toEqual([0, 1]);
    expect(kinds.slice(0, -1).every(([type, step]) => type === 0 && step === 2)).toBe(true);
    const doc = new Y.Doc();
    for (const bytes of member.updates()) Y.applyUpdate(doc, bytes);
    expect(doc.getText('content').toString()).toBe('ba');
  });

  test('a state vector that does not decode ends its connection with 4400', () => {
    const member = rig.yjs();
    rig.write(insert('a'));
    rig.turn({ kind: 'sync', member, state_vector: Uint8Array.of(200, 200, 200) });
    expect(member.closed).toMatchObject({ code: 4400 });
    rig.turn({ kind: 'sync', member, state_vector: Uint8Array.of(0) });
    expect(rig.runtime.members.size).toBe(0);
  });
});
