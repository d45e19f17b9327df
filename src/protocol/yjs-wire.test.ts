/** The wire against y-protocols itself: what we write it reads, what it writes we read. */
import { expect, spyOn, test } from 'bun:test';
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { readAuthMessage } from 'y-protocols/auth';
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate } from 'y-protocols/awareness';
import { readSyncMessage, writeSyncStep1, writeSyncStep2, writeUpdate } from 'y-protocols/sync';
import * as Y from 'yjs';
import {
  ackFrame,
  awarenessFrame,
  deniedFrame,
  MESSAGE,
  readAwareness,
  readYjsFrame,
  step1Frame,
  step2Frame,
  uncounted,
  updateFrame,
} from './yjs-wire.ts';

const doc = new Y.Doc();
doc.getText('content').insert(0, 'text');
const state = Y.encodeStateAsUpdate(doc);
const vector = Y.encodeStateVector(doc);

/** A frame as a stock client makes it. */
function stock(type: number, write: (encoder: encoding.Encoder) => void): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, type);
    write(encoder);
  });
}

/** The rest of a frame behind its type. */
function opened(frame: Uint8Array, type: number): decoding.Decoder {
  const decoder = decoding.createDecoder(frame);
  expect(decoding.readVarUint(decoder)).toBe(type);
  return decoder;
}

test('sync frames are those of y-protocols, byte for byte', () => {
  expect(step1Frame(vector)).toEqual(stock(MESSAGE.SYNC, (encoder) => writeSyncStep1(encoder, doc)));
  expect(step2Frame(state)).toEqual(stock(MESSAGE.SYNC, (encoder) => writeSyncStep2(encoder, doc)));
  expect(updateFrame(state)).toEqual(stock(MESSAGE.SYNC, (encoder) => writeUpdate(encoder, state)));
});

test('sync frames are read back, a step 2 as an update that is whole', () => {
  expect(readYjsFrame(step1Frame(vector), 1)).toEqual({ kind: 'step1', state_vector: vector });
  expect(readYjsFrame(step2Frame(state), 1)).toEqual({ kind: 'update', update: state, whole: true });
  expect(readYjsFrame(updateFrame(state), 1)).toEqual({ kind: 'update', update: state, whole: false });
});

test('a stock client takes our frames', () => {
  const other = new Y.Doc();
  const reply = encoding.createEncoder();
  readSyncMessage(opened(step2Frame(state), MESSAGE.SYNC), reply, other, null);
  expect(other.getText('content').toString()).toBe('text');
  readSyncMessage(opened(step1Frame(Uint8Array.of(0)), MESSAGE.SYNC), reply, other, null);
  expect(encoding.length(reply)).toBeGreaterThan(state.length);
});

test('awareness goes both ways', () => {
  const one = new Awareness(new Y.Doc());
  one.setLocalState({ name: 'é😀' });
  const frame = stock(MESSAGE.AWARENESS, (encoder) =>
    encoding.writeVarUint8Array(encoder, encodeAwarenessUpdate(one, [one.clientID])),
  );
  const read = readYjsFrame(frame, 1);
  const entry = { client: one.clientID, clock: 1, state: '{"name":"é😀"}' };
  expect(read).toEqual({ kind: 'awareness', entries: [entry] });
  expect(awarenessFrame([entry])).toEqual(frame);
  const two = new Awareness(new Y.Doc());
  applyAwarenessUpdate(two, decoding.readVarUint8Array(opened(awarenessFrame([entry]), MESSAGE.AWARENESS)), null);
  expect(two.getStates().get(one.clientID)).toEqual({ name: 'é😀' });
  one.destroy();
  two.destroy();
});

test('an empty awareness message is three bytes that a stock client takes without a word', () => {
  const frame = awarenessFrame([]);
  expect(frame).toEqual(Uint8Array.of(MESSAGE.AWARENESS, 1, 0));
  const awareness = new Awareness(new Y.Doc());
  applyAwarenessUpdate(awareness, decoding.readVarUint8Array(opened(frame, MESSAGE.AWARENESS)), null);
  awareness.destroy();
});

test('an awareness message of more entries than allowed is not read', () => {
  const entries = [1, 2, 3].map((client) => ({ client, clock: 1, state: '{}' }));
  expect(readYjsFrame(awarenessFrame(entries), 3)).toEqual({ kind: 'awareness', entries });
  expect(() => readYjsFrame(awarenessFrame(entries), 2)).toThrow();
  // A count that the payload cannot hold fails as soon as the bytes end.
  expect(() => readAwareness(Uint8Array.of(127, 1, 1, 2, 0x7b, 0x7d), 1_000)).toThrow();
});

test('a refusal reads "permission denied" on a stock client', () => {
  const denied = spyOn({ handle: (_doc: Y.Doc, _reason: string) => {} }, 'handle');
  readAuthMessage(opened(deniedFrame('permission denied'), MESSAGE.AUTH), doc, denied);
  expect(denied).toHaveBeenCalledWith(doc, 'permission denied');
});

test('query awareness and unknown types are told apart; what does not decode throws', () => {
  expect(readYjsFrame(Uint8Array.of(MESSAGE.QUERY_AWARENESS), 1)).toEqual({ kind: 'query_awareness' });
  expect(readYjsFrame(Uint8Array.of(MESSAGE.AUTH, 0, 0), 1)).toEqual({ kind: 'unknown', type: MESSAGE.AUTH });
  expect(readYjsFrame(Uint8Array.of(77), 1)).toEqual({ kind: 'unknown', type: 77 });
  for (const frame of [[], [MESSAGE.SYNC], [MESSAGE.SYNC, 3, 0], [MESSAGE.SYNC, 0, 9, 1], [MESSAGE.AWARENESS, 1]])
    expect(() => readYjsFrame(Uint8Array.from(frame), 1)).toThrow();
});

test('an ack is type 100, epoch, rev, and, only when it is about the very socket, its count of frames', () => {
  const numbers = (frame: Uint8Array): number[] => {
    const decoder = opened(frame, MESSAGE.ACK);
    const read: number[] = [];
    while (decoding.hasContent(decoder)) read.push(decoding.readVarUint(decoder));
    return read;
  };
  expect(MESSAGE.ACK).toBe(100);
  expect(numbers(ackFrame(3, 2 ** 40))).toEqual([3, 2 ** 40]);
  expect(numbers(ackFrame(3, 7, 0))).toEqual([3, 7, 0]);
  expect(numbers(ackFrame(3, 7, 12))).toEqual([3, 7, 12]);
  expect(uncounted(ackFrame(3, 2 ** 40, 12))).toEqual(ackFrame(3, 2 ** 40));
  expect(uncounted(ackFrame(3, 7))).toEqual(ackFrame(3, 7));
});
