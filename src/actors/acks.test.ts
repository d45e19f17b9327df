import { beforeEach, describe, expect, test } from 'bun:test';
import * as decoding from 'lib0/decoding';
import * as Y from 'yjs';
import type { TestYjsMember } from '../../test/support/core.ts';
import { RuntimeRig } from '../../test/support/runtime.ts';
import { TIMES } from '../protocol/limits.ts';

let rig: RuntimeRig;
let seed = 950;
beforeEach(() => {
  rig = new RuntimeRig(seed++);
});

/** The acks that a member was sent: epoch, revision, and its own frames that are covered when that is said. */
function acks(member: TestYjsMember): number[][] {
  return member.raw.flatMap((frame) => {
    const decoder = decoding.createDecoder(frame);
    if (decoding.readVarUint(decoder) !== 100) return [];
    const numbers: number[] = [];
    while (decoding.hasContent(decoder)) numbers.push(decoding.readVarUint(decoder));
    return [numbers];
  });
}

/** The last ack that counts the member's own frames. */
const counted = (member: TestYjsMember): number[] | undefined => acks(member).findLast((ack) => ack.length === 3);

/** A stock client, edit by edit. */
class Typist {
  readonly doc = new Y.Doc();

  constructor(readonly member: TestYjsMember) {}

  /** The update of one more letter. */
  type(letter: string): Uint8Array {
    const before = Y.encodeStateVector(this.doc);
    this.doc.getText('content').insert(0, letter);
    return Y.encodeStateAsUpdate(this.doc, before);
  }

  send(...updates: Uint8Array[]): void {
    rig.turn(...updates.map((update) => ({ kind: 'update', member: this.member, update, whole: false }) as const));
  }

  /** Answers a step 1: everything that it has. */
  answer(): void {
    rig.turn({ kind: 'update', member: this.member, update: Y.encodeStateAsUpdate(this.doc), whole: true });
  }
}

const typist = () => new Typist(rig.yjs('editor', true));

describe('a member that asked for acks', () => {
  test('is greeted with what is durable, and hears of nothing before its commit', () => {
    rig.write([{ insert: 'a' }]);
    rig.commit();
    rig.ledger.epoch = 3;
    const { member } = typist();
    expect(acks(member)).toEqual([[3, 1, 0]]);
    new Typist(member).send(new Typist(member).type('b'));
    expect(acks(member)).toHaveLength(1);
  });

  test('learns how many of its own frames are on disk, turn by turn', () => {
    const one = typist();
    one.send(one.type('a'), one.type('b'));
    one.send(one.type('c'));
    rig.commit(1);
    expect(counted(one.member)).toEqual([1, 1, 2]);
    rig.commit(2);
    expect(counted(one.member)).toEqual([1, 2, 3]);
  });

  test('learns it at once for frames that bring nothing new, but never ahead of an earlier frame that waits', () => {
    const one = typist();
    const first = one.type('a');
    one.send(first);
    rig.commit();
    one.send(first);
    expect(counted(one.member)).toEqual([1, 1, 2]);
    one.send(one.type('b'));
    one.send(first);
    expect(counted(one.member)).toEqual([1, 1, 2]);
    rig.commit();
    expect(counted(one.member)).toEqual([1, 2, 4]);
  });

  test('is told nothing of a frame that could not be placed, until its whole difference is on disk', () => {
    const one = typist();
    const lost = one.type('a');
    one.send(one.type('b'));
    expect(rig.ledger.all).toHaveLength(0);
    expect(counted(one.member)).toEqual([1, 0, 0]);
    const other = typist();
    other.send(other.type('x'));
    rig.commit();
    expect(counted(one.member)).toEqual([1, 0, 0]);
    one.send(lost);
    rig.commit();
    // What was sent before the answer to the server's question is not known to be complete yet.
    expect(counted(one.member)).toEqual([1, 0, 0]);
    one.answer();
    rig.commit();
    expect(counted(one.member)?.[2]).toBe(3);
    const reader = new Y.Doc();
    Y.applyUpdate(reader, rig.runtime.replica.state());
    expect(reader.getText('content').toString()).toContain('ba');
  });

  test('hears of what others write, without a count', () => {
    const one = typist();
    for (const letter of ['a', 'b', 'c']) {
      rig.write([{ insert: letter }]);
      rig.commit();
    }
    rig.clock.advance(TIMES.ack_others_ms - 1);
    expect(acks(one.member)).toEqual([[1, 0, 0]]);
    rig.clock.advance(1);
    expect(acks(one.member)).toEqual([
      [1, 0, 0],
      [1, 3],
    ]);
  });

  test('and was told of its own edit is not told again, unless there are others to tell', () => {
    const one = typist();
    one.send(one.type('a'));
    rig.commit();
    rig.clock.advance(TIMES.ack_others_ms);
    expect(acks(one.member)).toEqual([
      [1, 0, 0],
      [1, 1, 1],
    ]);
    const other = typist();
    one.send(one.type('b'));
    rig.commit();
    rig.clock.advance(TIMES.ack_others_ms);
    expect(acks(other.member).at(-1)).toEqual([1, 2]);
  });

  test('hears what it was not told yet before the document is closed', () => {
    const one = typist();
    rig.write([{ insert: 'a' }]);
    rig.commit();
    rig.runtime.end(1012, 'moved');
    expect(acks(one.member).at(-1)).toEqual([1, 1]);
  });

  test('is forgotten when it leaves', () => {
    const one = typist();
    one.send(one.type('a'));
    rig.turn({ kind: 'leave', member: one.member });
    const before = acks(one.member).length;
    one.member.stage.audience.delete(one.member);
    rig.commit();
    expect(acks(one.member)).toHaveLength(before);
  });
});

describe('a viewer that asked for acks', () => {
  test('learns that what holds nothing new is on disk', () => {
    const { member } = new Typist(rig.yjs('viewer', true));
    new Typist(member).answer();
    expect(counted(member)).toEqual([1, 0, 1]);
  });

  test('is told nothing of what was refused, nor of what follows, until all that it has is in the document', () => {
    const viewer = new Typist(rig.yjs('viewer', true));
    const told = acks(viewer.member).length;
    viewer.send(viewer.type('a'));
    viewer.send(Y.encodeStateAsUpdate(new Y.Doc()));
    rig.write([{ insert: 'b' }]);
    rig.commit();
    expect(acks(viewer.member)).toHaveLength(told);
    viewer.member.role = 'editor';
    viewer.answer();
    rig.commit();
    expect(counted(viewer.member)).toEqual([1, 2, 3]);
  });
});

test('a member that synchronises once more is asked in turn, when it wants that', () => {
  const member = rig.yjs();
  const state_vector = Uint8Array.of(0);
  const kinds = () => member.frames().map(({ kind }) => kind);
  rig.turn({ kind: 'sync', member, state_vector });
  rig.turn({ kind: 'sync', member, state_vector, ask: true });
  expect(kinds().filter((kind) => kind !== 'awareness')).toEqual(['step1', 'update', 'update', 'step1']);
});

test('a member that did not ask hears of no ack', () => {
  const silent = new Typist(rig.yjs());
  silent.send(silent.type('a'));
  rig.commit();
  expect(acks(silent.member)).toEqual([]);
});

test('a reader here hears of a commit, however many authors on other nodes were told of it already', () => {
  const reader = rig.json('viewer');
  const authors = [rig.newJson(), rig.newJson()].map((author) =>
    Object.assign(author, { place: 'elsewhere' as const }),
  );
  for (const member of authors) {
    rig.turn({ kind: 'join_json', member, resume: null, last_seq: 0 });
    rig.write([{ insert: 'a' }], member);
  }
  rig.commit();
  rig.clock.advance(TIMES.ack_others_ms);
  expect(reader.of('ack')).toMatchObject([{ rev: 2 }]);
});
