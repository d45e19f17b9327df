/** A document's channel as a gateway reads it: without gaps or repeats. */
import { beforeEach, expect, test } from 'bun:test';
import { LIMITS, TIMES } from '../../protocol/limits.ts';
import { type ChannelEvent, type ChannelMessage, EventStream, type Piece } from './event-stream.ts';

let pieces: Piece[];
let missing: number[];
let stream: EventStream;

beforeEach(() => {
  pieces = [];
  missing = [];
  stream = new EventStream({
    deliver: (more) => void pieces.push(...more),
    missing: (after) => void missing.push(after),
  });
});

const edit = (rev: number): ChannelEvent => ({ type: 'edit', changes: { rev }, update: 'AQID' });

function message(rev: number, events: readonly ChannelEvent[], more: Partial<ChannelMessage> = {}): ChannelMessage {
  return { from: 'claim', epoch: 1, rev, events, ...more };
}

const revs = (): number[] => pieces.filter((piece) => piece.edit).map(({ rev }) => rev);

test('before it begins it keeps what comes, and then goes on from where it begins', () => {
  for (const rev of [1, 2, 3]) stream.take(message(rev, [edit(rev)]), 0);
  expect(pieces).toEqual([]);
  stream.begin(2, 'claim', 0);
  expect([revs(), stream.rev]).toEqual([[3], 3]);
});

test('what was said under another claim before it begins is forgotten, be it of a later epoch', () => {
  stream.take(message(3, [edit(3)], { from: 'another' }), 0);
  stream.take(message(3, [edit(3)], { from: 'another', epoch: 2 }), 0);
  stream.begin(2, 'claim', 0);
  expect([revs(), missing, stream.rev]).toEqual([[], [], 2]);
});

test('begun again it knows nothing of what it said, and asks for nothing', () => {
  stream.begin(0, 'claim', 0);
  stream.take(message(3, [edit(3)]), 0);
  stream.restart();
  stream.take(message(7, [edit(7)], { from: 'another', epoch: 2 }), 0);
  stream.begin(6, 'another', 0);
  expect([revs(), missing, stream.repairing]).toEqual([[7], [0], false]);
  expect([stream.since(5), stream.since(6)?.length]).toEqual([null, 1]);
});

test('an edit is for JSON members without its bytes, and for Yjs members the bytes', () => {
  stream.begin(0, 'claim', 0);
  stream.take(message(1, [edit(1)]), 0);
  expect(pieces).toMatchObject([
    { rev: 1, event: '{"type":"edit","changes":{"rev":1}}', update: Buffer.from([1, 2, 3]) },
  ]);
});

test('repeated messages change nothing', () => {
  stream.begin(0, 'claim', 0);
  for (const rev of [1, 1, 2, 1, 2]) stream.take(message(rev, [edit(rev)]), 0);
  expect(revs()).toEqual([1, 2]);
});

test('a gap between messages is asked for once, and what came meanwhile follows on what is told', () => {
  stream.begin(0, 'claim', 0);
  for (const rev of [1, 3, 4]) stream.take(message(rev, [edit(rev)]), 0);
  expect([revs(), missing, stream.repairing]).toEqual([[1], [1], true]);
  stream.repaired([edit(2), edit(3)], 0);
  expect([revs(), missing, stream.repairing]).toEqual([[1, 2, 3, 4], [1], false]);
});

test('a gap inside a message delivers what leads up to it', () => {
  stream.begin(0, 'claim', 0);
  stream.take(message(3, [edit(1), edit(3)]), 0);
  expect([revs(), missing]).toEqual([[1], [1]]);
  stream.repaired([edit(2)], 0);
  expect(revs()).toEqual([1, 2, 3]);
});

test('a beacon shows that the last message was lost', () => {
  stream.begin(0, 'claim', 0);
  stream.take(message(1, []), 0);
  expect(missing).toEqual([0]);
  stream.repaired([edit(1)], 0);
  expect([revs(), stream.repairing]).toEqual([[1], false]);
});

test('what is told too little of is asked for again', () => {
  stream.begin(0, 'claim', 0);
  stream.take(message(3, [edit(3)]), 0);
  stream.repaired([edit(1)], 0);
  expect(missing).toEqual([0, 1]);
  stream.repaired([edit(2)], 0);
  expect(revs()).toEqual([1, 2, 3]);
});

test('other events and awareness keep their place between the edits', () => {
  stream.begin(0, 'claim', 0);
  stream.take(message(1, [edit(1)]), 0);
  stream.take(message(1, [{ type: 'ack', rev: 1, epoch: 1 }], { awareness: Buffer.from([9]).toString('base64') }), 0);
  stream.take(message(2, [edit(2)]), 0);
  expect(pieces.map(({ edit: is, event, awareness }) => [is, event !== null, awareness?.[0]])).toEqual([
    [true, true, undefined],
    [false, true, undefined],
    [false, false, 9],
    [true, true, undefined],
  ]);
});

test('whoever joins at a revision is given what came since', () => {
  stream.begin(5, 'claim', 0);
  for (const rev of [6, 7, 8]) stream.take(message(rev, [edit(rev)]), 0);
  stream.take(message(8, [{ type: 'presence' }]), 0);
  expect(stream.since(6)?.map(({ rev, edit: is }) => [rev, is])).toEqual([
    [7, true],
    [8, true],
    [8, false],
  ]);
  expect(stream.since(8)?.map(({ edit: is }) => is)).toEqual([false]);
  expect(stream.since(4)).toBeNull();
});

test('the past is kept for a while only', () => {
  stream.begin(0, 'claim', 0);
  stream.take(message(1, [edit(1)]), 0);
  stream.take(message(2, [edit(2)]), TIMES.stream_kept_ms);
  stream.prune(TIMES.stream_kept_ms + 1);
  expect(stream.since(0)).toBeNull();
  expect(stream.since(1)?.map(({ rev }) => rev)).toEqual([2]);
});

test(`the past holds stream_kept_messages_max (${LIMITS.stream_kept_messages_max}) pieces at most`, () => {
  stream.begin(0, 'claim', 0);
  const last = LIMITS.stream_kept_messages_max + 1;
  for (let rev = 1; rev <= last; rev++) stream.take(message(rev, [edit(rev)]), 0);
  stream.prune(0);
  expect([stream.since(0), stream.since(1)?.length]).toEqual([null, LIMITS.stream_kept_messages_max]);
});

/** An edit that counts for so many bytes when it is kept. */
function editOf(rev: number, bytes: number): ChannelEvent {
  const told = JSON.stringify({ type: 'edit', changes: { rev } });
  return { ...edit(rev), update: Buffer.alloc(bytes - told.length).toString('base64') };
}

for (const more of [0, 1])
  test(`the past holds stream_kept_bytes_max (${LIMITS.stream_kept_bytes_max}) bytes${more === 0 ? '' : ', and of more the latest'}`, () => {
    const half = LIMITS.stream_kept_bytes_max / 2;
    stream.begin(0, 'claim', 0);
    stream.take(message(1, [editOf(1, half)]), 0);
    stream.take(message(2, [editOf(2, half + more)]), 0);
    stream.prune(0);
    expect(stream.since(0)?.length ?? null).toBe(more === 0 ? 2 : null);
    expect(stream.since(1)).toHaveLength(1);
  });

test(`what waits for a gap to be filled is at most stream_kept_messages_max (${LIMITS.stream_kept_messages_max}) messages; what is dropped is asked for`, () => {
  const last = LIMITS.stream_kept_messages_max;
  for (let rev = 1; rev <= last + 1; rev++) stream.take(message(rev, [edit(rev)]), 0);
  stream.begin(0, 'claim', 0);
  expect([stream.rev, missing]).toEqual([last, []]);
  stream.take(message(last + 2, [edit(last + 2)]), 0);
  expect(missing).toEqual([last]);
});

test('what waits is not added to once it has stream_kept_bytes_max bytes', () => {
  const large = LIMITS.stream_kept_bytes_max;
  for (const rev of [1, 2]) stream.take(message(rev, [editOf(rev, large)]), 0);
  stream.begin(0, 'claim', 0);
  expect(stream.rev).toBe(1);
});

test('a doubt asks at once, and once', () => {
  stream.doubt();
  expect(missing).toEqual([]);
  stream.begin(4, 'claim', 0);
  stream.doubt();
  stream.doubt();
  expect(missing).toEqual([4]);
  stream.repaired([], 0);
  expect(stream.repairing).toBe(false);
});
