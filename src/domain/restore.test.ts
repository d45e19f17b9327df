import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { seedDocument } from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import type { EditRequest } from '../actors/gateway.ts';
import { textAt } from '../actors/past/reader.ts';
import { ManualClock } from '../base/clock.ts';
import { seededRandom, systemRandom } from '../base/random.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { ConcordError, type ErrorCode } from '../protocol/errors.ts';
import { claimHead } from '../store/heads.ts';
import { appendUpdates } from '../store/updates.ts';
import { listVersions, lockRestore } from '../store/versions.ts';
import { Restores } from './restore.ts';

const random = seededRandom(4_400);
const SOURCE = { ip: null, request_id: null };

let db: TestDatabase;
let doc_id = '';
let user_id = '';
/** Edits that reached the document, and how it answers each: with a refusal, or by taking it. */
let edits: EditRequest[] = [];
let answers: (ErrorCode | null)[] = [];
let head = 0;

beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db.drop());
beforeEach(async () => {
  ({ doc_id, user_id } = await seedDocument(db.sql));
  await claimHead(db.sql, doc_id, 0, { node_id: 'n', boot_id: 'b' }, random.id());
  [edits, answers, head] = [[], [], 0];
  await write([{ insert: 'one two' }]);
  await write([{ delete: 3 }, { insert: 'won' }]);
});

/** The next revision, on disk. */
async function write(delta: DeltaOps): Promise<void> {
  const update = Y.encodeStateAsUpdate(new Y.Doc());
  const row = {
    rev: head + 1,
    user_id,
    client_id: random.id(),
    seq: null,
    at: 0,
    update,
    delta: JSON.stringify(delta),
  };
  await appendUpdates(db.sql, [{ doc_id, epoch: 1, head_rev: head, rows: [row] }]);
  head += 1;
}

/** Restores with a document that does as `answers` says. */
function restores(): Restores {
  const gateway = {
    committed: async () => head,
    text: (id: string, rev = head) => textAt(db.sql, id, rev),
    hasOtherRoots: async () => false,
    async edit(request: EditRequest) {
      edits.push(request);
      const refusal = answers.shift() ?? null;
      if (refusal !== null) throw new ConcordError(refusal);
      await write(request.delta);
      return { rev: head };
    },
  };
  return new Restores({ sql: db.sql, clock: new ManualClock(), random: systemRandom, gateway });
}

const text = async () => (await textAt(db.sql, doc_id, head)).ops;
const restore = () => restores().restore(user_id, doc_id, { rev: 1 }, SOURCE);
const codeOf = (error: unknown) => (error instanceof ConcordError ? error.code : error);

test('the edit is made against the head on disk, and changes no more than differs', async () => {
  expect((await restore()).rev).toBe(3);
  expect(edits).toMatchObject([
    { doc_id, user_id, base_rev: 2, seq: 1, delta: [{ delete: 1 }, { retain: 2 }, { insert: 'e' }] },
  ]);
  expect(await text()).toEqual([{ insert: 'one two' }]);
});

test('an edit sent again against the same head has the same name, so that it is known; against another it has another', async () => {
  answers = ['UNAVAILABLE', 'UNAVAILABLE'];
  expect(await restore().catch(codeOf)).toBe('UNAVAILABLE');
  expect(await restore().catch(codeOf)).toBe('UNAVAILABLE');
  await write([{ insert: 'x' }]);
  await restore();
  const [one, again, later] = edits.map(({ client_id }) => client_id);
  expect(again).toBe(one as string);
  expect(later).not.toBe(one as string);
  expect(one).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(await listVersions(db.sql, doc_id, null, 10)).toHaveLength(1);
});

test('a head that is too old by then is left for the next, three times at most', async () => {
  answers = ['STALE_REVISION', 'STALE_REVISION'];
  expect((await restore()).rev).toBe(3);
  expect(edits).toHaveLength(3);
  await write([{ insert: 'x' }]);
  answers = ['STALE_REVISION', 'STALE_REVISION', 'STALE_REVISION'];
  expect(await restore().catch(codeOf)).toBe('STALE_REVISION');
});

test('where no delta fits, because half a character is in the way, the whole text is replaced', async () => {
  answers = ['VALIDATION_ERROR'];
  expect((await restore()).rev).toBe(3);
  expect(edits.at(-1)).toMatchObject({ base_rev: 2, delta: [{ insert: 'one two' }, { delete: 7 }] });
  expect(await text()).toEqual([{ insert: 'one two' }]);
});

test('while another process restores the document this one is sent away', async () => {
  await db.sql.begin(async (other) => {
    await lockRestore(other, doc_id);
    expect(await restore().catch(codeOf)).toBe('UNAVAILABLE');
  });
  expect(edits).toEqual([]);
  expect((await restore()).rev).toBe(3);
});

test('when storage fails after the edit, the next call finds the text restored and keeps the version', async () => {
  await db.sql`ALTER TABLE document_versions RENAME TO away`;
  expect(String(await restore().catch(String))).toContain('document_versions');
  await db.sql`ALTER TABLE away RENAME TO document_versions`;
  expect((await restore()).rev).toBe(3);
  expect(edits).toHaveLength(1);
  expect(await listVersions(db.sql, doc_id, null, 10)).toMatchObject([{ rev: 3, kind: 'restore' }]);
});
