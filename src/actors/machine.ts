/**
 * The statechart of an open document. It holds control state only; the data is in one {@link DocumentRuntime} that plain
 * actions hand the turn's entries to, so that an edit costs the machine one event and no assignment.
 *
 *   claiming   Looking for the owner. Ends `elsewhere` or `absent` when it is not to be us; otherwise it is now.
 *   loading    The snapshot and the journal's tail are read; the runtime is made.
 *   owned      In service. Three things are true at once:
 *                life     active while somebody is connected, idle otherwise; idle long enough with nothing on its way, it
 *                         drains.
 *                journal  clean, flushing while text is being saved (not at each commit, as people are told of it, too),
 *                         degraded while storage does not answer.
 *                lease    held, or suspect while the node's beats do not get through. A suspect actor goes on serving.
 *   draining   Nothing new is taken. What was taken reaches the disk, then the document is given up.
 *   released, fenced, failed, elsewhere, absent   Final. Sockets are gone; whoever comes next starts a fresh actor.
 *
 * `fenced` means that PostgreSQL said the document is another's; `failed` that this actor could not go on (a crash, or
 * rows that cannot be written): its memory is dropped, its clients reconnect and send what was not acked.
 */
import { assign, fromPromise, setup } from 'xstate';
import type { NodeIdentity } from '../store/heads.ts';
import type { Entry } from './entries.ts';
import type { Claim, Located } from './locator.ts';
import type { DocumentRuntime } from './runtime.ts';

/** What reaches the machine. */
export type DocumentEvent =
  | { readonly type: 'TURN'; readonly entries: readonly Entry[]; readonly received: number }
  | { readonly type: 'OCCUPIED' }
  | { readonly type: 'EMPTY' }
  | { readonly type: 'PENDING' }
  | { readonly type: 'CLEAN' }
  | { readonly type: 'STORAGE_AWAY' }
  | { readonly type: 'STORAGE_BACK' }
  | { readonly type: 'SUSPECT' }
  | { readonly type: 'TRUSTED' }
  | { readonly type: 'DRAIN' }
  | { readonly type: 'FENCED' }
  | { readonly type: 'CRASHED'; readonly error: unknown };

/** What the machine needs done; see document.ts. */
export interface DocumentPorts {
  readonly doc_id: string;
  /** Milliseconds without anybody before the document leaves memory. */
  readonly passivate_after_ms: number;
  claim(): Promise<Located>;
  load(claim: Claim): Promise<DocumentRuntime>;
  /** Resolves once everything is on disk and the document is given up. */
  drain(runtime: DocumentRuntime, claim: Claim): Promise<void>;
  turn(runtime: DocumentRuntime, entries: readonly Entry[], received: number): void;
  /** Refuses what arrived too late. */
  refuse(entries: readonly Entry[]): void;
  /** The document enters or leaves service. */
  service(open: boolean): void;
  /** Whether nothing waits in the mailbox or for the disk. */
  quiet(): boolean;
  /** The actor reached a final state. */
  ended(how: Ended, runtime: DocumentRuntime | null, claim: Claim | null): void;
}

/** How an actor ends. */
export type Ended =
  | { readonly kind: 'released' }
  | { readonly kind: 'fenced' }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'elsewhere'; readonly owner: NodeIdentity }
  | { readonly kind: 'absent' };

const NOBODY: NodeIdentity = { node_id: '', boot_id: '' };

interface Context {
  readonly ports: DocumentPorts;
  readonly claim: Claim | null;
  readonly runtime: DocumentRuntime | null;
  readonly error: unknown;
  readonly elsewhere: NodeIdentity;
}

/** The statechart alone, which leaves turns in service to {@link documentMachine}. */
const chart = setup({
  types: {
    context: {} as Context,
    events: {} as DocumentEvent,
    input: {} as DocumentPorts,
  },
  actors: {
    claim: fromPromise<Located, DocumentPorts>(({ input }) => input.claim()),
    load: fromPromise<DocumentRuntime, { ports: DocumentPorts; claim: Claim | null }>(({ input: { ports, claim } }) => {
      if (claim === null) throw new Error('loading without a claim');
      return ports.load(claim);
    }),
    drain: fromPromise<void, Context>(async ({ input: { ports, runtime, claim } }) => {
      if (runtime !== null && claim !== null) await ports.drain(runtime, claim);
    }),
  },
  actions: {
    refuse: ({ context, event }) => {
      if (event.type === 'TURN') context.ports.refuse(event.entries);
    },
    openService: ({ context }) => context.ports.service(true),
    closeService: ({ context }) => context.ports.service(false),
    noteCrash: assign({ error: ({ event }) => (event.type === 'CRASHED' ? event.error : null) }),
    ended: ({ context }, params: { kind: Ended['kind'] }) => {
      context.ports.ended(endedOf(params.kind, context), context.runtime, context.claim);
    },
  },
  guards: {
    quiet: ({ context }) => context.ports.quiet(),
  },
  delays: {
    passivate: ({ context }) => context.ports.passivate_after_ms,
  },
}).createMachine({
  id: 'document',
  context: ({ input }) => ({ ports: input, claim: null, runtime: null, error: null, elsewhere: NOBODY }),
  initial: 'claiming',
  on: { TURN: { actions: 'refuse' } },
  states: {
    claiming: {
      invoke: {
        src: 'claim',
        input: ({ context }) => context.ports,
        onDone: [
          {
            guard: ({ event }) => event.output.kind === 'claimed',
            target: 'loading',
            actions: assign({ claim: ({ event }) => (event.output.kind === 'claimed' ? event.output.claim : null) }),
          },
          { guard: ({ event }) => event.output.kind === 'absent', target: 'absent' },
          {
            target: 'elsewhere',
            actions: assign({
              elsewhere: ({ event }) => (event.output.kind === 'elsewhere' ? event.output.owner : NOBODY),
            }),
          },
        ],
        onError: { target: 'failed', actions: assign({ error: ({ event }) => event.error }) },
      },
    },
    loading: {
      invoke: {
        src: 'load',
        input: ({ context: { ports, claim } }) => ({ ports, claim }),
        onDone: { target: 'owned', actions: assign({ runtime: ({ event }) => event.output }) },
        onError: { target: 'failed', actions: assign({ error: ({ event }) => event.error }) },
      },
      on: { FENCED: 'fenced' },
    },
    owned: {
      type: 'parallel',
      entry: 'openService',
      exit: 'closeService',
      on: {
        DRAIN: 'draining',
        FENCED: 'fenced',
        CRASHED: { target: 'failed', actions: 'noteCrash' },
      },
      states: {
        life: {
          initial: 'idle',
          states: {
            active: { on: { EMPTY: 'idle' } },
            idle: {
              on: { OCCUPIED: 'active' },
              after: {
                passivate: [
                  { guard: 'quiet', target: '#document.draining' },
                  { target: 'idle', reenter: true },
                ],
              },
            },
          },
        },
        journal: {
          initial: 'clean',
          states: {
            clean: { on: { PENDING: 'flushing', STORAGE_AWAY: 'degraded' } },
            flushing: { on: { CLEAN: 'clean', STORAGE_AWAY: 'degraded' } },
            degraded: { on: { STORAGE_BACK: 'flushing' } },
          },
        },
        lease: {
          initial: 'held',
          states: { held: { on: { SUSPECT: 'suspect' } }, suspect: { on: { TRUSTED: 'held' } } },
        },
      },
    },
    draining: {
      invoke: {
        src: 'drain',
        input: ({ context }) => context,
        onDone: 'released',
        onError: { target: 'failed', actions: assign({ error: ({ event }) => event.error }) },
      },
      on: { FENCED: 'fenced', CRASHED: { target: 'failed', actions: 'noteCrash' } },
    },
    released: { type: 'final', entry: { type: 'ended', params: { kind: 'released' } } },
    fenced: { type: 'final', entry: { type: 'ended', params: { kind: 'fenced' } } },
    failed: { type: 'final', entry: { type: 'ended', params: { kind: 'failed' } } },
    elsewhere: { type: 'final', entry: { type: 'ended', params: { kind: 'elsewhere' } } },
    absent: { type: 'final', entry: { type: 'ended', params: { kind: 'absent' } } },
  },
});

type Snapshot = Parameters<typeof chart.transition>[0];

/**
 * The clean and the flushing snapshot of a document that differ in nothing else, each by the other. Snapshots do not change,
 * and nothing is done between these two states, so that one is as good every time.
 */
const twins = new WeakMap<Snapshot, Snapshot>();

/** Whether an event leads from a snapshot to its twin. */
function leadsToTwin({ value }: Snapshot, type: DocumentEvent['type']): boolean {
  if (typeof value === 'string') return false;
  const { journal } = value.owned ?? {};
  return (type === 'PENDING' && journal === 'clean') || (type === 'CLEAN' && journal === 'flushing');
}

/**
 * See the head of this file. What a keystroke brings is answered without the chart, where finding the answer would cost more
 * than the edit: a turn of a document in service changes no control state and is handed on at once, and of the two states
 * that a lone edit leads to and back from, each is worked out once.
 */
export const documentMachine: typeof chart = Object.assign(Object.create(chart) as typeof chart, {
  transition(...[snapshot, event, scope]: Parameters<typeof chart.transition>): ReturnType<typeof chart.transition> {
    const { value, context } = snapshot;
    if (event.type === 'TURN' && typeof value !== 'string' && context.runtime !== null) {
      context.ports.turn(context.runtime, event.entries, event.received);
      return snapshot;
    }
    const has_twin = leadsToTwin(snapshot, event.type);
    const twin = has_twin ? twins.get(snapshot) : undefined;
    if (twin !== undefined) return twin;
    const next = chart.transition(snapshot, event, scope);
    if (has_twin) twins.set(snapshot, next).set(next, snapshot);
    return next;
  },
});

function endedOf(kind: Ended['kind'], context: Context): Ended {
  switch (kind) {
    case 'failed':
      return { kind, error: context.error };
    case 'elsewhere':
      return { kind, owner: context.elsewhere };
    case 'released':
    case 'fenced':
    case 'absent':
      return { kind };
  }
}
