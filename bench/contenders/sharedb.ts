/** ShareDB 7 with the rich-text type, its documents in memory. */
import type { DeltaOps } from '../../src/protocol/content/delta.ts';
import type { JsonContender, RunningServer } from '../contender.ts';
import { connectJson, type JsonEvent, type JsonWire } from './json-client.ts';
import { NODE, startPeer, type Workshop } from './peer.ts';

const COLLECTION = 'documents';
/** Of its protocol, which the client names. */
const PROTOCOL = { protocol: 1, protocolMinor: 2 };

/** What the server says, as far as a client of one document hears it. `a` is what it is about. */
interface Message {
  readonly a: 'init' | 'hs' | 's' | 'op' | string;
  readonly error?: { readonly message: string };
  /** The id of the connection, in the answer to `hs`. */
  readonly id?: string;
  readonly src?: string;
  /** The revision before the operation. */
  readonly v?: number;
  readonly op?: Ops;
  readonly data?: { readonly v: number; readonly data: Ops };
}

/** The type takes a delta or its operations, and gives either. */
type Ops = DeltaOps | { readonly ops: DeltaOps };

/** See the head of this file. A restart forgets everything: that is its memory database. */
export function sharedb(workshop?: Workshop): JsonContender {
  return {
    name: 'sharedb on node',
    wire: 'json',
    confirms: 'in memory: the operation was answered',
    start: () => startPeer({ runtime: NODE, script: 'sharedb.mjs', workshop, prepare: makeDocument }),
    connect: ({ url }: RunningServer, document) => connectJson(new ShareDbWire(url, document)),
  };
}

async function makeDocument(url: string, name: string): Promise<void> {
  const { ok, status } = await fetch(`${url.replace(/^ws/, 'http')}/documents/${name}`, { method: 'POST' });
  if (!ok) throw new Error(`ShareDB did not make a document: ${status}`);
}

class ShareDbWire implements JsonWire {
  readonly hello: readonly object[];
  readonly durable = false;
  #src = '';

  constructor(
    readonly address: string,
    private readonly document: string,
  ) {
    this.hello = [
      { a: 'hs', id: null, ...PROTOCOL },
      { a: 's', c: COLLECTION, d: document },
    ];
  }

  edit(ops: DeltaOps, base_rev: number, seq: number): object {
    return { a: 'op', c: COLLECTION, d: this.document, v: base_rev, seq, x: {}, op: { ops } };
  }

  read(message: string): readonly JsonEvent[] {
    const { a, error, id, src, v = 0, op, data } = JSON.parse(message) as Message;
    if (error !== undefined) return [{ kind: 'failed', reason: error.message }];
    if (a === 'hs') this.#src = id ?? '';
    if (a === 's' && data !== undefined) return [{ kind: 'ready', rev: data.v, content: opsOf(data.data) }];
    if (a !== 'op') return [];
    const rev = v + 1;
    if (src !== this.#src) return op === undefined ? [] : [{ kind: 'edit', rev, delta: opsOf(op) }];
    return [
      { kind: 'placed', rev },
      { kind: 'confirmed', rev },
    ];
  }
}

function opsOf(ops: Ops): DeltaOps {
  return 'ops' in ops ? ops.ops : ops;
}
