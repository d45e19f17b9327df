/** Several nodes that want a document in the same moment. */
import { describe, expect, test } from 'bun:test';
import { blockedBackends, lockHeads, quietLog, seedDocuments } from '../../test/support/core.ts';
import { NotingClock } from '../../test/support/locator-clocks.ts';
import { type LocatorNode, LocatorWorld } from '../../test/support/locator-world.ts';
import { until } from '../../test/support/until.ts';
import { claimHead, type NodeIdentity, readHead } from '../store/heads.ts';
import { connectRedis } from '../store/redis.ts';

const world = new LocatorWorld(600);

const refusal = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'answered',
    (error: unknown) => (error as { code?: string }).code,
  );

describe('races', () => {
  test('two nodes that want two hundred documents end with one owner each, the same one everywhere', async () => {
    const [a, b] = [await world.node('a').live(), await world.node('b').live()];
    const { doc_ids } = await seedDocuments(world.db.sql, 200);
    const order = (node: LocatorNode) => (node === a ? doc_ids : doc_ids.toReversed());
    const found = await Promise.all(
      [a, b].flatMap((node) =>
        order(node).map(async (doc_id) => ({ node, doc_id, ...(await node.locator.claim(doc_id)) })),
      ),
    );
    let claims = 0;
    for (const doc_id of doc_ids) {
      const [winner, ...others] = found.filter((one) => one.doc_id === doc_id && one.kind === 'claimed');
      expect(others).toEqual([]);
      claims += 1;
      const owner = winner?.node.identity;
      const loser = found.find((one) => one.doc_id === doc_id && one.kind !== 'claimed');
      expect(loser).toMatchObject({ kind: 'elsewhere', owner });
      expect(await readHead(world.db.sql, doc_id)).toMatchObject({ epoch: 1, owner });
      expect((await a.directory.read(doc_id)).entry).toEqual({ state: 'owned', epoch: 1, ...(owner as NodeIdentity) });
    }
    expect(claims).toBe(200);
  });

  test('without the directory PostgreSQL alone decides: of two nodes one wins, the other cannot tell and says so', async () => {
    const away = connectRedis('redis://127.0.0.1:1', { name: 'away', kind: 'commands', log: quietLog });
    const [a, b] = [world.node('a', quietLog, away), world.node('b', quietLog, away)];
    const { doc_ids } = await seedDocuments(world.db.sql, 20);
    const codes = await Promise.all(
      doc_ids.flatMap((doc_id) =>
        [a, b].map((node) =>
          node.locator.claim(doc_id).then(
            (one) => one.kind,
            (error: { code: string }) => error.code,
          ),
        ),
      ),
    );
    for (let i = 0; i < doc_ids.length; i++)
      expect(codes.slice(2 * i, 2 * i + 2).toSorted()).toEqual(['UNAVAILABLE', 'claimed']);
    away.disconnect();
  });

  test('a living node that is about to claim is waited for, and then it is there', async () => {
    const clock = new NotingClock();
    const [a, b] = [await world.node('a').live(), await world.node('b', quietLog, world.redis, clock).live()];
    const doc_id = await world.document();
    const lock = await lockHeads(world.db.url, [doc_id]);
    const claiming = a.claim(doc_id);
    await blockedBackends(world.db.sql, 'test');
    expect((await a.directory.read(doc_id)).entry).toMatchObject({ state: 'claiming', node_id: 'a' });
    const asking = b.claim(doc_id);
    await until('B to wait', () => clock.asked.includes(50));
    await lock.release();
    expect((await claiming).kind).toBe('claimed');
    clock.advance(50);
    expect(await asking).toEqual({ kind: 'elsewhere', owner: a.identity });
  });

  test('a node that died while it was about to claim is not waited for', async () => {
    const [a, b, doc_id] = [await world.node('a').live(), await world.node('b').live(), await world.document()];
    await a.directory.replace(doc_id, '', { state: 'claiming', epoch: 0, ...a.identity });
    await world.redis.del('node:a');
    expect(await b.own(doc_id)).toMatchObject({ epoch: 1 });
  });

  test('a claim that PostgreSQL did not answer does not keep other nodes out, though its node lives', async () => {
    const [a, b, doc_id] = [await world.node('a').live(), await world.node('b').live(), await world.document()];
    const lock = await lockHeads(world.db.url, [doc_id]);
    const claiming = a.locator.claim(doc_id).catch((error: unknown) => error);
    const [pid] = await blockedBackends(world.db.sql, 'test');
    await world.db.sql`SELECT pg_terminate_backend(${pid ?? 0})`;
    await lock.release();
    const outcome = await claiming;
    expect(outcome).toBeInstanceOf(Error);
    expect((await b.claim(doc_id)).kind).toBe('claimed');
  });

  test('a node that lost a race leaves no mark behind that keeps third ones out', async () => {
    const [a, b, c] = [await world.node('a').live(), await world.node('b').live(), await world.node('c').live()];
    const doc_id = await world.document();
    const lock = await lockHeads(world.db.url, [doc_id]);
    // B claims without the directory's knowledge, as it does when Redis was away for it.
    const winning = claimHead(world.db.sql, doc_id, 0, b.identity, world.random.id());
    await blockedBackends(world.db.sql, 'test', 1);
    const losing = a.locator.claim(doc_id);
    await blockedBackends(world.db.sql, 'test', 2);
    await lock.release();
    expect(await winning).toMatchObject({ epoch: 1 });
    expect(await losing).toEqual({ kind: 'elsewhere', owner: b.identity });
    expect(a.outcomes).toEqual(['lost_race', 'elsewhere']);
    expect(await c.claim(doc_id)).toEqual({ kind: 'elsewhere', owner: b.identity });
  });

  test('a document that changes hands without end is given up on, as unavailable', async () => {
    const [a, b, doc_id] = [await world.node('a').live(), await world.node('b').live(), await world.document()];
    await a.directory.replace(doc_id, '', { state: 'claiming', epoch: 0, ...a.identity });
    const refused = await refusal(b.locator.claim(doc_id));
    // Either it is given up on, or the mark is found to be stale; never does it take for ever.
    expect(['UNAVAILABLE', 'answered']).toContain(refused as string);
  });
});
