/** What waits for the disk on a whole node is bounded, whatever each document has of it. */
import { expect, test } from 'bun:test';
import { lockHeads } from '../../test/support/core.ts';
import { CoreWorld } from '../../test/support/core-node.ts';
import { until } from '../../test/support/until.ts';
import { LIMITS } from '../protocol/limits.ts';

const world = new CoreWorld(618);

test(`at node_backlog_bytes_max (${LIMITS.node_backlog_bytes_max}) bytes that wait documents with any of them are read_only, with one fewer they are not`, async () => {
  const { node } = world;
  const doc_id = await world.document();
  await node.write(doc_id, 'a');
  const member = await node.json(doc_id);
  const state = () => member.events.findLast(({ type }) => type === 'status')?.state;
  const lock = await lockHeads(world.db.url, [doc_id]);
  const edit = () => node.edit(doc_id, [{ insert: 'a' }]);
  await edit();
  const bytes = node.journal.backlog_bytes;
  expect(bytes).toBeGreaterThan(0);
  const others = LIMITS.node_backlog_bytes_max - 2 * bytes - 1;
  node.journal.backlog_bytes += others;
  expect([(await edit()).kind, node.journal.backlog_bytes]).toEqual(['applied', LIMITS.node_backlog_bytes_max - 1]);
  expect(state()).toBe('saving');
  node.journal.backlog_bytes += 1 - bytes;
  expect([(await edit()).kind, node.journal.backlog_bytes]).toEqual(['applied', LIMITS.node_backlog_bytes_max]);
  expect(state()).toBe('read_only');
  expect(await edit()).toMatchObject({ kind: 'refused', error: { code: 'UNAVAILABLE' } });
  node.journal.backlog_bytes -= others + 1 - bytes;
  await lock.release();
  await until('everything to be written', () => node.journal.backlog_bytes === 0);
});
