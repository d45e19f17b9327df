/** What members of both kinds are told of cursors: presence.ts, shown.ts, cursors.ts. The text was opened and not edited yet. */
import { beforeEach, describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { cursorState, emptyWindow, first, type TestJsonMember, type TestYjsMember } from '../../test/support/core.ts';
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

describe('J45: who comes later is told where a cursor is by now', () => {
  /** The cursors that somebody who joins now is told, and whoever asks over REST. */
  function told(): unknown[] {
    const over_rest = rig.runtime.presence().map(({ state }) => state.cursor);
    const member = rig.json();
    const at_joining = listed(member);
    rig.turn({ kind: 'leave', member });
    expect(at_joining.slice(0, -1)).toEqual(over_rest);
    return over_rest;
  }

  test('a JSON one, carried over what was edited since it was shown, and nothing is sent for that', () => {
    const json = rig.json();
    showJson(json, 1, 3);
    tick();
    const sent = json.of('presence').length;
    rig.write([{ insert: '12345' }]);
    tick();
    expect(json.of('presence')).toHaveLength(sent);
    expect(told()).toEqual([{ index: 6, length: 3 }]);
    // Within it, at its end, and what it began with.
    rig.write([{ retain: 7 }, { insert: 'ab' }]);
    rig.write([{ retain: 11 }, { insert: 'c' }]);
    rig.write([{ retain: 4 }, { delete: 3 }]);
    expect(told()).toEqual([{ index: 4, length: 5 }]);
    showJson(json, 0);
    expect(told()).toEqual([{ index: 0, length: 0 }]);
  });

  test('a Yjs one, as its relative positions say at that moment', () => {
    const yjs = rig.yjs();
    showYjs(yjs, at(1, 4));
    expect(told()).toEqual([{ index: 1, length: 3 }]);
    rig.write([{ insert: '12345' }]);
    expect(told()).toEqual([{ index: 6, length: 3 }]);
    rig.write([{ retain: 7 }, { delete: 5 }]);
    expect(told()).toEqual([{ index: 6, length: 1 }]);
  });

  test('a Yjs one that came before the text that it stands in', () => {
    const yjs = rig.yjs();
    const before = Y.encodeStateVector(doc);
    doc.getText('content').insert(0, 'typed ');
    showYjs(yjs, at(2, 4));
    expect(told()).toEqual([null]);
    rig.turn({ kind: 'update', member: yjs, update: Y.encodeStateAsUpdate(doc, before), whole: false });
    expect(told()).toEqual([{ index: 2, length: 2 }]);
  });

  test('a JSON one within the text, where too much was edited to tell', () => {
    const json = rig.json();
    showJson(json, 4, 5);
    rig.write([{ retain: 6 }, { delete: 5 }]);
    emptyWindow(rig.runtime.log.window);
    expect(told()).toEqual([{ index: 4, length: 2 }]);
    showJson(json, 6);
    rig.write([{ delete: 6 }]);
    emptyWindow(rig.runtime.log.window);
    expect(told()).toEqual([{ index: 0, length: 0 }]);
  });

  test('a JSON one, if it is a Yjs member who comes', () => {
    showJson(rig.json(), 1, 3);
    rig.write([{ insert: '12345' }]);
    const yjs = rig.yjs();
    Y.applyUpdate(doc, rig.runtime.replica.state());
    expect(seenByYjs(yjs)).toEqual([6, 9]);
  });

  test('and so is who is there, of what is edited before the tick', () => {
    const [json, other] = [rig.json(), rig.json()];
    showJson(json, 1, 3);
    rig.write([{ insert: '12345' }]);
    tick();
    const events = other.of('presence') as PresenceEvent[];
    expect(events.findLast(({ client_id }) => client_id === json.client_id)?.state).toEqual(cursorState(6, 3));
  });
});
