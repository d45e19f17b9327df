/** What a gateway missed, told again by the owner, and what is too much to be told. */
import { expect, test } from 'bun:test';
import { CoreWorld } from '../../test/support/core-node.ts';
import { LIMITS } from '../protocol/limits.ts';
import { sqlDocumentStore } from '../store/document-store.ts';
import { replayAfter } from './replay.ts';

const MAX = LIMITS.replay_bytes_max;

const world = new CoreWorld(7_900);

test(`edits of replay_bytes_max (${MAX}) bytes together are told again; with one byte more everybody starts over`, async () => {
  const doc_id = await world.document();
  const store = sqlDocumentStore(world.db.sql);
  await world.node.write(doc_id, 'x'.repeat(MAX / 2 - 1_024));
  const { runtime } = await world.node.write(doc_id, 'y');
  const told = async (after: number) => (await replayAfter(store, runtime, after))?.edits.length;
  // JSON may have any number of spaces behind it.
  const grow = (to_bytes: number) => world.db.sql`
    UPDATE document_updates SET delta = delta || repeat(' ', ${to_bytes} - (
      SELECT sum(octet_length(update) + octet_length(delta))::int FROM document_updates WHERE doc_id = ${doc_id}
    )) WHERE doc_id = ${doc_id} AND rev = 2`;
  await grow(MAX);
  expect([await told(0), await told(1), await told(2)]).toEqual([2, 1, 0]);
  await grow(MAX + 1);
  expect([await told(0), await told(1)]).toEqual([undefined, 1]);
});

test('edits that are not on disk yet count as well', async () => {
  const doc_id = await world.document();
  const store = sqlDocumentStore(world.db.sql);
  const { runtime } = await world.node.registry.open(doc_id);
  await world.node.edit(doc_id, [{ insert: 'x'.repeat(MAX / 2) }]);
  expect(await replayAfter(store, runtime, 0)).toBeNull();
  await runtime.durable(1);
  expect(await replayAfter(store, runtime, 0)).toBeNull();
});
