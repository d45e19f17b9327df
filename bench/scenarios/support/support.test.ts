import { describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { seededRandom } from '../../../src/base/random.ts';
import { TEXT_ROOT } from '../../../src/protocol/snapshot.ts';
import { readNumbers, stateNumbered } from '../presence.ts';
import { pooled, timetable, within } from './pace.ts';
import { expectEqual, sampleOf } from './replicas.ts';
import { clientId, Progress, readEnds, stateOf, typeRun, typeWithCursors, wantedFrom } from './typing.ts';

function endsOf(update: Uint8Array): Map<number, number> {
  const ends = new Map<number, number>();
  readEnds(update, (client_id, end) => ends.set(client_id, end));
  return ends;
}

describe('what writers type', () => {
  test('each update is one character that needs nothing but the earlier ones of its writer', () => {
    const doc = new Y.Doc();
    for (const [i, update] of typeRun(clientId(3), 20).entries()) {
      Y.applyUpdate(doc, update);
      expect(doc.getText(TEXT_ROOT).length).toBe(i + 1);
    }
    expect(doc.store.pendingStructs).toBeNull();
  });

  test('the cursor after an edit stands at its character, so that it is told from all others', () => {
    const typed = typeWithCursors(clientId(0), 3);
    expect(typed[2]?.cursor.anchor).toMatchObject({ item: { client: clientId(0), clock: 2 } });
    expect(JSON.stringify(typed[2]?.cursor)).toContain('"clock":2}');
  });
});

describe('how far a reader has come', () => {
  test('the ends in an update are those that Yjs finds, however it was merged', () => {
    const random = seededRandom(7);
    const runs = [0, 1, 200].map((n) => typeRun(clientId(n), 30));
    for (let round = 0; round < 100; round++) {
      const pieces = runs.flatMap((run) => {
        const from = Math.floor(random.float() * 20);
        return run.slice(from, from + Math.floor(random.float() * 10));
      });
      if (pieces.length === 0) continue;
      const merged = Y.mergeUpdates(pieces);
      expect(endsOf(merged)).toEqual(Y.parseUpdateMeta(merged).to);
    }
  });

  test('what is not plain text is left to Yjs', () => {
    const doc = new Y.Doc();
    doc.getMap('other').set('key', [1, 2]);
    doc.getText(TEXT_ROOT).insert(0, 'bold', { bold: true });
    doc.getText(TEXT_ROOT).delete(1, 2);
    const update = Y.encodeStateAsUpdate(doc);
    expect(endsOf(update)).toEqual(Y.parseUpdateMeta(update).to);
  });

  test('a reader is complete once everybody else has come, whatever comes twice or from itself', async () => {
    const ids = [0, 1, 2].map(clientId);
    const seen: string[] = [];
    const wanted = wantedFrom(ids, 4, ids[2]);
    const progress = new Progress(wanted, (writer, from, to, at) => seen.push(`${writer}: ${from}-${to} at ${at}`));
    const [first = [], second = [], own = []] = ids.map((id) => typeRun(id, 4));
    progress.take(own, 1);
    progress.take(first.slice(0, 2), 2);
    progress.take(first.slice(0, 2), 3);
    progress.take([Y.mergeUpdates(first)], 4);
    expect(progress.missing).toBe(4);
    progress.take([Y.mergeUpdates(second)], 5);
    expect(progress.missing).toBe(0);
    await progress.complete;
    expect(seen).toEqual(['0: 0-1 at 2', '0: 1-2 at 2', '0: 2-4 at 4', '1: 0-4 at 5']);
    expect(progress.frames).toBe(5);
  });
});

describe('replicas', () => {
  const run = typeRun(clientId(0), 5);

  test('are equal when they know the same, in whatever pieces', () => {
    expect(() =>
      expectEqual(
        [
          { who: 'a', updates: run },
          { who: 'b', updates: [Y.mergeUpdates(run), ...run] },
        ],
        5,
      ),
    ).not.toThrow();
  });

  test('fail the run when one lacks an edit, lacks one in the middle, or has another text', () => {
    const fails = (updates: readonly Uint8Array[], length = 5) =>
      expect(() => {
        expectEqual(
          [
            { who: 'a', updates: run },
            { who: 'b', updates },
          ],
          length,
        );
      });
    fails(run.slice(0, 4)).toThrow('b has 4 characters instead of 5');
    fails(run.filter((_, i) => i !== 2)).toThrow('b was sent edits that build on others which it was not sent');
    fails(typeRun(clientId(9), 5)).toThrow('b has another text than a');
    fails(run, 6).toThrow('a has 5 characters instead of 6');
    const [twin, other] = [stateOf(1, 'same'), stateOf(2, 'same')];
    expect(() =>
      expectEqual(
        [
          { who: 'a', updates: [twin] },
          { who: 'b', updates: [other] },
        ],
        4,
      ),
    ).toThrow('b has other edits than a');
  });

  test('a sample has ten at least, the first and the last among them', () => {
    expect([...sampleOf(3)]).toEqual([0, 1, 2]);
    expect(sampleOf(500).size).toBe(10);
    expect([...sampleOf(500)]).toContainValues([0, 499]);
  });
});

describe('pace', () => {
  test('a timetable acts as often as told, never before it is due, and keeps the due time of what is late', async () => {
    const due_at: number[] = [];
    const early: number[] = [];
    await timetable(40, 1_000, (_, due) => {
      due_at.push(due);
      if (performance.now() < due) early.push(due);
    });
    const gaps = due_at.slice(1).map((due, i) => due - (due_at[i] ?? 0));
    expect(due_at).toHaveLength(40);
    expect(early).toEqual([]);
    for (const gap of gaps) expect(gap).toBeCloseTo(1, 6);
  });

  test('a deadline that passes says what did not happen, and how far it came', async () => {
    const never = new Promise<never>(() => {});
    expect(within(5, 'everybody is here', never, () => ' (3 are)')).rejects.toThrow(
      'not within 0.005 s: everybody is here (3 are)',
    );
    expect(await within(1_000, 'it is here', Promise.resolve(1))).toBe(1);
  });

  test('no more are made at once than told, and they come in order', async () => {
    let [now, most] = [0, 0];
    const made = await pooled(20, 3, async (i) => {
      most = Math.max(most, ++now);
      await Promise.resolve();
      now -= 1;
      return i;
    });
    expect(made).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(most).toBe(3);
  });
});

test('a presence frame says whose and which states it holds, as bytes or as text', () => {
  const json = [stateNumbered(12, 3), stateNumbered(499, 0)].map((state) => JSON.stringify(state)).join('\u0005');
  for (const frame of [json, new TextEncoder().encode(json)]) {
    const found: [number, number][] = [];
    readNumbers(frame, (person, n) => found.push([person, n]));
    expect(found).toEqual([
      [12, 3],
      [499, 0],
    ]);
  }
});
