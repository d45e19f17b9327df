import { describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { changed, client, updatesOf } from '../../test/support/yjs.ts';
import { seededRandom } from '../base/random.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { snapshotOf } from '../protocol/snapshot.ts';
import { type Change, EMPTY_STATE, EMPTY_UPDATE, Replica, type TailEntry } from './replica.ts';
import { serverClientId } from './server-ids.ts';

const random = seededRandom(71);
const DOC = random.id();

const fresh = (epoch = 1) => new Replica(DOC, serverClientId(DOC, epoch), EMPTY_STATE, []);

/** Everything that can be told of a replica without building a document, and what building one tells. */
function facts(replica: Replica) {
  const { live } = replica;
  const [ops, json, length] = [replica.ops(), JSON.parse(replica.json()) as unknown, replica.length()];
  const doc = new Y.Doc();
  for (const update of replica.missingFor(null)) Y.applyUpdate(doc, update);
  return { live, ops, json, length, text: doc.getText('content').toDelta() as unknown };
}

describe('a document that nobody edited', () => {
  test('is empty, as text and as bytes, and needs no Y.Doc', () => {
    const replica = fresh();
    expect([replica.ops(), replica.json(), replica.length(), replica.live]).toEqual([[], '[]', 0, false]);
    expect(replica.missingFor(null)).toEqual([EMPTY_UPDATE]);
    expect(replica.state()).toEqual(EMPTY_UPDATE);
    expect([...replica.stateVector()]).toEqual([0]);
    expect(replica.live).toBe(false);
  });
});

describe('opened from bytes', () => {
  /** A document with some of everything, and its snapshot and tail after each of its changes. */
  function stored(): { live: Replica; at: { base: ReturnType<typeof snapshotOf>; tail: TailEntry[] }[] } {
    const live = fresh();
    const ada = client(7);
    const changes: Change[] = [
      live.applyDelta([{ insert: 'plain ' }, { insert: 'bold', attributes: { bold: true } }, { insert: ' 😀\n' }]),
    ];
    Y.applyUpdate(ada, live.state());
    const edits: ((text: Y.Text) => void)[] = [
      (text) => text.insert(8, 'er'),
      (text) => text.insertEmbed(0, { image: 'a.png' }),
      (text) => text.format(3, 5, { italic: true }),
      (text) => text.delete(1, 4),
      (text) => text.doc?.getMap('meta').set('title', 'x'),
    ];
    for (const edit of edits) changes.push(changed(live.applyUpdates(updatesOf(ada, edit))));
    const at = changes.map((_, cut) => {
      const doc = new Y.Doc();
      for (const { update } of changes.slice(0, cut)) Y.applyUpdate(doc, update);
      return { base: snapshotOf(doc), tail: changes.slice(cut).map(({ update, delta }) => ({ update, delta })) };
    });
    return { live, at };
  }

  test('it says of itself what the live one says, wherever the snapshot was cut, and builds no Y.Doc for it', () => {
    const { live, at } = stored();
    const expected = { ...facts(live), live: false };
    for (const { base, tail } of at) {
      const opened = new Replica(DOC, serverClientId(DOC, 2), base, tail);
      expect(facts(opened)).toEqual(expected);
      expect(opened.live).toBe(false);
    }
  });

  test('it takes the same edits with the same effect as the live one', () => {
    const edits: DeltaOps[] = [
      [{ retain: 6 }, { insert: 'x' }],
      [{ retain: 3, attributes: { bold: null, link: 'https://example.org' } }],
      [{ retain: 1 }, { delete: 2 }, { insert: { image: 'b.png' }, attributes: { width: 3 } }],
      [{ retain: 2 }, { insert: 'y', attributes: { italic: true } }],
    ];
    for (const delta of edits) {
      const { live, at } = stored();
      const effect = live.applyDelta(delta).delta;
      for (const { base, tail } of at) {
        const opened = new Replica(DOC, serverClientId(DOC, 2), base, tail);
        expect(opened.applyDelta(delta).delta).toEqual(effect);
        expect(opened.ops()).toEqual(live.ops());
      }
    }
  });

  test('plain text within formatting stays plain', () => {
    const doc = client(7);
    doc.getText('content').insert(0, 'bold', { bold: true });
    const opened = new Replica(DOC, serverClientId(DOC, 2), snapshotOf(doc), []);
    expect(opened.applyDelta([{ retain: 2 }, { insert: 'x' }]).delta).toEqual([{ retain: 2 }, { insert: 'x' }]);
    expect(opened.ops()).toEqual([
      { insert: 'bo', attributes: { bold: true } },
      { insert: 'x' },
      { insert: 'ld', attributes: { bold: true } },
    ]);
  });

  test('building the document changes nothing of it, also where two people made the same word bold at once', () => {
    const [one, two] = [client(1), client(2)];
    one.getText('content').insert(0, 'hello world');
    Y.applyUpdate(two, Y.encodeStateAsUpdate(one));
    for (const doc of [one, two]) doc.getText('content').format(0, 5, { bold: true });
    const base = new Y.Doc();
    Y.applyUpdate(base, Y.mergeUpdates([Y.encodeStateAsUpdate(one), Y.encodeStateAsUpdate(two)]));
    const opened = new Replica(DOC, serverClientId(DOC, 2), snapshotOf(base), []);
    const built = opened.readText((doc) => Y.encodeStateAsUpdate(doc));
    expect(Y.decodeUpdate(built).ds.clients).toEqual(Y.decodeUpdate(Y.encodeStateAsUpdate(base)).ds.clients);
  });

  test('a client gets what it lacks and no more, whatever it has, from bytes and live alike', () => {
    const { live, at } = stored();
    const whole = client(8, live);
    for (const { base, tail } of at)
      for (const partial of at) {
        const has = new Y.Doc();
        Y.applyUpdate(has, partial.base.state);
        const opened = new Replica(DOC, serverClientId(DOC, 2), base, tail);
        for (const replica of [opened, live]) {
          const joining = new Y.Doc();
          Y.applyUpdate(joining, partial.base.state);
          for (const update of replica.missingFor(Y.encodeStateVector(has))) Y.applyUpdate(joining, update);
          expect(joining.getText('content').toDelta()).toEqual(whole.getText('content').toDelta());
          expect(joining.getMap('meta').toJSON()).toEqual({ title: 'x' });
        }
        expect(opened.live).toBe(false);
      }
  });

  test('a reader who has everything does not wake it', () => {
    const { live, at } = stored();
    const reader = client(9, live);
    const answer = Y.encodeStateAsUpdate(reader, live.stateVector());
    const whole = snapshotOf(client(10, live));
    const opened = new Replica(DOC, serverClientId(DOC, 2), whole, []);
    expect(opened.applyUpdates([answer, EMPTY_UPDATE])).toEqual({
      kind: 'nothing',
      missing: false,
      malformed: false,
    });
    expect(opened.covers(answer)).toBe(true);
    expect(opened.live).toBe(false);
    expect(at.length).toBeGreaterThan(3);
  });

  test('a tail of more than a thousand edits, or of edits without effect, is no different', () => {
    const live = fresh();
    const tail: TailEntry[] = [];
    for (let i = 0; i < 1_001; i++) {
      const { update, delta } = live.applyDelta([{ retain: i }, { insert: String(i % 10) }]);
      tail.push({ update, delta });
    }
    tail.push({ update: EMPTY_UPDATE, delta: [] });
    const opened = new Replica(DOC, serverClientId(DOC, 2), EMPTY_STATE, tail);
    expect(opened.json()).toBe(live.json());
    const short = new Replica(DOC, serverClientId(DOC, 2), EMPTY_STATE, tail.slice(0, 3).concat(tail.slice(-1)));
    expect([short.json(), short.live]).toEqual(['[{"insert":"012"}]', false]);
  });
});

describe('a join', () => {
  /** Joins with nothing and gives the text. */
  const joined = (replica: Replica): string => {
    const doc = new Y.Doc();
    for (const update of replica.missingFor(null)) Y.applyUpdate(doc, update);
    return doc.getText('content').toString();
  };

  test('is answered from base and tail while they are small, and from a new base beyond that', () => {
    const replica = fresh();
    for (let i = 0; i < 512; i++) replica.applyDelta([{ retain: i }, { insert: 'x' }]);
    expect(replica.missingFor(null)).toHaveLength(2);
    expect(joined(replica)).toBe('x'.repeat(512));
    replica.applyDelta([{ insert: 'y' }]);
    expect(replica.missingFor(null)).toHaveLength(1);
    expect(joined(replica)).toBe(`y${'x'.repeat(512)}`);
    replica.applyDelta([{ insert: 'z' }]);
    expect(joined(replica)).toBe(`zy${'x'.repeat(512)}`);
  });

  test('sees everything after the bytes were let go', () => {
    const replica = fresh();
    const big = 'x'.repeat(1_500_000);
    for (let i = 0; i < 3; i++) replica.applyDelta([{ insert: big }]);
    replica.applyDelta([{ insert: 'end' }]);
    const partial = Y.encodeStateVector(client(7));
    for (const vector of [null, partial, Uint8Array.of(0)]) {
      const doc = new Y.Doc();
      for (const update of replica.missingFor(vector)) Y.applyUpdate(doc, update);
      expect(doc.getText('content').length).toBe(4_500_003);
    }
    expect(replica.covers(replica.state())).toBe(true);
  });

  test('with a state vector that does not decode throws, so that its sender can be told', () => {
    const replica = fresh();
    replica.applyDelta([{ insert: 'x' }]);
    expect(() => replica.missingFor(Uint8Array.of(200, 200, 200))).toThrow();
    const doc = client(7);
    doc.getText('content').insert(0, 'x');
    const opened = new Replica(DOC, serverClientId(DOC, 2), snapshotOf(doc), []);
    expect(() => opened.missingFor(Uint8Array.of(200, 200, 200))).toThrow();
  });
});

describe('what the server writes', () => {
  test('is written under its own clientID, whatever a client sends under it', () => {
    const replica = fresh();
    replica.applyDelta([{ insert: 'a' }]);
    const before = replica.state();
    const forger = client(7, replica);
    forger.clientID = serverClientId(DOC, 1);
    const forged = updatesOf(forger, (text) => text.insert(1, 'forged'));
    expect(replica.applyUpdates(forged)).toEqual({ kind: 'nothing', missing: false, malformed: true });
    expect(replica.state()).toEqual(before);
    const { update } = replica.applyDelta([{ retain: 1 }, { insert: 'b' }]);
    expect([...Y.parseUpdateMeta(update).from.keys()]).toEqual([serverClientId(DOC, 1)]);
    // A stock client that only repeats what it has heard is no forger.
    expect(replica.applyUpdates([replica.state()]).malformed).toBe(false);
  });

  test('is a delta of text, embeds and formats, applied as it says', () => {
    const replica = fresh();
    const steps: [DeltaOps, DeltaOps][] = [
      [[{ insert: 'hello world' }], [{ insert: 'hello world' }]],
      [
        [{ retain: 6 }, { retain: 5, attributes: { bold: true } }],
        [{ insert: 'hello ' }, { insert: 'world', attributes: { bold: true } }],
      ],
      [
        [{ retain: 5 }, { delete: 1 }, { insert: { image: 'x' }, attributes: { width: 2 } }, { insert: 'new' }],
        [
          { insert: 'hello' },
          { insert: { image: 'x' }, attributes: { width: 2 } },
          { insert: 'new' },
          { insert: 'world', attributes: { bold: true } },
        ],
      ],
      [
        [{ retain: 9 }, { retain: 5, attributes: { bold: null } }],
        [{ insert: 'hello' }, { insert: { image: 'x' }, attributes: { width: 2 } }, { insert: 'newworld' }],
      ],
      [[{ retain: 5 }, { delete: 9 }], [{ insert: 'hello' }]],
    ];
    for (const [delta, text] of steps) {
      const change = replica.applyDelta(delta);
      expect(change.delta).toEqual(delta);
      expect(replica.ops()).toEqual(text);
    }
  });

  test('in many formatted steps is applied as it says, and shares nothing with what was handed over', () => {
    const replica = fresh();
    replica.applyDelta([{ insert: '0123456789'.repeat(10) }]);
    const delta: DeltaOps = [];
    for (let i = 0; i < 20; i++) delta.push({ retain: 1 }, { retain: 1, attributes: { bold: true } }, { delete: 1 });
    delta.push({ insert: 'end', attributes: { italic: true } }, { insert: { image: 'x' }, attributes: { width: 1 } });
    const handed = structuredClone(delta);
    const change = replica.applyDelta(delta);
    expect([change.delta, delta]).toEqual([handed, handed]);
    const opened = new Replica(DOC, serverClientId(DOC, 2), snapshotOf(client(7, replica)), []);
    expect(opened.ops()).toEqual(replica.ops());
    expect(replica.length()).toBe(84);
  });

  test('that has no effect is an empty change', () => {
    const replica = fresh();
    replica.applyDelta([{ insert: 'bold', attributes: { bold: true } }]);
    const same = replica.applyDelta([{ retain: 4, attributes: { bold: true } }]);
    expect(same).toEqual({ update: EMPTY_UPDATE, delta: [], amended: false });
  });
});

describe('whether a delta fits', () => {
  test('asks for the end of the text and for pairs, at the text as it is now', () => {
    const replica = fresh();
    replica.applyDelta([{ insert: 'ab' }]);
    expect(replica.unfit([{ retain: 2 }, { insert: 'x' }])).toBeNull();
    expect(replica.unfit([{ retain: 3 }, { insert: 'x' }])).toContain('past the end');
    expect(replica.unfit([{ retain: 1 }, { insert: 'x' }])).toBeNull();
    replica.applyDelta([{ retain: 1 }, { insert: '😀' }]);
    expect(replica.unfit([{ retain: 2 }, { insert: 'x' }])).toContain('splits a surrogate pair at 1');
    expect(replica.unfit([{ retain: 1 }, { delete: 2 }])).toBeNull();
    replica.applyDelta([{ retain: 1 }, { insert: { image: 'x' } }]);
    expect(replica.unfit([{ retain: 2 }, { insert: 'x' }])).toBeNull();
    expect(replica.unfit([{ retain: 3 }, { insert: 'x' }])).toContain('splits a surrogate pair at 2');
  });

  test('looks at one place as often as the delta has steps there, also between two runs of formatting', () => {
    const replica = fresh();
    replica.applyDelta([{ insert: 'ab', attributes: { bold: true } }, { insert: '😀' }]);
    expect(replica.unfit([{ retain: 2 }, { insert: 'x' }, { insert: 'y', attributes: { bold: true } }])).toBeNull();
    expect(replica.unfit([{ retain: 3 }, { insert: 'x' }])).toContain('splits a surrogate pair at 2');
  });

  test('knows the pairs of a stored text', () => {
    const doc = client(7);
    doc.getText('content').insert(0, 'a😀b', { bold: true });
    const opened = new Replica(DOC, serverClientId(DOC, 2), snapshotOf(doc), []);
    expect(opened.unfit([{ retain: 2 }, { insert: 'x' }])).toContain('splits a surrogate pair');
  });

  test('knows the pairs that a Yjs client brought', () => {
    const replica = fresh();
    replica.applyDelta([{ insert: 'ab' }]);
    expect(replica.unfit([{ retain: 1 }, { insert: 'x' }])).toBeNull();
    replica.applyUpdates(updatesOf(client(7, replica), (text) => text.insert(1, '😀')));
    expect(replica.unfit([{ retain: 2 }, { insert: 'x' }])).toContain('splits a surrogate pair');
  });
});

test('destroying it frees the document, and once more is harmless', () => {
  const replica = fresh();
  replica.applyDelta([{ insert: 'x' }]);
  replica.destroy();
  replica.destroy();
  expect(replica.live).toBe(false);
});
