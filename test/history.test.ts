/**
 * The past of documents that were edited through every door, held against what a client saw: a JSON client that was there
 * from the start has every revision's delta and author, and from these alone follows all that history may say. Compaction
 * runs in between at random.
 */
import { describe, expect, test } from 'bun:test';
import { isDeepStrictEqual } from 'node:util';
import Delta from 'quill-delta';
import * as Y from 'yjs';
import { attributionAt, diffBetween, runsBetween, stateAt, textAt } from '../src/actors/past/reader.ts';
import { systemClock } from '../src/base/clock.ts';
import type { DeltaOps } from '../src/protocol/content/delta.ts';
import type { EditRun } from '../src/protocol/history/runs.ts';
import { textOps } from '../src/protocol/text-ops.ts';
import { type CompactionPace, compactDocument } from '../src/workers/compaction.ts';
import { snapshotDocument } from '../src/workers/snapshots.ts';
import { Dice, flatText, randomDelta } from './fuzz/edits.ts';
import { quietLog, readableLog, type TestJsonMember, type TestYjsMember, textOf } from './support/core.ts';
import { CoreWorld, turn } from './support/core-node.ts';

const world = new CoreWorld(7_300);
/** A small one, so that a short life has many segments, and checkpoints are rare among them. */
const PACE: CompactionPace = { keep: 10, segment: 16, quiet_segment: 5, checkpoint: 40 };

interface Seen {
  readonly delta: DeltaOps;
  readonly user_id: string;
  readonly at: number;
}

/** A Yjs client: a document of its own, and the updates it has not sent. */
class YjsPerson {
  readonly doc = new Y.Doc();
  #heard = 0;
  unsent: Uint8Array[] = [];

  constructor(
    readonly member: TestYjsMember,
    client_id: number,
  ) {
    this.doc.clientID = client_id;
    this.doc.getText('content');
    this.doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== 'server') this.unsent.push(update);
    });
  }

  hear(): void {
    const updates = this.member.updates();
    for (const update of updates.slice(this.#heard)) Y.applyUpdate(this.doc, update, 'server');
    this.#heard = updates.length;
  }
}

/** One random life of a document. */
class Life {
  readonly dice: Dice;
  doc_id = '';
  watcher!: TestJsonMember;
  people: YjsPerson[] = [];

  constructor(seed: number) {
    world.node.random.float();
    this.dice = new Dice(world.node.random);
    for (let i = 0; i < seed % 17; i++) this.dice.random.float();
  }

  async begin(): Promise<void> {
    this.doc_id = await world.document();
    this.watcher = await world.node.json(this.doc_id);
    for (const id of [11, 12]) this.people.push(new YjsPerson(await world.node.yjs(this.doc_id), id));
  }

  /** What every revision did, by its number less one. */
  seen(): Seen[] {
    return this.watcher.of('edit').map((event) => ({
      delta: event.changes?.delta ?? [],
      user_id: event.user_id ?? '',
      at: Date.parse((event as { timestamp?: string }).timestamp ?? ''),
    }));
  }

  async step(): Promise<void> {
    const { dice, people } = this;
    // Else what is on its way to the disk would count as lost.
    await this.durable();
    world.node.hand.advance(dice.once(12) ? 400_000 : dice.below(5_000));
    const runtime = world.present(this.doc_id).runtime;
    if (runtime === null) throw new Error('the document is not open');
    if (dice.once(3)) {
      const text = flatText(runtime.replica.ops());
      const outcome = await world.node.edit(this.doc_id, randomDelta(dice, text, null).ops as DeltaOps, {
        user_id: this.watcher.user_id,
      });
      if (outcome.kind === 'refused' && outcome.error.code !== 'VALIDATION_ERROR') throw outcome.error;
    } else {
      const person = people[dice.below(people.length)];
      if (person === undefined) return;
      if (!dice.once(4)) person.hear();
      const text = person.doc.getText('content');
      const edit = randomDelta(dice, flatText(textOps(text)), null).ops;
      if (edit.length > 0) text.applyDelta(edit);
      if (dice.once(9)) person.doc.getMap('other').set('k', dice.below(100));
      if (!dice.once(3)) await this.#send(person);
    }
    await turn();
  }

  async #send(person: YjsPerson): Promise<void> {
    for (const update of person.unsent.splice(0))
      await world.node.push(world.present(this.doc_id), {
        kind: 'update',
        member: person.member,
        update,
        whole: false,
      });
  }

  /** Waits for the disk; returns the head. */
  async durable(): Promise<number> {
    return await world.node.gateway.committed(this.doc_id);
  }

  async compact(): Promise<number> {
    await snapshotDocument(world.db.sql, this.doc_id);
    return await compactDocument({ sql: world.db.sql, clock: systemClock, log: quietLog }, this.doc_id, PACE);
  }
}

/** The texts of all revisions, from 0. */
function textsOf(seen: readonly Seen[]): DeltaOps[] {
  const texts = [new Delta()];
  for (const { delta } of seen) texts.push((texts.at(-1) ?? new Delta()).compose(new Delta(delta)));
  return texts.map(({ ops }) => ops as DeltaOps);
}

/** The revision of every unit of the text, found in the simplest way. */
function authorsOf(seen: readonly Seen[]): number[] {
  const revs: number[] = [];
  for (const [i, { delta }] of seen.entries()) {
    let index = 0;
    for (const { insert, retain, delete: gone } of delta) {
      if (insert !== undefined) {
        const length = typeof insert === 'string' ? insert.length : 1;
        revs.splice(index, 0, ...new Array<number>(length).fill(i + 1));
        index += length;
      }
      if (gone !== undefined) revs.splice(index, gone);
      index += retain ?? 0;
    }
  }
  return revs;
}

function naiveRuns(seen: readonly Seen[]): EditRun[] {
  const runs: EditRun[] = [];
  for (const [i, { user_id, at, delta }] of seen.entries()) {
    const inserted = delta.reduce((sum, { insert: x }) => sum + (typeof x === 'string' ? x.length : x ? 1 : 0), 0);
    const deleted = delta.reduce((sum, op) => sum + (op.delete ?? 0), 0);
    const last = runs.at(-1);
    if (last !== undefined && last.user_id === user_id && at - last.ended_at < 300_000)
      runs[runs.length - 1] = {
        ...last,
        to_rev: i + 1,
        ended_at: at,
        inserted: last.inserted + inserted,
        deleted: last.deleted + deleted,
      };
    else runs.push({ from_rev: i + 1, to_rev: i + 1, user_id, started_at: at, ended_at: at, inserted, deleted });
  }
  return runs.toReversed();
}

async function checkAll(life: Life, revs: readonly number[]): Promise<void> {
  const { sql } = world.db;
  const { doc_id, dice } = life;
  const head = await life.durable();
  const seen = life.seen();
  expect(seen.length).toBe(head);
  const texts = textsOf(seen);
  for (const rev of revs) {
    const at = `rev ${rev} of ${head}`;
    expect([at, (await textAt(sql, doc_id, rev)).ops]).toEqual([at, texts[rev] ?? []]);
    const doc = new Y.Doc();
    Y.applyUpdate(doc, (await stateAt(sql, doc_id, rev)).update);
    expect([at, textOps(doc.getText('content'))]).toEqual([at, texts[rev] ?? []]);
  }
  for (let i = 0; i < 12; i++) {
    const [from, to] = [dice.below(head + 1), dice.below(head + 1)];
    const { delta_json, inserted, deleted } = await diffBetween(sql, doc_id, from, to);
    const delta = JSON.parse(delta_json) as DeltaOps;
    const reached = new Delta(texts[from] ?? []).compose(new Delta(delta)).ops as DeltaOps;
    expect([from, to, reached]).toEqual([from, to, texts[to] ?? []]);
    const change = from <= to ? seen.slice(from, to) : seen.slice(to, from);
    const all = change.reduce((sum, one) => sum.compose(new Delta(one.delta)), new Delta());
    // What was there all along is retained, not found again.
    const expected = from <= to ? all : all.invert(new Delta(texts[to] ?? []));
    expect([from, to, flat(delta)]).toEqual([from, to, flat(expected.ops as DeltaOps)]);
    expect([inserted, deleted]).toEqual([
      delta.reduce((sum, { insert: x }) => sum + (typeof x === 'string' ? x.length : x ? 1 : 0), 0),
      delta.reduce((sum, op) => sum + (op.delete ?? 0), 0),
    ]);
  }
  const stretches = JSON.parse(await textOf(await attributionAt(sql, doc_id, head))) as {
    start: number;
    length: number;
    user_id: string;
    rev: number;
    at: string;
  }[];
  expect(stretches.flatMap(({ length, rev }) => new Array<number>(length).fill(rev))).toEqual(authorsOf(seen));
  let start = 0;
  for (const one of stretches) {
    const author = seen[one.rev - 1];
    expect([one.start, one.user_id, Date.parse(one.at)]).toEqual([start, author?.user_id ?? '', author?.at ?? 0]);
    start += one.length;
  }
  const runs = naiveRuns(seen);
  expect(await runsBetween(sql, doc_id, 0, head, 1_000)).toEqual(runs);
  // Page by page it is the same.
  const paged: EditRun[] = [];
  for (let before = head + 1; before > 1; before = paged.at(-1)?.from_rev ?? 0) {
    const page = await runsBetween(sql, doc_id, 0, before - 1, 1 + dice.below(4));
    paged.push(...page);
    if (page.length === 0) break;
  }
  expect(paged).toEqual(runs);
}

/** What is kept, deleted and inserted: of formatting a delta may say what was so already. */
function flat(ops: DeltaOps): unknown {
  const lengths = new Delta();
  for (const { insert, retain, delete: gone } of ops) {
    if (insert !== undefined) lengths.insert(insert);
    else if (gone !== undefined) lengths.delete(gone);
    else lengths.retain(retain ?? 0);
  }
  return lengths.chop().ops;
}

describe('the past of a document that was edited through every door', () => {
  for (let seed = 1; seed <= 8; seed++)
    test(`is what a client saw, before and after compaction (seed ${seed})`, async () => {
      const life = new Life(seed);
      await life.begin();
      let packed = 0;
      for (let step = 1; step <= 160; step++) {
        await life.step();
        if (!life.dice.once(30)) continue;
        const head = await life.durable();
        packed += await life.compact();
        await checkAll(life, [0, head, ...Array.from({ length: 6 }, () => life.dice.below(head + 1))]);
      }
      const head = await life.durable();
      await checkAll(life, [life.dice.below(head + 1), head]);
      packed += await life.compact();
      expect(packed).toBeGreaterThan(3);
      await checkAll(
        life,
        Array.from({ length: head + 1 }, (_, rev) => rev),
      );
    }, 30_000);
});

describe('what the journal tells wrongly', () => {
  test('is mended by compaction at the end of its segment, and said', async () => {
    const life = new Life(99);
    await life.begin();
    while ((await life.durable()) < 60) await life.step();
    const { sql } = world.db;
    await snapshotDocument(sql, life.doc_id);
    const texts = textsOf(life.seen());
    await sql`UPDATE document_updates SET delta = '[{"insert":"never typed"}]' WHERE doc_id = ${life.doc_id} AND rev = 20`;
    const { log, lines } = readableLog();
    await compactDocument({ sql, clock: systemClock, log }, life.doc_id, PACE);
    expect(lines()).toMatchObject([{ doc_id: life.doc_id, from_rev: 17, to_rev: 32 }]);
    for (const rev of [16, 19, 32, 33, 48])
      expect(isDeepStrictEqual((await textAt(sql, life.doc_id, rev)).ops, texts[rev])).toBe(true);
  });
});
