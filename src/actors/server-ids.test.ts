import { expect, test } from 'bun:test';
import * as encoding from 'lib0/encoding';
import { seededRandom } from '../base/random.ts';
import { isServerClientId, serverClientId } from './server-ids.ts';

const random = seededRandom(51);
const [DOC, OTHER] = [random.id(), random.id()];

test('no two owners of a document write under the same clientID', () => {
  const ids = Array.from({ length: 10_000 }, (_, epoch) => serverClientId(DOC, epoch));
  expect(new Set(ids).size).toBe(ids.length);
  expect(serverClientId(DOC, 2 ** 24 - 1)).not.toBe(serverClientId(DOC, 0));
});

test('a clientID of some owner of the document is known as such, at every epoch', () => {
  for (const epoch of [0, 1, 77, 2 ** 24 - 1, 2 ** 24, 2 ** 40 + 5])
    expect(isServerClientId(DOC, serverClientId(DOC, epoch))).toBe(true);
  expect(isServerClientId(DOC, serverClientId(DOC, 0) - 1)).toBe(false);
  expect(isServerClientId(DOC, serverClientId(DOC, 2 ** 24 - 1) + 1)).toBe(false);
});

test('a clientID that stock Yjs draws is never one', () => {
  for (const client of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 33]) expect(isServerClientId(DOC, client)).toBe(false);
  for (let i = 0; i < 1_000; i++) expect(isServerClientId(DOC, random.uint32())).toBe(false);
});

test('documents mostly differ in them: text copied over with its structs is seldom taken for a ghost', () => {
  expect(isServerClientId(OTHER, serverClientId(DOC, 1))).toBe(false);
  const alike = Array.from({ length: 2_000 }, () => isServerClientId(random.id(), serverClientId(DOC, 1)));
  expect(alike.filter(Boolean).length).toBeLessThan(20);
});

test('it is a safe integer that takes five bytes as a varint', () => {
  for (let i = 0; i < 200; i++) {
    const id = serverClientId(random.id(), random.uint32());
    expect(Number.isSafeInteger(id)).toBe(true);
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, id);
    expect(encoding.toUint8Array(encoder)).toHaveLength(5);
  }
});
