/**
 * Concord as its users run it: `bun src/main.ts`, with authentication, on a PostgreSQL that flushes every commit to the
 * disk. An edit is confirmed when it is on disk.
 *
 * Rate limits are off, as they would count one driver for many people; all else is as in production.
 */
import { SQL } from 'bun';
import type { DeltaOps } from '../../src/protocol/content/delta.ts';
import type { AckEvent, EditEvent, ReadyEvent } from '../../src/protocol/messages.ts';
import type { JsonContender, RunningServer, YjsContender } from '../contender.ts';
import { type OwnServer, startOwnServer } from '../own-server.ts';
import { onServerCore, unbind } from '../pin.ts';
import { createDocument, doorUrl, type Place } from '../place.ts';
import { processorMs, processTrees } from '../processes.ts';
import { DurableAcks } from './confirmations.ts';
import { connectJson, type JsonEvent, type JsonWire } from './json-client.ts';
import { settledResidentBytes } from './memory.ts';
import { BUN, type Workshop } from './peer.ts';
import { connectYjs } from './yjs-client.ts';

const SNAPSHOTS_MS_MAX = 30_000;

/** The tokens of running servers, which are on no wire but Concord's. */
const places = new WeakMap<RunningServer, Place>();

/** Concord's Yjs door; see the head of this file. */
export function concord(workshop?: Workshop): YjsContender {
  return {
    name: 'concord',
    wire: 'yjs',
    confirms: 'on disk: its acknowledgement',
    start: () => start(workshop),
    connect: (server, document, options) =>
      connectYjs(
        {
          address: doorUrl(placeOf(server), 'yjs', document, { acks: '2' }),
          prefix: new Uint8Array(),
          hello: [],
          asks: true,
          confirmations: new DurableAcks(),
        },
        options,
      ),
  };
}

/**
 * Concord's JSON door. `confirm`: what a client waits for before its next edit. Its own event, from memory, is what the
 * protocol asks for and what peers answer with; the disk is what Concord promises on top. Either way a run is over when
 * everything is on disk.
 */
export function concordJson(confirm: 'disk' | 'event' = 'event', workshop?: Workshop): JsonContender {
  return {
    name: confirm === 'event' ? 'concord' : 'concord, waiting for the disk',
    wire: 'json',
    confirms: confirm === 'disk' ? 'on disk: its acknowledgement' : 'in memory: its own event came back',
    start: () => start(workshop),
    connect: (server, document) => connectJson(new ConcordWire(placeOf(server), document, confirm)),
  };
}

async function start(workshop?: Workshop): Promise<RunningServer> {
  const own = await startOwnServer({ command: onServerCore([...BUN, 'src/main.ts']), workshop });
  // Those of the driver's children that were there before it was pinned itself.
  unbind(processTrees(own.store_pids));
  /** Time of processes that were ended. */
  let ended_ms = 0;
  const restart = async (): Promise<void> => {
    ended_ms += processorMs([own.pid]);
    await own.restart('drain');
  };
  const server: RunningServer = {
    url: own.url.replace(/^http/, 'ws'),
    cpu: () => ({ server_ms: ended_ms + processorMs([own.pid]), stores_ms: processorMs(own.store_pids) }),
    rss: () => settledResidentBytes(own.pid, own.log),
    async createDocument(state) {
      const document = await createDocument(own, 'Benchmark');
      if (state !== undefined) await fill(server, document, state);
      return document;
    },
    // Draining asks for snapshots, and the next process makes them. What is measured is the one after that: it has not
    // had any document in its hands.
    async restart() {
      await restart();
      if (await snapshotsMade(own)) await restart();
    },
    stop: () => own.stop(),
  };
  places.set(server, own);
  return server;
}

function placeOf(server: RunningServer): Place {
  const place = places.get(server);
  if (place === undefined) throw new Error('this is not a server of Concord');
  return place;
}

/** Puts a state into a new document as an editor would: through the Yjs door. Resolves once it is on disk. */
async function fill(server: RunningServer, document: string, state: Uint8Array): Promise<void> {
  const durable = Promise.withResolvers<void>();
  const client = await concord().connect(server, document, { client_id: 1, onConfirmed: () => durable.resolve() });
  client.sendUpdate(state);
  await durable.promise;
  await client.close();
}

/** Waits until every document has a snapshot of its head. False when that was so already. */
async function snapshotsMade(own: OwnServer): Promise<boolean> {
  const sql = new SQL(own.database_url, { max: 1 });
  const begun = performance.now();
  try {
    for (let looks = 0; ; looks++) {
      const [{ behind } = { behind: 0 }] = await sql<{ behind: number }[]>`
        SELECT count(*)::int AS behind
        FROM document_heads LEFT JOIN document_snapshots USING (doc_id)
        WHERE head_rev > coalesce(rev, 0)`;
      if (behind === 0) return looks > 0;
      if (performance.now() - begun > SNAPSHOTS_MS_MAX) throw new Error(`${behind} documents have no new snapshot`);
      await Bun.sleep(50);
    }
  } finally {
    await sql.close();
  }
}

type Failure = { readonly type: 'error'; readonly code: string; readonly message: string };
type Other = { readonly type: 'status' | 'presence' | 'pong' | 'role' };

class ConcordWire implements JsonWire {
  readonly address: string;
  readonly hello = [];
  readonly durable = true;
  readonly #client_id = Bun.randomUUIDv7();

  constructor(
    place: Place,
    document: string,
    private readonly confirm: 'disk' | 'event',
  ) {
    this.address = doorUrl(place, 'collab', document, { client_id: this.#client_id });
  }

  edit(delta: DeltaOps, base_rev: number, seq: number): object {
    return { type: 'edit', changes: { base_rev, delta }, seq };
  }

  read(message: string): readonly JsonEvent[] {
    const event = JSON.parse(message) as ReadyEvent | EditEvent | AckEvent | Failure | Other;
    switch (event.type) {
      case 'ready':
        return [{ kind: 'ready', rev: event.rev, content: event.content ?? [] }];
      case 'edit':
        return this.#edit(event);
      case 'ack':
        return [
          { kind: 'durable', rev: event.rev },
          ...(this.confirm === 'disk' ? [{ kind: 'confirmed', rev: event.rev } as const] : []),
        ];
      case 'error':
        return [{ kind: 'failed', reason: `${event.code}: ${event.message}` }];
      default:
        return [];
    }
  }

  #edit({ client_id, changes: { rev, delta } }: EditEvent): readonly JsonEvent[] {
    if (client_id !== this.#client_id) return [{ kind: 'edit', rev, delta }];
    const placed = { kind: 'placed', rev } as const;
    return this.confirm === 'disk' ? [placed] : [placed, { kind: 'confirmed', rev }];
  }
}
