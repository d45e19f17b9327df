/** Three nodes: what becomes of the documents of one that dies, or hangs for longer than the others believe in it. */
import { expect, test } from 'bun:test';
import { until } from '../support/until.ts';
import type { ClusterNode } from './cluster.ts';
import { ClusterWorld, type Company } from './cluster-world.ts';

const DOCUMENTS = 6;
const TAKEN_OVER_WITHIN_MS = 10_000;
/** A node that hangs is believed in for 8 s after its last beat. */
const MISSED_WITHIN_MS = 20_000;

const world = new ClusterWorld(3);

/** The documents that this node has. */
async function ownedBy({ name }: ClusterNode, { doc_ids }: Company): Promise<string[]> {
  const owners = await world.cluster.owners(doc_ids);
  return [...owners].filter(([, owner]) => owner === name).map(([doc_id]) => doc_id);
}

/** Resolves once edits that were made after `since` are acknowledged on all of these documents. */
function flowing({ ledger }: Company, doc_ids: readonly string[], since: number, within_ms: number): Promise<unknown> {
  return until('edits to flow again', () => doc_ids.every((doc_id) => ledger.flowsSince(doc_id, since)), within_ms);
}

test('an owner killed with -9 under load: others take its documents over within 10 s, no other document moves, no acknowledged edit is lost', async () => {
  const { cluster } = world;
  const all = await world.company('killed', DOCUMENTS);
  const victim = cluster.node(0);
  const orphans = await ownedBy(victim, all);
  const others = all.doc_ids.filter((doc_id) => !orphans.includes(doc_id));
  expect(orphans.length).toBeGreaterThan(0);
  const before = await cluster.epochs(others);
  await victim.concord.kill9();
  const killed_at = performance.now();
  await flowing(all, orphans, killed_at, TAKEN_OVER_WITHIN_MS);
  const survivors = cluster.open.map(({ name }) => name);
  for (const [, owner] of await cluster.owners(orphans)) expect(survivors).toContain(owner ?? 'nobody');
  await victim.concord.startAgain();
  victim.concord.letIn();
  await all.ledger.after(200, 'acked');
  expect(await cluster.epochs(others)).toEqual(before);
  // What it had written but not yet told on Redis, when it was killed, only the journal knows.
  await world.expectOneTruth(all, false);
  for (const crowd of all.crowds) crowd.leave();
}, 120_000);

test('an owner that hangs until others have its documents: what it still writes is refused, nothing forks, its clients move', async () => {
  const all = await world.company('hung', DOCUMENTS);
  const victim = world.cluster.node(1);
  const doc_ids = await ownedBy(victim, all);
  expect(doc_ids.length).toBeGreaterThan(0);
  victim.concord.shutOut();
  victim.concord.server.pause();
  const hung_at = performance.now();
  await flowing(all, doc_ids, hung_at, MISSED_WITHIN_MS).finally(() => victim.concord.server.resume());
  await until(
    'the node to find out',
    async () => (await victim.concord.metric('concord_fenced_total')) >= doc_ids.length,
  );
  await all.ledger.after(200, 'acked');
  expect(await ownedBy(victim, all)).toEqual([]);
  victim.concord.letIn();
  await world.expectOneTruth(all);
  for (const crowd of all.crowds) crowd.leave();
}, 120_000);
