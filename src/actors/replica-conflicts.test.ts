/** Updates that ask for much more work than they have bytes. */
import { expect, test } from 'bun:test';
import * as encoding from 'lib0/encoding';
import { LIMITS } from '../protocol/limits.ts';
import { EMPTY_STATE, Replica } from './replica.ts';
import { serverClientId } from './server-ids.ts';

const DOC_ID = '01a00000-0000-7000-8000-00000000c0de';

/** `count` characters of one client, each inserted at the start of the text as if nothing else were there. */
function atTheStart(client: number, count: number): Uint8Array {
  const encoder = encoding.createEncoder();
  for (const number of [1, count, client, 0]) encoding.writeVarUint(encoder, number);
  for (let i = 0; i < count; i++) {
    encoding.writeUint8(encoder, 4); // a string without neighbours
    encoding.writeVarUint(encoder, 1); // in a root
    encoding.writeVarString(encoder, 'content');
    encoding.writeVarString(encoder, 'x');
  }
  encoding.writeVarUint(encoder, 0); // nothing is deleted
  return encoding.toUint8Array(encoder);
}

const open = (): Replica => new Replica(DOC_ID, serverClientId(DOC_ID, 1), EMPTY_STATE, []);

test('people who inserted at one place without knowing of each other are merged', () => {
  const replica = open();
  for (const client of [1, 2, 3])
    expect(replica.applyUpdates([atTheStart(client, 300)])).toMatchObject({ malformed: false });
  expect(replica.ops()).toEqual([{ insert: 'x'.repeat(900) }]);
});

test(`an update that asks for over yjs_conflicts_max (${LIMITS.yjs_conflicts_max}) steps is refused, and nothing of it stays`, () => {
  const replica = open();
  // Each of the second's characters goes past all of the first's.
  const side = Math.ceil(Math.sqrt(LIMITS.yjs_conflicts_max)) + 1;
  expect(replica.applyUpdates([atTheStart(1, side)])).toMatchObject({ kind: 'changed', malformed: false });
  const before = replica.state();
  expect(replica.applyUpdates([atTheStart(2, side)])).toMatchObject({ kind: 'nothing', malformed: true });
  expect(replica.state()).toEqual(before);
  expect(replica.ops()).toEqual([{ insert: 'x'.repeat(side) }]);
});
