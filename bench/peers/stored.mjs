// The documents that were put into STATE_DIR before the server began, as a peer's storage would hand them out.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The state of a document as one Yjs update, or null for one that nobody stored. */
export function readStored(name) {
  try {
    return new Uint8Array(readFileSync(join(process.env.STATE_DIR, name)));
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}
