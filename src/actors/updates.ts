/**
 * What can be learnt of a Yjs update without applying it. Joining clients answer our state vector with an update that
 * usually holds nothing new but always carries their whole delete set; recognising that lets readers come and go
 * without a `Y.Doc` ever being built, and lets viewers synchronise without being refused.
 */
import * as Y from 'yjs';

/** A delete set as client → ranges. */
type Deletions = ReadonlyMap<number, readonly { readonly clock: number; readonly len: number }[]>;

/** State known by its bytes alone. */
export interface EncodedState {
  readonly state_vector: Uint8Array;
  readonly delete_set: Uint8Array;
}

/** An update, decoded and not applied. */
export type DecodedUpdate = ReturnType<typeof Y.decodeUpdate>;

/**
 * Decodes an update, or null when it is malformed. Applying is not a safe way to find out: Yjs allocates what a header
 * announces before it reads on, and takes in an update's structs before it meets a broken delete set.
 */
export function decodeUpdate(update: Uint8Array): DecodedUpdate | null {
  try {
    return Y.decodeUpdate(update);
  } catch {
    return null;
  }
}

/** Whether applying the update to this state would change nothing. */
export function updateAddsNothing(update: DecodedUpdate, state: Y.Doc | EncodedState): boolean {
  const deletions: Deletions = update.ds.clients;
  if (state instanceof Y.Doc) {
    const known = (client: number): number => Y.getState(state.store, client);
    return structsKnown(update.structs, known) && deletionsDone(deletions, state);
  }
  const vector = Y.decodeStateVector(state.state_vector);
  if (!structsKnown(update.structs, (client) => vector.get(client) ?? 0)) return false;
  if (deletions.size === 0) return true;
  return deletionsWithin(deletions, Y.decodeUpdate(state.delete_set).ds.clients);
}

type Structs = DecodedUpdate['structs'];

function structsKnown(structs: Structs, known: (client: number) => number): boolean {
  return structs.every((struct) => struct.id.clock + struct.length <= known(struct.id.client));
}

function deletionsDone(deletions: Deletions, doc: Y.Doc): boolean {
  for (const [client, ranges] of deletions) {
    const structs = doc.store.clients.get(client);
    for (const { clock, len } of ranges) {
      if (len === 0) continue;
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
      if (len === 0) continue;
      while (i < around.length && (around[i]?.clock ?? 0) + (around[i]?.len ?? 0) < clock + len) i += 1;
      const range = around[i];
      if (range === undefined || range.clock > clock) return false;
    }
  }
  return true;
}
