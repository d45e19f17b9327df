/** Coming to a document, being on it, and leaving it. */
import { beforeEach, describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { cursorState, emptyWindow, first, type TestYjsMember } from '../../test/support/core.ts';
import { RuntimeRig } from '../../test/support/runtime.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import type { Entry, ResumePoint } from './entries.ts';

let rig: RuntimeRig;
let seed = 900;
beforeEach(() => {
  rig = new RuntimeRig(seed++);
});

const insert = (text: string): DeltaOps => [{ insert: text }];

/** Lets a presence tick pass. */
const tick = (): void => rig.clock.advance(TIMES.presence_tick_ms);

describe('ready', () => {
  test('says who one is, where the document stands, what it holds and who is here', () => {
    const [user_id, client_id] = [rig.random.id(), rig.random.id()];
    rig.write(insert('abc'));
    rig.commit();
    const other = rig.json();
    const member = rig.newJson(user_id, client_id, 'viewer');
    rig.turn({ kind: 'join_json', member, resume: null, last_seq: 7 });
    expect(member.events.map(({ type }) => type)).toEqual(['ready', 'ack', 'status']);
    expect(member.events[0]).toEqual({
      type: 'ready',
      doc_id: rig.doc_id,
      user_id,
      client_id,
      role: 'viewer',
      epoch: 1,
      rev: 1,
      content: insert('abc'),
      presence: [
        expect.objectContaining({ client_id: other.client_id, status: 'joined' }),
        expect.objectContaining({ client_id, user_id }),
      ],
      last_seq: 7,
      timestamp: '2026-01-01T00:00:00.000Z',
    } as never);
    expect(member.events[1]).toMatchObject({ epoch: 1, rev: 1 });
  });

  test('knows a later seq than the journal does', () => {
    const one = rig.json();
    rig.write(insert('a'), one, { seq: 1 });
    rig.turn({ kind: 'leave', member: one });
    const again = rig.newJson(one.user_id, one.client_id);
    rig.turn({ kind: 'join_json', member: again, resume: null, last_seq: 0 });
    expect(first(again.of('ready')).last_seq).toBe(1);
    expect(rig.write(insert('a'), again, { seq: 1 })).toMatchObject({ duplicate: true });
  });

  test('has what was edited earlier in the same turn, and that edit does not come again', () => {
    const watcher = rig.json();
    const member = rig.newJson();
    rig.turn(
      rig.edit(insert('before')).entry,
      { kind: 'join_json', member, resume: null, last_seq: 0 },
      rig.edit(insert('after ')).entry,
    );
    expect(first(member.of('ready'))).toMatchObject({ rev: 1, content: insert('before') });
    expect(member.of('edit').map(({ changes }) => changes?.rev)).toEqual([2]);
    expect(watcher.of('edit').map(({ changes }) => changes?.rev)).toEqual([1, 2]);
  });

  test('of one who comes back to a point in memory has no content, and what was missed follows, as it was', () => {
    const watcher = rig.json();
    for (const text of ['a', 'b', 'c']) rig.write(insert(text));
    const back = (resume: ResumePoint) => {
      const member = rig.newJson();
      rig.turn({ kind: 'join_json', member, resume, last_seq: 0 });
      return member;
    };
    const member = back({ epoch: 1, rev: 1 });
    expect(first(member.of('ready'))).not.toHaveProperty('content');
    expect(member.of('edit')).toEqual(watcher.of('edit').slice(1));
    expect(back({ epoch: 1, rev: 3 }).of('edit')).toEqual([]);
    emptyWindow(rig.runtime.log.window);
    expect(first(back({ epoch: 1, rev: 2 }).of('ready')).content).toEqual(insert('cba'));
  });
});

describe('a member', () => {
  test('of the same user and client_id replaces the older one, and the late leave of that ends nobody', () => {
    const old = rig.json();
    const [other_user, other_client] = [rig.newJson(rig.random.id(), old.client_id), rig.newJson(old.user_id)];
    for (const member of [other_user, other_client]) rig.turn({ kind: 'join_json', member, resume: null, last_seq: 0 });
    const fresh = rig.newJson(old.user_id, old.client_id);
    rig.turn({ kind: 'join_json', member: fresh, resume: null, last_seq: 0 });
    expect(old.closed).toMatchObject({ code: 4409 });
    expect([fresh.closed, other_user.closed, other_client.closed]).toEqual([null, null, null]);
    rig.turn({ kind: 'leave', member: old });
    rig.turn(rig.edit(insert('a')).entry);
    expect(fresh.of('edit')).toHaveLength(1);
    expect(rig.runtime.members.size).toBe(3);
  });

  test('whose joining took longer than its client waited does not replace the connection that came after it', () => {
    const late = rig.newJson();
    const present = rig.newJson(late.user_id, late.client_id);
    present.opened_at = late.opened_at + 1;
    rig.turn({ kind: 'join_json', member: present, resume: null, last_seq: 0 });
    rig.turn({ kind: 'join_json', member: late, resume: null, last_seq: 0 });
    expect([late.closed?.code, late.events, present.closed]).toEqual([4409, [], null]);
    expect(rig.runtime.members.size).toBe(1);
  });

  test('whose role changes is told and judged by it from then on, in the order of the turn', () => {
    const [member, other] = [rig.json(), rig.json()];
    const [one, two] = [rig.edit(insert('a'), member), rig.edit(insert('b'), member)];
    rig.turn(one.entry, { kind: 'role', user_id: member.user_id, role: 'viewer' }, two.entry);
    expect([one.ended.rev, two.ended.code]).toEqual([1, 'FORBIDDEN']);
    expect(member.of('role')).toEqual([{ type: 'role', doc_id: rig.doc_id, role: 'viewer' }] as never);
    rig.turn({ kind: 'role', user_id: member.user_id, role: 'viewer' });
    expect(member.of('role')).toHaveLength(1);
    expect(other.of('role')).toEqual([]);
  });

  test('who is no longer allowed is gone with 4403, on all of their connections and both wires', () => {
    const user_id = rig.random.id();
    const theirs = [rig.json('editor', user_id), rig.yjs('editor', false, user_id), rig.json('viewer', user_id)];
    const other = rig.json();
    rig.turn({ kind: 'role', user_id, role: null });
    expect(theirs.map(({ closed }) => closed?.code)).toEqual([4403, 4403, 4403]);
    expect([other.closed, rig.runtime.members.size]).toEqual([null, 1]);
  });

  test('on the Yjs wire is asked for what it has once it may edit, and not when it may no more', () => {
    const member = rig.yjs();
    const step1s = (): number => member.frames().filter(({ kind }) => kind === 'step1').length;
    const become = (role: 'viewer' | 'editor' | 'owner'): number => {
      const before = step1s();
      rig.turn({ kind: 'role', user_id: member.user_id, role });
      return step1s() - before;
    };
    expect([become('viewer'), become('editor'), become('owner'), become('viewer')]).toEqual([0, 1, 0, 0]);
    const doc = new Y.Doc();
    doc.getText('content').insert(0, 'refused');
    rig.turn({ kind: 'update', member, update: Y.encodeStateAsUpdate(doc), whole: false });
    expect(rig.runtime.replica.length()).toBe(0);
    expect(become('editor')).toBe(1);
    rig.turn({ kind: 'update', member, update: Y.encodeStateAsUpdate(doc), whole: true });
    expect(rig.runtime.replica.length()).toBe(7);
  });

  test('is counted, so that the statechart knows whether anybody is here', () => {
    const [json, yjs] = [rig.json(), rig.yjs()];
    rig.turn({ kind: 'leave', member: json });
    rig.turn({ kind: 'leave', member: json });
    rig.turn({ kind: 'leave', member: yjs });
    expect(rig.occupied).toEqual([1, 2, 1, 0]);
    expect(rig.runtime.presence()).toEqual([]);
  });

  test('is closed with the document, each once, and hears nothing after that', () => {
    const [json, yjs] = [rig.json(), rig.yjs()];
    rig.turn({ kind: 'presence', member: json, state: { n: 1 } });
    const heard = [json.events.length, yjs.raw.length];
    rig.runtime.end(1012, 'the document moved; reconnect');
    rig.clock.advance(60_000);
    expect([json.closed, yjs.closed]).toEqual([
      { code: 1012, reason: 'the document moved; reconnect' },
      { code: 1012, reason: 'the document moved; reconnect' },
    ]);
    expect([json.events.length, yjs.raw.length]).toEqual(heard as [number, number]);
  });

  test('on the Yjs wire is greeted with a step 1, and with who is here when anybody is', () => {
    const alone = rig.yjs();
    expect(alone.frames().map(({ kind }) => kind)).toEqual(['step1']);
    rig.json();
    const second = rig.yjs();
    expect(second.frames().map(({ kind }) => kind)).toEqual(['step1', 'awareness']);
    rig.turn({ kind: 'query_awareness', member: alone });
    expect(alone.frames().at(-1)).toMatchObject({ kind: 'awareness', entries: [expect.anything()] });
  });
});

describe('presence', () => {
  const awareness = (member: TestYjsMember) =>
    member.frames().flatMap((frame) => (frame.kind === 'awareness' ? [frame.entries] : []));

  test(`leaves once per ${TIMES.presence_tick_ms} ms as one frame for all, however much moves`, () => {
    const members = [rig.json(), rig.json(), rig.json()];
    const watcher = rig.yjs();
    tick();
    const [frames, events] = [awareness(watcher).length, first(members).of('presence').length];
    for (let i = 0; i < 50; i++)
      for (const member of members) rig.turn({ kind: 'presence', member, state: cursorState(0) });
    rig.clock.advance(TIMES.presence_tick_ms - 1);
    expect(awareness(watcher)).toHaveLength(frames);
    rig.clock.advance(1);
    expect(awareness(watcher)).toHaveLength(frames + 1);
    expect(first(members).of('presence')).toHaveLength(events + 3);
    tick();
    tick();
    expect(awareness(watcher)).toHaveLength(frames + 1);
  });

  test('of a JSON member is seen by Yjs members and the other way round, cursors in the terms of each', () => {
    rig.write(insert('hello world'));
    const [json, yjs] = [rig.json(), rig.yjs()];
    rig.turn({ kind: 'presence', member: json, state: cursorState(6, 5) });
    tick();
    const doc = new Y.Doc();
    Y.applyUpdate(doc, rig.runtime.replica.state());
    const state = JSON.parse(awareness(yjs).at(-1)?.[0]?.state ?? '') as { user: unknown; cursor: { anchor: object } };
    const at = Y.createAbsolutePositionFromRelativePosition(Y.createRelativePositionFromJSON(state.cursor.anchor), doc);
    expect([state.user, at?.index]).toEqual([{ name: 'Ada', id: json.user_id }, 6]);
    const anchor = Y.createRelativePositionFromTypeIndex(doc.getText('content'), 2);
    const shown = { cursor: { anchor: Y.relativePositionToJSON(anchor), head: Y.relativePositionToJSON(anchor) } };
    rig.turn({ kind: 'awareness', member: yjs, entries: [{ client: 5, clock: 1, state: JSON.stringify(shown) }] });
    tick();
    expect(json.of('presence').at(-1)).toMatchObject({
      client_id: yjs.client_id,
      status: 'active',
      state: { cursor: { index: 2, length: 0 }, user: { id: yjs.user_id } },
    });
  });

  test('that breaks its bounds ends the connection with 4400', () => {
    const yjs = rig.yjs();
    const state = JSON.stringify({ pad: 'x'.repeat(LIMITS.presence_state_bytes_max) });
    rig.turn({ kind: 'awareness', member: yjs, entries: [{ client: 5, clock: 1, state }] });
    expect([yjs.closed?.code, rig.runtime.members.size]).toEqual([4400, 0]);
  });

  test('is told outside this node while somebody listens there, and dropped while nobody does', () => {
    const yjs = rig.yjs();
    const show = (at: number): Entry => ({
      kind: 'awareness',
      member: yjs,
      entries: [{ client: 5, clock: at, state: '{}' }],
    });
    rig.turn(show(1));
    tick();
    expect(rig.stage.remotes).toEqual([]);
    rig.runtime.heardElsewhere(1);
    rig.stage.listeners = 1;
    rig.turn(show(2));
    tick();
    expect(rig.stage.remotes.at(-1)?.events).toMatchObject([
      { type: 'presence', status: 'active', user_id: yjs.user_id },
    ]);
  });
});
