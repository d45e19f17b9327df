/**
 * The statechart, walked: `xstate/graph` finds every state that the chart can be in and a shortest way there; each way is
 * then gone by a real actor whose ports are in the test's hand, and in each state every event is tried.
 */
import { describe, expect, test } from 'bun:test';
import { createActor } from 'xstate';
import { getShortestPaths } from 'xstate/graph';
import { ManualClock } from '../base/clock.ts';
import { seededRandom } from '../base/random.ts';
import type { Claim, Located } from './locator.ts';
import { type DocumentEvent, type DocumentPorts, documentMachine, type Ended } from './machine.ts';
import type { DocumentRuntime } from './runtime.ts';

const PASSIVATE_MS = 1_000;
const CLAIM: Claim = { claim_id: 'claim', epoch: 1, head_rev: 0 };
const OWNER = { node_id: 'other', boot_id: 'boot' };
// The machine only hands it on.
const RUNTIME = { doc_id: 'd' } as DocumentRuntime;
const ENTRIES = [{ kind: 'role', user_id: 'u', role: null }] as const;

/** Everything that documents send to their machine. */
const EVENTS: readonly DocumentEvent[] = [
  { type: 'TURN', entries: ENTRIES, received: 0 },
  { type: 'OCCUPIED' },
  { type: 'EMPTY' },
  { type: 'PENDING' },
  { type: 'CLEAN' },
  { type: 'STORAGE_AWAY' },
  { type: 'STORAGE_BACK' },
  { type: 'SUSPECT' },
  { type: 'TRUSTED' },
  { type: 'DRAIN' },
  { type: 'FENCED' },
  { type: 'CRASHED', error: new Error('crashed') },
];

/** What its ports answer, as the machine sees it: XState's own events, and how the test brings them about. */
const ANSWERS: Record<string, (rig: Rig) => void> = {
  'claim: claimed': (rig) => rig.claim.resolve({ kind: 'claimed', claim: CLAIM }),
  'claim: elsewhere': (rig) => rig.claim.resolve({ kind: 'elsewhere', owner: OWNER }),
  'claim: absent': (rig) => rig.claim.resolve({ kind: 'absent' }),
  'claim: failed': (rig) => rig.claim.reject(new Error('no claim')),
  'load: loaded': (rig) => rig.load.resolve(RUNTIME),
  'load: failed': (rig) => rig.load.reject(new Error('no load')),
  'drain: drained': (rig) => rig.drain.resolve(),
  'drain: failed': (rig) => rig.drain.reject(new Error('no drain')),
  'time passes': (rig) => rig.clock.advance(PASSIVATE_MS),
};

const FINALS = ['released', 'fenced', 'failed', 'elsewhere', 'absent'];
const LIFE = ['active', 'idle'];
const JOURNAL = ['clean', 'flushing', 'degraded'];
const LEASE = ['held', 'suspect'];
const OWNED = LIFE.flatMap((life) =>
  JOURNAL.flatMap((journal) => LEASE.map((lease) => ({ owned: { life, journal, lease } }))),
);
const LEGAL = [...FINALS, 'claiming', 'loading', 'draining', ...OWNED].map((value) => JSON.stringify(value));

/** An actor and its ports. */
class Rig {
  readonly clock = new ManualClock();
  claim = Promise.withResolvers<Located>();
  load = Promise.withResolvers<DocumentRuntime>();
  drain = Promise.withResolvers<void>();
  quiet = true;
  readonly turns: unknown[] = [];
  readonly refused: unknown[] = [];
  readonly service: boolean[] = [];
  readonly ends: [Ended, DocumentRuntime | null, Claim | null][] = [];
  errors = 0;
  readonly ports: DocumentPorts = {
    doc_id: 'd',
    passivate_after_ms: PASSIVATE_MS,
    claim: () => this.claim.promise,
    load: () => this.load.promise,
    drain: () => this.drain.promise,
    turn: (_runtime, entries) => void this.turns.push(entries),
    refuse: (entries) => void this.refused.push(entries),
    service: (open) => void this.service.push(open),
    quiet: () => this.quiet,
    ended: (how, runtime, claim) => void this.ends.push([how, runtime, claim]),
  };
  readonly actor;

  constructor() {
    for (const { promise } of [this.claim, this.load, this.drain]) promise.catch(() => {});
    const timers = new Map<number, { cancel(): void }>();
    this.actor = createActor(documentMachine, {
      input: this.ports,
      clock: {
        setTimeout: (callback, delay_ms) => {
          timers.set(timers.size + 1, this.clock.after(delay_ms, callback));
          return timers.size;
        },
        clearTimeout: (id) => timers.get(id)?.cancel(),
      },
    });
    this.actor.subscribe({
      error: () => {
        this.errors += 1;
      },
    });
    this.actor.start();
  }

  get value(): string {
    return JSON.stringify(this.actor.getSnapshot().value);
  }

  get final(): boolean {
    return this.actor.getSnapshot().status === 'done';
  }

  /** Takes one step: an event, or an answer of a port. */
  async step(name: string): Promise<void> {
    const answer = ANSWERS[name];
    if (answer !== undefined) answer(this);
    else for (const event of EVENTS) if (event.type === name) this.actor.send(event);
    await settled();
  }

  /** What must be so wherever the machine is. */
  check(): void {
    expect(LEGAL).toContain(this.value);
    const in_service = this.value.startsWith('{"owned"');
    expect([this.value, this.service.filter(Boolean).length - this.service.filter((open) => !open).length]).toEqual([
      this.value,
      in_service ? 1 : 0,
    ]);
    expect([this.value, this.ends.length]).toEqual([this.value, this.final ? 1 : 0]);
    if (this.final) expect(JSON.stringify(this.ends[0]?.[0].kind)).toBe(this.value);
    expect(this.errors).toBe(0);
  }
}

/** Promises have told their actors, and those have told the machine. */
async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

/** The states and a shortest way to each, by names of steps. */
function ways(): Map<string, string[]> {
  const named = new Map<string, string>();
  const inner = (name: string, type: string, more: object = {}) => {
    const event = { type, ...more } as unknown as DocumentEvent;
    named.set(JSON.stringify(event), name);
    return event;
  };
  const events = [
    ...EVENTS.map((event) => inner(event.type, event.type, event)),
    inner('claim: claimed', 'xstate.done.actor.0.document.claiming', { output: { kind: 'claimed', claim: CLAIM } }),
    inner('claim: elsewhere', 'xstate.done.actor.0.document.claiming', { output: { kind: 'elsewhere', owner: OWNER } }),
    inner('claim: absent', 'xstate.done.actor.0.document.claiming', { output: { kind: 'absent' } }),
    inner('claim: failed', 'xstate.error.actor.0.document.claiming', { error: 'no claim' }),
    inner('load: loaded', 'xstate.done.actor.0.document.loading', { output: RUNTIME }),
    inner('load: failed', 'xstate.error.actor.0.document.loading', { error: 'no load' }),
    inner('drain: drained', 'xstate.done.actor.0.document.draining'),
    inner('drain: failed', 'xstate.error.actor.0.document.draining', { error: 'no drain' }),
    inner('time passes', 'xstate.after.passivate.document.owned.life.idle'),
  ];
  const paths = getShortestPaths(documentMachine, {
    input: new Rig().ports,
    events,
    serializeState: (snapshot) => JSON.stringify(snapshot.value),
    serializeEvent: (event) => JSON.stringify(event),
  });
  return new Map(
    paths.map(({ state, steps }) => [
      JSON.stringify(state.value),
      steps.flatMap(({ event }) => {
        const name = named.get(JSON.stringify(event));
        return name === undefined ? [] : [name]; // what is not ours is XState's own beginning
      }),
    ]),
  );
}

const WAYS = ways();

/** A machine that went there. */
async function at(value: string): Promise<Rig> {
  const rig = new Rig();
  for (const step of WAYS.get(value) ?? []) await rig.step(step);
  expect(rig.value).toBe(value);
  return rig;
}

describe('the statechart', () => {
  test('can be in each of its states and in no other', () => {
    expect([...WAYS.keys()].toSorted()).toEqual(LEGAL.toSorted());
  });

  for (const [value, steps] of WAYS)
    test(`is ${value.replaceAll('"', '')} after: ${steps.join(', ') || 'nothing'}; whatever comes then leaves it in a legal state`, async () => {
      (await at(value)).check();
      for (const next of [...EVENTS.map(({ type }) => type), ...Object.keys(ANSWERS)]) {
        const rig = await at(value);
        const before = { refused: rig.refused.length, turns: rig.turns.length };
        const was_final = rig.final;
        await rig.step(next);
        rig.check();
        if (was_final) expect(rig.value).toBe(value);
        if (next !== 'TURN') continue;
        const in_service = value.startsWith('{"owned"');
        expect(rig.value).toBe(value);
        expect(rig.turns.length - before.turns).toBe(in_service ? 1 : 0);
        expect(rig.refused.length - before.refused).toBe(in_service || was_final ? 0 : 1);
      }
    });
});

describe('its ways out', () => {
  const expected: [string[], Ended, DocumentRuntime | null, Claim | null][] = [
    [['claim: absent'], { kind: 'absent' }, null, null],
    [['claim: elsewhere'], { kind: 'elsewhere', owner: OWNER }, null, null],
    [['claim: failed'], { kind: 'failed', error: new Error('no claim') }, null, null],
    [['claim: claimed', 'load: failed'], { kind: 'failed', error: new Error('no load') }, null, CLAIM],
    [['claim: claimed', 'FENCED'], { kind: 'fenced' }, null, CLAIM],
    [['claim: claimed', 'load: loaded', 'FENCED'], { kind: 'fenced' }, RUNTIME, CLAIM],
    [['claim: claimed', 'load: loaded', 'CRASHED'], { kind: 'failed', error: new Error('crashed') }, RUNTIME, CLAIM],
    [['claim: claimed', 'load: loaded', 'DRAIN', 'drain: drained'], { kind: 'released' }, RUNTIME, CLAIM],
    [['claim: claimed', 'load: loaded', 'DRAIN', 'FENCED'], { kind: 'fenced' }, RUNTIME, CLAIM],
    [
      ['claim: claimed', 'load: loaded', 'DRAIN', 'CRASHED'],
      { kind: 'failed', error: new Error('crashed') },
      RUNTIME,
      CLAIM,
    ],
    [
      ['claim: claimed', 'load: loaded', 'DRAIN', 'drain: failed'],
      { kind: 'failed', error: new Error('no drain') },
      RUNTIME,
      CLAIM,
    ],
    [['claim: claimed', 'load: loaded', 'time passes', 'drain: drained'], { kind: 'released' }, RUNTIME, CLAIM],
  ];
  for (const [steps, how, runtime, claim] of expected)
    test(`${steps.join(', ')}: ${how.kind}, told once with what was held`, async () => {
      const rig = new Rig();
      for (const step of steps) await rig.step(step);
      expect(rig.ends).toEqual([[how, runtime, claim]]);
      rig.check();
    });
});

describe('idleness', () => {
  const owned = ['claim: claimed', 'load: loaded'];

  test('ends when somebody comes, and begins anew when the last one leaves', async () => {
    const rig = new Rig();
    for (const step of owned) await rig.step(step);
    rig.clock.advance(PASSIVATE_MS - 1);
    await rig.step('OCCUPIED');
    rig.clock.advance(PASSIVATE_MS * 5);
    expect(rig.value).toContain('"life":"active"');
    await rig.step('EMPTY');
    rig.clock.advance(PASSIVATE_MS - 1);
    expect(rig.value).toContain('"life":"idle"');
    rig.clock.advance(1);
    expect(rig.value).toBe('"draining"');
  });

  test('does not drain what is not quiet, and looks again after as long', async () => {
    const rig = new Rig();
    for (const step of owned) await rig.step(step);
    rig.quiet = false;
    rig.clock.advance(PASSIVATE_MS);
    expect(rig.value).toContain('"life":"idle"');
    rig.quiet = true;
    rig.clock.advance(PASSIVATE_MS - 1);
    expect(rig.value).toContain('"life":"idle"');
    rig.clock.advance(1);
    expect(rig.value).toBe('"draining"');
    expect(rig.service).toEqual([true, false]);
  });
});

test('saving changes nothing else, however often it comes and goes between all that happens', async () => {
  const rig = new Rig();
  for (const step of ['claim: claimed', 'load: loaded']) await rig.step(step);
  const random = seededRandom(1);
  const expected = { life: 'idle', journal: 'clean', lease: 'held' };
  const moves: [type: DocumentEvent['type'], from: string, region: keyof typeof expected, to: string][] = [
    ['PENDING', 'clean', 'journal', 'flushing'],
    ['CLEAN', 'flushing', 'journal', 'clean'],
    ['OCCUPIED', 'idle', 'life', 'active'],
    ['EMPTY', 'active', 'life', 'idle'],
    ['SUSPECT', 'held', 'lease', 'suspect'],
    ['TRUSTED', 'suspect', 'lease', 'held'],
    ['STORAGE_AWAY', 'clean', 'journal', 'degraded'],
    ['STORAGE_AWAY', 'flushing', 'journal', 'degraded'],
    ['STORAGE_BACK', 'degraded', 'journal', 'flushing'],
  ];
  for (let i = 0; i < 500; i++) {
    const [type] = moves[Math.floor(random.float() * moves.length)] ?? [];
    for (const [event, from, region, to] of moves.filter(([event]) => event === type)) {
      if (expected[region] !== from) continue;
      expected[region] = to;
      await rig.step(event);
      break;
    }
    expect([i, JSON.parse(rig.value)]).toEqual([i, { owned: expected }]);
  }
  rig.check();
});

test('storage that comes back leads through flushing, whatever was missed while it was away', async () => {
  const rig = new Rig();
  for (const step of ['claim: claimed', 'load: loaded', 'PENDING', 'STORAGE_AWAY', 'CLEAN', 'STORAGE_BACK'])
    await rig.step(step);
  expect(rig.value).toContain('"journal":"flushing"');
  await rig.step('CLEAN');
  expect(rig.value).toContain('"journal":"clean"');
});
