/**
 * Who wrote which stretch of a text, as columns: along a text that was typed, each revision is about the one after the last, and
 * was made a moment later. Whoever wrote what is gone is left out.
 */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { columnWriters, exact, seal, takeInts, takeString, takeUints, unseal } from './columns.ts';
import type { Stretches } from './entry.ts';

const COLUMNS = ['users', 'lengths', 'revs', 'authors', 'times'] as const;

/** Seals the stretches in their order. */
export function sealAttribution({ users, lengths, revs, authors, times }: Stretches): Uint8Array {
  const columns = columnWriters(COLUMNS);
  const places = new Map<number, number>();
  let [last_rev, last_time] = [0, 0];
  for (let i = 0; i < revs.length; i++) {
    const [rev, author, time] = [revs[i] ?? 0, authors[i] ?? 0, times[i] ?? 0];
    let place = places.get(author);
    if (place === undefined) {
      place = places.size;
      places.set(author, place);
      encoding.writeVarString(columns.users, users[author] ?? '');
    }
    encoding.writeVarUint(columns.lengths, exact(lengths[i] ?? 0));
    encoding.writeVarInt(columns.revs, exact(rev - last_rev - 1));
    encoding.writeVarUint(columns.authors, place);
    encoding.writeVarInt(columns.times, exact(time - last_time));
    last_rev = rev;
    last_time = time;
  }
  return seal('attribution', COLUMNS, columns);
}

/** Opens what {@link sealAttribution} made. Throws DamagedColumns. */
export function unsealAttribution(sealed: Uint8Array): Stretches {
  return unseal('attribution', COLUMNS, sealed, (columns) => {
    const users: string[] = [];
    while (decoding.hasContent(columns.users)) users.push(takeString(columns.users));
    const lengths = takeUints(columns.lengths);
    const [revs, authors, times] = [takeInts(columns.revs), takeUints(columns.authors), takeInts(columns.times)];
    for (const column of [revs, authors, times])
      if (column.length !== lengths.length)
        throw new Error(`it has ${lengths.length} lengths and ${column.length} others`);
    let [rev, time] = [0, 0];
    for (let i = 0; i < revs.length; i++) {
      const author = authors[i] ?? 0;
      if (author >= users.length) throw new Error(`an index of ${author} into ${users.length} values`);
      rev += 1 + (revs[i] ?? 0);
      time += times[i] ?? 0;
      revs[i] = exact(rev);
      times[i] = exact(time);
    }
    return { users, lengths, revs, authors, times };
  });
}
