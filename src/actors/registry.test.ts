import { describe, expect, test } from 'bun:test';
import { blockedBackends, first, lockHeads, quietLog, readableLog, seedDocuments } from '../../test/support/core.ts';
import { CoreWorld, refusal, turn } from '../../test/support/core-node.ts';
import { until } from '../../test/support/until.ts';
import { TIMES } from '../protocol/limits.ts';
import { claimHead, readHead } from '../store/heads.ts';
import { connectRedis } from '../store/redis.ts';

const world = new CoreWorld(600);
const textOf = (open: { runtime: { replica: { ops(): unknown } } }): unknown => open.runtime.replica.ops();

describe('opening', () => {
  test('a document is claimed once, however many ask for it at once', async () => {
    const doc_id = await world.document();
    const opened = await Promise.all(Array.from({ length: 20 }, () => world.node.registry.open(doc_id)));
    expect(new Set(opened.map(({ runtime }) => runtime)).size).toBe(1);
    expect(await readHead(world.db.sql, doc_id)).toMatchObject({ epoch: 1, owner: world.node.identity });
    expect(world.node.counted.open).toBe(1);
    expect(world.node.registry.peek(doc_id)).toBe(first(opened).document);
    expect(world.present(doc_id).state).toBe('owned idle clean held');
  });

  test('a document that does not exist is not found, and leaves nothing behind', async () => {
    expect(await refusal(world.node.registry.open(world.node.random.id()))).toEqual(['NOT_FOUND', undefined]);
    expect([world.node.counted.open, [...world.node.registry.documents()]]).toEqual([0, []]);
  });

  test('a document of another living node is unavailable here', async () => {
    const [other, doc_id] = [world.makeNode(), await world.document()];
    await other.registry.open(doc_id);
    await other.directory.beat(other.identity, 60_000);
    const listener = connectRedis(world.server.url, { name: 'listener', kind: 'standing', log: quietLog });
    await listener.subscribe(`node:${other.identity.node_id}:${other.identity.boot_id}`);
    expect(await refusal(world.node.registry.open(doc_id))).toEqual(['UNAVAILABLE', 1]);
    expect(world.node.registry.peek(doc_id)).toBeNull();
    listener.disconnect();
  });

  test('a document whose journal has a hole is not served', async () => {
    const { log, lines } = readableLog();
    const careful = world.makeNode({ log });
    const doc_id = await world.document();
    await world.db.sql`UPDATE document_heads SET head_rev = 2 WHERE doc_id = ${doc_id}`;
    expect(await refusal(careful.registry.open(doc_id))).toEqual(['UNAVAILABLE', expect.any(Number) as unknown]);
    expect(JSON.stringify(lines())).toContain('has 0 revisions after 0, but its head is 2');
    expect(await world.owner(doc_id)).toBeNull();
    await world.db.sql`UPDATE document_heads SET head_rev = 0 WHERE doc_id = ${doc_id}`;
  });
});

describe('a document that nobody is connected to', () => {
  test(`leaves memory after ${TIMES.passivate_after_ms} ms, not before, and is given up with all it had`, async () => {
    const doc_id = await world.document();
    await world.node.write(doc_id, 'kept');
    world.node.hand.advance(TIMES.passivate_after_ms - 1);
    expect(world.present(doc_id).state).toBe('owned idle clean held');
    world.node.hand.advance(1);
    expect(world.node.registry.peek(doc_id)).toBeNull();
    await until('it to be given up', async () => (await world.owner(doc_id)) === null);
    await until('it to be gone', () => world.node.counted.open === 0);
    expect(world.node.due).toEqual([doc_id]);
    expect(textOf(await world.node.registry.open(doc_id))).toEqual([{ insert: 'kept' }]);
    expect((await readHead(world.db.sql, doc_id))?.epoch).toBe(2);
  });

  test('stays while somebody is connected, and goes that long after the last one left', async () => {
    const doc_id = await world.document();
    const member = await world.node.json(doc_id);
    expect(world.present(doc_id).state).toBe('owned active clean held');
    world.node.hand.advance(TIMES.passivate_after_ms * 3);
    expect(world.node.registry.peek(doc_id)).not.toBeNull();
    await world.node.push(world.present(doc_id), { kind: 'leave', member });
    world.node.hand.advance(TIMES.passivate_after_ms - 1);
    expect(world.present(doc_id).state).toBe('owned idle clean held');
    world.node.hand.advance(1);
    await until('it to be given up', async () => (await world.owner(doc_id)) === null);
  });

  test('stays while something waits for the disk', async () => {
    const doc_id = await world.document();
    const soon = world.makeNode({ passivate_after_ms: 1_000 });
    const { document: open } = await soon.registry.open(doc_id);
    const lock = await lockHeads(world.db.url, [doc_id]);
    await soon.edit(doc_id, [{ insert: 'waiting' }]);
    soon.hand.advance(1_000);
    expect(open.state).toContain('owned idle');
    await lock.release();
    await until('it to be written', () => soon.journal.backlog().revs === 0);
    soon.hand.advance(1_000);
    await until('it to be given up', async () => (await world.owner(doc_id)) === null);
  });

  test('and is joined while it leaves: the join waits and gets a fresh one, with everything in it', async () => {
    const doc_id = await world.document();
    const { runtime: before } = await world.node.write(doc_id, 'kept');
    const lock = await lockHeads(world.db.url, [doc_id]);
    world.node.hand.advance(TIMES.passivate_after_ms);
    expect(world.present(doc_id).state).toBe('draining');
    expect(world.present(doc_id).push({ kind: 'role', user_id: 'nobody', role: null })).toBe(false);
    const joining = Promise.all([world.node.registry.open(doc_id), world.node.registry.open(doc_id)]);
    await blockedBackends(world.db.sql, 'test');
    await lock.release();
    const [one, two] = await joining;
    expect(one.runtime).toBe(two.runtime);
    expect(one.runtime).not.toBe(before);
    expect(textOf(one)).toEqual([{ insert: 'kept' }]);
    expect(await readHead(world.db.sql, doc_id)).toMatchObject({ epoch: 2, owner: world.node.identity });
  });
});

describe('a document that crashes', () => {
  /** Has its next turn throw, by a member that cannot be told anything. */
  async function crash(doc_id: string): Promise<void> {
    const { document: open } = await world.node.registry.open(doc_id);
    const poison = await world.node.yjs(doc_id);
    poison.send = () => {
      throw new Error('a bug');
    };
    open.push({ kind: 'query_awareness', member: poison });
    await open.ended;
    // It is given up behind that; whoever comes in the middle of it only waits a moment longer.
    await until('it to be given up', async () => (await world.node.directory.read(doc_id)).entry === null);
  }

  test('closes its sockets with 1012, forgets what was not written, and opens again with what was', async () => {
    const doc_id = await world.document();
    await world.node.write(doc_id, 'written ');
    const member = await world.node.json(doc_id);
    await crash(doc_id);
    expect(member.closed).toMatchObject({ code: 1012 });
    expect(world.node.counted).toMatchObject({ crashed: 1, open: 0 });
    await until('it to be given up', async () => (await world.owner(doc_id)) === null);
    const again = await world.node.registry.open(doc_id);
    expect(textOf(again)).toEqual([{ insert: 'written ' }]);
    expect(again.runtime.ledger.epoch).toBe(2);
  });

  test('refuses what waited in its mailbox', async () => {
    const doc_id = await world.document();
    const { document: open } = await world.node.registry.open(doc_id);
    const poison = await world.node.yjs(doc_id);
    poison.send = () => {
      throw new Error('a bug');
    };
    const codes: string[] = [];
    const outcome = {
      applied: () => codes.push('applied'),
      refused: (error: { code: string }) => codes.push(error.code),
    };
    const edit = {
      user_id: 'u',
      client_id: 'c',
      seq: null,
      base_rev: null,
      delta: [{ insert: 'x' }],
      door: 'rest' as const,
    };
    open.push({ kind: 'query_awareness', member: poison });
    await Promise.resolve();
    await turn();
    if (open.push({ kind: 'edit', author: null, edit, outcome })) await until('an answer', () => codes.length > 0);
    expect(codes.filter((code) => code === 'applied')).toEqual([]);
    await open.ended;
  });

  test('while it is given up works off nothing more of what waits', async () => {
    const doc_id = await world.document();
    const { document: open, runtime } = await world.node.registry.open(doc_id);
    const member = await world.node.yjs(doc_id);
    let turns = 0;
    runtime.turn = () => {
      turns += 1;
      throw new Error('a bug');
    };
    for (let entries = 0; entries < 1_025; entries++) open.push({ kind: 'query_awareness', member });
    expect((await open.drain()).kind).toBe('failed');
    expect(turns).toBe(1);
  });

  test('three times within a minute rests for a minute, and only that one', async () => {
    const [doc_id, well] = [await world.document(), await world.document()];
    for (let times = 0; times < 3; times++) {
      await crash(doc_id);
      world.node.hand.advance(10_000);
    }
    expect(await refusal(world.node.registry.open(doc_id))).toEqual(['UNAVAILABLE', 60]);
    expect((await world.node.registry.open(well)).runtime).toBeDefined();
    world.node.hand.advance(30_000 - 1);
    expect(await refusal(world.node.registry.open(doc_id))).toEqual(['UNAVAILABLE', 60]);
    world.node.hand.advance(1);
    expect((await world.node.registry.open(doc_id)).runtime).toBeDefined();
  });

  test('twice within a minute, or seldom, is simply opened again', async () => {
    const doc_id = await world.document();
    for (let times = 0; times < 5; times++) {
      await crash(doc_id);
      world.node.hand.advance(30_001);
    }
    expect((await world.node.registry.open(doc_id)).runtime).toBeDefined();
  });

  test('because PostgreSQL refuses its rows goes out of service alone', async () => {
    const [doc_id, well] = [await world.document(), await world.document()];
    const member = await world.node.json(doc_id);
    const { runtime } = await world.node.registry.open(doc_id);
    await world.node.write(well, 'well');
    runtime.ledger.append({
      ...{ rev: 1, user_id: 'not a uuid', client_id: world.node.random.id(), seq: null, at: 0 },
      ...{ update: new Uint8Array(2), delta: '[]' },
    });
    await until('its sockets to be closed', () => member.closed !== null);
    expect(member.closed).toMatchObject({ code: 1012 });
    expect(world.node.registry.peek(well)).not.toBeNull();
    expect(world.node.journal.backlog().revs).toBe(0);
  });
});

describe('a document that somebody else took', () => {
  const rival = { node_id: 'rival', boot_id: 'r' };

  test('is dropped at the first append: sockets 1012, nothing written, and nobody is told of an ack', async () => {
    const doc_id = await world.document();
    const member = await world.node.json(doc_id);
    await claimHead(world.db.sql, doc_id, 1, rival, world.node.random.id());
    await world.node.edit(doc_id, [{ insert: 'mine' }]);
    await until('its sockets to be closed', () => member.closed !== null);
    expect(member.closed).toMatchObject({ code: 1012 });
    expect(member.of('edit')).toHaveLength(1);
    expect(member.of('ack')).toEqual([]);
    await until('it to be gone', () => world.node.counted.open === 0);
    expect(world.node.counted).toMatchObject({ fenced: 1, crashed: 0 });
    // The rival is not alive: whoever comes next takes the document back.
    await world.redis.set(`node:${rival.node_id}`, 'a later start');
    const again = await world.node.registry.open(doc_id);
    expect([textOf(again), again.runtime.ledger.epoch]).toEqual([[], 3]);
  });

  test(`is found within ${TIMES.ownership_check_ms} ms by a node that nothing is wrong with, though nobody edits`, async () => {
    const doc_id = await world.document();
    const member = await world.node.json(doc_id);
    await claimHead(world.db.sql, doc_id, 1, rival, world.node.random.id());
    world.node.hand.advance(TIMES.ownership_check_ms);
    await until('it to be gone', () => world.node.counted.open === 0);
    expect([member.closed?.code, world.node.counted.fenced]).toEqual([1012, 1]);
  });

  test('refuses nobody by what it remembers: a caller is told to come again', async () => {
    const doc_id = await world.document();
    const author = { user_id: world.node.random.id(), client_id: world.node.random.id() };
    await world.node.registry.open(doc_id);
    await claimHead(world.db.sql, doc_id, 1, rival, world.node.random.id());
    const late = { doc_id, ...author, seq: 6, base_rev: null, delta: [{ insert: 'the sixth' }] };
    expect(await refusal(world.node.gateway.edit(late))).toEqual(['UNAVAILABLE', 1]);
    await until('it to be gone', () => world.node.counted.open === 0);
    await world.redis.set(`node:${rival.node_id}`, 'a later start');
    expect(await refusal(world.node.gateway.edit(late))).toEqual(['VALIDATION_ERROR', undefined]);
  });

  test('is found by a suspect node that asks, without an append', async () => {
    const { doc_ids } = await seedDocuments(world.db.sql, 3);
    for (const doc_id of doc_ids) await world.node.json(doc_id);
    const [lost = '', ...kept] = doc_ids;
    await claimHead(world.db.sql, lost, 1, rival, world.node.random.id());
    await world.node.registry.suspect(true);
    await until('it to be gone', () => world.node.counted.open === 2);
    expect(world.node.counted.fenced).toBe(1);
    for (const doc_id of kept) expect(world.present(doc_id).state).toBe('owned active clean suspect');
    await world.node.edit(first(kept), [{ insert: 'a suspect goes on serving' }]);
    await until('it to be written', () => world.node.journal.backlog().revs === 0);
    await world.node.registry.suspect(false);
    expect(world.present(first(kept)).state).toBe('owned active flushing held');
    world.node.hand.advance(TIMES.saved_settle_ms);
    for (const doc_id of kept) expect(world.present(doc_id).state).toBe('owned active clean held');
  });

  test('is not told from one that PostgreSQL does not answer for', async () => {
    const doc_id = await world.document();
    await world.node.registry.suspect(true);
    await world.node.json(doc_id);
    const asking = world.node.registry.suspect(true);
    world.node.hand.advance(TIMES.node_beat_ms);
    await asking;
    expect(world.present(doc_id).state).toBe('owned active clean suspect');
  });
});

describe('leaving', () => {
  test('writes everything, gives everything up, closes every socket with 1012 and opens nothing more', async () => {
    const { doc_ids } = await seedDocuments(world.db.sql, 10);
    const members = await Promise.all(doc_ids.map((doc_id) => world.node.json(doc_id)));
    const lock = await lockHeads(world.db.url, [first(doc_ids)]);
    const edits = doc_ids.map((doc_id) => world.node.edit(doc_id, [{ insert: 'last words' }]));
    const draining = world.node.registry.drain(60_000);
    expect(await refusal(world.node.registry.open(first(doc_ids)))).toEqual(['UNAVAILABLE', 1]);
    await blockedBackends(world.db.sql, world.node.application_name);
    await lock.release();
    await draining;
    expect((await Promise.all(edits)).map(({ kind }) => kind)).toEqual(doc_ids.map(() => 'applied'));
    expect([world.node.counted.open, world.node.journal.backlog().revs]).toEqual([0, 0]);
    expect(members.map(({ closed }) => closed?.code)).toEqual(members.map(() => 1012));
    for (const doc_id of doc_ids)
      expect(await readHead(world.db.sql, doc_id)).toMatchObject({ head_rev: 1, owner: null });
    expect(world.node.due.toSorted()).toEqual(doc_ids);
    expect(members.map((member) => member.of('ack').at(-1)?.rev)).toEqual(members.map(() => 1));
  });

  test('gives up what is being opened, too', async () => {
    const doc_id = await world.document();
    const lock = await lockHeads(world.db.url, [doc_id]);
    const opening = world.node.registry.open(doc_id);
    await blockedBackends(world.db.sql, 'test');
    const draining = world.node.registry.drain(60_000);
    await lock.release();
    await draining;
    await opening.catch(() => {});
    expect([world.node.counted.open, await world.owner(doc_id)]).toEqual([0, null]);
  });

  test('ends at its limit, and says so', async () => {
    const { log, lines } = readableLog();
    const stuck = world.makeNode({ log });
    const doc_id = await world.document();
    await stuck.registry.open(doc_id);
    const lock = await lockHeads(world.db.url, [doc_id]);
    await stuck.edit(doc_id, [{ insert: 'never written in time' }]);
    let over = false;
    const draining = stuck.registry.drain(2_000).then(() => {
      over = true;
    });
    await turn();
    stuck.hand.advance(1_999);
    await turn();
    expect(over).toBe(false);
    stuck.hand.advance(1);
    await draining;
    expect(lines().at(-1)).toMatchObject({ level: 'error', documents: 1 });
    await lock.release();
    await until('it to be written after all', () => stuck.counted.open === 0);
  });
});
