import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import type { Redis } from 'ioredis';
import {
  blockedBackends,
  lockHeads,
  quietLog,
  readableLog,
  seedDocument,
  seedDocuments,
} from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { brisk, NotingClock } from '../../test/support/locator-clocks.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import { until } from '../../test/support/until.ts';
import type { Clock } from '../base/clock.ts';
import { type Random, seededRandom } from '../base/random.ts';
import { TIMES } from '../protocol/limits.ts';
import { ServerChannels } from '../store/channels.ts';
import { nodeChannel, RedisDirectory } from '../store/directory.ts';
import { sqlDocumentStore } from '../store/document-store.ts';
import { claimHead, type NodeIdentity, readHead } from '../store/heads.ts';
import { connectRedis, redisReady } from '../store/redis.ts';
import { type Claim, type Located, Locator } from './locator.ts';

let db: TestDatabase;
let server: TestRedis;
let redis: Redis;
let random: Random;
let seed = 500;
let nodes: Node[] = [];

beforeAll(async () => {
  db = await createTestDatabase();
  server = await startRedis();
  redis = connectRedis(server.url, { name: 'test', kind: 'commands', log: quietLog });
  await redisReady(redis);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
  await db.drop();
});
beforeEach(async () => {
  random = seededRandom(seed++);
  nodes = [];
  await redis.flushall();
});
afterEach(() => {
  for (const node of nodes) node.die();
});

/** A node as far as others can see it: it beats, listens on its channel, and claims. */
class Node {
  readonly identity: NodeIdentity;
  readonly directory: RedisDirectory;
  readonly locator: Locator;
  readonly outcomes: string[] = [];
  #listener: Redis | null = null;

  constructor(node_id: string, log = quietLog, connection = redis, clock: Clock = brisk) {
    this.identity = { node_id, boot_id: random.id() };
    this.directory = new RedisDirectory(connection, new ServerChannels(connection));
    const claimed = (outcome: string): void => void this.outcomes.push(outcome);
    this.locator = new Locator({
      node: this.identity,
      store: sqlDocumentStore(db.sql),
      directory: this.directory,
      clock,
      random,
      log,
      claimed,
    });
    nodes.push(this);
  }

  /** Beats and listens. */
  async live(): Promise<this> {
    await this.directory.beat(this.identity, 600_000);
    this.#listener = connectRedis(server.url, { name: 'listener', kind: 'standing', log: quietLog });
    await this.#listener.subscribe(nodeChannel(this.identity));
    return this;
  }

  /** Is killed: nobody listens any more, while its key still stands. */
  die(): void {
    this.#listener?.disconnect();
    this.#listener = null;
  }

  claim(doc_id: string): Promise<Located> {
    return this.locator.claim(doc_id);
  }

  async own(doc_id: string): Promise<Claim> {
    const located = await this.claim(doc_id);
    if (located.kind !== 'claimed') throw new Error(`the document is ${located.kind}`);
    return located.claim;
  }
}

const refusal = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'answered',
    (error: unknown) => (error as { code?: string }).code,
  );

const document = async (): Promise<string> => (await seedDocument(db.sql)).doc_id;

describe('a document that nobody has', () => {
  test('is claimed at the next epoch, in PostgreSQL and then in the directory', async () => {
    const [a, doc_id] = [await new Node('a').live(), await document()];
    const claim = await a.own(doc_id);
    expect(claim).toMatchObject({ epoch: 1, head_rev: 0 });
    expect((await readHead(db.sql, doc_id))?.owner).toEqual(a.identity);
    expect((await a.directory.read(doc_id)).entry).toEqual({ state: 'owned', epoch: 1, ...a.identity });
    expect(a.outcomes).toEqual(['claimed']);
  });

  test('and does not exist, or is deleted, is absent', async () => {
    const [a, doc_id] = [await new Node('a').live(), await document()];
    await db.sql`UPDATE documents SET deleted = true, deleted_at = now() WHERE id = ${doc_id}`;
    expect(await a.claim(doc_id)).toEqual({ kind: 'absent' });
    expect(await a.claim(random.id())).toEqual({ kind: 'absent' });
    expect((await a.directory.read(doc_id)).entry).toBeNull();
  });

  test('is our own again when we claim it again: only the epoch grows', async () => {
    const [a, doc_id] = [await new Node('a').live(), await document()];
    const [one, two] = [await a.own(doc_id), await a.own(doc_id)];
    expect([one.epoch, two.epoch]).toEqual([1, 2]);
    expect(one.claim_id).not.toBe(two.claim_id);
  });
});

describe('a document that a living node has', () => {
  test('is elsewhere, by the directory alone', async () => {
    const [a, b, doc_id] = [await new Node('a').live(), await new Node('b').live(), await document()];
    await a.own(doc_id);
    expect(await b.claim(doc_id)).toEqual({ kind: 'elsewhere', owner: a.identity });
    expect(b.outcomes).toEqual(['elsewhere']);
    expect((await readHead(db.sql, doc_id))?.epoch).toBe(1);
  });

  test('stays where it is when Redis loses everything, for all documents', async () => {
    const [a, b] = [await new Node('a').live(), await new Node('b').live()];
    const { doc_ids } = await seedDocuments(db.sql, 10);
    for (const doc_id of doc_ids) await a.own(doc_id);
    await redis.flushall();
    // Both nodes beat again in their own time; B asks first.
    const asking = Promise.all(doc_ids.map((doc_id) => b.locator.claim(doc_id)));
    await b.directory.beat(b.identity, 600_000);
    await a.directory.beat(a.identity, 600_000);
    expect(await asking).toEqual(doc_ids.map(() => ({ kind: 'elsewhere', owner: a.identity })));
    for (const doc_id of doc_ids) expect((await readHead(db.sql, doc_id))?.epoch).toBe(1);
  });

  for (const [whose, ours] of [
    ['when our own beat is missing too', false],
    ['though our own is there again already', true],
  ] as const)
    test(`is given the time of its next beat, ${whose}`, async () => {
      const clock = new NotingClock();
      const [a, b] = [await new Node('a').live(), await new Node('b', quietLog, redis, clock).live()];
      const doc_id = await document();
      await a.own(doc_id);
      await redis.flushall();
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
    const [a, b] = [await new Node('a').live(), await new Node('b', quietLog, redis, clock).live()];
    const doc_id = await document();
    await a.own(doc_id);
    await redis.flushall();
    const asking = b.claim(doc_id);
    const wait_ms = TIMES.node_beat_ms * 1.5;
    const waits = (): number => clock.asked.filter((asked) => asked === wait_ms).length;
    await until('B to wait', () => waits() === 1);
    await redis.flushall();
    clock.advance(wait_ms);
    await until('B to wait again', () => waits() === 2);
    await a.directory.beat(a.identity, 600_000);
    clock.advance(wait_ms);
    expect(await asking).toEqual({ kind: 'elsewhere', owner: a.identity });
  });

  test('is still its own when nobody listens on its channel at the first look', async () => {
    const clock = new NotingClock();
    const [a, b] = [await new Node('a').live(), await new Node('b', quietLog, redis, clock).live()];
    const doc_id = await document();
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
  const ways: [string, (owner: Node) => Promise<unknown>][] = [
    ['its key ran out', (owner) => redis.del(`node:${owner.identity.node_id}`)],
    ['its node was started again', (owner) => new Node(owner.identity.node_id).live()],
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
      const [a, b, doc_id] = [await new Node('a').live(), await new Node('b', log).live(), await document()];
      await a.own(doc_id);
      await end(a);
      expect(await b.own(doc_id)).toMatchObject({ epoch: 2 });
      expect(b.outcomes).toEqual(['taken_over']);
      expect((await readHead(db.sql, doc_id))?.owner).toEqual(b.identity);
      expect((await b.directory.read(doc_id)).entry).toEqual({ state: 'owned', epoch: 2, ...b.identity });
      expect(lines()).toMatchObject([{ level: 'warn', doc_id, epoch: 2, from_node: 'a' }]);
    });

    test(`${how}, and the directory knows of no document any more`, async () => {
      const [a, b, doc_id] = [await new Node('a').live(), await new Node('b').live(), await document()];
      await a.own(doc_id);
      await end(a);
      await redis.del(`actor:${doc_id}`);
      expect(await b.own(doc_id)).toMatchObject({ epoch: 2 });
    });
  }
});

describe('races', () => {
  test('two nodes that want two hundred documents end with one owner each, the same one everywhere', async () => {
    const [a, b] = [await new Node('a').live(), await new Node('b').live()];
    const { doc_ids } = await seedDocuments(db.sql, 200);
    const order = (node: Node) => (node === a ? doc_ids : doc_ids.toReversed());
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
      expect(await readHead(db.sql, doc_id)).toMatchObject({ epoch: 1, owner });
      expect((await a.directory.read(doc_id)).entry).toEqual({ state: 'owned', epoch: 1, ...(owner as NodeIdentity) });
    }
    expect(claims).toBe(200);
  });

  test('without the directory PostgreSQL alone decides: of two nodes one wins, the other cannot tell and says so', async () => {
    const away = connectRedis('redis://127.0.0.1:1', { name: 'away', kind: 'commands', log: quietLog });
    const [a, b] = [new Node('a', quietLog, away), new Node('b', quietLog, away)];
    const { doc_ids } = await seedDocuments(db.sql, 20);
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
    const [a, b] = [await new Node('a').live(), await new Node('b', quietLog, redis, clock).live()];
    const doc_id = await document();
    const lock = await lockHeads(db.url, [doc_id]);
    const claiming = a.claim(doc_id);
    await blockedBackends(db.sql, 'test');
    expect((await a.directory.read(doc_id)).entry).toMatchObject({ state: 'claiming', node_id: 'a' });
    const asking = b.claim(doc_id);
    await until('B to wait', () => clock.asked.includes(50));
    await lock.release();
    expect((await claiming).kind).toBe('claimed');
    clock.advance(50);
    expect(await asking).toEqual({ kind: 'elsewhere', owner: a.identity });
  });

  test('a node that died while it was about to claim is not waited for', async () => {
    const [a, b, doc_id] = [await new Node('a').live(), await new Node('b').live(), await document()];
    await a.directory.replace(doc_id, '', { state: 'claiming', epoch: 0, ...a.identity });
    await redis.del('node:a');
    expect(await b.own(doc_id)).toMatchObject({ epoch: 1 });
  });

  test('a claim that PostgreSQL did not answer does not keep other nodes out, though its node lives', async () => {
    const [a, b, doc_id] = [await new Node('a').live(), await new Node('b').live(), await document()];
    const lock = await lockHeads(db.url, [doc_id]);
    const claiming = a.locator.claim(doc_id).catch((error: unknown) => error);
    const [pid] = await blockedBackends(db.sql, 'test');
    await db.sql`SELECT pg_terminate_backend(${pid ?? 0})`;
    await lock.release();
    const outcome = await claiming;
    expect(outcome).toBeInstanceOf(Error);
    expect((await b.claim(doc_id)).kind).toBe('claimed');
  });

  test('a node that lost a race leaves no mark behind that keeps third ones out', async () => {
    const [a, b, c] = [await new Node('a').live(), await new Node('b').live(), await new Node('c').live()];
    const doc_id = await document();
    const lock = await lockHeads(db.url, [doc_id]);
    // B claims without the directory's knowledge, as it does when Redis was away for it.
    const winning = claimHead(db.sql, doc_id, 0, b.identity, random.id());
    await blockedBackends(db.sql, 'test', 1);
    const losing = a.locator.claim(doc_id);
    await blockedBackends(db.sql, 'test', 2);
    await lock.release();
    expect(await winning).toMatchObject({ epoch: 1 });
    expect(await losing).toEqual({ kind: 'elsewhere', owner: b.identity });
    expect(a.outcomes).toEqual(['lost_race', 'elsewhere']);
    expect(await c.claim(doc_id)).toEqual({ kind: 'elsewhere', owner: b.identity });
  });

  test('a document that changes hands without end is given up on, as unavailable', async () => {
    const [a, b, doc_id] = [await new Node('a').live(), await new Node('b').live(), await document()];
    await a.directory.replace(doc_id, '', { state: 'claiming', epoch: 0, ...a.identity });
    const refused = await refusal(b.locator.claim(doc_id));
    // Either it is given up on, or the mark is found to be stale; never does it take for ever.
    expect(['UNAVAILABLE', 'answered']).toContain(refused as string);
  });
});

describe('release', () => {
  test('frees the document in PostgreSQL and in the directory', async () => {
    const [a, b, doc_id] = [await new Node('a').live(), await new Node('b').live(), await document()];
    await a.locator.release(doc_id, await a.own(doc_id));
    expect((await readHead(db.sql, doc_id))?.owner).toBeNull();
    expect((await a.directory.read(doc_id)).entry).toBeNull();
    expect(await b.own(doc_id)).toMatchObject({ epoch: 2 });
    expect(b.outcomes).toEqual(['claimed']);
  });

  test('takes nothing from another node that has the document by now', async () => {
    const [a, b, doc_id] = [await new Node('a').live(), await new Node('b').live(), await document()];
    const claim = await a.own(doc_id);
    await redis.del('node:a');
    await b.own(doc_id);
    await a.locator.release(doc_id, claim);
    expect((await readHead(db.sql, doc_id))?.owner).toEqual(b.identity);
    expect((await a.directory.read(doc_id)).entry).toMatchObject({ node_id: 'b' });
  });

  test('works without the directory', async () => {
    const away = connectRedis('redis://127.0.0.1:1', { name: 'away', kind: 'commands', log: quietLog });
    const [a, doc_id] = [new Node('a', quietLog, away), await document()];
    await a.locator.release(doc_id, await a.own(doc_id));
    expect((await readHead(db.sql, doc_id))?.owner).toBeNull();
    away.disconnect();
  });
});

describe('when something is away', () => {
  test("without Redis a document that nobody has is claimed, our own is ours, another's is unavailable", async () => {
    const [b, mine, theirs, free] = [await new Node('b').live(), await document(), await document(), await document()];
    await b.own(theirs);
    const away = connectRedis('redis://127.0.0.1:1', { name: 'away', kind: 'commands', log: quietLog });
    const a = new Node('a', quietLog, away);
    expect(await a.own(free)).toMatchObject({ epoch: 1 });
    expect(await a.own(mine)).toMatchObject({ epoch: 1 });
    expect(await a.own(mine)).toMatchObject({ epoch: 2 });
    expect(await refusal(a.locator.claim(theirs))).toBe('UNAVAILABLE');
    expect((await readHead(db.sql, theirs))?.epoch).toBe(1);
    away.disconnect();
  });

  test(`PostgreSQL that does not answer for ${TIMES.claim_timeout_ms} ms makes it unavailable, at each of its statements`, async () => {
    const clock = new NotingClock();
    const [a, doc_id] = [await new Node('a', quietLog, redis, clock).live(), await document()];
    const lock = await lockHeads(db.url, [doc_id]);
    let answer: unknown = 'still waiting';
    const claiming = refusal(a.claim(doc_id)).then((code) => {
      answer = code;
    });
    await blockedBackends(db.sql, 'test');
    clock.advance(TIMES.claim_timeout_ms);
    await until('the answer', () => answer !== 'still waiting', 1_000).catch(() => {});
    const seen = answer;
    await lock.release();
    await claiming;
    expect(seen).toBe('UNAVAILABLE');
    // The statement that was given up on takes effect after all; a claim that overtakes it would lose the race, and wait.
    await until('the late claim', async () => (await readHead(db.sql, doc_id))?.epoch === 1);
    expect((await a.own(doc_id)).epoch).toBe(2);
  });
});
