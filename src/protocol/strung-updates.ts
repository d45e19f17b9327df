/**
 * Updates of several people who typed in the same moment, as one. Merging updates in general takes decoding all and
 * encoding anew; what different clients added without deleting anything only has to be written one behind the other.
 *
 * The form of an update (version 1): the number of clients; for each the number of structs, the client, the first clock and
 * the structs, clients in descending order; then the delete set, which begins with the number of clients that it names. So
 * an update that deletes nothing ends with a 0, and one that deletes ends with the length of a range, which is not 0.
 */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';

/**
 * One update that does what all of these do, or null when they cannot simply be strung together: one of them holds nothing,
 * several clients or deletions, or two are of one client. `updates` are as Yjs emitted them.
 */
export function stringTogether(updates: readonly Uint8Array[]): Uint8Array | null {
  const parts: { readonly client: number; readonly block: Uint8Array }[] = [];
  for (const update of updates) {
    if (update[0] !== 1 || update[update.length - 1] !== 0) return null;
    const decoder = decoding.createDecoder(update);
    decoding.readVarUint(decoder); // one client
    decoding.readVarUint(decoder); // so many structs
    const client = decoding.readVarUint(decoder);
    if (parts.some((part) => part.client === client)) return null;
    parts.push({ client, block: update.subarray(1, -1) });
  }
  parts.sort((one, other) => other.client - one.client);
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, parts.length);
  for (const { block } of parts) encoding.writeUint8Array(encoder, block);
  encoding.writeVarUint(encoder, 0);
  return encoding.toUint8Array(encoder);
}
