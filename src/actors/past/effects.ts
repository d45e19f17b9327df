/**
 * Takes pieces of storage apart: what each revision did to the text, who made it, and its bytes.
 */
import type { DeltaOps } from '../../protocol/content/delta.ts';
import type { EntryMeta } from '../../protocol/history/entry.ts';
import { unpackDeltas, unpackMeta, unpackOps, unpackUpdates } from '../../protocol/history/segment.ts';
import type { JournalPage } from '../../store/history.ts';
import type { Piece } from './pieces.ts';

/** A revision's effect. */
export interface Effect {
  readonly rev: number;
  readonly delta: DeltaOps;
}

/** The effects that a piece holds, oldest first; a whole segment's is one. None where the piece tells of none. */
export function effectsOf(piece: Piece): readonly Effect[] {
  switch (piece.kind) {
    case 'total':
      return [{ rev: 0, delta: unpackOps(piece.bytes) }];
    case 'segment':
      return within(piece, piece.from_rev, unpackDeltas(piece.deltas));
    case 'journal':
      return within(piece, piece.page.from_rev, parseDeltas(piece.page));
    default:
      return [];
  }
}

/** How much a delta inserts and deletes, in UTF-16 units. */
export function changeOf(delta: DeltaOps): { readonly inserted: number; readonly deleted: number } {
  let inserted = 0;
  let deleted = 0;
  for (const { insert, delete: gone } of delta) {
    if (insert !== undefined) inserted += typeof insert === 'string' ? insert.length : 1;
    deleted += gone ?? 0;
  }
  return { inserted, deleted };
}

/** The bytes of a Yjs state that a piece holds. */
export function openState(piece: Piece & { readonly kind: 'state' }): Uint8Array {
  return piece.compressed ? Bun.zstdDecompressSync(piece.state as Uint8Array<ArrayBuffer>) : piece.state;
}

/** The deltas of a page. */
export function parseDeltas(page: JournalPage): readonly DeltaOps[] {
  return JSON.parse(`[${page.deltas}]`) as DeltaOps[];
}

/** The updates of a page, as views of its bytes. */
export function cutUpdates(page: JournalPage): Uint8Array[] {
  let start = 0;
  return page.lengths.split(',').map((digits) => {
    const update = page.updates.subarray(start, start + Number(digits));
    start += update.length;
    return update;
  });
}

/** Who made the revisions of a page. */
export function parseMetas(page: JournalPage): EntryMeta[] {
  return page.metas.split('\n').map((line, i) => {
    const [epoch = '', user_id = '', client_id = '', seq = '', at = ''] = line.split(' ');
    const counted = seq === '' ? null : Number(seq);
    return { rev: page.from_rev + i, epoch: Number(epoch), user_id, client_id, seq: counted, at: Number(at) };
  });
}

/** The updates of the revisions of a piece that count. */
export function updatesOf(piece: Piece): readonly Uint8Array[] {
  if (piece.kind === 'segment') return cut(piece, piece.from_rev, unpackUpdates(piece.updates));
  return piece.kind === 'journal' ? cut(piece, piece.page.from_rev, cutUpdates(piece.page)) : [];
}

/** Who made the revisions of a piece that count. */
export function metasOf(piece: Piece): readonly EntryMeta[] {
  if (piece.kind === 'segment') return cut(piece, piece.from_rev, unpackMeta(piece.meta));
  return piece.kind === 'journal' ? cut(piece, piece.page.from_rev, parseMetas(piece.page)) : [];
}

function within(
  piece: Piece & { readonly kind: 'segment' | 'journal' },
  from_rev: number,
  deltas: readonly DeltaOps[],
): Effect[] {
  const first = Math.max(piece.after_rev + 1, from_rev);
  return cut(piece, from_rev, deltas).map((delta, i) => ({ rev: first + i, delta }));
}

function cut<T>(range: { after_rev: number; to_rev: number }, from_rev: number, all: readonly T[]): readonly T[] {
  return all.slice(Math.max(range.after_rev + 1 - from_rev, 0), Math.max(range.to_rev + 1 - from_rev, 0));
}
