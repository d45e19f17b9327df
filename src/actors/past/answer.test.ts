import { describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { isoTime } from '../../base/clock.ts';
import { seededRandom } from '../../base/random.ts';
import type { DeltaOps } from '../../protocol/content/delta.ts';
import { forSeeds } from '../../protocol/content/testing.ts';
import { NO_STRETCHES } from '../../protocol/history/entry.ts';
import { AttributionFold } from '../../protocol/history/pieces.ts';
import { packAttribution, packDeltas, packMeta, packUpdates } from '../../protocol/history/segment.ts';
import { drawUpdates } from '../../protocol/history/testing.ts';
import type { JournalPage } from '../../store/history.ts';
import { answering } from './answer.ts';
import { createPastDoc } from './past-doc.ts';
import type { Answers, Piece } from './pieces.ts';

const NONE = new Uint8Array();
const noParts = (): never => {
  throw new Error('this answer has no parts');
};

/** A page of the journal that holds these updates. */
function pageOf(from_rev: number, updates: readonly Uint8Array[]): JournalPage {
  const lengths = updates.map(({ length }) => length).join();
  const to_rev = from_rev + updates.length - 1;
  return { from_rev, to_rev, deltas: '', metas: '', updates: new Uint8Array(Buffer.concat(updates)), lengths };
}

function stateOf(pieces: readonly Piece[]): Uint8Array {
  const asked = answering({ kind: 'state' });
  for (const piece of pieces) asked.feed(piece);
  return (asked.finish(noParts) as Answers['state']).update;
}

/** Snapshots of what the updates make, applied one by one, and of a state. */
function snapshots(updates: readonly Uint8Array[], state: Uint8Array): [Y.Snapshot, Y.Snapshot] {
  const [one, other] = [createPastDoc(), createPastDoc()];
  for (const update of updates) Y.applyUpdate(one, update);
  Y.applyUpdate(other, state);
  expect(other.getText('content').toDelta()).toEqual(one.getText('content').toDelta());
  return [Y.snapshot(one), Y.snapshot(other)];
}

describe('the state of a past revision', () => {
  test('is what its updates make one after the other, from whatever it is begun, packed or not, said twice or out of turn', () => {
    forSeeds(30, (random) => {
      const updates = drawUpdates(random);
      const [kept, packed] = [updates.length >> 2, updates.length >> 1];
      const to_rev = updates.length - 3;
      const begun = createPastDoc();
      for (const update of updates.slice(0, kept)) Y.applyUpdate(begun, update);
      const state = stateOf([
        { kind: 'state', state: Y.encodeStateAsUpdate(begun), compressed: false },
        // The revisions before those that count, and behind them, are in the pieces too.
        {
          ...{ kind: 'segment', from_rev: kept - 1, deltas: NONE, meta: NONE, after_rev: kept, to_rev },
          updates: packUpdates(updates.slice(kept - 2, packed)),
        },
        { kind: 'journal', page: pageOf(packed + 1, updates.slice(packed)), after_rev: packed, to_rev },
      ]);
      const [one, other] = snapshots(updates.slice(0, to_rev), state);
      expect(Y.equalSnapshots(one, other)).toBe(true);
    });
  });

  test('is handed back as it was kept where nothing was added', () => {
    const state = Uint8Array.of(0, 0);
    expect(stateOf([{ kind: 'state', state, compressed: false }])).toBe(state);
  });

  test('holds an update that the joiner does not know the form of', () => {
    const doc = new Y.Doc();
    doc.getText('content').insert(0, 'text');
    const update = Y.encodeStateAsUpdate(doc);
    // The same with a number in more bytes than it needs, and a byte behind the end, which Yjs does not read.
    const odd = Uint8Array.of(0x81, 0, ...update.subarray(1), 0);
    const state = stateOf([{ kind: 'journal', page: pageOf(1, [odd]), after_rev: 0, to_rev: 1 }]);
    const [one, other] = snapshots([odd], state);
    expect(Y.equalSnapshots(one, other)).toBe(true);
  });
});

/** Who wrote what, as JSON. */
function attributionOf(pieces: readonly Piece[]): unknown {
  const asked = answering({ kind: 'attribution' });
  for (const piece of pieces) asked.feed(piece);
  const parts: Uint8Array[] = [];
  asked.finish((part) => parts.push(part));
  return JSON.parse(Buffer.concat(parts).toString());
}

describe('who wrote what', () => {
  test('has every number and time as it was: digits that carry, grow, or stand beyond 32 bits; new minutes, and going back', () => {
    const random = seededRandom(77);
    const users = [random.id(), random.id()] as const;
    for (const first of [1, 95, 9_990, 2 ** 31 - 40, 2 ** 40]) {
      let at = Date.UTC(2026, 1, 28, 23, 59, 58, 990);
      const entries = Array.from({ length: 120 }, (_, i) => {
        at += i % 40 === 39 ? -3_600_000 : i % 3 === 0 ? 7 : 991;
        const user_id = users[i % 17 === 0 ? 1 : 0];
        return { rev: first + i, epoch: 1, user_id, client_id: users[0], seq: null, at };
      });
      const deltas = entries.map((_, i): DeltaOps => {
        const insert = 'x'.repeat(i % 30 === 7 ? 123 : 1 + (i % 2));
        // Every fifth goes to the front, so that the text is not in the order of its revisions.
        return i % 5 === 4 || i === 0 ? [{ insert }] : [{ retain: 1 }, { insert }];
      });
      const page: JournalPage = {
        ...{ from_rev: first, to_rev: first + 119, updates: NONE, lengths: '' },
        deltas: deltas.map((delta) => JSON.stringify(delta)).join(),
        metas: entries.map(({ user_id, client_id, at }) => `1 ${user_id} ${client_id}  ${at}`).join('\n'),
      };
      const letters: number[] = [];
      for (const [i, delta] of deltas.entries()) {
        const insert = delta.at(-1)?.insert as string;
        letters.splice(delta.length - 1, 0, ...Array.from(insert, () => i));
      }
      const runs: { start: number; length: number; user_id: string; rev: number; at: string }[] = [];
      for (const [start, i] of letters.entries()) {
        const [last, entry] = [runs.at(-1), entries[i] as (typeof entries)[number]];
        if (last?.rev === entry.rev) last.length += 1;
        else runs.push({ start, length: 1, user_id: entry.user_id, rev: entry.rev, at: isoTime(entry.at) });
      }
      const range = { after_rev: first - 1, to_rev: first + 119 };
      expect(attributionOf([{ kind: 'journal', page, ...range }])).toEqual(runs);
      // The same with half of it in a segment, and with half of it kept as it was then.
      const packed = { meta: packMeta(entries.slice(0, 60)), deltas: packDeltas(deltas.slice(0, 60)), updates: NONE };
      const rest: JournalPage = {
        ...page,
        from_rev: first + 60,
        deltas: deltas
          .slice(60)
          .map((delta) => JSON.stringify(delta))
          .join(),
        metas: page.metas.split('\n').slice(60).join('\n'),
      };
      const tail = { kind: 'journal', page: rest, ...range } as const;
      expect(attributionOf([{ kind: 'segment', from_rev: first, ...packed, ...range }, tail])).toEqual(runs);
      const kept = new AttributionFold(NO_STRETCHES);
      for (const [i, delta] of deltas.slice(0, 60).entries()) kept.apply(delta, entries[i] as (typeof entries)[number]);
      const bytes = packAttribution(kept.stretches());
      expect(attributionOf([{ kind: 'attribution', bytes }, tail])).toEqual(runs);
    }
  });

  test('of nothing is an empty list', () => {
    expect(attributionOf([])).toEqual([]);
  });

  test('fails rather than to leave an author out', () => {
    const deltas = packDeltas([[{ insert: 'x' }]]);
    const segment = { kind: 'segment', from_rev: 3, deltas, updates: NONE, meta: packMeta([]) } as const;
    expect(() => attributionOf([{ ...segment, after_rev: 0, to_rev: 3 }])).toThrow(
      'the author of revision 3 is not known',
    );
  });
});
