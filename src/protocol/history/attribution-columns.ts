/** Who wrote which stretch of a text, as columns: along a text that was typed, each revision is about the one after the last. */
import * as encoding from 'lib0/encoding';
import { columnWriters, exact, seal, takeInts, takeUints, unseal } from './columns.ts';
import type { Stretches } from './entry.ts';

const COLUMNS = ['lengths', 'revs'] as const;

/** Seals the stretches in their order. */
export function sealAttribution({ lengths, revs }: Stretches): Uint8Array {
  const columns = columnWriters(COLUMNS);
  let last = 0;
  for (const [i, rev] of revs.entries()) {
    encoding.writeVarUint(columns.lengths, exact(lengths[i] ?? 0));
    encoding.writeVarInt(columns.revs, exact(rev - last - 1));
    last = rev;
  }
  return seal('attribution', COLUMNS, columns);
}

/** Opens what {@link sealAttribution} made. Throws DamagedColumns. */
export function unsealAttribution(sealed: Uint8Array): Stretches {
  return unseal('attribution', COLUMNS, sealed, (columns) => {
    const lengths = takeUints(columns.lengths);
    const revs = takeInts(columns.revs);
    if (revs.length !== lengths.length)
      throw new Error(`it has ${lengths.length} lengths and ${revs.length} revisions`);
    let rev = 0;
    for (let i = 0; i < revs.length; i++) {
      rev += 1 + (revs[i] ?? 0);
      revs[i] = exact(rev);
    }
    return { lengths, revs };
  });
}
