/**
 * The clientIDs that Concord itself writes under, and why they can be told from all others.
 *
 * An edit of a JSON or REST client becomes Yjs structs authored by the document's owner. It is broadcast at once and
 * journaled a moment later. If the owner dies in that moment, two parties bring the edit back: its author, who was never
 * acked and sends it again, and every Yjs client that had received the structs and now offers them to the next owner.
 * Taking both would write the text twice; a Yjs client cannot be told to forget. So the new owner must recognise such
 * *ghosts*: structs under a server clientID of this document that its journal does not hold. It merges them, as it must
 * to converge, and deletes them in the same turn; the author's resend is the edit.
 *
 * Only what an *earlier* owner wrote can be a ghost. Structs of a later one say that we ourselves were replaced and have not
 * noticed: to delete those would delete text that is on disk, by way of whichever client heard of the deletion.
 *
 * Stock Yjs draws clientIDs below 2^32. Ours are at 2^34 and above, and below 2^35 so that a varint still takes five
 * bytes: 2^34 + ten bits of the document's id + twenty-four bits of the epoch, which no two owners ever share.
 */

const BASE = 2 ** 34;
const EPOCHS = 2 ** 24;

/** FNV-1a over the id's characters, folded to ten bits. */
function documentBits(doc_id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < doc_id.length; i++) hash = Math.imul(hash ^ doc_id.charCodeAt(i), 0x01000193);
  return ((hash >>> 0) ^ (hash >>> 16)) & 0x3ff;
}

/** The Yjs clientID that the owner of `doc_id` at `epoch` writes under. */
export function serverClientId(doc_id: string, epoch: number): number {
  return BASE + documentBits(doc_id) * EPOCHS + (epoch % EPOCHS);
}

/** Whether the owner of `doc_id` that writes under `client` came after the one that writes under `own`. */
export function isLaterOwner(doc_id: string, client: number, own: number): boolean {
  return client > own && isServerClientId(doc_id, client);
}

/** Whether `client` is one that some owner of `doc_id` wrote under. */
export function isServerClientId(doc_id: string, client: number): boolean {
  // Those of clients, which is nearly all.
  if (client < BASE) return false;
  const start = BASE + documentBits(doc_id) * EPOCHS;
  return client >= start && client < start + EPOCHS;
}
