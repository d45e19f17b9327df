/** Who wrote which stretch of a text, as columns: along a text that was typed, each revision is about the one after the last. */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { columnWriters, exact, seal, unseal } from './columns.ts';
import type { AttributionRun } from './entry.ts';

const COLUMNS = ['lengths', 'revs'] as const;

/** Seals the runs in their order. */
export function sealAttribution(runs: readonly AttributionRun[]): Uint8Array {
  const columns = columnWriters(COLUMNS);
  let last = 0;
  for (const { length, rev } of runs) {
    encoding.writeVarUint(columns.lengths, exact(length));
    encoding.writeVarInt(columns.revs, exact(rev - last - 1));
    last = rev;
  }
  return seal('attribution', COLUMNS, columns);
}

/** Opens what {@link sealAttribution} made. Throws DamagedColumns. */
export function unsealAttribution(sealed: Uint8Array): AttributionRun[] {
  return unseal('attribution', COLUMNS, sealed, (columns) => {
    const runs: AttributionRun[] = [];
    let rev = 0;
    while (decoding.hasContent(columns.lengths)) {
      const length = decoding.readVarUint(columns.lengths);
      rev = exact(rev + 1 + decoding.readVarInt(columns.revs));
      runs.push({ length, rev });
    }
    return runs;
  });
}
