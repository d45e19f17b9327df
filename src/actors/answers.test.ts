/** How often a member is told the whole document: the bounds, each at its value and one beyond. docs/PROTOCOL.md, C17. */
import { beforeEach, describe, expect, test } from 'bun:test';
import type { TestJsonMember, TestYjsMember } from '../../test/support/core.ts';
import { RuntimeRig } from '../../test/support/runtime.ts';
import { ManualClock } from '../base/clock.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import { Answers } from './answers.ts';
import type { QuestionEntry } from './entries.ts';

const { answer_bytes_at_once_max: AT_ONCE, answer_bytes_per_second_max: PER_SECOND } = LIMITS;
const { answer_wait_ms: WAIT_MS } = TIMES;
const MIB = 1024 * 1024;

let rig: RuntimeRig;
let seed = 9_100;
beforeEach(() => {
  rig = new RuntimeRig(seed++);
});

const sync = (member: TestYjsMember): QuestionEntry => ({ kind: 'sync', member, state_vector: Uint8Array.of(0) });
const answers = (member: TestYjsMember): number =>
  member.frames().filter(({ kind, ...frame }) => kind === 'update' && 'whole' in frame && frame.whole).length;
const texts = (member: TestJsonMember): number => member.of('ready').length;

describe('a question', () => {
  let clock: ManualClock;
  let again: QuestionEntry[];
  let paced: Answers;
  let member: TestYjsMember;
  beforeEach(() => {
    clock = new ManualClock();
    again = [];
    paced = new Answers(clock, (question) => void again.push(question));
    member = rig.yjs();
  });

  test(`C17: is answered while answer_bytes_at_once_max (${AT_ONCE}) are owed; with one byte more it waits`, () => {
    expect(paced.admits(sync(member), AT_ONCE)).toBe(true);
    expect(paced.admits(sync(member), 1)).toBe(true);
    expect(paced.admits(sync(member), 1)).toBe(false);
    expect(paced.admits(sync(rig.yjs()), 1)).toBe(true);
  });

  test(`C17: comes again once so much is paid off, answer_bytes_per_second_max (${PER_SECOND})`, () => {
    paced.admits(sync(member), AT_ONCE);
    paced.admits(sync(member), PER_SECOND / 2);
    const question = sync(member);
    expect(paced.admits(question, 1)).toBe(false);
    clock.advance(499);
    expect(again).toEqual([]);
    clock.advance(1);
    expect(again).toEqual([question]);
    expect(paced.admits(question, PER_SECOND)).toBe(true);
    expect(paced.admits(question, PER_SECOND)).toBe(false);
    clock.advance(999);
    expect(again).toHaveLength(1);
  });

  test('C17: takes the place of an older one of the same member that still waits', () => {
    paced.admits(sync(member), AT_ONCE + PER_SECOND);
    const [older, newer] = [sync(member), sync(member)];
    expect([paced.admits(older, 1), paced.admits(newer, 1)]).toEqual([false, false]);
    clock.advance(WAIT_MS);
    expect(again).toHaveLength(1);
    expect(again[0]).toBe(newer);
  });

  test(`C17: waits for answer_wait_ms (${WAIT_MS}) at most, however large the document is`, () => {
    paced.admits(sync(member), 100 * AT_ONCE);
    expect(paced.admits(sync(member), 100 * AT_ONCE)).toBe(false);
    clock.advance(WAIT_MS - 1);
    expect(again).toEqual([]);
    clock.advance(1);
    expect(again).toHaveLength(1);
  });

  test('is forgotten when its member leaves, and when the document ends', () => {
    const other = rig.yjs();
    for (const asking of [member, other]) {
      paced.admits(sync(asking), 2 * AT_ONCE);
      expect(paced.admits(sync(asking), 1)).toBe(false);
    }
    paced.leave(member);
    paced.end();
    clock.advance(WAIT_MS);
    expect(again).toEqual([]);
  });
});

describe('in a document of a mebibyte', () => {
  beforeEach(() => {
    rig.write([{ insert: 'x'.repeat(MIB) }]);
  });

  test('C17: a Yjs client that asks over and over gets four answers at once and then four a second, the last one true', () => {
    const member = rig.yjs();
    for (let i = 0; i < 100; i++) rig.turn(sync(member));
    const at_once = answers(member);
    expect(at_once).toBeGreaterThanOrEqual(4);
    expect(at_once).toBeLessThanOrEqual(5);
    for (let ms = 0; ms < 5_000; ms += 10) {
      rig.turn(sync(member));
      rig.clock.advance(10);
    }
    expect(answers(member) - at_once).toBeGreaterThanOrEqual(18);
    expect(answers(member) - at_once).toBeLessThanOrEqual(21);
    const before = answers(member);
    rig.turn(sync(member));
    rig.clock.advance(WAIT_MS);
    expect(answers(member)).toBe(before + 1);
  });

  test('C17: a JSON client whose edits are all stale is told so each time, and gets the text as often as that', () => {
    const member = rig.json();
    const greeted = texts(member);
    const stale = (): void =>
      expect(rig.write([{ insert: 'y' }], member, { base_rev: 99 })).toMatchObject({ code: 'STALE_REVISION' });
    for (let i = 0; i < 100; i++) stale();
    const at_once = texts(member) - greeted;
    expect(at_once).toBeGreaterThanOrEqual(4);
    expect(at_once).toBeLessThanOrEqual(5);
    rig.clock.advance(WAIT_MS);
    expect(texts(member) - greeted).toBe(at_once + 1);
    expect(member.of('ready').at(-1)).toMatchObject({ rev: 1 });
  });

  test('who left while a question waited is told nothing', () => {
    const member = rig.yjs();
    for (let i = 0; i < 10; i++) rig.turn(sync(member));
    const told = member.raw.length;
    rig.turn({ kind: 'leave', member });
    rig.clock.advance(WAIT_MS);
    expect(member.raw).toHaveLength(told);
  });
});
