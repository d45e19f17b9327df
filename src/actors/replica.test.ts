import { describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { seededRandom } from '../base/random.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { LIMITS } from '../protocol/limits.ts';
import { snapshotOf } from '../protocol/snapshot.ts';
import { type Applied, type Change, EMPTY_STATE, EMPTY_UPDATE, Replica, type TailEntry } from './replica.ts';
import { serverClientId } from './server-ids.ts';

const random = seededRandom(71);
const DOC = random.id();

const fresh = (epoch = 1) => new Replica(DOC, serverClientId(DOC, epoch), EMPTY_STATE, []);

/** A client's document with a stable clientID. */
function client(id: number, from?: Replica): Y.Doc {
  const doc = new Y.Doc();
  doc.clientID = id;
  if (from !== undefined) Y.applyUpdate(doc, from.state());
  return doc;
}

/** What `edit` makes of the document, as the updates that its client would send. */
function updatesOf(doc: Y.Doc, edit: (text: Y.Text) => void): Uint8Array[] {
  const updates: Uint8Array[] = [];
  const note = (update: Uint8Array): void => void updates.push(update);
  doc.on('update', note);
  edit(doc.getText('content'));
  doc.off('update', note);
  return updates;
}

/** The change, when there must be one. */
function changed(applied: Applied): Change {
  if (applied.kind !== 'changed') throw new Error('nothing changed');
  return applied.change;
}

const textOf = (replica: Replica): string =>
  replica
    .ops()
    .map(({ insert }) => (typeof insert === 'string' ? insert : '\ufffc'))
    .join('');

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
    for (const edit of edits) changes.push(changed(live.applyUpdates(updatesOf(ada, edit), true)));
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

  test('without the effects of its tail it says the same, through a Y.Doc', () => {
    const { live, at } = stored();
    for (const { base, tail } of at) {
      const opened = new Replica(
        DOC,
        serverClientId(DOC, 2),
        base,
        tail.map(({ update }) => ({ update, delta: null })),
      );
      expect([opened.ops(), opened.length()]).toEqual([live.ops(), live.length()]);
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
    expect(opened.applyUpdates([answer, EMPTY_UPDATE], true)).toEqual({
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

describe("a Yjs client's updates", () => {
  test('of one turn are one change', () => {
    const [replica, ada] = [fresh(), client(7)];
    const updates = ['a', 'b', 'c'].flatMap((letter, i) => updatesOf(ada, (text) => text.insert(i, letter)));
    expect(changed(replica.applyUpdates(updates, true))).toMatchObject({ delta: [{ insert: 'abc' }], amended: false });
  });

  test('that are known already change nothing, live or not', () => {
    const [replica, ada] = [fresh(), client(7)];
    const updates = updatesOf(ada, (text) => text.insert(0, 'abc'));
    replica.applyUpdates(updates, true);
    expect(replica.applyUpdates(updates, true)).toEqual({ kind: 'nothing', missing: false, malformed: false });
    expect(replica.applyUpdates([], true)).toEqual({ kind: 'nothing', missing: false, malformed: false });
  });

  test('have no delta when nobody asks for one, and the text is right all the same', () => {
    const [replica, ada] = [fresh(), client(7)];
    expect(
      changed(
        replica.applyUpdates(
          updatesOf(ada, (text) => text.insert(0, 'a😀')),
          false,
        ),
      ).delta,
    ).toBeNull();
    expect(replica.ops()).toEqual([{ insert: 'a😀' }]);
    expect(replica.unfit([{ retain: 2 }, { insert: 'x' }])).toContain('splits a surrogate pair');
  });

  test('that build on something that is not here are dropped and asked for; what could be placed stays', () => {
    const [replica, ada] = [fresh(), client(7)];
    const [lost = EMPTY_UPDATE] = updatesOf(ada, (text) => text.insert(0, 'lost '));
    const rest = updatesOf(ada, (text) => text.insert(5, 'found'));
    const other = updatesOf(client(9), (text) => text.insert(0, 'other'));
    const first = replica.applyUpdates([...rest, ...other], true);
    expect([first.missing, first.malformed]).toEqual([true, false]);
    expect(textOf(replica)).toBe('other');
    // The missing piece alone brings back what came with it, not what was dropped: nothing was kept aside.
    replica.applyUpdates([lost], true);
    expect(textOf(replica).split('').toSorted().join('')).toBe('lost other'.split('').toSorted().join(''));
    const answer = Y.encodeStateAsUpdate(ada, replica.stateVector());
    expect(replica.applyUpdates([answer], true).missing).toBe(false);
    expect(textOf(replica)).toContain('lost found');
  });

  test('deletions of what is not here are dropped and asked for', () => {
    const [replica, ada] = [fresh(), client(7)];
    const typed = updatesOf(ada, (text) => text.insert(0, 'abc'));
    const removed = updatesOf(ada, (text) => text.delete(0, 3));
    expect(replica.applyUpdates(removed, true)).toEqual({ kind: 'nothing', missing: true, malformed: false });
    replica.applyUpdates(typed, true);
    replica.applyUpdates([Y.encodeStateAsUpdate(ada, replica.stateVector())], true);
    expect(textOf(replica)).toBe('');
  });

  test('no number of them that wait for something is kept', () => {
    const [replica, ada] = [fresh(), client(7)];
    updatesOf(ada, (text) => text.insert(0, 'never sent'));
    for (let i = 0; i < 200; i++)
      replica.applyUpdates(
        updatesOf(ada, (text) => text.insert(text.length, 'x')),
        true,
      );
    expect(textOf(replica)).toBe('');
    replica.readText((doc) => expect([doc.store.pendingStructs, doc.store.pendingDs]).toEqual([null, null]));
  });

  test('a clean-up of formatting that Yjs adds is part of the change, and its author needs it too', () => {
    const replica = fresh();
    replica.applyDelta([{ insert: 'hello world' }]);
    const [ada, bob] = [client(7, replica), client(8, replica)];
    const bold = updatesOf(ada, (text) => text.format(0, 5, { bold: true }));
    const also = updatesOf(bob, (text) => text.format(0, 5, { bold: true }));
    replica.applyUpdates(bold, true);
    const change = changed(replica.applyUpdates(also, true));
    expect(change).toMatchObject({ amended: true, delta: [] });
    expect(replica.ops()).toEqual([{ insert: 'hello', attributes: { bold: true } }, { insert: ' world' }]);
    // As it goes over the wire: Bob hears of Ada's edit first, cleans up in his own way, and that comes back.
    const reaction = updatesOf(bob, () => {
      for (const update of [...bold, change.update]) Y.applyUpdate(bob, update);
    });
    Y.applyUpdate(ada, change.update);
    expect(ada.getText('content').toDelta()).toEqual(replica.ops());
    const back = changed(replica.applyUpdates(reaction, true));
    Y.applyUpdate(ada, back.update);
    for (const doc of [ada, bob]) expect(doc.getText('content').toDelta()).toEqual(replica.ops());
  });

  test('other roots are kept and cost the text nothing', () => {
    const [replica, ada] = [fresh(), client(7)];
    replica.applyDelta([{ insert: 'text' }]);
    const change = changed(
      replica.applyUpdates(
        updatesOf(ada, () => {
          ada.getMap('meta').set('title', 'x');
          ada.getArray('list').push([1, { a: [true, null] }]);
          ada.getText('notes').insert(0, 'some notes', { bold: true });
          ada.getXmlFragment('xml').insert(0, [new Y.XmlElement('p')]);
        }),
        true,
      ),
    );
    expect(change.delta).toEqual([]);
    const other = client(9, replica);
    expect(other.getMap('meta').toJSON()).toEqual({ title: 'x' });
    expect(other.getArray('list').toJSON()).toEqual([1, { a: [true, null] }]);
    expect(other.getText('notes').toDelta()).toEqual([{ insert: 'some notes', attributes: { bold: true } }]);
    expect(other.getXmlFragment('xml').toString()).toBe('<p></p>');
    expect(textOf(replica)).toBe('text');
  });
});

describe('a malformed update', () => {
  /** Of a document with text, before and after something that must not change it. */
  function unchanged(update: Uint8Array | readonly Uint8Array[]): void {
    const replica = fresh();
    replica.applyDelta([{ insert: 'hello' }]);
    const before = replica.state();
    const applied = replica.applyUpdates(update instanceof Uint8Array ? [update] : update, true);
    expect(applied).toEqual({ kind: 'nothing', missing: false, malformed: true });
    expect(replica.state()).toEqual(before);
  }

  test('changes nothing, wherever it is cut off', () => {
    const ada = client(7);
    const [update = EMPTY_UPDATE] = updatesOf(ada, (text) => text.insert(0, 'broken'));
    for (let length = 0; length < update.length; length++) unchanged(update.slice(0, length));
  });

  test('changes nothing when only its delete set is broken', () => {
    const [update = EMPTY_UPDATE] = updatesOf(client(7), (text) => text.insert(0, 'broken'));
    unchanged(Uint8Array.from([...update.slice(0, -1), 5]));
  });

  test('takes none of its neighbours of the turn with it', () => {
    const replica = fresh();
    const good = updatesOf(client(7), (text) => text.insert(0, 'good'));
    const applied = replica.applyUpdates([Uint8Array.of(9, 9, 9), ...good], true);
    expect(applied.malformed).toBe(true);
    expect(changed(applied).delta).toEqual([{ insert: 'good' }]);
  });

  test('reserves no memory for what it announces', () => {
    const before = process.memoryUsage().rss;
    unchanged(Uint8Array.of(1, 0x80, 0xc2, 0xd7, 0x2f, 7, 0));
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
  });

  test('is never known already', () => {
    const replica = fresh();
    for (let live = 0; live < 2; live++) {
      expect(replica.covers(Uint8Array.of(9, 9, 9))).toBe(false);
      expect(replica.covers(new Uint8Array(0))).toBe(false);
      replica.applyDelta([{ insert: 'x' }]);
    }
  });

  test('that deletes nothing at the end of a client is no reason to stumble', () => {
    const replica = fresh();
    const ada = client(7);
    replica.applyUpdates(
      updatesOf(ada, (text) => text.insert(0, 'hello')),
      true,
    );
    const nothing = Uint8Array.of(0, 1, 7, 1, 5, 0);
    expect(replica.covers(nothing)).toBe(true);
    expect(replica.applyUpdates([nothing], true).kind).toBe('nothing');
    expect(textOf(replica)).toBe('hello');
  });

  test(`that nests values more than ${LIMITS.yjs_value_depth_max} deep is refused, since it could not be written as JSON`, () => {
    const levels = LIMITS.yjs_value_depth_max * 2;
    const deep = JSON.parse(`${'{"a":'.repeat(levels)}{}${'}'.repeat(levels)}`) as object;
    for (const update of updatesOf(client(7), (text) => text.insertEmbed(0, deep))) unchanged(update);
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
    expect(replica.applyUpdates(forged, true)).toEqual({ kind: 'nothing', missing: false, malformed: true });
    expect(replica.state()).toEqual(before);
    const { update } = replica.applyDelta([{ retain: 1 }, { insert: 'b' }]);
    expect([...Y.parseUpdateMeta(update).from.keys()]).toEqual([serverClientId(DOC, 1)]);
    // A stock client that only repeats what it has heard is no forger.
    expect(replica.applyUpdates([replica.state()], true).malformed).toBe(false);
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

  test('knows the pairs of a stored text', () => {
    const doc = client(7);
    doc.getText('content').insert(0, 'a😀b', { bold: true });
    const opened = new Replica(DOC, serverClientId(DOC, 2), snapshotOf(doc), []);
    expect(opened.unfit([{ retain: 2 }, { insert: 'x' }])).toContain('splits a surrogate pair');
  });

  test('knows the pairs that a Yjs client brought, also where nobody computed the effect', () => {
    for (const want_delta of [true, false]) {
      const replica = fresh();
      replica.applyDelta([{ insert: 'ab' }]);
      expect(replica.unfit([{ retain: 1 }, { insert: 'x' }])).toBeNull();
      replica.applyUpdates(
        updatesOf(client(7, replica), (text) => text.insert(1, '😀')),
        want_delta,
      );
      expect(replica.unfit([{ retain: 2 }, { insert: 'x' }])).toContain('splits a surrogate pair');
    }
  });
});

describe('every unit of the text is one unit of its ops', () => {
  const strange: [string, (text: Y.Text) => void][] = [
    ['an embedded number', (text) => text.insertEmbed(1, 5 as never)],
    ['an embedded list', (text) => text.insertEmbed(1, [1, 2] as never)],
    ['an embedded text', (text) => text.insertEmbed(1, new Y.Text('hello'))],
    ['an embedded element', (text) => text.insertEmbed(1, new Y.XmlElement('p'))],
    ['an embedded map', (text) => text.insertEmbed(1, new Y.Map([['a', 1]]))],
    ['a formatted embed', (text) => text.insertEmbed(1, 7 as never, { bold: true })],
  ];
  for (const [what, edit] of strange)
    test(`${what} counts one, live and stored, and edits around it land where they should`, () => {
      const replica = fresh();
      replica.applyDelta([{ insert: 'ab' }]);
      const ada = client(7, replica);
      const change = changed(replica.applyUpdates(updatesOf(ada, edit), true));
      expect(textOf(replica)).toBe('a\ufffcb');
      expect(change.delta).toMatchObject([{ retain: 1 }, { insert: { yjs: expect.anything() as unknown } }]);
      const opened = new Replica(DOC, serverClientId(DOC, 2), snapshotOf(client(9, replica)), []);
      expect([opened.json(), opened.length(), opened.live]).toEqual([replica.json(), 3, false]);
      expect(() => JSON.stringify(change.delta)).not.toThrow();
      replica.applyDelta([{ retain: 2 }, { insert: 'x' }]);
      expect(textOf(replica)).toBe('a\ufffcxb');
      replica.applyDelta([{ retain: 1 }, { delete: 1 }]);
      expect(textOf(replica)).toBe('axb');
    });

  test('a string that was embedded by other means than Yjs offers counts one, too', () => {
    const replica = fresh();
    const [update = EMPTY_UPDATE] = updatesOf(client(7), (text) => text.insertEmbed(0, { a: 1 }));
    const crafted = Buffer.from(update).toString('latin1').replace('{"a":1}', '"abcde"');
    replica.applyUpdates([Uint8Array.from(Buffer.from(crafted, 'latin1'))], true);
    expect(replica.ops()).toEqual([{ insert: { yjs: 'abcde' } }]);
    expect(replica.length()).toBe(1);
  });

  test('a root that a client uses as a list is shown unit by unit', () => {
    const replica = fresh();
    const lister = client(7);
    const update: Uint8Array[] = [];
    lister.on('update', (bytes: Uint8Array) => update.push(bytes));
    lister.getArray('content').push([1, 'two', { three: 3 }]);
    const change = changed(replica.applyUpdates(update, true));
    expect(change.delta).toEqual([
      { insert: { yjs: 1 } },
      { insert: { yjs: 'two' } },
      { insert: { yjs: { three: 3 } } },
    ]);
    expect(replica.length()).toBe(3);
    replica.applyDelta([{ retain: 1 }, { insert: 'x' }]);
    expect(textOf(replica)).toBe('\ufffcx\ufffc\ufffc');
  });
});

test('destroying it frees the document, and once more is harmless', () => {
  const replica = fresh();
  replica.applyDelta([{ insert: 'x' }]);
  replica.destroy();
  replica.destroy();
  expect(replica.live).toBe(false);
});
