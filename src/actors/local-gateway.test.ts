import { describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { blockedBackends, cursorState, lockHeads } from '../../test/support/core.ts';
import { CoreWorld, refusal, turn } from '../../test/support/core-node.ts';
import { until } from '../../test/support/until.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { TIMES } from '../protocol/limits.ts';
import { claimHead, readHead } from '../store/heads.ts';
import { snapshotDocument } from '../workers/snapshots.ts';
import type { EditRequest } from './gateway.ts';

const world = new CoreWorld(1_100);

const insert = (text: string): DeltaOps => [{ insert: text }];

const request = (doc_id: string, delta: DeltaOps, more: Partial<EditRequest> = {}): EditRequest => {
  const { random } = world.node;
  return { doc_id, user_id: random.id(), client_id: random.id(), seq: null, base_rev: null, delta, ...more };
};

const text = (update: Uint8Array): string => {
  const doc = new Y.Doc();
  Y.applyUpdate(doc, update);
  return doc.getText('content').toString();
};

describe('an edit', () => {
  test('is answered with its revision once it is on disk, not before', async () => {
    const doc_id = await world.document();
    await world.node.registry.open(doc_id);
    const lock = await lockHeads(world.db.url, [doc_id]);
    let rev = 0;
    const editing = world.node.gateway.edit(request(doc_id, insert('a'))).then((answer) => {
      rev = answer.rev;
    });
    await blockedBackends(world.db.sql, world.node.application_name);
    await turn();
    expect(rev).toBe(0);
    await lock.release();
    await editing;
    expect(rev).toBe(1);
    expect((await readHead(world.db.sql, doc_id))?.head_rev).toBe(1);
  });

  test('J23: may be based on what the journal has since, though the document was closed and opened again in between', async () => {
    const doc_id = await world.document();
    for (const letter of ['c', 'b', 'a']) await world.node.write(doc_id, letter);
    await world.node.registry.drain(5_000);
    await snapshotDocument(world.db.sql, doc_id);
    const { gateway, registry } = world.makeNode();
    // After the first letter, which two more were put before since.
    expect(await gateway.edit(request(doc_id, [{ retain: 1 }, { insert: '!' }], { base_rev: 1 }))).toEqual({ rev: 4 });
    expect((await registry.open(doc_id)).runtime.replica.ops()).toEqual([{ insert: 'abc!' }]);
  });

  test(`that storage does not confirm within ${TIMES.rest_durable_wait_ms} ms is unavailable, and sending it again is safe`, async () => {
    const doc_id = await world.document();
    await world.node.registry.open(doc_id);
    const lock = await lockHeads(world.db.url, [doc_id]);
    const again = request(doc_id, insert('once'), { seq: 1 });
    const answer = refusal(world.node.gateway.edit(again));
    await blockedBackends(world.db.sql, world.node.application_name);
    world.node.hand.advance(TIMES.rest_durable_wait_ms);
    expect(await answer).toEqual(['UNAVAILABLE', expect.any(Number) as unknown]);
    await lock.release();
    expect(await world.node.gateway.edit(again)).toEqual({ rev: 1 });
    expect(await world.node.gateway.edit(again)).toEqual({ rev: 1 });
    expect((await world.node.gateway.text(doc_id)).ops).toEqual(insert('once'));
  });

  test('that was answered 503 before its document was open is never applied', async () => {
    const doc_id = await world.document();
    const claiming = await lockHeads(world.db.url, [doc_id]);
    const answer = refusal(world.node.gateway.edit(request(doc_id, insert('once'))));
    await blockedBackends(world.db.sql, 'test');
    // The claim takes most of the time, loading the rest.
    world.node.hand.advance(TIMES.rest_durable_wait_ms - 1_000);
    const loading = Promise.withResolvers<void>();
    const locked = Promise.withResolvers<void>();
    const lock = world.db.sql.begin(async (step) => {
      await step`LOCK TABLE document_snapshots`;
      locked.resolve();
      await loading.promise;
    });
    await locked.promise;
    await claiming.release();
    await until('the claim', async () => (await readHead(world.db.sql, doc_id))?.owner != null);
    await blockedBackends(world.db.sql, 'test');
    world.node.hand.advance(1_000);
    expect(await answer).toEqual(['UNAVAILABLE', expect.any(Number) as unknown]);
    loading.resolve();
    await lock;
    // Whoever opens the document now comes behind the one who gave up, in the same line.
    expect(await world.node.gateway.edit(request(doc_id, insert('again')))).toEqual({ rev: 1 });
    await turn();
    expect((await world.node.gateway.text(doc_id)).ops).toEqual(insert('again'));
  });

  test('that was sent before is answered with its revision, also by the next owner', async () => {
    const doc_id = await world.document();
    const again = request(doc_id, insert('once'), { seq: 1 });
    await world.node.gateway.edit(again);
    await world.node.gateway.edit(request(doc_id, insert('other ')));
    await world.node.registry.drain(60_000);
    const later = world.makeNode();
    expect(await later.gateway.edit(again)).toEqual({ rev: 1 });
    expect((await later.gateway.text(doc_id)).ops).toEqual(insert('other once'));
  });

  test('is refused for what is wrong with it', async () => {
    const doc_id = await world.document();
    await world.node.gateway.edit(request(doc_id, insert('abc')));
    const wrong: [EditRequest, string][] = [
      [request(doc_id, [{ retain: 9 }, { insert: 'x' }]), 'VALIDATION_ERROR'],
      [request(doc_id, insert('x'), { seq: 2 }), 'VALIDATION_ERROR'],
      [request(doc_id, insert('x'), { base_rev: 9 }), 'STALE_REVISION'],
      [request(world.node.random.id(), insert('x')), 'NOT_FOUND'],
    ];
    for (const [one, code] of wrong) expect(await refusal(world.node.gateway.edit(one))).toEqual([code, undefined]);
    expect(await world.node.gateway.rev(doc_id)).toBe(1);
  });

  test('waits for a document that is on its way out, and goes to the fresh one', async () => {
    const doc_id = await world.document();
    await world.node.write(doc_id, 'a');
    const lock = await lockHeads(world.db.url, [doc_id]);
    world.node.hand.advance(TIMES.passivate_after_ms);
    expect(world.present(doc_id).state).toBe('draining');
    const editing = world.node.gateway.edit(request(doc_id, insert('b')));
    await blockedBackends(world.db.sql, 'test');
    await lock.release();
    expect(await editing).toEqual({ rev: 2 });
  });

  test('whose document is lost to another owner before it was written is unavailable at once', async () => {
    const doc_id = await world.document();
    await world.node.registry.open(doc_id);
    await claimHead(world.db.sql, doc_id, 1, { node_id: 'rival', boot_id: 'r' }, world.node.random.id());
    const answer = refusal(world.node.gateway.edit(request(doc_id, insert('x'))));
    const first = await Promise.race([answer, until('it', () => false, 2_000).catch(() => 'still waiting')]);
    world.node.hand.advance(TIMES.rest_durable_wait_ms);
    await answer;
    expect(first).toEqual(['UNAVAILABLE', expect.any(Number) as unknown]);
  });
});

describe('reading', () => {
  test('a document that is not open here gives what is committed, and opens nothing', async () => {
    const doc_id = await world.document();
    for (const one of ['c', 'b', 'a']) await world.node.gateway.edit(request(doc_id, insert(one)));
    await world.node.registry.drain(60_000);
    const reader = world.makeNode();
    expect(await reader.gateway.text(doc_id)).toEqual({ rev: 3, ops: insert('abc') });
    const state = await reader.gateway.state(doc_id);
    expect([state.rev, text(state.update)]).toEqual([3, 'abc']);
    expect([await reader.gateway.rev(doc_id), await reader.gateway.presence(doc_id)]).toEqual([3, []]);
    expect([reader.counted.open, await world.owner(doc_id)]).toEqual([0, null]);
  });

  test('every revision of the past is as it was, whether a snapshot stands before it or behind it', async () => {
    const doc_id = await world.document();
    const texts = [''];
    for (let rev = 1; rev <= 12; rev++) {
      await world.node.gateway.edit(request(doc_id, insert(String.fromCharCode(96 + rev))));
      texts.push(String.fromCharCode(96 + rev) + texts.at(-1));
      if (rev === 6) await snapshotDocument(world.db.sql, doc_id);
    }
    for (const open of [true, false]) {
      if (!open) await world.node.registry.drain(60_000);
      const { gateway } = open ? world.node : world.makeNode();
      for (let rev = 0; rev <= 12; rev++) {
        expect(await gateway.text(doc_id, rev)).toEqual({ rev, ops: rev === 0 ? [] : insert(texts[rev] ?? '') });
        expect(text((await gateway.state(doc_id, rev)).update)).toBe(texts[rev] ?? '');
      }
      expect(await refusal(gateway.text(doc_id, 13))).toEqual(['NOT_FOUND', undefined]);
      expect(await refusal(gateway.state(doc_id, 13))).toEqual(['NOT_FOUND', undefined]);
    }
  });

  test('a past revision of an open document that nobody computed the effects of', async () => {
    const doc_id = await world.document();
    const member = await world.node.yjs(doc_id);
    const { document, runtime } = await world.node.registry.open(doc_id);
    const ada = new Y.Doc();
    for (const letter of ['b', 'a']) {
      const before = Y.encodeStateVector(ada);
      ada.getText('content').insert(0, letter);
      await world.node.push(document, {
        ...{ kind: 'update', member, update: Y.encodeStateAsUpdate(ada, before), whole: false },
      });
    }
    await runtime.durable(2);
    expect(await world.node.gateway.text(doc_id, 1)).toEqual({ rev: 1, ops: insert('b') });
    expect(await world.node.gateway.text(doc_id)).toEqual({ rev: 2, ops: insert('ab') });
  });

  test('a document that does not exist or is deleted is not found', async () => {
    const doc_id = await world.document();
    await world.db.sql`UPDATE documents SET deleted = true, deleted_at = now() WHERE id = ${doc_id}`;
    const { gateway } = world.node;
    for (const id of [doc_id, world.node.random.id()])
      for (const ask of [() => gateway.text(id), () => gateway.state(id, 0), () => gateway.rev(id)])
        expect(await refusal(ask())).toEqual(['NOT_FOUND', undefined]);
  });

  test('says who is on a document that is open here', async () => {
    const doc_id = await world.document();
    const member = await world.node.json(doc_id);
    await world.node.push(world.present(doc_id), { kind: 'presence', member, state: cursorState(0) });
    expect(await world.node.gateway.presence(doc_id)).toMatchObject([
      { client_id: member.client_id, status: 'active', state: cursorState(0) },
    ]);
  });
});
