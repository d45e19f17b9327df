import { describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { emptyWindow } from '../../test/support/core.ts';
import { CoreWorld, turn } from '../../test/support/core-node.ts';
import { until } from '../../test/support/until.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import { claimHead } from '../store/heads.ts';

const world = new CoreWorld(700);

describe('a client that comes back', () => {
  test('with a point of this history gets what it missed, from memory or from the journal', async () => {
    const doc_id = await world.document();
    const { runtime } = await world.node.write(doc_id, 'a');
    for (const text of ['b', 'c', 'd']) await world.node.write(doc_id, text);
    expect(await world.node.registry.resumePoint(runtime, { epoch: 1, rev: 2 })).toEqual({ epoch: 1, rev: 2 });
    const later = world.makeNode();
    await world.node.registry.drain(60_000);
    // A snapshot in between: the journal before it is no longer in memory.
    const doc = new Y.Doc();
    doc.getText('content').insert(0, 'dcba');
    await world.db.sql`
      INSERT INTO document_snapshots (doc_id, rev, state, state_vector, delete_set, delta)
      VALUES (${doc_id}, 4, ${Y.encodeStateAsUpdate(doc)}, ${Y.encodeStateVector(doc)}, ${Uint8Array.of(0, 0)}, '[{"insert":"dcba"}]')`;
    const reopened = await later.registry.open(doc_id);
    expect(reopened.runtime.log.window.start).toBe(4);
    expect(await later.registry.resumePoint(reopened.runtime, { epoch: 1, rev: 1 })).toEqual({ epoch: 1, rev: 1 });
    const missed = reopened.runtime.log.window.after(1);
    expect(missed?.map(({ rev, delta }) => [rev, delta])).toEqual([
      [2, [{ insert: 'b' }]],
      [3, [{ insert: 'c' }]],
      [4, [{ insert: 'd' }]],
    ]);
  });

  test('with nothing yet, or at the head, is at a point of it', async () => {
    const doc_id = await world.document();
    const { runtime } = await world.node.registry.open(doc_id);
    expect(await world.node.registry.resumePoint(runtime, { epoch: 1, rev: 0 })).toEqual({ epoch: 1, rev: 0 });
    expect(await world.node.registry.resumePoint(runtime, { epoch: 0, rev: 0 })).toEqual({ epoch: 0, rev: 0 });
    await world.node.write(doc_id, 'a');
    expect(await world.node.registry.resumePoint(runtime, { epoch: 1, rev: 1 })).toEqual({ epoch: 1, rev: 1 });
  });

  test('with a point that was lost, or is not of this history, starts over', async () => {
    const doc_id = await world.document();
    const { runtime: lost } = await world.node.registry.open(doc_id);
    await claimHead(world.db.sql, doc_id, 1, { node_id: 'gone', boot_id: 'g' }, world.node.random.id());
    await world.node.edit(doc_id, [{ insert: 'seen by clients, never written' }]);
    await until('it to be fenced', () => world.node.counted.open === 0);
    expect(lost.log.head).toBe(1);
    await world.redis.set('node:gone', 'a later start');
    const { runtime } = await world.node.write(doc_id, 'another first revision');
    expect(runtime.ledger.epoch).toBe(3);
    for (const point of [
      { epoch: 1, rev: 1 },
      { epoch: 2, rev: 1 },
      { epoch: 4, rev: 1 },
      { epoch: 3, rev: 2 },
    ])
      expect([point, await world.node.registry.resumePoint(runtime, point)]).toEqual([point, null]);
    expect(await world.node.registry.resumePoint(runtime, { epoch: 3, rev: 1 })).toEqual({ epoch: 3, rev: 1 });
  });

  test('over too many edits starts over', async () => {
    const doc_id = await world.document();
    await world.node.write(doc_id, 'a');
    const { runtime } = await world.node.registry.open(doc_id);
    const outcomes = await Promise.all(
      Array.from({ length: LIMITS.window_revs_max + 1 }, () => world.node.edit(doc_id, [{ insert: 'x' }])),
    );
    expect(outcomes.at(-1)).toMatchObject({ kind: 'applied', rev: LIMITS.window_revs_max + 2 });
    await runtime.durable(LIMITS.window_revs_max + 2);
    expect(await world.node.registry.resumePoint(runtime, { epoch: 1, rev: 1 })).toBeNull();
    expect(await world.node.registry.resumePoint(runtime, { epoch: 1, rev: 2 })).toEqual({ epoch: 1, rev: 2 });
  });

  test('has its last seq known, from memory and, after a restart, from the journal; its resends are not applied again', async () => {
    const doc_id = await world.document();
    const who = { user_id: world.node.random.id(), client_id: world.node.random.id() };
    const { runtime } = await world.node.registry.open(doc_id);
    expect(await world.node.registry.lastSeq(runtime, who.user_id, who.client_id)).toBe(0);
    for (const seq of [1, 2]) await world.node.edit(doc_id, [{ insert: String(seq) }], { ...who, seq });
    expect(await world.node.registry.lastSeq(runtime, who.user_id, who.client_id)).toBe(2);
    await runtime.durable(2);
    await world.node.registry.drain(60_000);
    const later = world.makeNode();
    const reopened = (await later.registry.open(doc_id)).runtime;
    expect(await later.registry.lastSeq(reopened, who.user_id, who.client_id)).toBe(2);
    reopened.log.noteSeq(who.user_id, who.client_id, 2);
    const again = await later.edit(doc_id, [{ insert: '1' }], { ...who, seq: 1 });
    expect(again).toMatchObject({ kind: 'applied', rev: 1, duplicate: true });
    expect(reopened.replica.ops()).toEqual([{ insert: '21' }]);
    // The window forgets it; the journal does not.
    emptyWindow(reopened.log.window);
    const found = await later.edit(doc_id, [{ insert: '1' }], { ...who, seq: 1 });
    expect(found).toMatchObject({ kind: 'applied', rev: 1, duplicate: true });
    expect(JSON.parse(found.kind === 'applied' ? found.event : '')).toMatchObject({
      seq: 1,
      changes: { rev: 1, delta: [{ insert: '1' }] },
    });
  });
});

describe('whoever listens elsewhere', () => {
  test(`is counted at opening and every ${TIMES.subscribers_look_ms} ms, so that acks reach them`, async () => {
    const doc_id = await world.document();
    await world.node.yjs(doc_id);
    await world.node.write(doc_id, 'a');
    const acks = () => world.node.stage.remotes.flatMap(({ events }) => events.filter(({ type }) => type === 'ack'));
    expect(acks()).toEqual([]);
    world.node.subscribers = 1;
    world.node.stage.listeners = 1;
    world.node.hand.advance(TIMES.subscribers_look_ms);
    await turn();
    await world.node.write(doc_id, 'b');
    world.node.hand.advance(TIMES.ack_others_ms);
    expect(acks().map(({ rev }) => rev)).toEqual([2]);
  });

  test('cannot be counted while Redis is away, which is no reason to fail', async () => {
    const doc_id = await world.document();
    world.node.subscribers = new Error('Redis is away');
    world.node.stage.listeners = -1;
    await world.node.yjs(doc_id);
    world.node.hand.advance(TIMES.subscribers_look_ms);
    await turn();
    await world.node.write(doc_id, 'a');
    world.node.hand.advance(TIMES.saved_settle_ms);
    expect(world.present(doc_id).state).toBe('owned active clean held');
  });
});

test(`JSON members are renewed every ${TIMES.awareness_renew_ms} ms in the eyes of stock awareness, until the registry is closed`, async () => {
  const doc_id = await world.document();
  await world.node.json(doc_id);
  const watcher = await world.node.yjs(doc_id);
  const clocks = () =>
    watcher.frames().flatMap((frame) => (frame.kind === 'awareness' ? frame.entries.map(({ clock }) => clock) : []));
  world.node.hand.advance(TIMES.presence_tick_ms);
  const before = clocks().at(-1) ?? 0;
  world.node.hand.advance(TIMES.awareness_renew_ms + TIMES.presence_tick_ms);
  expect(clocks().at(-1)).toBe(before + 1);
  world.node.registry.close();
  const seen = clocks().length;
  world.node.hand.advance(TIMES.awareness_renew_ms * 3);
  expect(clocks()).toHaveLength(seen);
});

test('a snapshot is asked for every 500 revisions while a document stays open', async () => {
  const doc_id = await world.document();
  const { runtime } = await world.node.registry.open(doc_id);
  const write = async (count: number) => {
    await Promise.all(Array.from({ length: count }, () => world.node.edit(doc_id, [{ insert: 'x' }])));
    await runtime.durable(runtime.log.head);
    // After a flood the next turn waits a little, on a clock that stands still here.
    world.node.hand.advance(10);
  };
  await write(499);
  expect(world.node.due).toEqual([]);
  await write(1);
  expect(world.node.due).toEqual([doc_id]);
  await write(1_200);
  expect(world.node.due.length).toBeGreaterThanOrEqual(2);
  expect(world.node.due.length).toBeLessThanOrEqual(3);
});
