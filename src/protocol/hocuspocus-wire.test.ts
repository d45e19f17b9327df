import { describe, expect, test } from 'bun:test';
import { messageFrame, syncFrame, tokenFrame } from '../../test/support/hocuspocus.ts';
import {
  authenticatedFrame,
  closeFrame,
  documentIdOf,
  HOCUSPOCUS,
  isOf,
  isPong,
  isToken,
  named,
  PING_FRAME,
  permissionDeniedFrame,
  readMessage,
  readName,
  syncStatusFrame,
} from './hocuspocus-wire.ts';
import { SYNC, updateFrame } from './yjs-wire.ts';

const NAME = readName(messageFrame('ä\0b', 0), 100);
const read = (frame: Uint8Array) => readMessage(frame.subarray(readName(frame, 100).prefix.length), 2);

describe('a name', () => {
  test('is read and put in front as it was written', () => {
    expect(NAME.text).toBe('ä\0b');
    expect(named(NAME, Uint8Array.of(9))).toEqual(messageFrame('ä\0b', 9));
    expect(documentIdOf(NAME.text)).toBe('ä');
    expect(documentIdOf('plain')).toBe('plain');
    expect(documentIdOf('')).toBe('');
  });

  test('belongs to the frames that begin with it', () => {
    expect(isOf(NAME, messageFrame('ä\0b', 1))).toBe(true);
    for (const other of ['ä\0c', 'ä\0bc', 'ä', '']) expect(isOf(NAME, messageFrame(other, 1))).toBe(false);
    expect(isOf(NAME, Uint8Array.of())).toBe(false);
  });

  test('that is missing, cut off, too long or no UTF-8 throws', () => {
    expect(readName(messageFrame('x'.repeat(100), 0), 100).text).toHaveLength(100);
    expect(() => readName(messageFrame('x'.repeat(101), 0), 100)).toThrow();
    for (const frame of [[], [3, 120, 120], [0xff], [1, 0xff]])
      expect(() => readName(Uint8Array.from(frame), 100)).toThrow();
  });

  test('is not read out of what lies behind a frame in memory', () => {
    const memory = messageFrame('document', 0);
    expect(() => readName(memory.subarray(0, 4), 100)).toThrow();
  });
});

describe('a message', () => {
  test('of each kind is read', () => {
    expect(read(tokenFrame('d', 'secret'))).toEqual({ kind: 'token', token: 'secret' });
    expect(read(messageFrame('d', HOCUSPOCUS.CLOSE))).toEqual({ kind: 'close' });
    expect(read(messageFrame('d', HOCUSPOCUS.QUERY_AWARENESS))).toEqual({ kind: 'query_awareness' });
    expect(read(syncFrame('d', Uint8Array.of(7)))).toEqual({ kind: 'update', update: Uint8Array.of(7), whole: false });
    expect(read(syncFrame('d', Uint8Array.of(7), SYNC.STEP2))).toMatchObject({ kind: 'update', whole: true });
    expect(read(syncFrame('d', Uint8Array.of(0), SYNC.STEP1))).toMatchObject({ kind: 'step1' });
    expect(read(messageFrame('d', 5))).toEqual({ kind: 'unknown', type: 5 });
    expect(read(messageFrame('d', HOCUSPOCUS.AUTH, Uint8Array.of(2)))).toMatchObject({ kind: 'unknown' });
  });

  test('that is empty or cut off throws', () => {
    expect(() => readMessage(Uint8Array.of(), 2)).toThrow();
    expect(() => read(messageFrame('d', HOCUSPOCUS.AUTH, Uint8Array.of(0, 5, 65)))).toThrow();
    expect(() => read(messageFrame('d', HOCUSPOCUS.SYNC, Uint8Array.of(2, 5)))).toThrow();
  });

  test('signs in when it is a token', () => {
    expect(isToken(Uint8Array.of(2, 0, 1, 65))).toBe(true);
    for (const other of [[], [2], [2, 1], [0, 0]]) expect(isToken(Uint8Array.from(other))).toBe(false);
  });
});

test('what the server says has the form that providers read', () => {
  const name = readName(messageFrame('d', 0), 100);
  expect(authenticatedFrame(name, 'readonly')).toEqual(
    Uint8Array.of(1, 100, 2, 2, 8, ...new TextEncoder().encode('readonly')),
  );
  expect(permissionDeniedFrame(name, 'no')).toEqual(Uint8Array.of(1, 100, 2, 1, 2, 110, 111));
  expect(closeFrame(name, 'no')).toEqual(Uint8Array.of(1, 100, 7, 2, 110, 111));
  expect([syncStatusFrame(name, true), syncStatusFrame(name, false)]).toEqual([
    Uint8Array.of(1, 100, 8, 1),
    Uint8Array.of(1, 100, 8, 0),
  ]);
  expect(named(name, updateFrame(Uint8Array.of(7)))).toEqual(syncFrame('d', Uint8Array.of(7)));
  expect(PING_FRAME).toEqual(Uint8Array.of(9));
  expect([isPong(Uint8Array.of(10)), isPong(Uint8Array.of(9)), isPong(Uint8Array.of(10, 0))]).toEqual([
    true,
    false,
    false,
  ]);
});
