/**
 * Whether an update that was made of durable revisions, to take the roots besides the text back, can be applied to the
 * document as it is now: all that it builds on must be here, and nothing of it may stand in the text, whose effect on
 * JSON readers is told by a delta. Asked before anything is applied.
 */
import * as Y from 'yjs';
import { TEXT_ROOT } from '../protocol/snapshot.ts';
import { type DecodedUpdate, decodeUpdate } from './updates.ts';

/** Why the update cannot be applied; null when it can. */
export function rootsFlaw(update: Uint8Array, doc: Y.Doc): string | null {
  const decoded = decodeUpdate(update);
  if (decoded === null) return 'does not decode';
  const fresh = new Fresh(doc);
  for (const struct of decoded.structs) {
    const flaw = fresh.take(struct);
    if (flaw !== null) return flaw;
  }
  for (const [client, ranges] of decoded.ds.clients)
    for (const { clock, len } of ranges) {
      if (clock + len > Y.getState(doc.store, client)) return 'deletes what is not here';
      const structs = doc.store.clients.get(client) ?? [];
      for (let i = Y.findIndexSS(structs, clock); i < structs.length; i++) {
        const struct = structs[i];
        if (struct === undefined || struct.id.clock >= clock + len) break;
        if (struct instanceof Y.Item && rootOf(struct) === TEXT_ROOT) return 'deletes some of the text';
      }
    }
  return null;
}

/** The new structs of an update, each with the root that it stands in. */
class Fresh {
  readonly #roots = new Map<number, { readonly until: number; readonly root: string | null }[]>();

  constructor(private readonly doc: Y.Doc) {}

  take(struct: DecodedUpdate['structs'][number]): string | null {
    const { client, clock } = struct.id;
    if (!(struct instanceof Y.Item) || clock !== this.#state(client)) return 'does not follow on what is here';
    const { origin, rightOrigin } = struct;
    // Decoded and not applied, an item has the name of a root or the id of a type, or takes after its neighbours.
    const parent = struct.parent as string | Y.ID | null;
    for (const id of [origin, rightOrigin, typeof parent === 'string' ? null : parent])
      if (id !== null && id.clock >= this.#state(id.client)) return 'builds on what is not here';
    const beside = parent ?? origin ?? rightOrigin;
    const root = typeof beside === 'string' || beside === null ? beside : this.#rootAt(beside);
    if (root === TEXT_ROOT) return 'writes into the text';
    const known = this.#roots.get(client);
    if (known === undefined) this.#roots.set(client, [{ until: clock + struct.length, root }]);
    else known.push({ until: clock + struct.length, root });
    return null;
  }

  #state(client: number): number {
    return this.#roots.get(client)?.at(-1)?.until ?? Y.getState(this.doc.store, client);
  }

  #rootAt({ client, clock }: Y.ID): string | null {
    if (clock >= Y.getState(this.doc.store, client))
      return (
        this.#roots.get(client)?.findLast(({ until }, i, all) => clock < until && clock >= (all[i - 1]?.until ?? 0))
          ?.root ?? null
      );
    const struct = Y.getItem(this.doc.store, Y.createID(client, clock)) as Y.Item | Y.GC;
    return struct instanceof Y.Item ? rootOf(struct) : null;
  }
}

/** Name of the root that an item stands in; null when that is not known any more. */
function rootOf(item: Y.Item): string | null {
  let type = item.parent as Y.AbstractType<unknown> | null;
  while (type?._item) type = type._item.parent as Y.AbstractType<unknown> | null;
  return type === null ? null : Y.findRootTypeKey(type);
}
