/**
 * What can be learnt of a Yjs update without applying it. Joining clients answer our state vector with an update that
 * usually holds nothing new but always carries their whole delete set; recognising that lets readers come and go
 * without a `Y.Doc` ever being built, and lets viewers synchronise without being refused.
 */
import * as decoding from 'lib0/decoding';
import * as Y from 'yjs';

/** A delete set as client → ranges. */
type Deletions = ReadonlyMap<number, readonly { readonly clock: number; readonly len: number }[]>;

/** State known by its bytes alone. */
export interface EncodedState {
  readonly state_vector: Uint8Array;
  readonly delete_set: Uint8Array;
}

/** The clientIDs whose structs an update holds; empty when it does not decode. Cheap for the common case of one. */
export function updateClients(update: Uint8Array): number[] {
  try {
    const decoder = decoding.createDecoder(update);
    const clients = decoding.readVarUint(decoder);
    if (clients === 0) return [];
    if (clients > 1) return [...Y.parseUpdateMeta(update).from.keys()];
    decoding.readVarUint(decoder); // how many structs
    return [decoding.readVarUint(decoder)];
  } catch {
    return [];
  }
}

/** Whether applying `update` to this state would change nothing; false when it does not decode. */
export function updateAddsNothing(update: Uint8Array, state: Y.Doc | EncodedState): boolean {
  let decoded: ReturnType<typeof Y.decodeUpdate>;
  try {
    decoded = Y.decodeUpdate(update);
  } catch {
    return false;
  }
  const deletions: Deletions = decoded.ds.clients;
  if (state instanceof Y.Doc) {
    const known = (client: number): number => Y.getState(state.store, client);
    return structsKnown(decoded.structs, known) && deletionsDone(deletions, state);
  }
  const vector = Y.decodeStateVector(state.state_vector);
  if (!structsKnown(decoded.structs, (client) => vector.get(client) ?? 0)) return false;
  if (deletions.size === 0) return true;
  return deletionsWithin(deletions, Y.decodeUpdate(state.delete_set).ds.clients);
}

type Structs = ReturnType<typeof Y.decodeUpdate>['structs'];

function structsKnown(structs: Structs, known: (client: number) => number): boolean {
  return structs.every((struct) => struct.id.clock + struct.length <= known(struct.id.client));
}

function deletionsDone(deletions: Deletions, doc: Y.Doc): boolean {
  for (const [client, ranges] of deletions) {
    const structs = doc.store.clients.get(client);
    for (const { clock, len } of ranges) {
      if (structs === undefined || clock + len > Y.getState(doc.store, client)) return false;
      for (let i = Y.findIndexSS(structs, clock); i < structs.length; i++) {
        const struct = structs[i];
        if (struct === undefined || struct.id.clock >= clock + len) break;
        if (!struct.deleted) return false;
      }
    }
  }
  return true;
}

/** Both sides sorted by clock within a client, and ranges of the outer side do not touch: Yjs encodes them so. */
function deletionsWithin(inner: Deletions, outer: Deletions): boolean {
  for (const [client, ranges] of inner) {
    const around = outer.get(client) ?? [];
    let i = 0;
    for (const { clock, len } of [...ranges].sort((a, b) => a.clock - b.clock)) {
      while (i < around.length && (around[i]?.clock ?? 0) + (around[i]?.len ?? 0) < clock + len) i += 1;
      const range = around[i];
      if (range === undefined || range.clock > clock) return false;
    }
  }
  return true;
}
