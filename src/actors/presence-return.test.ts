/** Who comes back to a document that has a new owner: presence.ts. */
import { beforeEach, expect, test } from 'bun:test';
import { digitCursors, Stage, TestYjsMember } from '../../test/support/core.ts';
import { ManualClock } from '../base/clock.ts';
import { seededRandom } from '../base/random.ts';
import { TIMES } from '../protocol/limits.ts';
import { awarenessFrame, queryAwarenessFrame } from '../protocol/yjs-wire.ts';
import { PresenceBook } from './presence.ts';

const CLIENT = 7;
const random = seededRandom(22);

/** Somebody on the Hocuspocus door. */
class Provider extends TestYjsMember {
  override readonly door = 'hocuspocus';
}

let clock: ManualClock;

beforeEach(() => {
  clock = new ManualClock();
});

/** A book, and somebody on it who introduces itself at a clock. */
function arrive(reopened: boolean, after_ms = 0) {
  const book = new PresenceBook(random.id(), clock, random, digitCursors(), reopened);
  clock.advance(after_ms);
  const member = new TestYjsMember(new Stage(), random.id(), random.id());
  book.join(member);
  const at = (value: number) => book.awareness(member, [{ client: CLIENT, clock: value, state: '{}' }]);
  at(4);
  return { member, at };
}

const gone = awarenessFrame([{ client: CLIENT, clock: 4, state: 'null' }]);

test('whoever comes to a new owner is told once that its clientID is gone, so that others believe its next clock', () => {
  const { member, at } = arrive(true);
  expect(member.raw).toEqual([gone]);
  at(5);
  expect(member.raw).toEqual([gone]);
});

test('nobody is told on a document without an earlier owner, or once every clock has risen since', () => {
  expect(arrive(false).member.raw).toEqual([]);
  expect(arrive(true, 2 * TIMES.awareness_renew_ms).member.raw).toEqual([]);
  expect(arrive(true, 2 * TIMES.awareness_renew_ms - 1).member.raw).toEqual([gone]);
});

test('a Hocuspocus provider, which says nothing by itself, is asked as well', () => {
  const book = new PresenceBook(random.id(), clock, random, digitCursors(), true);
  const member = new Provider(new Stage(), random.id(), random.id());
  book.join(member);
  book.awareness(member, [{ client: CLIENT, clock: 4, state: '{}' }]);
  expect(member.raw).toEqual([gone, queryAwarenessFrame()]);
});
