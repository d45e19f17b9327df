import { describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { TestJsonMember, TestYjsMember } from '../../test/support/core.ts';
import { CoreWorld, TurningClock, turn } from '../../test/support/core-node.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { OpenDocument } from './document.ts';

const world = new CoreWorld(650);

describe('the mailbox', () => {
  /** Fills it with what costs nothing. */
  function fill(open: OpenDocument, upto: number): void {
    for (let i = 0; i < upto; i++) open.push({ kind: 'role', user_id: 'nobody', role: null });
  }

  /** A node whose turns end when the test says so. */
  class HeldTurns extends TurningClock {
    #held: (() => void)[] = [];
    holds = false;

    override endOfTurn(callback: () => void): void {
      if (this.holds) this.#held.push(callback);
      else super.endOfTurn(callback);
    }

    endTurn(): void {
      for (const callback of this.#held.splice(0)) callback();
    }

    /** Until nothing waits for the end of a turn; tells how many there were. */
    endTurns(): number {
      let turns = 0;
      for (; this.#held.length > 0; turns++) this.endTurn();
      return turns;
    }
  }

  async function full(upto: number) {
    const clock = new HeldTurns();
    const one = world.makeNode({ clock });
    const doc_id = await world.document();
    const { document: open, runtime } = await one.registry.open(doc_id);
    const [json, yjs] = [await one.json(doc_id), await one.yjs(doc_id)];
    clock.holds = true;
    fill(open, upto);
    return { open, runtime, json, yjs, clock };
  }

  test(`takes presence up to ${LIMITS.mailbox_soft_max} entries, and drops it beyond`, async () => {
    const { open, json, runtime, clock } = await full(LIMITS.mailbox_soft_max - 1);
    expect(open.push({ kind: 'presence', member: json, state: { n: 1 } })).toBe(true);
    expect(open.push({ kind: 'presence', member: json, state: { n: 2 } })).toBe(true);
    clock.endTurns();
    expect(runtime.presence().map(({ state }) => state)).toContainEqual({ n: 1 });
  });

  test(`takes edits up to ${LIMITS.mailbox_hard_max} entries, and refuses them beyond as RATE_LIMITED`, async () => {
    const { open, clock } = await full(LIMITS.mailbox_hard_max - 1);
    const outcomes: unknown[] = [];
    const edit = {
      user_id: world.node.random.id(),
      client_id: world.node.random.id(),
      seq: null,
      base_rev: null,
      delta: [{ insert: 'x' }],
    };
    const push = () =>
      open.push({
        kind: 'edit',
        author: null,
        edit: { ...edit, door: 'rest' },
        outcome: {
          applied: (rev) => outcomes.push(rev),
          refused: ({ code, retry_after_s }) => outcomes.push([code, retry_after_s]),
        },
      });
    expect([push(), push()]).toEqual([true, true]);
    expect(outcomes).toEqual([['RATE_LIMITED', 1]]);
    // A flood is worked off in slices, so that other documents get their turns in between.
    expect(clock.endTurns()).toBeGreaterThan(10);
    expect(outcomes).toEqual([['RATE_LIMITED', 1], 1]);
  });

  test('takes a flood a millisecond at a time, and what comes after a small turn at once', async () => {
    const clock = new TurningClock();
    const one = world.makeNode({ clock });
    const { document: open, runtime } = await one.registry.open(await world.document());
    const sizes: number[] = [];
    const taking = runtime.turn.bind(runtime);
    runtime.turn = (entries, received) => {
      sizes.push(entries.length);
      taking(entries, received);
    };
    fill(open, 15);
    await turn();
    fill(open, 16);
    await turn();
    expect(sizes).toEqual([15, 16]);
    fill(open, 3);
    await turn();
    fill(open, 2);
    await turn();
    expect(sizes).toEqual([15, 16]);
    clock.advance(1);
    expect(sizes).toEqual([15, 16, 5]);
    fill(open, 1);
    await turn();
    expect(sizes).toEqual([15, 16, 5, 1]);
  });

  test('closes a Yjs socket that sends beyond it with 1013, and still takes those who leave', async () => {
    const { open, yjs, json, runtime, clock } = await full(LIMITS.mailbox_hard_max);
    const update = Y.encodeStateAsUpdate(new Y.Doc());
    expect(open.push({ kind: 'update', member: yjs, update, whole: false })).toBe(true);
    expect(yjs.closed).toMatchObject({ code: 1013 });
    expect(open.push({ kind: 'sync', member: yjs, state_vector: Uint8Array.of(0) })).toBe(true);
    expect(open.push({ kind: 'leave', member: json })).toBe(true);
    clock.endTurns();
    expect(runtime.members.size).toBe(1);
  });
});

test('whatever waits in the mailbox when a document is lost is answered: edits refused, joins closed with 1012', async () => {
  const doc_id = await world.document();
  const { document: open } = await world.node.registry.open(doc_id);
  const { random, stage } = world.node;
  const json = new TestJsonMember(stage, random.id(), random.id());
  const yjs = new TestYjsMember(stage, random.id(), random.id());
  const told: string[] = [];
  open.push({ kind: 'join_json', member: json, resume: null, last_seq: 0 });
  open.push({ kind: 'join_yjs', member: yjs });
  const edit = { user_id: random.id(), client_id: random.id(), seq: null, base_rev: null, delta: [{ insert: 'x' }] };
  open.push({
    kind: 'edit',
    author: null,
    edit: { ...edit, door: 'rest' },
    outcome: { applied: () => told.push('applied'), refused: ({ code, message }) => told.push(code, message) },
  });
  open.fence();
  expect(await open.ended).toEqual({ kind: 'fenced' });
  await turn();
  // Not that storage is away, which it is not.
  expect(told).toEqual(['UNAVAILABLE', 'The document cannot be served just now; try again.']);
  expect([json.closed?.code, yjs.closed?.code]).toEqual([1012, 1012]);
  expect(open.push({ kind: 'leave', member: json })).toBe(false);
  expect([open.runtime, open.state]).toEqual([null, 'fenced']);
});
