import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { blockedBackends, first, lockHeads, seedDocument, seedDocuments } from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { seededRandom } from '../base/random.ts';
import {
  claimHead,
  freeHeads,
  heldDocuments,
  type NodeIdentity,
  readHead,
  reclaimHeads,
  releaseHead,
} from './heads.ts';

const random = seededRandom(11);
const node = (name: string): NodeIdentity => ({ node_id: name, boot_id: random.id() });

let db: TestDatabase;
beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db.drop());

/** A document and what claiming it gave. */
async function claimed(owner = node('a')) {
  const { doc_id } = await seedDocument(db.sql);
  const claim_id = random.id();
  const won = await claimHead(db.sql, doc_id, 0, owner, claim_id);
  if (won === null) throw new Error('a fresh document could not be claimed');
  return { doc_id, claim_id, owner, ...won };
}

describe('readHead', () => {
  test('a document that nobody claimed is at epoch 0 and has no owner', async () => {
    const { doc_id } = await seedDocument(db.sql);
    expect(await readHead(db.sql, doc_id)).toEqual({ epoch: 0, head_rev: 0, owner: null });
  });

  test('a claimed one names its owner by node and boot', async () => {
    const { doc_id, owner } = await claimed();
    expect(await readHead(db.sql, doc_id)).toEqual({ epoch: 1, head_rev: 0, owner });
  });

  test('one that does not exist, and one that is deleted, is null', async () => {
    const { doc_id } = await claimed();
    await db.sql`UPDATE documents SET deleted = true, deleted_at = now() WHERE id = ${doc_id}`;
    expect(await readHead(db.sql, doc_id)).toBeNull();
    expect(await readHead(db.sql, random.id())).toBeNull();
  });
});

describe('claimHead', () => {
  test('takes the next epoch and leaves the head where it is', async () => {
    const { doc_id } = await claimed();
    await db.sql`UPDATE document_heads SET head_rev = 7 WHERE doc_id = ${doc_id}`;
    expect(await claimHead(db.sql, doc_id, 1, node('b'), random.id())).toEqual({ epoch: 2, head_rev: 7 });
  });

  test('marks the document for background work, and marks it anew at every claim', async () => {
    const { doc_id } = await claimed();
    const mark = async (): Promise<Date | undefined> =>
      (await db.sql<{ touched_at: Date }[]>`SELECT touched_at FROM document_work WHERE doc_id = ${doc_id}`)[0]
        ?.touched_at;
    const first_mark = await mark();
    expect(first_mark).toBeInstanceOf(Date);
    await db.sql`UPDATE document_work SET touched_at = '2001-01-01'`;
    await claimHead(db.sql, doc_id, 1, node('b'), random.id());
    expect((await mark())?.getTime()).toBeGreaterThanOrEqual(first_mark?.getTime() ?? 0);
  });

  test('changes nothing when the epoch is another than the one that was seen', async () => {
    const { doc_id, owner } = await claimed();
    expect(await claimHead(db.sql, doc_id, 0, node('b'), random.id())).toBeNull();
    expect(await claimHead(db.sql, doc_id, 2, node('b'), random.id())).toBeNull();
    expect(await readHead(db.sql, doc_id)).toEqual({ epoch: 1, head_rev: 0, owner });
    expect(await claimHead(db.sql, random.id(), 0, node('b'), random.id())).toBeNull();
  });

  test('of many that race for one epoch exactly one wins, on each of many documents', async () => {
    const { doc_ids } = await seedDocuments(db.sql, 20);
    const rivals = Array.from({ length: 8 }, (_, n) => node(`rival-${n}`));
    const outcomes = await Promise.all(
      doc_ids.flatMap((doc_id) =>
        rivals.map(async (rival) => ({ doc_id, rival, won: await claimHead(db.sql, doc_id, 0, rival, random.id()) })),
      ),
    );
    for (const doc_id of doc_ids) {
      const winners = outcomes.filter((outcome) => outcome.doc_id === doc_id && outcome.won !== null);
      expect(winners.map(({ won }) => won)).toEqual([{ epoch: 1, head_rev: 0 }]);
      expect((await readHead(db.sql, doc_id))?.owner).toEqual(first(winners).rival);
    }
  });
});

describe('releaseHead', () => {
  test('gives a document up and keeps its epoch, so that the next claim gets a higher one', async () => {
    const { doc_id, claim_id } = await claimed();
    await releaseHead(db.sql, doc_id, claim_id);
    expect(await readHead(db.sql, doc_id)).toEqual({ epoch: 1, head_rev: 0, owner: null });
    expect(await claimHead(db.sql, doc_id, 1, node('b'), random.id())).toEqual({ epoch: 2, head_rev: 0 });
  });

  test('does nothing when another claim holds the document, even of the same boot', async () => {
    const { doc_id, claim_id, owner } = await claimed();
    await claimHead(db.sql, doc_id, 1, owner, random.id());
    await releaseHead(db.sql, doc_id, claim_id);
    expect(await readHead(db.sql, doc_id)).toEqual({ epoch: 2, head_rev: 0, owner });
  });
});

describe('reclaimHeads', () => {
  test('takes the next epoch on what the claims still hold, says where their journals end, and leaves out the rest', async () => {
    const [mine, lost, gone] = [await claimed(), await claimed(), await claimed()];
    await db.sql`UPDATE document_heads SET head_rev = 3 WHERE doc_id = ${mine.doc_id}`;
    await claimHead(db.sql, lost.doc_id, 1, node('b'), random.id());
    await releaseHead(db.sql, gone.doc_id, gone.claim_id);
    const unknown = { doc_id: random.id(), claim_id: random.id() };
    const heads = await reclaimHeads(db.sql, [mine, lost, gone, unknown]);
    expect([...heads]).toEqual([[mine.doc_id, { epoch: 2, head_rev: 3 }]]);
    expect((await readHead(db.sql, lost.doc_id))?.epoch).toBe(2);
    expect((await readHead(db.sql, gone.doc_id))?.epoch).toBe(1);
    expect((await readHead(db.sql, mine.doc_id))?.owner).toEqual(mine.owner);
  });

  test('asks for nothing when there is nothing to ask', async () => {
    expect((await reclaimHeads(db.sql, [])).size).toBe(0);
  });

  test('two that name the same documents in opposite orders do not block each other for good', async () => {
    const claims = await Promise.all(Array.from({ length: 12 }, () => claimed()));
    const rounds = Array.from({ length: 10 }, (_, n) =>
      reclaimHeads(db.sql, n % 2 === 0 ? claims : claims.toReversed()),
    );
    for (const heads of await Promise.all(rounds)) expect(heads.size).toBe(claims.length);
    expect((await readHead(db.sql, first(claims).doc_id))?.epoch).toBe(11);
  });

  test('sees the head that a statement moved while it waited for the row', async () => {
    const mine = await claimed();
    const lock = await lockHeads(db.url, [mine.doc_id]);
    const moving = db.sql`UPDATE document_heads SET head_rev = 5 WHERE doc_id = ${mine.doc_id}`.execute();
    await blockedBackends(db.sql, 'test', 1);
    const reclaiming = reclaimHeads(db.sql, [mine]);
    await blockedBackends(db.sql, 'test', 2);
    await lock.release();
    await moving;
    expect((await reclaiming).get(mine.doc_id)).toEqual({ epoch: 2, head_rev: 5 });
  });
});

test('freeHeads frees what a start of a node still has, at the next epoch, and nothing that another has by now', async () => {
  const [left, lost] = [await claimed(), await claimed()];
  await claimHead(db.sql, lost.doc_id, 1, node('b'), random.id());
  await freeHeads(
    db.sql,
    [left, lost].map(({ doc_id, owner }) => ({ doc_id, boot_id: owner.boot_id })),
  );
  expect(await readHead(db.sql, left.doc_id)).toMatchObject({ epoch: 2, owner: null });
  expect(await readHead(db.sql, lost.doc_id)).toMatchObject({ epoch: 2, owner: { node_id: 'b' } });
  expect(await heldDocuments(db.sql, [left])).toEqual(new Set());
});

test('heldDocuments names those that are still held by the claim given for them', async () => {
  const [mine, lost] = [await claimed(), await claimed()];
  await claimHead(db.sql, lost.doc_id, 1, lost.owner, random.id());
  const unknown = { doc_id: random.id(), claim_id: random.id() };
  expect(await heldDocuments(db.sql, [mine, lost, unknown])).toEqual(new Set([mine.doc_id]));
  expect(await heldDocuments(db.sql, [])).toEqual(new Set());
});
