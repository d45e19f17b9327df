/** Who made each revision, and when, as columns: revisions and seqs count up by one, people and clients are few, times rise. */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { columnWriters, exact, seal, takeIndex, takeInts, takeString, takeUints, unseal } from './columns.ts';
import type { EntryMeta } from './entry.ts';

const COLUMNS = ['ids', 'revs', 'epochs', 'users', 'clients', 'seqs', 'times'] as const;

/** Seals the metas in their order. */
export function sealMeta(entries: readonly EntryMeta[]): Uint8Array {
  const columns = columnWriters(COLUMNS);
  const ids = new Map<string, number>();
  const idIndex = (id: string): number => {
    const known = ids.get(id);
    if (known === undefined) {
      ids.set(id, ids.size);
      encoding.writeVarString(columns.ids, id);
    }
    return known ?? ids.size - 1;
  };
  const seqs = new Map<string, number>();
  let last = { rev: 0, epoch: 0, at: 0 };
  for (const entry of entries) {
    encoding.writeVarInt(columns.revs, exact(entry.rev - last.rev - 1));
    encoding.writeVarInt(columns.epochs, exact(entry.epoch - last.epoch));
    encoding.writeVarUint(columns.users, idIndex(entry.user_id));
    encoding.writeVarUint(columns.clients, idIndex(entry.client_id));
    encoding.writeVarInt(columns.times, exact(entry.at - last.at));
    // 0 stands for none, so the usual one, that is one more than the last, is 1.
    encoding.writeVarInt(
      columns.seqs,
      entry.seq === null ? 0 : awayFromZero(entry.seq - (seqs.get(entry.client_id) ?? 0)),
    );
    if (entry.seq !== null) seqs.set(entry.client_id, entry.seq);
    last = entry;
  }
  return seal('meta', COLUMNS, columns);
}

/** Opens what {@link sealMeta} made. Throws DamagedColumns. */
export function unsealMeta(sealed: Uint8Array): EntryMeta[] {
  return unseal('meta', COLUMNS, sealed, (columns) => {
    const ids: string[] = [];
    while (decoding.hasContent(columns.ids)) ids.push(takeString(columns.ids));
    const id = (decoder: decoding.Decoder): string => ids[takeIndex(decoder, ids.length)] ?? '';
    const seqs = new Map<string, number>();
    const entries: EntryMeta[] = [];
    let [rev, epoch, at] = [0, 0, 0];
    while (decoding.hasContent(columns.revs)) {
      rev = exact(rev + 1 + decoding.readVarInt(columns.revs));
      epoch = exact(epoch + decoding.readVarInt(columns.epochs));
      at = exact(at + decoding.readVarInt(columns.times));
      const user_id = id(columns.users);
      const client_id = id(columns.clients);
      const step = decoding.readVarInt(columns.seqs);
      const seq = step === 0 ? null : exact((seqs.get(client_id) ?? 0) + (step > 0 ? step : step + 1));
      if (seq !== null) seqs.set(client_id, seq);
      entries.push({ rev, epoch, user_id, client_id, seq, at });
    }
    return entries;
  });
}

/** Author and time of revisions, side by side: what is needed of very many. */
export interface Authors {
  readonly ids: readonly string[];
  /** Which of `ids` made each revision. */
  readonly users: Float64Array;
  /** Epoch milliseconds of each. */
  readonly times: Float64Array;
}

/** Opens of what {@link sealMeta} made the authors alone, at a fraction of the cost. Throws DamagedColumns. */
export function unsealAuthors(sealed: Uint8Array): Authors {
  return unseal('meta', COLUMNS, sealed, (columns) => {
    const ids: string[] = [];
    while (decoding.hasContent(columns.ids)) ids.push(takeString(columns.ids));
    const users = takeUints(columns.users);
    const times = takeInts(columns.times);
    if (times.length !== users.length) throw new Error(`it has ${users.length} authors and ${times.length} times`);
    let at = 0;
    for (let i = 0; i < users.length; i++) {
      const user = users[i] ?? 0;
      if (user >= ids.length) throw new Error(`an index of ${user} into ${ids.length} values`);
      at += times[i] ?? 0;
      times[i] = exact(at);
    }
    for (const unread of [columns.revs, columns.epochs, columns.clients, columns.seqs]) unread.pos = unread.arr.length;
    return { ids, users, times };
  });
}

function awayFromZero(step: number): number {
  return exact(step > 0 ? step : step - 1);
}
