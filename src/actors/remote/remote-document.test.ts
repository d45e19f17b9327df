import { beforeEach, expect, test } from 'bun:test';
import { quietLog, Stage, TestJsonMember } from '../../../test/support/core.ts';
import { ManualClock } from '../../base/clock.ts';
import { seededRandom } from '../../base/random.ts';
import type { ToOwner } from '../../protocol/node-wire.ts';
import type { Bus } from '../../store/bus.ts';
import type { ChannelMessage } from './event-stream.ts';
import { RemoteDocument } from './remote-document.ts';

const random = seededRandom(417);
const owner = { node_id: 'owner', boot_id: random.id() };

let stage: Stage;
let document: RemoteDocument;
let posted: ToOwner[];
beforeEach(() => {
  stage = new Stage();
  posted = [];
  const bus = { subscribe: () => Promise.resolve(), unsubscribe() {} } as unknown as Bus;
  const link = { owner, unanswered_ms: 0, post: (item: ToOwner) => void posted.push(item), edit() {} };
  const parts = { clock: new ManualClock(), log: quietLog, bus, fanout: stage, gap() {}, ended() {} };
  document = new RemoteDocument(random.id(), link, parts);
});

/** A JSON member who asks to join. */
function joining(): TestJsonMember {
  const member = new TestJsonMember(stage, random.id(), random.id());
  document.push({ kind: 'join_json', member, resume: null, last_seq: 0 });
  return member;
}

/** The owner seats a member when the head is `at`. */
function seat({ member_id: m }: TestJsonMember, at: number, claim_id = 'claim', epoch = 1): void {
  document.receive({ t: 'joined', doc: document.doc_id, m, at, epoch, claim_id });
}

/** A JSON member who joined when the head was `at`. */
function joined(at: number): TestJsonMember {
  const member = joining();
  seat(member, at);
  return member;
}

function beacon(rev: number, durable: number): ChannelMessage {
  return { from: 'claim', epoch: 1, rev, events: [], durable };
}

test('an ack that the channel lost is made up for at the next beacon, once', () => {
  const member = joined(3);
  document.hear(beacon(3, 3));
  document.hear(beacon(3, 3));
  expect(member.events).toMatchObject([{ type: 'ack', epoch: 1, rev: 3 }]);
});

test('a beacon confirms nothing that the channel did, and nothing that has not arrived yet', () => {
  const member = joined(3);
  document.hear({ ...beacon(3, 3), events: [{ type: 'ack', epoch: 1, rev: 3 }] });
  member.events.length = 0;
  document.hear(beacon(3, 3));
  document.hear(beacon(4, 4));
  expect(member.events).toEqual([]);
  expect(posted.at(-1)).toEqual({ t: 'replay', doc: document.doc_id, after: 3 });
});

/** Another edit at revision 5 than the one before it, and its ack, said under another claim. */
const other: ChannelMessage = {
  from: 'another',
  epoch: 2,
  rev: 5,
  events: [
    { type: 'edit', changes: { rev: 5 }, update: '' },
    { type: 'ack', epoch: 2, rev: 5 },
  ],
};

test('what the same node says under another claim confirms nothing that was seen under the first', () => {
  const member = joined(4);
  document.hear({ ...beacon(5, 4), events: [{ type: 'edit', changes: { rev: 5 }, update: '' }] });
  member.events.length = 0;
  document.hear(other);
  document.hear({ ...other, events: [], durable: 5 });
  expect([member.events, member.closed]).toMatchObject([[], { code: 1012 }]);
});

test('an answer to what was missing, given under another claim, closes sockets instead of filling the gap', () => {
  const member = joined(4);
  document.doubt();
  document.receive({
    t: 'replay',
    doc: document.doc_id,
    claim_id: 'another',
    epoch: 2,
    rev: 5,
    edits: [JSON.stringify(other.events[0])],
    status: '{}',
  });
  expect([member.events, member.closed]).toMatchObject([[], { code: 1012 }]);
});

test('who is still joining while another claim is heard of is seated under it, with what it has said since', () => {
  const gone = joined(4);
  document.push({ kind: 'leave', member: gone });
  const member = joining();
  document.hear({ ...beacon(4, 4), from: 'another', epoch: 2 });
  document.hear(other);
  seat(member, 4, 'another', 2);
  expect([member.events, member.closed]).toMatchObject([[{ type: 'edit' }, { type: 'ack' }], null]);
});

test('who is seated under a claim that was lost meanwhile comes back', () => {
  const gone = joined(4);
  document.push({ kind: 'leave', member: gone });
  const member = joining();
  document.hear(other);
  seat(member, 4);
  expect(member.closed).toMatchObject({ code: 1012 });
});

test('what arrives late of the claim before is not taken for what is said now', () => {
  const gone = joined(4);
  document.push({ kind: 'leave', member: gone });
  const member = joining();
  seat(member, 4, 'another', 2);
  document.hear({ ...beacon(5, 5), events: [{ type: 'ack', epoch: 1, rev: 5 }] });
  expect([member.events, member.closed, posted.filter(({ t }) => t === 'replay')]).toEqual([[], null, []]);
});
