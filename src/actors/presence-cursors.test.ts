/** Cursors between members of both kinds on a text that nobody has edited since it was opened: presence.ts, shown.ts. */
import { beforeEach, describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { cursorState, first, type TestJsonMember, type TestYjsMember } from '../../test/support/core.ts';
import { RuntimeRig } from '../../test/support/runtime.ts';
import { TIMES } from '../protocol/limits.ts';
import type { PresenceEvent, ReadyEvent } from '../protocol/messages.ts';

const YJS_CLIENT = 5;

let rig: RuntimeRig;
let seed = 3_100;
let doc: Y.Doc;
let clock: number;

beforeEach(() => {
  rig = new RuntimeRig(seed++);
  rig.write([{ insert: 'hello world' }]);
  doc = new Y.Doc();
  Y.applyUpdate(doc, rig.runtime.replica.state());
  // As it was before anybody edited: the text is known, and no document is built.
  rig.runtime.replica.json();
  rig.runtime.replica.destroy();
  clock = 0;
});

const live = (): boolean => rig.runtime.replica.live;

const tick = (): void => rig.clock.advance(TIMES.presence_tick_ms);

function showJson(member: TestJsonMember, index: number, length = 0): void {
  rig.turn({ kind: 'presence', member, state: cursorState(index, length) });
}

/** A Yjs member shows a cursor, or whatever else it has. */
function showYjs(member: TestYjsMember, cursor: unknown): void {
  const state = JSON.stringify({ cursor });
  rig.turn({ kind: 'awareness', member, entries: [{ client: YJS_CLIENT, clock: ++clock, state }] });
}

function at(from: number, to: number) {
  const place = (index: number) =>
    Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(doc.getText('content'), index));
  return { anchor: place(from), head: place(to) };
}

/** The cursor of everybody but itself that a Yjs member was told last, as indices of the text. */
function seenByYjs(member: TestYjsMember): unknown {
  const states = member
    .frames()
    .flatMap((frame) => (frame.kind === 'awareness' ? frame.entries : []))
    .filter(({ client }) => client !== YJS_CLIENT);
  const { cursor } = JSON.parse(states.at(-1)?.state ?? '{}') as { cursor?: { anchor: unknown; head: unknown } };
  if (!cursor) return cursor;
  return [cursor.anchor, cursor.head].map(
    (end) => Y.createAbsolutePositionFromRelativePosition(Y.createRelativePositionFromJSON(end), doc)?.index,
  );
}

/** The cursor of a member that another was told last. */
function seenByJson(member: TestJsonMember, of: TestYjsMember): unknown {
  const events = member.of('presence') as PresenceEvent[];
  return events.findLast(({ client_id, status }) => client_id === of.client_id && status === 'active')?.state.cursor;
}

/** The cursors that a JSON member was told when it joined. */
const listed = (member: TestJsonMember): unknown[] =>
  (first(member.of('ready')) as ReadyEvent).presence.map(({ state }) => state.cursor);

describe('J44: a Yjs cursor', () => {
  test('is told JSON members who are there in text positions', () => {
    const [json, yjs] = [rig.json(), rig.yjs()];
    showYjs(yjs, at(7, 2));
    tick();
    expect(seenByJson(json, yjs)).toEqual({ index: 2, length: 5 });
  });

  test('is told a JSON member who comes later, and whoever asks over REST, in text positions', () => {
    const yjs = rig.yjs();
    showYjs(yjs, at(2, 7));
    tick();
    expect(live()).toBe(false);
    expect(listed(rig.json())).toEqual([{ index: 2, length: 5 }, undefined]);
    showYjs(yjs, at(3, 3));
    expect(rig.runtime.presence().at(0)?.state.cursor).toEqual({ index: 3, length: 0 });
  });

  test('is told those who listen outside in text positions once the text is live, and builds nothing for them', () => {
    const yjs = rig.yjs();
    rig.stage.listeners = 1;
    rig.runtime.heardElsewhere(1);
    const told = () => rig.stage.remotes.at(-1)?.events.at(-1)?.state;
    showYjs(yjs, at(2, 7));
    tick();
    expect([told(), live()]).toMatchObject([{ cursor: null }, false]);
    rig.write([{ insert: '>' }]);
    showYjs(yjs, at(2, 7));
    tick();
    expect(told()).toMatchObject({ cursor: { index: 3, length: 5 } });
  });
});

describe('Y25: a JSON cursor', () => {
  test('is told Yjs members who are there in relative positions', () => {
    const [json, yjs] = [rig.json(), rig.yjs()];
    showJson(json, 6, 5);
    tick();
    expect(seenByYjs(yjs)).toEqual([6, 11]);
  });

  test('is told a Yjs member who comes later in relative positions, at a clock that it has not seen', () => {
    const json = rig.json();
    const early = rig.yjs();
    rig.turn({ kind: 'leave', member: early });
    showJson(json, 6, 5);
    tick();
    expect(live()).toBe(false);
    const yjs = rig.yjs();
    expect(seenByYjs(yjs)).toEqual([6, 11]);
    const clockOf = (member: TestYjsMember) =>
      member.frames().flatMap((frame) => (frame.kind === 'awareness' ? frame.entries : []))[0]?.clock ?? 0;
    expect(clockOf(yjs)).toBeGreaterThan(clockOf(early));
  });

  test('of many is put in relative positions for whoever asks again, be they gone by then or not', () => {
    const yjs = rig.yjs();
    const members = [rig.json(), rig.json(), rig.json()];
    for (const [i, member] of members.entries()) showJson(member, i);
    rig.turn({ kind: 'leave', member: first(members) });
    rig.turn({ kind: 'query_awareness', member: yjs });
    expect(seenByYjs(yjs)).toEqual([2, 2]);
  });
});

describe('J44, Y25: the text stays as it was stored', () => {
  test('while JSON members alone are there, whatever they show', () => {
    const members = [rig.json(), rig.json()];
    for (const member of members) showJson(member, 3, 2);
    tick();
    expect(listed(rig.json())).toEqual([{ index: 3, length: 2 }, { index: 3, length: 2 }, undefined]);
    expect(live()).toBe(false);
  });

  test('while Yjs members alone are there, whatever they show', () => {
    const members = [rig.yjs(), rig.yjs()];
    for (const member of members) showYjs(member, at(3, 3));
    tick();
    rig.turn({ kind: 'query_awareness', member: rig.yjs() });
    expect(live()).toBe(false);
  });

  test('while both are there and nobody has a cursor that could be resolved', () => {
    const [json, yjs] = [rig.json(), rig.yjs()];
    rig.turn({ kind: 'presence', member: json, state: { cursor: null } });
    for (const cursor of [null, undefined, 'mine', { anchor: null, head: null }, { anchor: {}, head: 7 }])
      showYjs(yjs, cursor);
    tick();
    rig.json();
    rig.yjs();
    expect([live(), seenByYjs(yjs), seenByJson(json, yjs)]).toEqual([false, null, null]);
  });
});
