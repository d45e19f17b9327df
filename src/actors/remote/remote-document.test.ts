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

/** A JSON member who joined when the head was `at`. */
function joined(at: number): TestJsonMember {
  const member = new TestJsonMember(stage, random.id(), random.id());
  document.push({ kind: 'join_json', member, resume: null, last_seq: 0 });
  document.receive({ t: 'joined', doc: document.doc_id, m: member.member_id, at, epoch: 1, claim_id: 'claim' });
  return member;
}

function beacon(rev: number, durable: number): ChannelMessage {
  return { from: owner.boot_id, epoch: 1, rev, events: [], durable };
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
