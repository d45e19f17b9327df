import { beforeEach, describe, expect, test } from 'bun:test';
import { cursorState, digitCursors, Stage, TestJsonMember, TestYjsMember } from '../../test/support/core.ts';
import { ManualClock } from '../base/clock.ts';
import { seededRandom } from '../base/random.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { AwarenessEntry } from '../protocol/yjs-wire.ts';
import { PresenceBook } from './presence.ts';

const DOC = '0198c5c2-7a5e-7b3c-9f00-000000000001';
const random = seededRandom(21);
const [ADA, BOB] = [random.id(), random.id()];

let stage: Stage;
let clock: ManualClock;
let book: PresenceBook;

beforeEach(() => {
  stage = new Stage();
  clock = new ManualClock();
  book = new PresenceBook(DOC, clock, random, digitCursors(), false);
});

function yjs(user_id = ADA): TestYjsMember {
  const member = new TestYjsMember(stage, user_id, random.id());
  book.join(member);
  return member;
}

function json(user_id = BOB): TestJsonMember {
  const member = new TestJsonMember(stage, user_id, random.id(), 'Bob');
  book.join(member);
  return member;
}

const entry = (client: number, at: number, state: unknown): AwarenessEntry => ({
  client,
  clock: at,
  state: JSON.stringify(state),
});

/** What a tick would send to Yjs clients, read. */
function shown(): Record<number, { clock: number; state: Record<string, unknown> | null }> {
  const { awareness } = book.take(false);
  return Object.fromEntries(
    awareness.map(({ client, clock: at, state }) => [client, { clock: at, state: JSON.parse(state) }]),
  );
}

/** Everybody's awareness now, without the tick. */
const present = (): number[] => book.awarenessEntries().map(({ client }) => client);

describe('a clientID', () => {
  test('belongs to the socket that introduced it: what anybody else says of it is ignored, newer or not', () => {
    const [ada, bob] = [yjs(ADA), yjs(BOB)];
    expect(book.awareness(ada, [entry(7, 3, { at: 'ada' })])).toBeNull();
    book.take(false);
    for (const at of [2, 3, 4, 1_000]) {
      expect(book.awareness(bob, [entry(7, at, { at: 'bob' })])).toBeNull();
      expect(book.awareness(bob, [entry(7, at, null)])).toBeNull();
    }
    expect(shown()).toEqual({});
    expect(book.awarenessEntries()).toMatchObject([{ client: 7, clock: 3 }]);
  });

  test('of the same user moves to a new socket with something newer, and the late close of the old one does not end it', () => {
    const [old, fresh] = [yjs(ADA), yjs(ADA)];
    book.awareness(old, [entry(7, 3, { at: 'old' })]);
    book.awareness(fresh, [entry(7, 4, { at: 'fresh' })]);
    book.take(false);
    book.leave(old);
    expect(present()).toEqual([7]);
    expect(shown()).toEqual({});
    book.leave(fresh);
    expect(shown()).toEqual({ 7: { clock: 5, state: null } });
  });

  test('is not moved by an echo: stock providers send back what they hear of others, also of the same user', () => {
    const [one, two] = [yjs(ADA), yjs(ADA)];
    book.awareness(one, [entry(7, 3, { at: 'one' })]);
    book.take(false);
    book.awareness(two, [entry(7, 3, { at: 'one' })]);
    book.awareness(two, [entry(7, 2, { at: 'older' })]);
    book.awareness(two, [entry(7, 3, null)]);
    book.awareness(two, [entry(7, 9, null)]);
    book.leave(two);
    expect(shown()).toEqual({});
    expect(present()).toEqual([7]);
  });

  test('that stands for a JSON member cannot be taken over, not even by the same user', () => {
    const bob = json(BOB);
    const [drawn = 0] = present();
    const sly = yjs(BOB);
    book.take(false);
    book.awareness(sly, [entry(drawn, 99, { at: 'sly' })]);
    book.awareness(sly, [entry(drawn, 99, null)]);
    expect(shown()).toEqual({});
    book.show(bob, { mood: 'still here' });
    expect(shown()[drawn]).toMatchObject({ clock: 2, state: { mood: 'still here' } });
  });

  test('of another user who left stays theirs', () => {
    const [ada, bob] = [yjs(ADA), yjs(BOB)];
    book.awareness(ada, [entry(7, 3, {})]);
    book.leave(ada);
    book.take(false);
    book.awareness(bob, [entry(7, 50, {})]);
    expect(present()).toEqual([]);
  });

  test('drawn for a JSON member is unlike every other on the document', () => {
    const ada = yjs(ADA);
    const drawn: number[] = [];
    for (let i = 0; i < 10; i++) book.awareness(ada, [entry(i, 0, {})]);
    for (let i = 0; i < 50; i++) json();
    for (const { client } of book.awarenessEntries()) drawn.push(client);
    expect(new Set(drawn).size).toBe(60);
    expect(drawn.every((client) => client >= 0 && client < 2 ** 32)).toBe(true);
  });
});

describe('clocks', () => {
  test('a state counts when its clock is beyond the one that is known, and not otherwise', () => {
    const ada = yjs();
    book.awareness(ada, [entry(7, 5, { n: 1 })]);
    book.awareness(ada, [entry(7, 5, { n: 2 })]);
    book.awareness(ada, [entry(7, 4, { n: 3 })]);
    expect(shown()[7]).toMatchObject({ clock: 5, state: { n: 1 } });
    book.awareness(ada, [entry(7, 6, { n: 4 })]);
    expect(shown()[7]).toMatchObject({ clock: 6, state: { n: 4 } });
  });

  test('a null is taken at an equal clock, as stock awareness does, and not at an older one', () => {
    const ada = yjs();
    book.awareness(ada, [entry(7, 5, {})]);
    book.take(false);
    book.awareness(ada, [entry(7, 4, null)]);
    expect(shown()).toEqual({});
    book.awareness(ada, [entry(7, 5, null)]);
    expect(shown()).toEqual({ 7: { clock: 5, state: null } });
    expect(present()).toEqual([]);
    book.awareness(ada, [entry(7, 5, null)]);
    expect(shown()).toEqual({});
  });

  test('a null of somebody who was never here says nothing', () => {
    book.awareness(yjs(), [entry(7, 5, null)]);
    expect(shown()).toEqual({});
  });

  test('whoever comes back at a clock that others saw go is told so, and nothing else; beyond it they are back', () => {
    const ada = yjs();
    book.awareness(ada, [entry(7, 5, {})]);
    book.leave(ada);
    expect(shown()).toEqual({ 7: { clock: 6, state: null } });
    const back = yjs();
    book.awareness(back, [entry(7, 6, {})]);
    expect(shown()).toEqual({});
    expect(back.frames()).toEqual([{ kind: 'awareness', entries: [{ client: 7, clock: 6, state: 'null' }] }]);
    book.awareness(back, [entry(7, 7, { here: true })]);
    expect(shown()).toMatchObject({ 7: { clock: 7, state: { here: true } } });
    expect(back.frames()).toHaveLength(1);
  });

  test('renewal raises the clock of every JSON member and of nobody else, again and again', () => {
    const [ada, bob] = [yjs(), json()];
    book.awareness(ada, [entry(7, 5, {})]);
    const [drawn = 0] = present().filter((client) => client !== 7);
    book.take(false);
    for (const at of [2, 3, 4]) {
      book.renew();
      expect(shown()).toMatchObject({ [drawn]: { clock: at, state: { user: { id: BOB, name: 'Bob' } } } });
    }
    book.leave(bob);
    expect(shown()).toEqual({ [drawn]: { clock: 5, state: null } });
    book.renew();
    expect(book.dirty).toBe(false);
  });
});

describe('user.id', () => {
  test('is the authenticated one, whatever a Yjs client says', () => {
    const ada = yjs(ADA);
    const states = [
      {},
      { user: { id: BOB, name: 'Bob', colour: 'red' } },
      { user: 'Bob' },
      { user: null },
      { user: [1] },
    ];
    for (const [n, state] of states.entries()) book.awareness(ada, [entry(7, n + 1, state)]);
    expect(shown()[7]?.state).toEqual({ user: { 0: 1, id: ADA, name: 'Grace' } });
    book.awareness(ada, [entry(7, 9, { user: { id: BOB, name: 'Bob' }, cursor: null })]);
    expect(shown()[7]?.state).toEqual({ user: { id: ADA, name: 'Bob' }, cursor: null });
    expect(book.list()).toMatchObject([{ user_id: ADA, state: { user: { id: ADA } } }]);
  });

  test('comes with the name of the account where a Yjs client sends none that can be read', () => {
    const ada = yjs(ADA);
    const nameOf = (n: number, user: object) => {
      book.awareness(ada, [entry(7, n, { user })]);
      return (shown()[7]?.state as { user?: { name: unknown } } | undefined)?.user?.name;
    };
    const none = [{}, { name: '' }, { name: ' ' }, { name: null }, { name: 5 }, { name: ['x'] }];
    for (const [n, user] of none.entries()) expect(nameOf(n + 1, user)).toBe('Grace');
    expect(nameOf(9, { name: 'the admiral' })).toBe('the admiral');
  });

  test('is the authenticated one, whatever a JSON client shows', () => {
    const bob = json(BOB);
    book.show(bob, { user: { id: ADA, name: 'Ada' }, mood: 'sly' });
    const [state] = Object.values(shown());
    expect(state?.state).toEqual({ mood: 'sly', user: { id: BOB, name: 'Bob' }, cursor: null });
    expect(book.list()).toMatchObject([{ user_id: BOB, state: { mood: 'sly', user: { id: BOB } } }]);
  });
});

describe('limits', () => {
  const padded = (bytes: number, fill: string) => {
    const empty = Buffer.byteLength(JSON.stringify({ pad: '' }));
    return { pad: fill.repeat((bytes - empty) / Buffer.byteLength(fill)) };
  };

  test(`a state of ${LIMITS.presence_state_bytes_max} bytes is taken, one more is refused`, () => {
    const max = LIMITS.presence_state_bytes_max;
    expect(book.awareness(yjs(), [entry(7, 1, padded(max, 'x'))])).toBeNull();
    expect(book.awareness(yjs(), [entry(8, 1, padded(max + 1, 'x'))])).toContain(`larger than ${max} bytes`);
    expect(present()).toEqual([7]);
  });

  test('bytes are counted, not characters', () => {
    const max = LIMITS.presence_state_bytes_max;
    expect(book.awareness(yjs(), [entry(7, 1, padded(max - 2, '😀'))])).toBeNull();
    expect(book.awareness(yjs(), [entry(8, 1, padded(max + 2, '😀'))])).toContain('larger than');
  });

  test(`${LIMITS.awareness_clients_per_socket_max} clientIDs at a time on one socket, one more is refused`, () => {
    const ada = yjs();
    const max = LIMITS.awareness_clients_per_socket_max;
    for (let client = 0; client < max; client++) expect(book.awareness(ada, [entry(client, 1, {})])).toBeNull();
    expect(book.awareness(ada, [entry(0, 2, {})])).toBeNull();
    expect(book.awareness(ada, [entry(max, 1, {})])).toContain(`more than ${max} awareness clients`);
    expect(book.awareness(ada, [entry(0, 3, null), entry(max, 1, {})])).toBeNull();
    expect(present()).toHaveLength(max);
  });

  test('what is not an object is refused', () => {
    for (const state of ['1', '"text"', '[]', 'true', '{', ''])
      expect(book.awareness(yjs(), [{ client: 7, clock: 1, state }])).toContain('is not an object');
    expect(present()).toEqual([]);
  });

  test('clients that left are remembered up to a bound, however one socket makes them come and go', () => {
    const ada = yjs(ADA);
    const many = 3_000;
    for (let client = 0; client < many; client++) {
      book.awareness(ada, [entry(client, 10, {}), entry(client, 10, null)]);
      if (client % 500 === 0) book.take(false);
    }
    book.take(false);
    // What was forgotten may be introduced by anybody; what is remembered stays Ada's.
    let forgotten = 0;
    for (let client = 0; client < many; client++) {
      const bob = yjs(BOB);
      book.awareness(bob, [entry(client, 1, {})]);
      if (present().length > 0) forgotten += 1;
      book.awareness(bob, [entry(client, 1, null)]);
    }
    expect(many - forgotten).toBeLessThanOrEqual(1_500);
  });

  test('what is not a member, or is one no more, changes nothing', () => {
    const [ada, bob] = [yjs(), json()];
    book.leave(ada);
    book.leave(bob);
    book.take(false);
    expect(book.awareness(ada, [entry(7, 1, {})])).toBeNull();
    book.show(bob, { mood: 'gone' });
    book.leave(ada);
    book.leave(bob);
    expect([book.dirty, book.list()]).toEqual([false, []]);
  });
});

describe('a tick', () => {
  test('has the last of everything once, however often it changed', () => {
    const [ada, bob] = [yjs(ADA), json(BOB)];
    for (let i = 1; i <= 100; i++) {
      book.awareness(ada, [entry(7, i, { n: i })]);
      book.show(bob, { n: i });
    }
    const { awareness, events } = book.take(true);
    expect(awareness).toHaveLength(2);
    expect(events.map(({ status, user_id, state }) => [status, user_id, state.n])).toEqual([
      ['joined', ADA, undefined],
      ['joined', BOB, undefined],
      ['active', ADA, 100],
      ['active', BOB, 100],
    ]);
    expect(book.dirty).toBe(false);
    expect(book.take(true)).toEqual({ awareness: [], events: [] });
  });

  test('of five hundred that move is one entry and one event each', () => {
    const members = Array.from({ length: 500 }, () => json());
    book.take(true);
    for (const member of members) book.show(member, cursorState(1));
    const { awareness, events } = book.take(true);
    expect([awareness.length, events.length]).toEqual([500, 500]);
  });

  test('says who came and went, in order, and nothing more of those who left', () => {
    const bob = json(BOB);
    book.show(bob, { mood: 'here' });
    clock.advance(1_000);
    book.leave(bob);
    const { awareness, events } = book.take(true);
    expect(events.map(({ status, state, timestamp }) => [status, state, timestamp])).toEqual([
      ['joined', {}, '2026-01-01T00:00:00.000Z'],
      ['left', { mood: 'here' }, '2026-01-01T00:00:01.000Z'],
    ]);
    expect(awareness.map(({ state }) => state)).toEqual(['null']);
    expect(events[0]).toMatchObject({ type: 'presence', doc_id: DOC, client_id: bob.client_id, display_name: 'Bob' });
  });

  test('without readers of events drops them, so that nothing piles up', () => {
    json();
    expect(book.take(false).events).toEqual([]);
    expect(book.take(true).events).toEqual([]);
  });
});

describe('what each side sees of the other', () => {
  test('a JSON member appears to Yjs clients with name, id and its cursor in relative positions', () => {
    const bob = json(BOB);
    expect(Object.values(shown()).map(({ state }) => state)).toEqual([
      { user: { name: 'Bob', id: BOB }, cursor: null },
    ]);
    book.show(bob, { ...cursorState(3, 2), mood: 'writing' });
    expect(Object.values(shown()).map(({ state }) => state)).toEqual([
      { mood: 'writing', user: { name: 'Bob', id: BOB }, cursor: { anchor: { at: 3 }, head: { at: 5 } } },
    ]);
  });

  test('a cursor outside the text, or none, is null for Yjs clients', () => {
    const bob = json(BOB);
    for (const state of [cursorState(8, 3), { cursor: null }, {}]) {
      book.show(bob, state);
      expect(Object.values(shown()).map(({ state: seen }) => seen?.cursor)).toEqual([null]);
    }
  });

  test('a Yjs member appears to JSON clients with its state, its cursor as index and length', () => {
    const ada = yjs(ADA);
    book.awareness(ada, [entry(7, 1, { cursor: { anchor: { at: 6 }, head: { at: 2 } }, mood: 'reading' })]);
    expect(book.list()).toMatchObject([
      { status: 'active', state: { cursor: { index: 2, length: 4 }, mood: 'reading', user: { id: ADA } } },
    ]);
    book.awareness(ada, [entry(7, 2, { cursor: { anchor: {}, head: { at: 2 } } })]);
    expect(book.list()).toMatchObject([{ state: { cursor: null } }]);
    book.awareness(ada, [entry(7, 3, { cursor: 'of some other editor' })]);
    expect(book.list()).toMatchObject([{ state: { cursor: 'of some other editor' } }]);
    book.awareness(ada, [entry(7, 4, null)]);
    expect(book.list()).toMatchObject([{ state: {}, client_id: ada.client_id }]);
  });

  test('everybody is listed with the moment at which they joined', () => {
    const bob = json(BOB);
    clock.advance(5_000);
    const ada = yjs(ADA);
    expect(book.list()).toEqual([
      {
        user_id: BOB,
        display_name: 'Bob',
        client_id: bob.client_id,
        status: 'joined',
        state: {},
        since: '2026-01-01T00:00:00.000Z',
      },
      {
        user_id: ADA,
        display_name: 'Grace',
        client_id: ada.client_id,
        status: 'joined',
        state: {},
        since: '2026-01-01T00:00:05.000Z',
      },
    ]);
  });
});
