/** Where a document is, and who may have it. */
import { describe, expect, test } from 'bun:test';
import { blockedBackends, lockHeads, quietLog, readableLog, seedDocuments } from '../../test/support/core.ts';
import { NotingClock } from '../../test/support/locator-clocks.ts';
import { type LocatorNode, LocatorWorld } from '../../test/support/locator-world.ts';
import { until } from '../../test/support/until.ts';
import { TIMES } from '../protocol/limits.ts';
import { readHead } from '../store/heads.ts';
import { connectRedis } from '../store/redis.ts';
import type { Located } from './locator.ts';

const world = new LocatorWorld(500);

const refusal = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'answered',
    (error: unknown) => (error as { code?: string }).code,
  );

describe('a document that nobody has', () => {
  test('is claimed at the next epoch, in PostgreSQL and then in the directory', async () => {
    const [a, doc_id] = [await world.node('a').live(), await world.document()];
    const claim = await a.own(doc_id);
    expect(claim).toMatchObject({ epoch: 1, head_rev: 0 });
    expect((await readHead(world.db.sql, doc_id))?.owner).toEqual(a.identity);
    expect((await a.directory.read(doc_id)).entry).toEqual({ state: 'owned', epoch: 1, ...a.identity });
    expect(a.outcomes).toEqual(['claimed']);
  });

  test('and does not exist, or is deleted, is absent', async () => {
    const [a, doc_id] = [await world.node('a').live(), await world.document()];
    await world.db.sql`UPDATE documents SET deleted = true, deleted_at = now() WHERE id = ${doc_id}`;
    expect(await a.claim(doc_id)).toEqual({ kind: 'absent' });
    expect(await a.claim(world.random.id())).toEqual({ kind: 'absent' });
    expect((await a.directory.read(doc_id)).entry).toBeNull();
  });

  test('is our own again when we claim it again: only the epoch grows', async () => {
    const [a, doc_id] = [await world.node('a').live(), await world.document()];
    const [one, two] = [await a.own(doc_id), await a.own(doc_id)];
    expect([one.epoch, two.epoch]).toEqual([1, 2]);
    expect(one.claim_id).not.toBe(two.claim_id);
  });
});

describe('a document that a living node has', () => {
  test('is elsewhere, by the directory alone', async () => {
    const [a, b, doc_id] = [await world.node('a').live(), await world.node('b').live(), await world.document()];
    await a.own(doc_id);
    expect(await b.claim(doc_id)).toEqual({ kind: 'elsewhere', owner: a.identity });
    expect(b.outcomes).toEqual(['elsewhere']);
    expect((await readHead(world.db.sql, doc_id))?.epoch).toBe(1);
  });

  test('stays where it is when Redis loses everything, for all documents', async () => {
    const [a, b] = [await world.node('a').live(), await world.node('b').live()];
    const { doc_ids } = await seedDocuments(world.db.sql, 10);
    for (const doc_id of doc_ids) await a.own(doc_id);
    await world.redis.flushall();
    // Both nodes beat again in their own time; B asks first.
    const asking = Promise.all(doc_ids.map((doc_id) => b.locator.claim(doc_id)));
    await b.directory.beat(b.identity, 600_000);
    await a.directory.beat(a.identity, 600_000);
    expect(await asking).toEqual(doc_ids.map(() => ({ kind: 'elsewhere', owner: a.identity })));
    for (const doc_id of doc_ids) expect((await readHead(world.db.sql, doc_id))?.epoch).toBe(1);
  });

  for (const [whose, ours] of [
    ['when our own beat is missing too', false],
    ['though our own is there again already', true],
  ] as const)
    test(`is given the time of its next beat, ${whose}`, async () => {
      const clock = new NotingClock();
      const [a, b] = [await world.node('a').live(), await world.node('b', quietLog, world.redis, clock).live()];
      const doc_id = await world.document();
      await a.own(doc_id);
      await world.redis.flushall();
      if (ours) await b.directory.beat(b.identity, 600_000);
      let located: Located | null = null;
      const asking = b.claim(doc_id).then((found) => {
        located = found;
      });
      const wait_ms = TIMES.node_beat_ms * 1.5;
      await until('B to wait', () => clock.asked.includes(wait_ms));
      clock.advance(wait_ms - 1);
      await a.directory.beat(a.identity, 600_000);
      expect(located).toBeNull();
      clock.advance(1);
      await asking;
      expect(located as Located | null).toEqual({ kind: 'elsewhere', owner: a.identity });
    });

  test('is given that time anew when Redis loses everything again in it', async () => {
    const clock = new NotingClock();
    const [a, b] = [await world.node('a').live(), await world.node('b', quietLog, world.redis, clock).live()];
    const doc_id = await world.document();
    await a.own(doc_id);
    await world.redis.flushall();
    const asking = b.claim(doc_id);
    const wait_ms = TIMES.node_beat_ms * 1.5;
    const waits = (): number => clock.asked.filter((asked) => asked === wait_ms).length;
    await until('B to wait', () => waits() === 1);
    await world.redis.flushall();
    clock.advance(wait_ms);
    await until('B to wait again', () => waits() === 2);
    await a.directory.beat(a.identity, 600_000);
    clock.advance(wait_ms);
    expect(await asking).toEqual({ kind: 'elsewhere', owner: a.identity });
  });

  test('is still its own when nobody listens on its channel at the first look', async () => {
    const clock = new NotingClock();
    const [a, b] = [await world.node('a').live(), await world.node('b', quietLog, world.redis, clock).live()];
    const doc_id = await world.document();
    await a.own(doc_id);
    a.die();
    await until('nobody to listen', async () => (await a.directory.listening(a.identity)) === 0);
    const asking = b.claim(doc_id);
    await until('B to wait for a second look', () => clock.asked.includes(300));
    await a.live();
    clock.advance(300);
    expect(await asking).toEqual({ kind: 'elsewhere', owner: a.identity });
  });
});

describe('a document whose owner is gone is taken over', () => {
  const ways: [string, (owner: LocatorNode) => Promise<unknown>][] = [
    ['its key ran out', (owner) => world.redis.del(`node:${owner.identity.node_id}`)],
    ['its node was started again', (owner) => world.node(owner.identity.node_id).live()],
    [
      'it was killed a moment ago and nobody listens on its channel',
      async (owner) => {
        owner.die();
        await until('nobody to listen', async () => (await owner.directory.listening(owner.identity)) === 0);
      },
    ],
  ];
  for (const [how, end] of ways) {
    test(how, async () => {
      const { log, lines } = readableLog();
      const [a, b, doc_id] = [await world.node('a').live(), await world.node('b', log).live(), await world.document()];
      await a.own(doc_id);
      await end(a);
      expect(await b.own(doc_id)).toMatchObject({ epoch: 2 });
      expect(b.outcomes).toEqual(['taken_over']);
      expect((await readHead(world.db.sql, doc_id))?.owner).toEqual(b.identity);
      expect((await b.directory.read(doc_id)).entry).toEqual({ state: 'owned', epoch: 2, ...b.identity });
      expect(lines()).toMatchObject([{ level: 'warn', doc_id, epoch: 2, from_node: 'a' }]);
    });

    test(`${how}, and the directory knows of no document any more`, async () => {
      const [a, b, doc_id] = [await world.node('a').live(), await world.node('b').live(), await world.document()];
      await a.own(doc_id);
      await end(a);
      await world.redis.del(`actor:${doc_id}`);
      expect(await b.own(doc_id)).toMatchObject({ epoch: 2 });
    });
  }
});

describe('release', () => {
  test('frees the document in PostgreSQL and in the directory', async () => {
    const [a, b, doc_id] = [await world.node('a').live(), await world.node('b').live(), await world.document()];
    await a.locator.release(doc_id, await a.own(doc_id));
    expect((await readHead(world.db.sql, doc_id))?.owner).toBeNull();
    expect((await a.directory.read(doc_id)).entry).toBeNull();
    expect(await b.own(doc_id)).toMatchObject({ epoch: 2 });
    expect(b.outcomes).toEqual(['claimed']);
  });

  test('takes nothing from another node that has the document by now', async () => {
    const [a, b, doc_id] = [await world.node('a').live(), await world.node('b').live(), await world.document()];
    const claim = await a.own(doc_id);
    await world.redis.del('node:a');
    await b.own(doc_id);
    await a.locator.release(doc_id, claim);
    expect((await readHead(world.db.sql, doc_id))?.owner).toEqual(b.identity);
    expect((await a.directory.read(doc_id)).entry).toMatchObject({ node_id: 'b' });
  });

  test('works without the directory', async () => {
    const away = connectRedis('redis://127.0.0.1:1', { name: 'away', kind: 'commands', log: quietLog });
    const [a, doc_id] = [world.node('a', quietLog, away), await world.document()];
    await a.locator.release(doc_id, await a.own(doc_id));
    expect((await readHead(world.db.sql, doc_id))?.owner).toBeNull();
    away.disconnect();
  });
});

describe('when something is away', () => {
  test("without Redis a document that nobody has is claimed, our own is ours, another's is unavailable", async () => {
    const [b, mine, theirs, free] = [
      await world.node('b').live(),
      await world.document(),
      await world.document(),
      await world.document(),
    ];
    await b.own(theirs);
    const away = connectRedis('redis://127.0.0.1:1', { name: 'away', kind: 'commands', log: quietLog });
    const a = world.node('a', quietLog, away);
    expect(await a.own(free)).toMatchObject({ epoch: 1 });
    expect(await a.own(mine)).toMatchObject({ epoch: 1 });
    expect(await a.own(mine)).toMatchObject({ epoch: 2 });
    expect(await refusal(a.locator.claim(theirs))).toBe('UNAVAILABLE');
    expect((await readHead(world.db.sql, theirs))?.epoch).toBe(1);
    away.disconnect();
  });

  test(`PostgreSQL that does not answer for ${TIMES.claim_timeout_ms} ms makes it unavailable, at each of its statements`, async () => {
    const clock = new NotingClock();
    const [a, doc_id] = [await world.node('a', quietLog, world.redis, clock).live(), await world.document()];
    const lock = await lockHeads(world.db.url, [doc_id]);
    let answer: unknown = 'still waiting';
    const claiming = refusal(a.claim(doc_id)).then((code) => {
      answer = code;
    });
    await blockedBackends(world.db.sql, 'test');
    clock.advance(TIMES.claim_timeout_ms);
    await until('the answer', () => answer !== 'still waiting', 1_000).catch(() => {});
    const seen = answer;
    await lock.release();
    await claiming;
    expect(seen).toBe('UNAVAILABLE');
    // The statement that was given up on takes effect after all; a claim that overtakes it would lose the race, and wait.
    await until('the late claim', async () => (await readHead(world.db.sql, doc_id))?.epoch === 1);
    expect((await a.own(doc_id)).epoch).toBe(2);
  });
});
